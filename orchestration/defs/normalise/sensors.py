"""Drains raw and imports uploaded files where the relay does not: it is down, or behind."""

import dagster as dg

from database.connection import Connection
from database.repositories import csv_imports, heartbeats, watch
from database.repositories.heartbeats import Heartbeat
from database.repositories.watch import QueueHead
from orchestration import tags
from orchestration.defs.normalise.assets import normalise_job
from orchestration.resources import CrmElt
from orchestration.running import in_progress, run_key
from sync.failed_records import retry_due

BEHIND_SECONDS = 60
SILENT_SECONDS = 20
"""The relay beats every 5 s."""


def is_down(relay: Heartbeat | None) -> bool:
    return relay is None or relay.age_seconds > SILENT_SECONDS


def reason_to_drain(head: QueueHead | None, relay: Heartbeat | None, *, is_file_due: bool = False) -> str | None:
    """Why Dagster should drain raw now; None if it should not. `is_file_due`: an uploaded file waits for its import."""
    if is_down(relay) and (head is not None or is_file_due):
        return "the relay is down"
    if head is None:  # a live relay imports a file after the other, however long they take
        return None
    if head.waiting_seconds > BEHIND_SECONDS:
        return f"the relay is {head.waiting_seconds:.0f} s behind"
    return None


@dg.sensor(
    job=normalise_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Applies raw to core when the relay is down, or over a minute behind; imports uploads if it is down.",
)
def raw_backlog(context: dg.SensorEvaluationContext, crm_elt: CrmElt) -> dg.SensorResult | dg.SkipReason:
    async def look(connection: Connection) -> tuple[QueueHead | None, Heartbeat | None, bool]:
        relay = await heartbeats.newest(connection, "relay")
        is_file_due = False
        if is_down(relay):
            await retry_due(connection)  # what failed joins the queue, as the relay would have it
            is_file_due = await csv_imports.is_due(connection)
        return await watch.queue_head(connection), relay, is_file_due

    head, relay, is_file_due = crm_elt.query(look)
    reason = reason_to_drain(head, relay, is_file_due=is_file_due)
    if reason is None:
        return dg.SkipReason("Nothing waits, or the relay is at it.")
    if in_progress(context.instance, normalise_job.name):
        return dg.SkipReason("A drain goes already.")
    first = "upload" if head is None else str(head.queue_id)
    run = dg.RunRequest(run_key=run_key(first), tags={tags.REASON: reason})
    return dg.SensorResult(run_requests=[run], cursor=first)
