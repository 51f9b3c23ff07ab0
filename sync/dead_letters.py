"""What could not be applied: list it, try it again, or close it."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors import registry
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import dead_letters, feed, outbox
from database.repositories import requests as request_rows
from database.repositories.dead_letters import OpenLetter
from sync import deliveries, failed_records, requests
from sync.normalise import drain
from sync.projects import Lookup
from sync.two_way import inbound, outbound, outbound_settle

SENDING_SECONDS = 60.0
"""So long somebody else is waited for who is sending a change just now."""
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RetryResult:
    resolved: int
    """Letters that are closed now."""
    failed: int
    """Letters that are open still, with the newest reason."""


async def list_letters(
    pool: Pool, *, project_id: str | None = None, state: str | None = "open", limit: int = 100
) -> list[dict[str, Any]]:
    """The newest letters as rows; `state`: open, resolved, discarded, or None for all."""
    async with pool.connection() as connection:
        return await dead_letters.list_letters(connection, project_id=project_id, state=state, limit=limit)


async def get_letter(pool: Pool, dead_letter_id: int) -> dict[str, Any] | None:
    """One letter with what was sent and answered, whatever its state."""
    async with pool.connection() as connection:
        return await dead_letters.get(connection, dead_letter_id)


async def not_open(pool: Pool, ids: Sequence[int]) -> list[int]:
    """Those of the ids that no open letter has."""
    async with pool.connection() as connection:
        known = {
            letter.dead_letter_id for letter in await dead_letters.select_open(connection, ids=ids, project_id=None)
        }
    return [number for number in ids if number not in known]


async def retry(
    pool: Pool,
    keyring: Keyring,
    *,
    ids: Sequence[int] | None = None,
    project_id: str | None = None,
    lookup: Lookup = registry.get,
) -> RetryResult:
    """Try letters again, these or all open ones: raw rows are mapped anew, objects of core are brought into vms anew,
    requests, deliveries and changes in vms are sent anew."""
    async with pool.connection() as connection, connection.transaction():
        letters = await dead_letters.select_open(connection, ids=ids, project_id=project_id)
        request_ids = await queue_again(connection, letters)
    if any(letter.source == deliveries.SOURCE for letter in letters):
        await deliveries.send_due(pool, keyring)
    if unsent := [letter for letter in letters if letter.source == outbound_settle.SOURCE]:
        await _send_changes(pool, keyring, unsent, lookup)
    for project in sorted({letter.project_id for letter in letters}):
        await drain(pool, project, wait=True, lookup=lookup)
        await inbound.apply_due(pool, project_id=project, wait=True, lookup=lookup)
    for request_id in request_ids:
        await requests.run_due(pool, keyring, limit=1, request_id=request_id, lookup=lookup)
    async with pool.connection() as connection:
        still_open = await dead_letters.count_open(connection, [letter.dead_letter_id for letter in letters])
    return RetryResult(resolved=len(letters) - still_open, failed=still_open)


async def queue_again(connection: Connection, letters: Sequence[OpenLetter]) -> list[int]:
    """Put what letters are about back into its queue, within the caller's transaction: the relay, or whoever works on
    the queues, tries it again. The ids of the requests among it."""
    await failed_records.enqueue(connection, letters)
    request_ids = [
        await request_rows.enqueue(
            connection, letter.project_id, stream=letter.stream, crm_id=letter.crm_id, requested_by="dead letter"
        )
        for letter in letters
        if letter.source == "request"
    ]
    for letter in letters:
        if letter.source == outbound_settle.SOURCE and letter.stream is not None and letter.raw_id is not None:
            await outbox.retry(connection, letter.project_id, letter.stream, letter.raw_id)
    delivery_ids = [
        letter.raw_id for letter in letters if letter.source == deliveries.SOURCE and letter.raw_id is not None
    ]
    if delivery_ids:
        await feed.send_again(connection, delivery_ids)
    return request_ids


async def discard(
    pool: Pool, *, ids: Sequence[int] | None = None, project_id: str | None = None, by: str | None = None
) -> int:
    """Close letters without applying them, these or all open ones. Returns how many were closed."""
    async with pool.connection() as connection:
        return await dead_letters.discard(connection, ids=ids, project_id=project_id, by=by or _user())


async def _send_changes(pool: Pool, keyring: Keyring, letters: Sequence[OpenLetter], lookup: Lookup) -> None:
    """Send what these letters are about, or wait for whoever does so."""
    objects = [(letter.project_id, letter.stream or "", letter.raw_id or 0) for letter in letters]
    deadline = time.monotonic() + SENDING_SECONDS
    while True:
        await outbound.send_due(
            pool, keyring, instance="dead-letters", lookup=lookup, project_ids=sorted({item[0] for item in objects})
        )
        async with pool.connection() as connection:
            if not await outbox.is_under_way(connection, objects) or time.monotonic() > deadline:
                return
        await asyncio.sleep(LOOK_SECONDS)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
