"""The dbt project as assets: one step runs `dbt build` for what is selected."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from database.build_lock import build_lock
from orchestration import pools
from orchestration.manifest import dbt_program, parse_folder, target_folder
from orchestration.resources import CrmElt
from sync.build import ALL_ROWS, PROJECT_DIR, dbt_environment

DBT_STEP = "dbt_build"
RUN_FOLDERS_KEPT = 5


class BuildConfig(dg.Config):
    """`full_refresh`: rebuild incremental tables from nothing. `unit_tests`: run dbt's unit tests too.

    `all_rows`: test all rows, not only those that the build changes.
    """

    full_refresh: bool = False
    unit_tests: bool = False
    all_rows: bool = False


class Translator(DagsterDbtTranslator):
    """Names by schema: sources of schema core are the tables that normalise fills."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        properties = self.get_resource_props(manifest, unique_id)
        return spec.replace_attributes(
            key=asset_key(properties), group_name=_group(properties), freshness_policy=_freshness(properties)
        )


def asset_key(properties: Mapping[str, Any]) -> dg.AssetKey:
    """schema/name of a dbt resource."""
    return dg.AssetKey(
        [properties["schema"], properties.get("alias") or properties.get("identifier") or properties["name"]]
    )


def build_arguments(config: BuildConfig) -> list[str]:
    """Arguments of dbt for a build of what is selected in Dagster."""
    arguments = ["build"]
    if config.full_refresh:
        arguments.append("--full-refresh")
    if not config.unit_tests:
        # They test the models' code and not the data; each is a query, and the nightly build runs them.
        arguments += ["--exclude-resource-type", "unit_test"]
    return arguments


def build_variables(config: BuildConfig, url: str) -> dict[str, str]:
    """dbt's environment for the same."""
    return dbt_environment(url) | (ALL_ROWS if config.all_rows else {})


def marts(manifest: Path) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        name=DBT_STEP,
        dagster_dbt_translator=Translator(DagsterDbtTranslatorSettings(enable_asset_checks=True)),
        pool=pools.DBT,
    )
    def dbt_build(context: dg.AssetExecutionContext, config: BuildConfig, crm_elt: CrmElt) -> Iterator[Any]:
        environment = crm_elt.environment()
        runs = target_folder(environment) / "runs"
        # dagster-dbt looks in DBT_TARGET_PATH for the parse to start from.
        variables = {**build_variables(config, crm_elt.url()), "DBT_TARGET_PATH": str(parse_folder(environment))}
        with build_lock(crm_elt.url()), _variables(variables):
            dbt = DbtCliResource(
                project_dir=os.fspath(PROJECT_DIR), profiles_dir=os.fspath(PROJECT_DIR), dbt_executable=dbt_program()
            )
            yield from dbt.cli(build_arguments(config), context=context, target_path=runs / context.run_id).stream()
        _prune(runs)

    return dbt_build


marts_job = dg.define_asset_job(
    "build_marts",
    dg.AssetSelection.key_prefixes("staging", "intermediate", "marts"),
    description="dbt build: all models, with their tests.",
)


def settings_sources(manifest: Path) -> list[dg.AssetSpec]:
    """Sources that no run of Dagster writes: settings, and the state of the flows."""
    specs = []
    for properties in json.loads(manifest.read_text())["sources"].values():
        key = asset_key(properties)
        if key.path[0] != "core":
            specs.append(
                dg.AssetSpec(key, group_name=key.path[0], kinds={"postgres"}, description=properties["description"])
            )
    return specs


def _group(properties: Mapping[str, Any]) -> str:
    return str(properties["schema"])


def _freshness(properties: Mapping[str, Any]) -> dg.FreshnessPolicy | None:
    """The nightly build touches every mart, whether or not anything changed."""
    if properties["resource_type"] != "model" or properties["schema"] != "marts":
        return None
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=26))


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """dagster-dbt hands the environment of this process on to dbt; there is no other way in."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prune(folder: Path) -> None:
    """Keep what dbt wrote of the newest runs."""
    runs = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in runs[RUN_FOLDERS_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
