"""Dagster's own state: `dagster.yaml` under CRM_ELT_HOME, run and event storage in a PostgreSQL database of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance

from connectors import registry
from database.dagster_storage import ensure_database
from database.environment import Environment
from orchestration import pools

STORAGE_VARIABLE = "CRM_ELT_DAGSTER_DATABASE_URL"
DATABASE = "dagster"
ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / "workspace.yaml"


def settings(home: Path) -> dict[str, Any]:
    """Contents of `dagster.yaml`. It holds no secret: the address of the storage is read from the environment."""
    folder = home / "dagster"
    return {
        "storage": {"postgres": {"postgres_url": {"env": STORAGE_VARIABLE}}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder)},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "logs")},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "run_launcher": {"module": "orchestration.launcher", "class": "WatchedRunLauncher"},
        "concurrency": {
            # A run is a process of some 200 MB, and two cores serve them all.
            "runs": {
                "max_concurrent_runs": 3,
                "tag_concurrency_limits": [
                    # A backfill of a project and its scheduled pulls go one after the other.
                    {"key": "dagster/partition/project", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
                ],
            },
            # By run: a run that would only wait for its pool stays in the queue, without a process.
            "pools": {"default_limit": 1, "granularity": "run"},
        },
        # A code server that cannot answer just now (the database was away while it started) fails no run: what is
        # queued waits, two minutes in all, until Dagster has loaded the definitions again.
        "run_queue": {"max_user_code_failure_retries": 6, "user_code_failure_retry_delay": 20},
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "cancel_timeout_seconds": 180,
            "max_runtime_seconds": 6 * 3600,
            "poll_interval_seconds": 30,
            "free_slots_after_run_end_seconds": 60,
        },
        # For runs whose process died; errors of a step are retried by its own policy.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 2, "success": 14, "failure": 30, "started": 2}},
            "sensor": {"purge_after_days": {"skipped": 1, "success": 7, "failure": 30, "started": 1}},
        },
        "schedules": {"use_threads": True, "num_workers": 2},
        "sensors": {"use_threads": True, "num_workers": 2},
        "backfills": {"use_threads": True, "num_workers": 1},
        "code_servers": {"local_startup_timeout": 300, "wait_for_local_processes_on_shutdown": True},
    }


def prepare(environment: Environment, url: str) -> dict[str, str]:
    """Make Dagster's folder, database and tables, and return the variables that its processes need.

    `url` is the address of crm-elt's database; Dagster's lies on the same server, unless CRM_ELT_DAGSTER_DATABASE_URL
    names another. Safe to repeat, and side by side.
    """
    folder = environment.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "dagster.yaml", yaml.safe_dump(settings(environment.home), sort_keys=False))
    storage = os.environ.get(STORAGE_VARIABLE) or ensure_database(url, DATABASE)
    variables = {
        "DAGSTER_HOME": str(folder),
        STORAGE_VARIABLE: storage,
        "DATABASE_URL": url,
        "CRM_ELT_HOME": str(environment.home),
        "PATH": _first(os.environ.get("PATH", ""), Path(sys.executable).parent),  # dbt, dagster
        "PYTHONPATH": _first(os.environ.get("PYTHONPATH", ""), ROOT),  # dagster.yaml names a class of ours
        "TZ": "UTC",
    }
    _prepare_storage(folder, storage)
    return variables


def _prepare_storage(folder: Path, storage: str) -> None:
    """Create the tables now, before webserver and daemon race for it, and the limits of the pools."""
    before = os.environ.get(STORAGE_VARIABLE)
    os.environ[STORAGE_VARIABLE] = storage
    try:
        with DagsterInstance.from_config(str(folder)) as instance:
            known = {limit.name for limit in instance.event_log_storage.get_pool_limits() if not limit.from_default}
            for name, limit in pools.limits(registry.names()).items():
                if name not in known:  # what was set in the UI stays
                    instance.event_log_storage.set_concurrency_slots(name, limit)
    finally:
        if before is None:
            del os.environ[STORAGE_VARIABLE]
        else:
            os.environ[STORAGE_VARIABLE] = before


def _first(search_path: str, folder: Path) -> str:
    """A search path with the folder in front, once."""
    rest = [item for item in search_path.split(os.pathsep) if item and item != str(folder)]
    return os.pathsep.join([str(folder), *rest])


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
