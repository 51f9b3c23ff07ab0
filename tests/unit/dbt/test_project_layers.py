"""The rules of the dbt project, checked on its manifest: layers, names, contracts, keys, descriptions, portability."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sync.build import PROJECT_DIR

Node = dict[str, Any]
MARTS = {
    "fct_order_status_intervals", "fct_order_stages", "orders_current", "order_cycle_metrics", "agg_stage_durations",
    "agg_status_durations", "agg_cycle_durations", "rpt_cancellations", "rpt_success", "rpt_sla_compliance",
    "integration_statistics", "dim_projects", "dim_statuses", "dim_customers", "fct_order_items", "fct_order_marketing",
    "fct_transactions", "fct_transactions_analytics",
    "agg_status_transitions", "agg_variants", "agg_daily_flow", "rpt_first_pass", "rpt_bottlenecks", "rpt_ageing",
    "rpt_cancellations_by_status",
}  # fmt: skip
PREFIXES = {"staging": ("stg_",), "intermediate": ("int_",), "marts": ("fct_", "dim_", "agg_", "rpt_")}
NAMED_BY_CONTRACT = {"orders_current", "order_cycle_metrics", "integration_statistics"}
LIVE_VIEWS = {"orders_current", "integration_statistics", "rpt_ageing", "int_orders__running", "int_orders__live"}


def layer(node: Node) -> str:
    return str(node["fqn"][1])


@pytest.fixture(scope="session")
def models(manifest: dict[str, Any]) -> dict[str, Node]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="session")
def tests(manifest: dict[str, Any]) -> list[Node]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]


def parents(manifest: dict[str, Any], node: Node) -> list[Node]:
    both = manifest["nodes"] | manifest["sources"]
    return [both[parent] for parent in node["depends_on"]["nodes"]]


def test_the_marts_of_the_design_are_there(models: dict[str, Node]) -> None:
    assert {name for name, node in models.items() if layer(node) == "marts"} == MARTS


def test_staging_reads_one_source_and_nothing_else(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    read = []
    for node in models.values():
        if layer(node) == "staging":
            (parent,) = parents(manifest, node)
            assert parent["resource_type"] == "source", node["name"]
            assert node["config"]["materialized"] == "view"
            assert node["name"] == f"stg_{parent['source_name']}__{parent['name']}"
            read.append(parent["unique_id"])
    assert [source for source, times in Counter(read).items() if times > 1] == []
    assert set(read) == set(manifest["sources"]), "a source that nothing reads"


def test_only_staging_reads_sources(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    for node in models.values():
        kinds = {parent["resource_type"] for parent in parents(manifest, node)}
        assert kinds == ({"source"} if layer(node) == "staging" else {"model"}), node["name"]


def test_names_and_schemas_follow_the_folder(models: dict[str, Node]) -> None:
    for name, node in models.items():
        folder = layer(node)
        assert node["schema"] == folder
        assert name.startswith(PREFIXES[folder]) or name in NAMED_BY_CONTRACT
        if folder == "intermediate":
            assert re.fullmatch(r"int_[a-z_]+__[a-z]+", name)


def test_outside_marts_everything_is_private_to_a_group(models: dict[str, Node]) -> None:
    for name, node in models.items():
        assert node["config"]["group"], name
        if layer(node) == "marts":
            assert node["access"] == "public"
        elif name == "stg_config__projects":
            assert node["access"] == "protected"  # each group joins the projects
        else:
            assert node["access"] == "private", name


def test_every_mart_has_a_contract_a_key_test_and_descriptions(models: dict[str, Node], tests: list[Node]) -> None:
    keyed = {
        test["attached_node"]: test["test_metadata"]["kwargs"]["columns"]
        for test in tests
        if test.get("test_metadata", {}).get("name") == "unique_key"
    }
    for name in MARTS:
        node = models[name]
        assert node["config"]["contract"]["enforced"], name
        assert node["config"]["persist_docs"] == {"relation": True, "columns": True}
        assert node["config"]["grants"] == {"select": ["bi_reader"]}
        assert node["description"], name
        assert set(keyed[node["unique_id"]]) <= set(node["columns"])
        for column in node["columns"].values():
            assert column["description"], f"{name}.{column['name']}"
            assert column["data_type"], f"{name}.{column['name']}"


def test_each_metric_tells_its_formula_unit_grain_owner_and_what_is_left_out(
    manifest: dict[str, Any], models: dict[str, Node], tests: list[Node]
) -> None:
    owners = {group["name"]: group["owner"]["name"] for group in manifest["groups"].values()}
    keys = {
        test["attached_node"]: set(test["test_metadata"]["kwargs"]["columns"])
        for test in tests
        if test.get("test_metadata", {}).get("name") == "unique_key"
    }
    metrics = {name for name in MARTS if name.startswith(("agg_", "rpt_"))} | {"integration_statistics"}
    assert len(metrics) == 14
    for name in metrics:
        node, meta = models[name], models[name]["config"]["meta"]
        assert meta["owner"] == owners[node["config"]["group"]], name
        assert set(meta["grain"].split(" x ")) == keys[node["unique_id"]], name
        assert all(len(meta[part]) > 5 for part in ("formula", "unit", "left_out")), name


def test_every_other_model_is_described_and_computed_ones_have_a_key_test(
    models: dict[str, Node], tests: list[Node]
) -> None:
    keyed = {test["attached_node"] for test in tests if test.get("test_metadata", {}).get("name") == "unique_key"}
    for name, node in models.items():
        assert node["description"], name
        # The key of a staging view is its source's primary key.
        if layer(node) == "intermediate":
            assert node["unique_id"] in keyed or name == "int_calendars__spans", name


def test_only_live_views_know_the_time_of_day(models: dict[str, Node]) -> None:
    for name, node in models.items():
        if re.search("current_instant|orders_now|thirty_days_ago", node["raw_code"]):
            assert name in LIVE_VIEWS | {"int_calendars__spans"}, name
            assert name not in LIVE_VIEWS or node["config"]["materialized"] == "view"


def test_what_a_live_view_reads_is_never_dropped_by_a_build(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    for name in LIVE_VIEWS:
        for parent in parents(manifest, models[name]):
            assert parent["config"]["materialized"] in ("view", "incremental"), parent["name"]


ENGINE_SPECIFIC = (
    r"extract\s*\(", r"\bat time zone\b", r"generate_series", r"distinct on", r"\blateral\b", r"percentile_", r"::",
    r"->", r"\bjsonb?\b", r"\bnow\(\)", r"current_timestamp", r"date_trunc", r"array_agg", r"unnest", r"~",
)  # fmt: skip


def test_sql_of_one_engine_stands_in_macros_alone(models: dict[str, Node]) -> None:
    for name, node in models.items():
        code = re.sub(r"{#.*?#}|--[^\n]*", "", node["raw_code"], flags=re.DOTALL)
        # Words joined to macros' arguments (~ is Jinja's operator there).
        code = re.sub(r"{{.*?}}", "", code, flags=re.DOTALL)
        for pattern in ENGINE_SPECIFIC:
            assert not re.search(pattern, code, re.IGNORECASE), f"{name}: {pattern}"


def test_each_dispatched_macro_has_a_postgresql_form(manifest: dict[str, Any]) -> None:
    ours = {macro["name"]: macro for macro in manifest["macros"].values() if macro["package_name"] == "crm_elt"}
    dispatched = [name for name, macro in ours.items() if "adapter.dispatch" in macro["macro_sql"]]
    assert len(dispatched) > 12
    for name in dispatched:
        assert f"postgres__{name}" in ours, name


def test_every_model_is_documented_beside_its_sql(models: dict[str, Node]) -> None:
    for name, node in models.items():
        patch = Path(node["patch_path"].partition("://")[2])
        assert patch.parent == Path(node["original_file_path"]).parent, name


def test_sources_of_data_have_freshness_and_settings_have_none(manifest: dict[str, Any]) -> None:
    for source in manifest["sources"].values():
        assert source["description"]
        if source["name"] in ("changed_orders", "orders_ahead", "run_days"):
            continue  # what is to be done: mostly nothing; and sums of runs, which have a freshness themselves
        has_freshness = bool((source.get("freshness") or {}).get("warn_after"))
        # Orders waiting for a build: mostly there are none.
        is_data = source["source_name"] != "config" and source["name"] != "changed_orders"
        assert has_freshness == is_data, source["unique_id"]


def test_exposures_cover_every_mart(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    shown = {parent for exposure in manifest["exposures"].values() for parent in exposure["depends_on"]["nodes"]}
    assert {models[name]["unique_id"] for name in MARTS} == shown


RULES_WITH_AN_EXAMPLE = {
    "dst_begins_within_a_window", "dst_ends_within_a_window", "dst_in_the_southern_hemisphere",
    "a_holiday_is_closed_and_other_days_are_not", "an_exception_replaces_the_windows_that_start_on_its_date",
    "a_groups_own_exception_goes_before_the_one_for_all", "a_window_over_midnight_closes_on_the_next_date",
    "two_windows_a_day_and_midnight_written_as_24_00", "overlapping_windows_count_once", "which_calendar_a_group_has",
    "a_skipped_wall_clock_time_is_read_with_the_offset_before",
    "a_repeated_wall_clock_time_is_read_with_the_offset_after", "urgent_by_override_else_by_an_item",
    "a_stage_sums_its_visits_and_is_judged_by_its_grid", "closing_and_reopening",
    "late_and_same_instant_events_take_their_place", "a_status_entered_again_is_an_interval_of_its_own",
    "a_cycle_runs_from_the_earliest_start_to_the_earliest_later_end",
    "due_when_the_stages_working_time_reaches_the_limit", "the_clock_of_an_open_stage_runs_to_the_instant_of_reading",
    "what_was_written_since_is_computed_now", "one_person_in_several_projects",
    "no_health_data_for_analytics", "an_address_of_two_phones_is_nobodys",
    "periods_are_local_and_weeks_begin_on_monday", "dates_outside_every_calendar_are_unknown_and_not_time",
    "a_variant_has_its_share_of_the_orders_like_it", "a_variant_counts_the_orders_that_took_it",
    "a_cancellation_is_a_move_into_a_cancelled_group", "a_cancellation_counts_for_the_status_before",
    "a_move_is_counted_on_its_local_day",
    "an_outcome_is_the_end_and_how_the_order_came_there",
    "the_time_of_a_transition_is_that_of_the_status_left", "a_path_is_the_whole_way_and_ends_by_closing_or_cancelling",
    "the_backlog_of_a_day_is_what_came_in_and_did_not_go_out", "an_order_that_comes_back_to_a_stage_is_no_first_pass",
    "bottlenecks_rank_by_working_time_normal_and_urgent_apart",
    "open_orders_age_in_their_stage_and_since_they_began",
}  # fmt: skip


def test_each_rule_has_its_worked_example(manifest: dict[str, Any]) -> None:
    found = {test["name"] for test in manifest["unit_tests"].values()}
    assert found >= RULES_WITH_AN_EXAMPLE
    assert all(test["description"] for test in manifest["unit_tests"].values())


def test_the_functions_of_the_marts_are_described(manifest: dict[str, Any]) -> None:
    functions = {node["name"]: node for node in manifest["functions"].values()}
    assert set(functions) == {"working_seconds", "add_working_seconds", "sla_state"}
    for name, node in functions.items():
        assert node["schema"] == "marts"
        assert node["config"]["volatility"] == "stable"
        assert node["description"], name
        assert node["returns"]["description"], name
        assert all(argument["description"] for argument in node["arguments"]), name


def test_sql_of_one_engine_stands_in_macros_alone_in_functions_too(manifest: dict[str, Any]) -> None:
    for node in manifest["functions"].values():
        code = re.sub(r"{#.*?#}|--[^\n]*|{{.*?}}", "", node["raw_code"], flags=re.DOTALL)
        for pattern in ENGINE_SPECIFIC:
            assert not re.search(pattern, code, re.IGNORECASE), f"{node['name']}: {pattern}"


def test_no_packages_are_needed() -> None:
    assert not (PROJECT_DIR / "packages.yml").exists()
    assert not (PROJECT_DIR / "dependencies.yml").exists()
