"""Runs the two-way sync where the relay does not: it is down, or behind; and starts full resyncs."""

import dagster as dg

from database.connection import Connection
from database.repositories import heartbeats, resyncs, watch
from database.repositories.heartbeats import Heartbeat
from database.repositories.resyncs import ResyncRow
from database.repositories.watch import TwoWayBacklog
from orchestration import tags
from orchestration.defs.normalise.sensors import is_down
from orchestration.defs.two_way.jobs import ResyncConfig, full_resync, run_resync, two_way_backlog
from orchestration.resources import CrmElt
from orchestration.running import in_progress, run_key

BEHIND_SECONDS = 60
MOST_RUNS = 5


def reason_to_work(backlog: TwoWayBacklog, relay: Heartbeat | None) -> str | None:
    """Why Dagster should send and apply now; None if it should not. A live relay asks by itself whether a CRM that was
    away answers again."""
    if is_down(relay):
        return "the relay is down" if backlog.count else None
    if backlog.oldest_seconds > BEHIND_SECONDS:
        return f"the relay is {backlog.oldest_seconds:.0f} s behind"
    return None


@dg.sensor(
    job=two_way_backlog,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends and applies changes, and tries failed ones again, when the relay is down or a minute behind.",
)
def two_way_waits(context: dg.SensorEvaluationContext, crm_elt: CrmElt) -> dg.SensorResult | dg.SkipReason:
    async def look(connection: Connection) -> tuple[TwoWayBacklog, Heartbeat | None]:
        return await watch.two_way_backlog(connection), await heartbeats.newest(connection, "relay")

    backlog, relay = crm_elt.query(look)
    reason = reason_to_work(backlog, relay)
    if reason is None:
        return dg.SkipReason("Nothing waits, or the relay is at it.")
    if in_progress(context.instance, two_way_backlog.name):
        return dg.SkipReason("A run goes already.")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=run_key(f"two-way-{backlog.newest}"), tags={tags.REASON: reason})]
    )


@dg.sensor(
    job=full_resync,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts full resyncs that were asked for, and goes on with those whose worker died.",
)
def full_resyncs_due(context: dg.SensorEvaluationContext, crm_elt: CrmElt) -> dg.SensorResult | dg.SkipReason:
    async def look(connection: Connection) -> list[ResyncRow]:
        await resyncs.requeue_dead(connection)
        return await resyncs.queued(connection)

    going = {run.tags.get(tags.REQUEST) for run in in_progress(context.instance, full_resync.name)}
    due = [row for row in crm_elt.query(look) if _tag(row) not in going]
    if not due:
        return dg.SkipReason("No full resync waits, or its run goes already.")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=run_key(_tag(row)),
                run_config=dg.RunConfig(ops={run_resync.name: ResyncConfig(resync_id=row.resync_id)}),
                tags={tags.PROJECT: row.project_id, tags.REQUEST: _tag(row)},
            )
            for row in due[:MOST_RUNS]
        ]
    )


def _tag(row: ResyncRow) -> str:
    return f"resync-{row.resync_id}"
