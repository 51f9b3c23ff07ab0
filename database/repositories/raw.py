"""raw.api_records and raw.webhook_events: landing what was pulled, reading what is to be applied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from database.connection import Connection
from database.repositories.queue import Entry

TOMBSTONE = ":deleted"
"""Suffix of the stream of a record that says: the CRM has no such object (any more). Its body is the CRM's answer."""

_FETCH_ROWS = 100
"""Rows fetched at once; a webhook's body may have 1 MiB."""


class Record(Protocol):
    """What a connector has read: connectors.protocol.RawRecord."""

    @property
    def crm_id(self) -> str: ...
    @property
    def content_hash(self) -> bytes: ...
    @property
    def body(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RawRow:
    """One stored payload. `body` is None if retention has removed it meanwhile."""

    source: str
    """webhook or api"""
    raw_id: int
    crm: str | None
    stream: str | None
    """Of an API record."""
    crm_id: str | None
    event_name: str | None
    """Of a webhook, where its route named one."""
    arrived_at: datetime | None
    origin: str
    """webhook, pull or reread"""
    body: str | None


@dataclass(frozen=True, slots=True)
class Landed:
    new: int
    changed: int
    unchanged: int
    record_ids: Sequence[int] = ()
    """Of the records that were stored, in the order given."""
    positions: Sequence[int] | None = None
    """Which of the records given those are, from 0; None: all."""
    fetched_at: datetime | None = None


async def land_api_records(
    connection: Connection,
    project_id: str,
    crm: str,
    stream: str,
    run_id: int | None,
    records: Sequence[Record],
    *,
    even_unchanged: bool = False,
) -> Landed:
    """Store and queue those of the records whose content is not the newest stored already; no id may occur twice.

    One statement: records, hashes and queue entry. With `even_unchanged` all are stored.
    """
    # Arrays go in binary: quoting bodies for a text array takes twenty times as long.
    cursor = await connection.execute(
        """
        with incoming as materialized (
            select i.crm_id, i.content_hash, i.body, i.position, h.crm_id is null as is_new,
                h.content_hash is distinct from i.content_hash as is_changed
            from unnest(%(ids)b::text[], %(hashes)b::bytea[], %(bodies)b::text[])
                with ordinality as i (crm_id, content_hash, body, position)
            left join sync.record_hashes as h
                on h.project_id = %(project)s and h.stream = %(stream)s and h.crm_id = i.crm_id
        ),
        landing as materialized (
            select crm_id, content_hash, body, position from incoming where is_changed or %(all)s
        ),
        moment as materialized (
            select clock_timestamp() as fetched_at
        ),
        landed as (
            insert into raw.api_records (project_id, crm, stream, crm_id, fetched_at, run_id, content_hash, body)
            select %(project)s, %(crm)s, %(stream)s, crm_id, fetched_at, %(run)s, content_hash, body
            from landing, moment
            order by position
            returning record_id
        ),
        hashed as (
            insert into sync.record_hashes (project_id, stream, crm_id, content_hash)
            select %(project)s, %(stream)s, crm_id, content_hash from landing order by crm_id
            on conflict (project_id, stream, crm_id) do update
                set content_hash = excluded.content_hash, updated_at = now()
        ),
        queued as (
            insert into sync.raw_queue (project_id, source, raw_ids)
            select %(project)s, 'api', array_agg(record_id order by record_id) from landed having count(*) > 0
        )
        select count(*) filter (where is_new) as new,
            count(*) filter (where is_changed and not is_new) as changed,
            count(*) filter (where not is_changed) as unchanged,
            (select coalesce(array_agg(record_id order by record_id), '{}') from landed) as record_ids,
            case
                when exists (select from incoming where not is_changed) and not %(all)s
                then array(select (position - 1)::integer from landing order by position)
            end as positions,
            (select fetched_at from moment) as fetched_at
        from incoming
        """,
        {
            "ids": [record.crm_id for record in records],
            "hashes": [record.content_hash for record in records],
            "bodies": [record.body for record in records],
            "project": project_id,
            "crm": crm,
            "stream": stream,
            "run": run_id,
            "all": even_unchanged,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return Landed(**row)


def rows_of(landed: Landed, crm: str, stream: str, records: Sequence[Record], *, origin: str) -> list[RawRow]:
    """What `land_api_records` has stored of these records, as `read_entries` would give it."""
    stored = records if landed.positions is None else [records[position] for position in landed.positions]
    return [
        RawRow("api", record_id, crm, stream, record.crm_id, None, landed.fetched_at, origin, record.body)
        for record_id, record in zip(landed.record_ids, stored, strict=True)
    ]


async def land_tombstone(
    connection: Connection, project_id: str, crm: str, stream: str, crm_id: str, run_id: int | None, body: str
) -> None:
    """Store and queue that the CRM has no such object. The object is landed again should it come back unchanged."""
    await connection.execute(
        """
        with landed as (
            insert into raw.api_records (project_id, crm, stream, crm_id, run_id, content_hash, body)
            values (
                %(project)s, %(crm)s, %(tombstone)s, %(id)s, %(run)s, sha256(convert_to(%(body)s, 'UTF8')), %(body)s
            )
            returning record_id
        ),
        forgotten as (
            delete from sync.record_hashes where project_id = %(project)s and stream = %(stream)s and crm_id = %(id)s
        )
        insert into sync.raw_queue (project_id, source, raw_ids)
        select %(project)s, 'api', array[record_id] from landed
        """,
        {
            "project": project_id,
            "crm": crm,
            "stream": stream,
            "tombstone": stream + TOMBSTONE,
            "id": crm_id,
            "run": run_id,
            "body": body,
        },
    )


async def is_landed(connection: Connection, project_id: str, stream: str, crm_id: str) -> bool:
    """Whether the object was landed, and no tombstone since."""
    cursor = await connection.execute(
        "select exists (select from sync.record_hashes where project_id = %s and stream = %s and crm_id = %s) as flag",
        [project_id, stream, crm_id],
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["flag"])


async def read_entries(
    connection: Connection, project_id: str, entries: Sequence[Entry], *, max_rows: int, max_characters: int
) -> AsyncIterator[list[RawRow]]:
    """The raw rows of queue entries in their order, in portions that fit into memory. Needs a transaction."""
    names = [(entry.source, raw_id) for entry in entries for raw_id in entry.raw_ids]
    async for rows in _read(connection, project_id, names, max_rows, max_characters):
        yield rows


async def read_all(
    connection: Connection,
    project_id: str,
    *,
    since: datetime | None,
    until: datetime | None,
    max_rows: int,
    max_characters: int,
) -> AsyncIterator[list[RawRow]]:
    """Everything a project has received in [since, until), in order of arrival, in portions. Needs a transaction.

    Changes that the warehouse sent are not among it: they have never been on their way into core."""
    async with connection.cursor(name="raw_names") as cursor:
        # Names alone are sorted, so that the sort stays small whatever the size of the bodies.
        await cursor.execute(
            """
            select source, raw_id
            from (
                select 'webhook' as source, event_id as raw_id, received_at as arrived_at
                from raw.webhook_events
                where project_id = %(project)s and crm <> 'vms'
                union all
                select 'api', record_id, fetched_at from raw.api_records where project_id = %(project)s
            ) as names
            where (%(since)s::timestamptz is null or arrived_at >= %(since)s)
                and (%(until)s::timestamptz is null or arrived_at < %(until)s)
            order by arrived_at, source, raw_id
            """,
            {"project": project_id, "since": since, "until": until},
        )
        while found := await cursor.fetchmany(max_rows):
            names = [(row["source"], row["raw_id"]) for row in found]
            async for rows in _read(connection, project_id, names, max_rows, max_characters):
                yield rows


async def count_all(
    connection: Connection, project_id: str, *, since: datetime | None = None, until: datetime | None = None
) -> int:
    """How many raw rows `read_all` gives."""
    cursor = await connection.execute(
        """
        select (
            select count(*) from raw.webhook_events
            where project_id = %(project)s and crm <> 'vms'
                and (%(since)s::timestamptz is null or received_at >= %(since)s)
                and (%(until)s::timestamptz is null or received_at < %(until)s)
        ) + (
            select count(*) from raw.api_records
            where project_id = %(project)s and (%(since)s::timestamptz is null or fetched_at >= %(since)s)
                and (%(until)s::timestamptz is null or fetched_at < %(until)s)
        ) as count
        """,
        {"project": project_id, "since": since, "until": until},
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])


async def _read(
    connection: Connection, project_id: str, names: Sequence[tuple[str, int]], max_rows: int, max_characters: int
) -> AsyncIterator[list[RawRow]]:
    statement = """
        select q.source, q.raw_id, coalesce(w.crm, a.crm) as crm, a.stream, a.crm_id, w.event_name,
            coalesce(w.received_at, a.fetched_at) as arrived_at,
            case
                when q.source = 'webhook' then 'webhook' when r.kind = 'reread' then 'reread' else 'pull'
            end as origin,
            coalesce(w.body, a.body) as body
        from unnest(%(sources)s::text[], %(ids)s::bigint[]) with ordinality as q (source, raw_id, position)
        left join raw.webhook_events as w
            on q.source = 'webhook' and w.project_id = %(project)s and w.event_id = q.raw_id
        left join raw.api_records as a on q.source = 'api' and a.project_id = %(project)s and a.record_id = q.raw_id
        left join sync.runs as r on r.project_id = %(project)s and r.run_id = a.run_id
        order by q.position
    """
    parameters = {
        "sources": [source for source, _ in names],
        "ids": [raw_id for _, raw_id in names],
        "project": project_id,
    }
    if len(names) <= _FETCH_ROWS:  # live webhooks: spare the round trips of a server-side cursor
        answer = await connection.execute(statement, parameters)
        yield [RawRow(**row) for row in await answer.fetchall()]
        return
    portion: list[RawRow] = []
    characters = 0
    async with connection.cursor(name="raw_rows") as cursor:
        await cursor.execute(statement, parameters)
        while rows := await cursor.fetchmany(_FETCH_ROWS):
            for row in rows:
                portion.append(RawRow(**row))
                characters += len(row["body"] or "")
                if len(portion) >= max_rows or characters >= max_characters:
                    yield portion
                    portion, characters = [], 0
    if portion:
        yield portion
