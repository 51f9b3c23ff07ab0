"""sync.stream_events: applied changes, for those who listen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from database.connection import Connection

Kind = Literal["order", "payment", "buyer", "stock"]
CHANNEL = "crm_elt_events"


@dataclass(frozen=True, slots=True)
class NewEvent:
    project_id: str
    kind: Kind
    entity_id: str
    """The CRM's id; that of vms, where the CRM has none yet."""
    origin: Literal["crm", "vms"]
    payload: Mapping[str, Any]
    """JSON: what it is now; no personal data that a viewer may not see, so ids, statuses, sums and times."""
    vms_id: int | None = None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    event_id: int
    project_id: str
    kind: Kind
    entity_id: str
    vms_entity_id: int | None
    origin: str
    payload: dict[str, Any]
    happened_at: datetime


async def publish(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Add events: the last thing that a transaction does.

    All who publish take turns from here to their commit, so that an event is never seen after one of a higher id.
    """
    if not events:
        return
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('crm_elt.stream_events', 0))")
    await connection.execute(
        """
        insert into sync.stream_events (project_id, kind, entity_id, vms_entity_id, origin, payload)
        select project_id, kind, entity_id, vms_id, origin, payload
        from json_to_recordset(%s::json) as e (
            project_id text, kind text, entity_id text, vms_id bigint, origin text, payload jsonb
        )
        """,
        [msgspec.json.encode(events).decode()],
    )


async def after(
    connection: Connection, event_id: int, *, project_ids: Sequence[str] | None = None, limit: int = 500
) -> list[StreamEvent]:
    """The next events after one, oldest first; of these projects, or of all."""
    cursor = await connection.execute(
        """
        select event_id, project_id, kind, entity_id, vms_entity_id, origin, payload, happened_at
        from sync.stream_events
        where event_id > %(after)s and (%(projects)s::text[] is null or project_id = any(%(projects)s))
        order by event_id
        limit %(limit)s
        """,
        {"after": event_id, "projects": None if project_ids is None else list(project_ids), "limit": limit},
    )
    return [StreamEvent(**row) for row in await cursor.fetchall()]


async def bounds(connection: Connection) -> tuple[int, int]:
    """(oldest, newest) id there is; (0, 0) if there is none. After a purge the newest id is that of the sequence."""
    cursor = await connection.execute(
        "select coalesce(min(event_id), 0) as oldest, coalesce(max(event_id), 0) as newest from sync.stream_events"
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["oldest"], row["newest"]


async def purge(connection: Connection, older_than_hours: float = 48) -> int:
    """Forget what is older; the newest one stays, so that ids are known to go on."""
    cursor = await connection.execute(
        """
        delete from sync.stream_events
        where happened_at < clock_timestamp() - %s * interval '1 hour'
            and event_id < (select max(event_id) from sync.stream_events)
        """,
        [older_than_hours],
    )
    return cursor.rowcount
