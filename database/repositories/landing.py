"""What the ingest API writes and reads: webhooks into raw with their queue entry, and the settings to verify them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import errors
from psycopg.rows import tuple_row

from database.connection import Connection
from database.encryption import Sealed
from database.repositories.credentials import WEBHOOK_SECRET

DATA_ERRORS = (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded, UnicodeError)
"""Raised when the server or the driver refuses a row itself; every other error is no row's fault."""


class WebhookRow(NamedTuple):
    """One webhook to land. An empty string stands for null in the columns that may be null."""

    project_id: str
    crm: str
    event_name: str
    content_type: str
    content_hash: bytes
    headers: str
    """A JSON object as text."""
    query: str
    """A JSON object as text."""
    remote_address: str
    body: str


class RejectedRow(NamedTuple):
    """One authentic but unreadable payload to keep. An empty string stands for null."""

    project_id: str
    crm: str
    reason: str
    content_type: str
    headers: str
    remote_address: str
    body: bytes


class WebhookSettings(NamedTuple):
    """What verifying a project's webhooks takes."""

    project_id: str
    crm: str
    webhook: dict[str, Any]
    secrets: dict[str, Sealed]
    """The webhook's own and those that reading a webhook takes, by name."""
    timezone: str = "UTC"
    region: str | None = None
    currency: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


@dataclass(frozen=True, slots=True)
class Landed:
    """How many webhooks of a project are in raw, and how many different bodies they have."""

    rows: int
    different: int


# One statement, hence one transaction and one round trip for the whole group. Identities are drawn in the order of the
# arrays, so the n-th smallest id belongs to the n-th row.
_LAND_WEBHOOKS = """
with landed as (
    insert into raw.webhook_events
        (project_id, crm, event_name, content_type, content_hash, headers, query, remote_address, body)
    select
        project_id, crm, nullif(event_name, ''), nullif(content_type, ''), content_hash, headers::jsonb, query::jsonb,
        nullif(remote_address, '')::inet, body
    from unnest(
        %b::text[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::text[], %b::text[], %b::text[], %b::text[]
    ) with ordinality as r
        (project_id, crm, event_name, content_type, content_hash, headers, query, remote_address, body, n)
    order by n
    returning event_id, project_id
),
queued as (
    insert into sync.raw_queue (project_id, source, raw_ids)
    select project_id, 'webhook', array_agg(event_id order by event_id) from landed group by project_id
)
select event_id from landed order by event_id
"""

_LAND_REJECTED = """
with landed as (
    insert into raw.rejected (project_id, crm, reason, content_type, headers, remote_address, body)
    select
        project_id, crm, reason, nullif(content_type, ''), headers::jsonb, nullif(remote_address, '')::inet, body
    from unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bytea[])
        with ordinality as r (project_id, crm, reason, content_type, headers, remote_address, body, n)
    order by n
    returning rejected_id
)
select rejected_id from landed order by rejected_id
"""


async def prepare_connection(connection: Connection) -> None:
    """Make sure that a commit on this connection is durable, whatever the server's or role's default is."""
    await connection.execute(
        "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"
    )


async def land_webhooks(connection: Connection, rows: Sequence[WebhookRow]) -> list[int]:
    """Land webhooks and queue them for core, all or none, in one transaction. Returns their event ids in order.

    The connection must be in no transaction. When this returns, the rows are durable.
    """
    return await _land(connection, _LAND_WEBHOOKS, rows)


async def land_rejected(connection: Connection, rows: Sequence[RejectedRow]) -> list[int]:
    """Keep unreadable payloads byte by byte, all or none. Returns their ids in order."""
    return await _land(connection, _LAND_REJECTED, rows)


async def keep_webhook(connection: Connection, row: WebhookRow) -> int:
    """Keep a webhook that is applied in the caller's transaction and is not for core. Returns its event id."""
    cursor = await connection.execute(
        """
        insert into raw.webhook_events
            (project_id, crm, event_name, content_type, content_hash, headers, query, remote_address, body)
        values (%s, %s, %s, nullif(%s, ''), %s, %s::jsonb, %s::jsonb, nullif(%s, '')::inet, %s)
        returning event_id
        """,
        list(row),
    )
    found = await cursor.fetchone()
    assert found is not None
    return int(found["event_id"])


