"""Makes the marts follow core: whoever wrote it (pull, backfill, relay, command line), one build follows."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import dagster as dg

from database.repositories import watch
from orchestration.defs.marts.assets import marts_job
from orchestration.resources import CrmElt
from orchestration.running import in_progress

LONGEST_WAIT_SECONDS = 100
"""Under constant change, a build begins so long after the first change that it will show."""


@dataclass(frozen=True, slots=True)
class State:
    """The sensor's cursor. Numbers are of `watch.written_rows`."""

    built: int | None = None
    """What the last requested build saw, at least."""
    seen: int | None = None
    """At the tick before."""
    changed_at: float | None = None
    """When a change since the last build was first seen, seconds of the epoch."""


def decide(state: State, written: int, now: float, *, is_building: bool) -> tuple[State, bool, str]:
    """The next state, whether to build, and why or why not.

    A build waits until writing has paused for a tick (a backfill is many runs), but never beyond LONGEST_WAIT_SECONDS,
    and there is one at a time.
    """
    if written == state.built:
        return State(state.built, written), False, "Nothing was written since the last build."
    changed_at = state.changed_at if state.changed_at is not None else now
    waiting = State(state.built, written, changed_at)
    if is_building:
        return waiting, False, "A build goes already."
    if written != state.seen and now - changed_at < LONGEST_WAIT_SECONDS:
        return waiting, False, "Core is being written: waiting for a pause."
    return State(written, written), True, "core or settings changed"


@dg.sensor(
    job=marts_job,
    minimum_interval_seconds=20,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds the marts when core or the settings were written: one build at a time, after a pause.",
)
def marts_follow_core(context: dg.SensorEvaluationContext, crm_elt: CrmElt) -> dg.SensorResult:
    written = crm_elt.query(watch.written_rows)
    state = State(**json.loads(context.cursor)) if context.cursor else State()
    now = datetime.now(UTC)
    is_building = bool(in_progress(context.instance, marts_job.name))
    state, build, reason = decide(state, written, now.timestamp(), is_building=is_building)
    cursor = json.dumps(asdict(state))
    if not build:
        return dg.SensorResult(skip_reason=dg.SkipReason(reason), cursor=cursor)
    request = dg.RunRequest(run_key=f"{written}@{now.isoformat()}", tags={"crm_elt/reason": reason})
    return dg.SensorResult(run_requests=[request], cursor=cursor)
