"""How the two-way sync stands, put together for the first page and for /api/sync/status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from database.connection import Connection
from database.repositories import consistency, heartbeats, resyncs, two_way_overview
from database.repositories.consistency import CheckRow
from database.repositories.heartbeats import Heartbeat
from database.repositories.resyncs import ResyncRow
from database.repositories.two_way_overview import EntityState, OpenAlert, ProjectState
from sync.two_way.consistency import TARGET_SHARE
from sync.two_way.resync import END, PULL

ALIVE_SECONDS = 20.0
"""A relay that has not been heard of for longer is down; it beats every 5 seconds."""
STAGES: tuple[str, ...] = (PULL, "customer", "article", "order", "payment")


@dataclass(frozen=True, slots=True)
class Relay:
    """The process that sends and applies."""

    is_alive: bool
    age_seconds: float | None
    """Since its last sign of life; None: there was none, or it has stopped in order."""
    instance: str | None


@dataclass(frozen=True, slots=True)
class ProjectOverview:
    state: ProjectState
    entities: tuple[EntityState, ...]
    """Empty: the project is not kept in step with vms."""
    checks: dict[str, CheckRow]
    """By kind of object, the last comparison."""
    resync: ResyncRow | None
    """The one under way."""

    @property
    def project_id(self) -> str:
        return self.state.project_id

    @property
    def is_two_way(self) -> bool:
        return bool(self.entities)


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all projects of a page."""

    raw_waiting: int
    raw_oldest_seconds: float | None
    rereads_waiting: int
    rereads_oldest_seconds: float | None
    outbox_waiting: int
    """With what is being sent."""
    outbox_oldest_seconds: float | None
    outbox_failed: int
    inbound_waiting: int
    inbound_oldest_seconds: float | None
    pending: int
    errors: int
    letters_open: int
    open_conflicts: int
    share_in_step: float | None
    """Of the objects compared last, how many agreed: 0 to 1; None: nothing was compared yet."""


@dataclass(frozen=True, slots=True)
class Overview:
    relay: Relay
    totals: Totals
    projects: tuple[ProjectOverview, ...]
    alerts: tuple[OpenAlert, ...]


@dataclass(frozen=True, slots=True)
class ResyncPace:
    """How far a full resync is."""

    stage_number: int
    """1 to len(STAGES)."""
    share: float
    """Of the whole, each stage counted alike: 0 to 1."""
    per_minute: float | None
    """Objects of the stage; None: not known yet, or the stage has none."""
    remaining_seconds: float | None
    """Of the stage."""


async def load_overview(connection: Connection, project_ids: Sequence[str], two_way_ids: Sequence[str]) -> Overview:
    """`two_way_ids`: those of the projects that are kept in step."""
    states = await two_way_overview.projects(connection, project_ids)
    entities: dict[str, list[EntityState]] = {}
    for row in await two_way_overview.entities(connection, two_way_ids):
        entities.setdefault(row.project_id, []).append(row)
    checks: dict[str, dict[str, CheckRow]] = {}
    for check in await consistency.newest_of(connection, two_way_ids):
        checks.setdefault(check.project_id, {})[check.entity_type] = check
    going = {row.project_id: row for row in await resyncs.under_way(connection, project_ids)}
    projects = tuple(
        ProjectOverview(
            state, tuple(entities.get(state.project_id, ())), checks.get(state.project_id, {}),
            going.get(state.project_id),
        )
        for state in states
    )  # fmt: skip
    alerts = tuple(await two_way_overview.open_alerts(connection, project_ids))
    relay = relay_of(await heartbeats.newest(connection, "relay"))
    return Overview(relay, totals_of(projects), projects, alerts)


def relay_of(beat: Heartbeat | None) -> Relay:
    if beat is None:
        return Relay(is_alive=False, age_seconds=None, instance=None)
    return Relay(beat.age_seconds <= ALIVE_SECONDS, beat.age_seconds, beat.instance)


def totals_of(projects: Sequence[ProjectOverview]) -> Totals:
    rows = [row for project in projects for row in project.entities]
    states = [project.state for project in projects]
    checks = [check for project in projects for check in project.checks.values()]
    compared = sum(check.compared for check in checks)
    return Totals(
        raw_waiting=sum(state.raw_waiting for state in states),
        raw_oldest_seconds=_oldest(state.raw_oldest_seconds for state in states),
        rereads_waiting=sum(state.rereads_waiting for state in states),
        rereads_oldest_seconds=_oldest(state.rereads_oldest_seconds for state in states),
        outbox_waiting=sum(row.outbox_waiting + row.outbox_sending for row in rows),
        outbox_oldest_seconds=_oldest(row.outbox_oldest_seconds for row in rows),
        outbox_failed=sum(row.outbox_failed for row in rows),
        inbound_waiting=sum(row.inbound_waiting for row in rows),
        inbound_oldest_seconds=_oldest(row.inbound_oldest_seconds for row in rows),
        pending=sum(row.pending for row in rows),
        errors=sum(row.errors for row in rows),
        letters_open=sum(state.letters_open for state in states),
        open_conflicts=sum(row.open_conflicts for row in rows),
        share_in_step=1 - sum(check.differing for check in checks) / compared if compared else None,
    )


def differing_share(check: CheckRow) -> float | None:
    """Of the compared ones, how many differ: 0 to 1; None: there was nothing to compare."""
    return check.differing / check.compared if check.compared else None


def is_off_target(check: CheckRow) -> bool:
    share = differing_share(check)
    return share is not None and share >= TARGET_SHARE


def pace_of(resync: ResyncRow, now_seconds: float | None) -> ResyncPace:
    """`now_seconds`: since the stage began; None: it is not known."""
    if resync.state == "done" or resync.stage == END:
        return ResyncPace(len(STAGES), 1.0, None, None)
    number = STAGES.index(resync.stage) if resync.stage in STAGES else 0
    part = min(resync.done / resync.total, 1.0) if resync.total else 0.0
    per_second = resync.done / now_seconds if now_seconds and now_seconds > 0 and resync.done else None
    is_going = resync.state == "running" and resync.stage != PULL
    left = max((resync.total or 0) - resync.done, 0)
    return ResyncPace(
        number + 1,
        (number + part) / len(STAGES),
        per_second * 60 if per_second is not None and is_going else None,
        left / per_second if per_second is not None and is_going and resync.total else None,
    )


def _oldest(ages: object) -> float | None:
    known = [age for age in ages if age is not None]  # type: ignore[attr-defined]
    return max(known, default=None)