async def webhook_settings(connection: Connection, mapping_secrets: Collection[str] = ()) -> list[WebhookSettings]:
    """Every project, enabled or not: what a stopped project is sent is kept too."""
    cursor = await connection.execute(
        """
        select
            p.project_id, p.crm, p.webhook, p.timezone, p.region, p.currency, p.options,
            c.name, c.key_id, c.nonce, c.ciphertext
        from config.projects as p
        left join config.credentials as c on c.project_id = p.project_id and c.name = any(%s)
        order by p.project_id, c.name
        """,
        [[WEBHOOK_SECRET, *mapping_secrets]],
    )
    found: dict[str, WebhookSettings] = {}
    for row in await cursor.fetchall():
        settings = found.setdefault(
            row["project_id"],
            WebhookSettings(
                row["project_id"],
                row["crm"],
                row["webhook"],
                {},
                row["timezone"],
                row["region"],
                row["currency"],
                row["options"],
            ),
        )
        if row["name"] is not None:
            settings.secrets[row["name"]] = Sealed(row["key_id"], row["nonce"], row["ciphertext"])
    return list(found.values())


async def revision(connection: Connection) -> str | None:
    """The migration that the database is at; None if no migration has run."""
    try:
        cursor = await connection.execute("select version_num from alembic_version")
    except errors.UndefinedTable:
        return None
    row = await cursor.fetchone()
    return None if row is None else str(row["version_num"])


async def _land(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> list[int]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(statement, columns, prepare=True)
        ids = [row[0] for row in await cursor.fetchall()]
    assert len(ids) == len(rows)
    return ids


async def sync_status(connection: Connection, project_id: str, streams: Sequence[str]) -> dict[str, Any] | None:
    """How far a project's streams are, what waits and what failed; None if there is no such project."""
    cursor = await connection.execute(
        """
        select
            p.project_id, p.crm, p.is_enabled, p.disabled_reason,
            (select count(*) from sync.raw_queue as q where q.project_id = p.project_id) as waiting_entries,
            (
                select extract(epoch from clock_timestamp() - min(q.enqueued_at))::float8
                from sync.raw_queue as q
                where q.project_id = p.project_id
            ) as waiting_seconds,
            (
                select count(*) from sync.dead_letters as d
                where d.project_id = p.project_id and d.state in ('open', 'permanently_failed')
            ) as open_dead_letters
        from config.projects as p
        where p.project_id = %s
        """,
        [project_id],
    )
    project = await cursor.fetchone()
    if project is None:
        return None
    cursor = await connection.execute(
        """
        select
            s.stream, newest.state, newest.started_at, newest.finished_at, newest.rows_seen, newest.rows_new,
            newest.rows_changed, newest.rows_failed, newest.error_word, newest.error_message,
            success.finished_at as last_success_at, c.updated_at as cursor_moved_at
        from unnest(%(streams)s::text[]) with ordinality as s (stream, n)
        left join sync.cursors as c on c.project_id = %(project)s and c.stream = s.stream
        left join lateral (
            select r.*
            from sync.runs as r
            where r.project_id = %(project)s and r.stream = s.stream and r.kind in ('pull', 'backfill')
            order by r.started_at desc
            limit 1
        ) as newest on true
        left join lateral (
            select r.finished_at
            from sync.runs as r
            where r.project_id = %(project)s and r.stream = s.stream and r.kind in ('pull', 'backfill')
                and r.state = 'success'
            order by r.started_at desc
            limit 1
        ) as success on true
        order by s.n
        """,
        {"project": project_id, "streams": list(streams)},
    )
    return {**project, "streams": await cursor.fetchall()}


async def count_landed(connection: Connection, project_id: str) -> Landed:
    """Reads all of the project's webhooks: for checks and benchmarks."""
    cursor = await connection.execute(
        """
        select count(*) as rows, count(distinct content_hash) as different
        from raw.webhook_events
        where project_id = %s
        """,
        [project_id],
    )
    row = await cursor.fetchone()
    assert row is not None
    return Landed(**row)
