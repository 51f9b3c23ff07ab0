"""dagster.yaml: valid for Dagster, without secrets."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import yaml
from dagster._core.instance.config import dagster_instance_config

from orchestration import pools
from orchestration.instance import STORAGE_VARIABLE, WORKSPACE, settings


def test_dagster_accepts_the_settings(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings(tmp_path)))
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["telemetry"] == {"enabled": False}
    assert config["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}


def test_queued_runs_wait_for_a_code_server_that_cannot_answer_just_now(tmp_path: Path) -> None:
    """As after an outage of the database: Dagster's own default fails every queued run at once, and retries none."""
    contents = settings(tmp_path)
    del contents["storage"]  # needs a PostgreSQL; what the queue does is the same on Dagster's own SQLite
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(contents))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay == 120
    assert queue.max_concurrent_runs == contents["concurrency"]["runs"]["max_concurrent_runs"]


def test_the_address_of_the_storage_is_read_from_the_environment(tmp_path: Path) -> None:
    text = yaml.safe_dump(settings(tmp_path))
    assert "postgresql://" not in text
    assert f"env: {STORAGE_VARIABLE}" in text


def test_one_writer_of_marts_at_a_time_and_few_runs_for_two_cores(tmp_path: Path) -> None:
    assert pools.limits(["keycrm"]) == {"dbt": 1, "crm_keycrm": 2}
    assert settings(tmp_path)["concurrency"]["runs"]["max_concurrent_runs"] <= 4


def test_the_workspace_names_the_module_that_defines_everything() -> None:
    (location,) = yaml.safe_load(WORKSPACE.read_text())["load_from"]
    assert location["python_module"]["module_name"] == "orchestration.definitions"
    assert dg.__version__.startswith("1.13")
