"""Records that could not be applied: tried again by themselves for a while, then their owner is alerted, once."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from database.connection import Connection
from database.repositories import alerts, dead_letters, inbound_queue, logs, queue
from database.repositories.dead_letters import FailedLetter, Letter, OpenLetter

VMS_SOURCE = "vms"
"""Of letters for objects of core that could not be written in vms; their stream is the kind of object."""
_ENTITIES: dict[str, inbound_queue.Entity] = {"customer": "customer", "article": "article", "order": "order"}

_log = structlog.get_logger(__name__)


async def open_letters(
    connection: Connection, project_id: str, letters: Sequence[Letter], *, also_discarded: bool = True
) -> None:
    """Keep what could not be applied. What has permanently failed by that is logged, and its owner alerted once."""
    failed = await dead_letters.open_many(connection, project_id, letters, also_discarded=also_discarded)
    news = await alerts.raise_once(connection, project_id, "record_failed", [_alert(letter) for letter in failed])
    for subject, message in news:
        await logs.write(connection, project_id, "error", message, error_word="permanent")
        _log.error("record_permanently_failed", project_id=project_id, record=subject, reason=message)


async def retry_due(connection: Connection) -> int:
    """Queue raw rows, and objects for vms, whose time to be tried again has come; whoever drains the queues applies
    them. How many."""
    async with connection.transaction():
        letters = await dead_letters.claim_due(connection)
        await enqueue(connection, letters)
    return len(letters)


async def enqueue(connection: Connection, letters: Sequence[OpenLetter]) -> None:
    """Queue the raw rows of letters, and what they tell did not come into vms, to be applied again."""
    rows: dict[tuple[str, str], set[int]] = {}
    objects: dict[str, dict[inbound_queue.Entity, set[str]]] = {}
    for letter in letters:
        if letter.source == VMS_SOURCE and letter.stream in _ENTITIES and letter.crm_id is not None:
            objects.setdefault(letter.project_id, {}).setdefault(_ENTITIES[letter.stream], set()).add(letter.crm_id)
        if letter.source in ("webhook", "api") and letter.raw_id is not None:
            rows.setdefault((letter.project_id, letter.source), set()).add(letter.raw_id)
    for (project_id, source), raw_ids in sorted(rows.items()):
        await queue.enqueue(connection, project_id, source, sorted(raw_ids))
    for project_id, ids in sorted(objects.items()):
        await inbound_queue.enqueue(connection, project_id, ids)


def _alert(letter: FailedLetter) -> tuple[str, str]:
    what = " ".join(part for part in (letter.stream or letter.source, letter.crm_id) if part)
    return what, (
        f"{what} could not be applied, by itself no more is tried: {letter.reason} "
        f"(dead letter {letter.dead_letter_id}; crm-elt dead-letters retry {letter.dead_letter_id})"
    )
