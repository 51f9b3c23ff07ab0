"""What `sync.build` makes of a database URL and of dbt's output."""

from __future__ import annotations

import json
from typing import Any

from sync.build import Failure, _Output, _summary, dbt_environment


def event(name: str, level: str = "info", message: str = "", **data: Any) -> str:
    return json.dumps({"info": {"name": name, "level": level, "msg": message}, "data": data})


def entry(unique_id: str, status: str, message: str | None = None, failures: int | None = None) -> dict[str, Any]:
    return {"unique_id": unique_id, "status": status, "message": message, "failures": failures}


def test_a_url_becomes_the_variables_of_the_profile() -> None:
    assert dbt_environment("postgresql://me:p%40ss%2Fword@db.example:6543/crm_elt?sslmode=require") == {
        "CRM_ELT_DBT_HOST": "db.example",
        "CRM_ELT_DBT_PORT": "6543",
        "CRM_ELT_DBT_USER": "me",
        "CRM_ELT_DBT_PASSWORD": "p@ss/word",
        "CRM_ELT_DBT_DATABASE": "crm_elt",
        "CRM_ELT_DBT_SSLMODE": "require",
    }


def test_what_a_url_leaves_out_has_postgresqls_defaults() -> None:
    assert dbt_environment("postgresql://localhost/shop") == {
        "CRM_ELT_DBT_HOST": "localhost",
        "CRM_ELT_DBT_PORT": "5432",
        "CRM_ELT_DBT_USER": "postgres",
        "CRM_ELT_DBT_PASSWORD": "",
        "CRM_ELT_DBT_DATABASE": "shop",
    }


def test_results_are_counted_and_failures_named() -> None:
    result = _summary(
        [
            entry("model.crm_elt.dim_projects", "success"),
            entry("model.crm_elt.dim_statuses", "error", 'Database Error in model x\n  relation "y" does not exist'),
            entry("test.crm_elt.dim_projects_key.0a1b2c", "pass", None, 0),
            entry("test.crm_elt.intervals_are_contiguous", "fail", "Got 3 results, configured to fail if != 0", 3),
            entry("test.crm_elt.working_time_is_known", "warn", "Got 1 result, configured to warn if != 0", 1),
            entry("unit_test.crm_elt.int_calendars__windows.dst_begins", "pass"),
            entry("test.crm_elt.dim_statuses_key.3d4e5f", "skipped"),
            entry("exposure.crm_elt.bi_tools", "no-op"),
        ],
        seconds=2.0,
    )
    assert (result.models, result.tests, result.passed, result.skipped) == (1, 4, 3, 1)
    assert result.failed == (
        Failure("dim_statuses", 'Database Error in model x relation "y" does not exist.'),
        Failure("intervals_are_contiguous", "3 rows break this test."),
    )
    assert result.warnings == (Failure("working_time_is_known", "1 row breaks this test."),)
    assert not result.ok
    assert str(result.failed[1]) == "intervals_are_contiguous: 3 rows break this test."
    assert json.loads(json.dumps(result.as_row()))["failed"][1]["name"] == "intervals_are_contiguous"


def test_a_long_reason_is_cut() -> None:
    (failure,) = _summary([entry("model.crm_elt.x", "error", "word " * 500)], seconds=0).failed
    assert len(failure.reason) <= 400
    assert failure.reason.endswith("…")


def test_progress_is_told_for_models_and_tests() -> None:
    seen: list[tuple[int, int, str]] = []
    output = _Output(lambda *progress: seen.append(progress))
    output.read(event("LogStartLine", total=2, node_info={"node_name": "a"}))
    output.read(event("LogModelResult", total=2, node_info={"node_name": "a"}))
    output.read(event("LogTestResult", num_models=2, node_info={"node_name": "b"}))
    output.read("Traceback (most recent call last):")
    assert seen == [(1, 2, "a"), (2, 2, "b")]


def test_the_reason_is_the_first_error_in_one_line() -> None:
    output = _Output(None)
    output.read(event("MainEncounteredError", "error", "Encountered an error:\nDatabase Error\n  connection refused\n"))
    output.read(event("Other", "error", "later"))
    assert output.reason() == "Database Error connection refused."


def test_without_an_error_event_the_last_line_is_the_reason() -> None:
    output = _Output(None)
    output.read("MemoryError")
    assert output.reason() == "MemoryError."
    assert _Output(None).reason() == "it ended without saying why."
