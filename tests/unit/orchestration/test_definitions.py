"""What Dagster is given: names are a contract with users' links and alerts, and loading is quick and does no I/O."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from connectors import registry
from database.environment import Environment
from orchestration.manifest import ManifestError, existing_manifest, prepare_manifest

ROOT = Path(__file__).parents[3]
NOWHERE = "postgresql://nobody:nothing@127.0.0.1:1/nothing"
LOAD = """
import json, socket, sys, time
began = time.monotonic()

def refuse(*arguments, **options):
    raise RuntimeError("a connection was tried while the definitions were loaded")

socket.socket.connect = refuse
socket.create_connection = refuse
sys.addaudithook(lambda name, arguments: refuse() if name in {"subprocess.Popen", "os.fork", "os.system"} else None)
from orchestration.definitions import defs
repository = defs().get_repository_def()
repository.get_all_jobs()
print(json.dumps({
    "seconds": time.monotonic() - began,
    "jobs": sorted(job.name for job in repository.get_all_jobs()),
    "schedules": {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs},
    "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    "stopped": [
        item.name
        for item in (*repository.schedule_defs, *repository.sensor_defs)
        if item.default_status.value != "RUNNING"
    ],
}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A home with a prepared manifest; no database is there, and none is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_ELT_HOME", str(tmp_path_factory.mktemp("home")))
        environment = Environment()
    prepare_manifest(environment, NOWHERE)
    return environment


@pytest.fixture(scope="module")
def definitions(environment: Environment) -> dg.Definitions:
    from orchestration.definitions import defs

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_ELT_HOME", str(environment.home))
        return defs()


def load(home: Path) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD],
        env={**variables, "CRM_ELT_HOME": str(home)}, cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def test_loading_connects_to_nothing_starts_nothing_and_gives_the_known_names(environment: Environment) -> None:
    result = load(environment.home)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    sys.stdout.write(f"definitions loaded in {found.pop('seconds'):.1f} s (budget: 10 s)\n")
    capabilities = {crm: registry.get(crm).capabilities for crm in registry.names()}
    streams = {crm: known.streams for crm, known in capabilities.items() if known.has_api}
    assert "csv" not in streams
    daily = [crm for crm, known in streams.items() if any(stream.has_windows for stream in known)]
    whole = [crm for crm, known in streams.items() if any(not stream.has_windows for stream in known)]
    assert "keycrm" in daily
    assert "keycrm" in whole
    assert found == {
        "jobs": sorted(
            [
                "__ASSET_JOB",
                "build_marts",
                "consistency",
                "full_resync",
                "health",
                "normalise",
                "reconcile",
                "sync_requests",
                "two_way_backlog",
                *(f"{crm}_pull" for crm in daily),
                *(f"{crm}_pull_whole" for crm in whole),
            ]
        ),
        "schedules": {
            "health": "*/30 * * * *",
            "nightly_build": "40 1 * * *",
            "nightly_consistency": "5 1 * * *",
            "nightly_reconcile": "20 0 * * *",
            **{f"{crm}_dictionaries": "*/5 * * * *" for crm in whole},
            **{f"{crm}_new": "*/5 * * * *" for crm in daily},
        },
        "sensors": [
            "active_projects",
            "full_resyncs_due",
            "marts_follow_core",
            "raw_backlog",
            "sync_requests_due",
            "two_way_waits",
        ],
        "stopped": [],
    }


def test_without_a_manifest_one_sentence_says_what_to_run(tmp_path: Path) -> None:
    result = load(tmp_path)
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert "ManifestError" in last
    assert "python -m orchestration.manifest" in last


def test_the_manifest_is_parsed_again_only_when_the_project_changed(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = existing_manifest(environment)
    before = path.stat().st_mtime_ns
    assert prepare_manifest(environment, NOWHERE) == path
    assert path.stat().st_mtime_ns == before
    path.with_name("manifest.stamp").write_text("of an older project")
    prepare_manifest(environment, NOWHERE)
    assert path.stat().st_mtime_ns > before


def test_a_dbt_project_that_does_not_parse_is_one_sentence(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: broken\n")
    monkeypatch.setattr("orchestration.manifest.PROJECT_DIR", tmp_path)
    path = existing_manifest(environment)
    before = path.read_bytes()
    with pytest.raises(ManifestError, match="dbt cannot parse"):
        prepare_manifest(environment, NOWHERE)
    assert path.read_bytes() == before


def test_each_crm_has_its_streams_as_assets_in_its_own_group_and_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for crm in registry.names():
        capabilities = registry.get(crm).capabilities
        for stream in capabilities.streams:
            node = graph.get(dg.AssetKey(["raw", crm, stream.name]))
            assert node.group_name == crm
            assert node.is_materializable is capabilities.has_api  # files are landed by others
            if not capabilities.has_api:
                continue
            assert node.pools == {f"crm_{crm}"}
            assert isinstance(node.partitions_def, dg.MultiPartitionsDefinition) is stream.has_windows


def test_every_dbt_model_is_an_asset_named_by_its_schema_and_all_write_through_one_pool(
    definitions: dg.Definitions, environment: Environment
) -> None:
    manifest = json.loads(existing_manifest(environment).read_text())
    graph = definitions.resolve_asset_graph()
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert models
    for model in models:
        node = graph.get(dg.AssetKey([model["schema"], model["name"]]))
        assert node.group_name == model["schema"]
        assert node.pools == {"dbt"}


def test_core_tables_that_dbt_reads_are_assets_that_something_fills(
    definitions: dg.Definitions, environment: Environment
) -> None:
    manifest = json.loads(existing_manifest(environment).read_text())
    graph = definitions.resolve_asset_graph()
    for source in manifest["sources"].values():
        node = graph.get(dg.AssetKey([source["schema"], source["name"]]))
        assert node.group_name == source["schema"]
        if source["schema"] == "core":
            assert node.is_materializable
            assert {key.path[0] for key in node.parent_keys} == {"raw"}


def test_pulls_and_marts_have_freshness_policies(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pulled = {crm for crm in registry.names() if registry.get(crm).capabilities.has_api}
    for key in graph.get_all_asset_keys():
        has_policy = graph.get(key).freshness_policy is not None
        assert has_policy == (key.path[0] == "marts" or (key.path[0] == "raw" and key.path[1] in pulled)), key


def test_dbts_data_tests_are_asset_checks(definitions: dg.Definitions, environment: Environment) -> None:
    graph = definitions.resolve_asset_graph()
    manifest = json.loads(existing_manifest(environment).read_text())
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    assert tests - {key.name for key in graph.asset_check_keys} == set()
    marts = [key for key in graph.get_all_asset_keys() if key.path[0] == "marts"]
    unchecked = [key.to_user_string() for key in marts if not graph.get_check_keys_for_assets({key})]
    assert unchecked == []
