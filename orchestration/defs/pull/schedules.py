"""When projects are pulled: what is new every five minutes, dictionaries every hour.

Both schedules tick every five minutes, so that a new project, or one whose pull failed, does not wait for the hour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from connectors import registry
from connectors.protocol import Stream
from database.connection import Connection
from database.repositories import watch
from database.repositories.settings import ProjectRow, list_projects
from orchestration import keys, partitions, tags
from orchestration.defs.pull import assets
from orchestration.resources import CrmElt
from orchestration.running import busy_projects
from sync.pull import SWITCHED
from sync.settings.rows import SYNC_DEFAULTS

TICK = timedelta(minutes=5)
CRON = "*/5 * * * *"


def is_due(interval_minutes: int, last_started_at: datetime | None, tick: datetime) -> bool:
    """Whether the interval has passed; half a tick early counts, or a run that began late would cost a whole tick."""
    if last_started_at is None:
        return True
    return tick - last_started_at >= timedelta(minutes=interval_minutes) - TICK / 2


def pull_schedules(crm: str) -> list[dg.ScheduleDefinition]:
    schedules = []
    if keys.daily_streams(registry.get(crm).capabilities):
        schedules.append(_new_records(crm))
    if keys.whole_streams(registry.get(crm).capabilities):
        schedules.append(_dictionaries(crm))
    return schedules


def _new_records(crm: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{crm}_new",
        cron_schedule=CRON,
        job_name=assets.daily_job_name(crm),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Pulls what is new of each active project, one run for each, at the project's own interval.",
    )
    def new_records(context: dg.ScheduleEvaluationContext, crm_elt: CrmElt) -> list[dg.RunRequest] | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        streams = keys.daily_streams(registry.get(crm).capabilities)
        due = _due(context, crm_elt, crm, assets.daily_job_name(crm), streams, tick, _interval)
        return due.answer(
            lambda row: dg.RunRequest(
                run_key=f"{row.project_id}@{tick.isoformat()}",
                partition_key=partitions.key(row.project_id, tick),
                asset_selection=_enabled(row, crm, streams),
                run_config=assets.only_new(crm),
                tags={tags.PROJECT: row.project_id, tags.CRM: crm},
            )
        )

    return new_records


def _dictionaries(crm: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{crm}_dictionaries",
        cron_schedule=CRON,
        job_name=assets.whole_job_name(crm),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every hour, pulls dictionaries, and what else can only be pulled whole, of each active project.",
    )
    def dictionaries(context: dg.ScheduleEvaluationContext, crm_elt: CrmElt) -> list[dg.RunRequest] | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        streams = keys.whole_streams(registry.get(crm).capabilities)
        due = _due(context, crm_elt, crm, assets.whole_job_name(crm), streams, tick, lambda _: 60)
        return due.answer(
            lambda row: dg.RunRequest(
                run_key=f"{row.project_id}@{tick.isoformat()}",
                partition_key=row.project_id,
                asset_selection=_enabled(row, crm, streams),
                tags={tags.PROJECT: row.project_id, tags.CRM: crm},
            )
        )

    return dictionaries


@dataclass(frozen=True, slots=True)
class _Due:
    rows: list[ProjectRow]
    skipped: list[str]
    """Why others are not: one sentence each."""

    def answer(self, request: Callable[[ProjectRow], dg.RunRequest]) -> list[dg.RunRequest] | dg.SkipReason:
        if self.rows:
            return [request(row) for row in self.rows]
        return dg.SkipReason("; ".join(self.skipped) or "No active project.")


def _due(
    context: dg.ScheduleEvaluationContext,
    crm_elt: CrmElt,
    crm: str,
    job: str,
    streams: Sequence[Stream],
    tick: datetime,
    interval: Callable[[ProjectRow], int],
) -> _Due:
    """Active projects of a CRM whose interval has passed and that no run of the job pulls already."""

    async def look(connection: Connection) -> tuple[list[ProjectRow], dict[str, datetime]]:
        rows = await list_projects(connection, enabled_only=True)
        return rows, await watch.last_pull_starts(connection, [stream.name for stream in streams])

    projects, last = crm_elt.query(look)
    busy = busy_projects(context.instance, job)
    known = set(context.instance.get_dynamic_partitions(partitions.projects_name(crm)))
    rows, skipped = [], []
    for row in projects:
        if row.crm != crm:
            continue
        if not _enabled(row, crm, streams):
            skipped.append(f"{row.project_id}: nothing of it is switched on")
        elif row.project_id not in known:
            skipped.append(f"{row.project_id}: its partition is not there yet")
        elif row.project_id in busy:
            skipped.append(f"{row.project_id}: its previous run still goes")
        elif not is_due(interval(row), last.get(row.project_id), tick):
            skipped.append(f"{row.project_id}: its interval of {interval(row)} minutes has not passed")
        else:
            rows.append(row)
    return _Due(rows, skipped)


def _interval(row: ProjectRow) -> int:
    return int({**SYNC_DEFAULTS, **row.sync}["interval_minutes"])


def _enabled(row: ProjectRow, crm: str, streams: Sequence[Stream]) -> list[dg.AssetKey]:
    """Assets of the streams that the project has and its settings switch on."""
    settings = {**SYNC_DEFAULTS, **row.sync}
    own = {stream.name for stream in registry.get(crm).capabilities.given(row.options).streams}
    off = {name for key, names in SWITCHED.items() if not settings.get(key) for name in names}
    return [keys.raw(crm, stream.name) for stream in streams if stream.name in own - off]
