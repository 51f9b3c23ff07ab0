"""Which runs wait or go: a tick does not ask for more of the same."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from orchestration import partitions, tags

_STATUSES = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


_PROJECT_OF_PARTITION = f"dagster/partition/{partitions.PROJECT}"
_BACKFILLING = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
RETRY_MINUTES = 5
"""What does not move is asked for again so often, not at each tick."""


def run_key(what: str) -> str:
    """The key of a run for it that is asked for now: the same one for some minutes."""
    now = datetime.now(UTC)
    return f"{what}@{now:%Y-%m-%dT%H}:{now.minute // RETRY_MINUTES}"


def in_progress(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    """Runs of a job that are not over."""
    return list(instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=_STATUSES)))


def busy_projects(instance: dg.DagsterInstance, job: str) -> set[str]:
    """Projects with a run of the job that is not over."""
    runs = in_progress(instance, job)
    return {project_id for run in runs for project_id in run.tags.get(tags.PROJECT, "").split(",")}


def projects_in_use(instance: dg.DagsterInstance) -> set[str] | None:
    """Projects whose partitions a run needs that is not over; None if any may be needed, because a backfill goes."""
    if instance.get_backfills(filters=BulkActionsFilter(statuses=_BACKFILLING), limit=1):
        return None
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_STATUSES))
    names = (tags.PROJECT, _PROJECT_OF_PARTITION)
    return {project_id for run in runs for name in names for project_id in run.tags.get(name, "").split(",")}
