"""What admins do on the pages and by the API: each in one transaction with its entry in the audit log.

The dashboard sends nothing itself: what is to be tried again goes back into its queue, and the relay does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from connectors import registry
from dashboard.identity import Identity
from dashboard.numbers import LARGEST_ID
from dashboard.two_way.scope import takes_changes
from database.connection import Connection
from database.repositories import audit, conflicts, dead_letter_lists, dead_letters, resyncs
from database.repositories.conflicts import ConflictRow
from database.repositories.dead_letter_lists import LetterFilter
from database.repositories.dead_letters import OpenLetter
from database.repositories.resyncs import Kind, ResyncRow
from database.repositories.settings import ProjectRow
from sync import dead_letters as letters_flow
from sync.two_way import conflicts as conflicts_flow
from sync.two_way import manual
from sync.two_way.conflicts import ConflictError, Decisions, StaleConflictError
from sync.two_way.manual import Asked, UnknownObjectError
from sync.two_way.objects import Side
from web.problems import ProblemError

Deed = Literal["retried", "discarded"]
_LONGEST_ID = 200


async def settle_letters(
    connection: Connection,
    identity: Identity,
    deed: Deed,
    wanted: LetterFilter,
    *,
    ids: Sequence[int] | None = None,
    up_to: int = LARGEST_ID,
) -> int:
    """Retry or discard the open letters of a filter, or of these those; how many there were.

    One letter has an entry of its own in the audit log, several have one for each project.
    """
    async with connection.transaction():
        letters = await dead_letter_lists.take_open(connection, wanted, up_to=up_to, ids=ids)
        if not letters:
            return 0
        if deed == "retried":
            await letters_flow.queue_again(connection, letters)
        else:
            numbers = [letter.dead_letter_id for letter in letters]
            await dead_letters.discard(connection, ids=numbers, project_id=None, by=identity.actor)
        await _note(connection, identity, deed, letters, None if ids else _described(wanted))
    return len(letters)


async def decide(
    connection: Connection, identity: Identity, conflict: ConflictRow, decisions: Decisions, seen: str | None
) -> ConflictRow:
    """Raises ProblemError: 409 it is not any more what was looked at, 400 it has no such field."""
    try:
        return await conflicts_flow.resolve_seen(connection, conflict.conflict_id, decisions, identity.actor, seen=seen)
    except StaleConflictError as error:
        raise ProblemError(409, "conflict_changed", str(error)) from None
    except ConflictError as error:
        now = await conflicts.get(connection, conflict.conflict_id)
        if now is None or now.state != "open":
            raise ProblemError(
                409,
                "conflict_closed",
                f"Conflict {conflict.conflict_id} is resolved already: nothing is left to decide.",
            ) from None
        raise ProblemError(400, "invalid", str(error)) from None


async def start_resync(
    connection: Connection, identity: Identity, project: ProjectRow, kind: Kind = "full"
) -> tuple[int, bool]:
    """Ask for a full resync or a comparison; its id, and whether it is new: while one of either kind is under way, no
    other begins. Raises ProblemError: 400 there is nothing to read from or to write to, 409 the project is disabled."""
    require_two_way(project)
    if not project.is_enabled:
        raise ProblemError(
            409, "project_disabled", "%(project)s is disabled: enable it first.", values={"project": project.name}
        )
    async with connection.transaction():
        going = await resyncs.under_way(connection, [project.project_id])
        number = await resyncs.enqueue(connection, project.project_id, identity.actor, kind)
        is_new = not going
        if is_new:
            await audit.record(
                connection, actor=identity.actor, action="started", project_id=project.project_id,
                object=f"full resync {number}" if kind == "full" else f"comparison {number}",
            )  # fmt: skip
    return number, is_new


async def cancel_resync(connection: Connection, identity: Identity, project: ProjectRow, resync_id: int) -> ResyncRow:
    """Raises ProblemError: 404 there is none like that, 409 it is over."""
    async with connection.transaction():
        known = await resyncs.get(connection, project.project_id, resync_id)
        row = await resyncs.cancel(connection, project.project_id, resync_id)
        if row is not None:
            await audit.record(
                connection, actor=identity.actor, action="cancelled", project_id=project.project_id,
                object=f"full resync {resync_id}" if row.kind == "full" else f"comparison {resync_id}",
            )  # fmt: skip
    if known is None:
        raise ProblemError(
            404, "unknown_resync", "This project has no full resync %(number)s.", values={"number": resync_id}
        )
    if row is None:
        raise ProblemError(409, "not_running", f"Full resync {resync_id} is over already.")
    return row


async def sync_object(
    connection: Connection, identity: Identity, project: ProjectRow, kind: str, object_id: str, side: Side | None
) -> Asked:
    """Have one order, customer or article read again and compared. `kind` is a key of manual.ENTITY_OF. Raises
    ProblemError: 400, 404."""
    require_two_way(project)
    if kind not in manual.ENTITY_OF:
        raise ProblemError(400, "invalid", "Choose an order, a customer or an article.")
    object_id = object_id.strip()
    if not object_id or len(object_id) > _LONGEST_ID or not object_id.isprintable():
        raise ProblemError(400, "invalid", "Give the object's id, as the CRM or the warehouse system shows it.")
    capabilities = registry.get(project.crm).capabilities.given(project.options)
    try:
        async with connection.transaction():
            asked = await manual.sync_one(
                connection, project, capabilities, kind, object_id, side=side, requested_by=identity.actor
            )
            await audit.record(
                connection, actor=identity.actor, action="asked", project_id=project.project_id,
                object=f"sync of {manual.ENTITY_OF[kind]} {object_id}", after={"side": side},
            )  # fmt: skip
    except UnknownObjectError as error:
        raise ProblemError(404, "unknown_object", str(error)) from None
    return asked


def require_two_way(project: ProjectRow) -> None:
    """Raises ProblemError, 400, for a project whose CRM takes no changes."""
    if not takes_changes(project.crm):
        raise ProblemError(
            400, "one_way", "%(project)s has a CRM that takes no changes: there is nothing to keep in step.",
            values={"project": project.name},
        )  # fmt: skip


async def _note(
    connection: Connection,
    identity: Identity,
    deed: Deed,
    letters: Sequence[OpenLetter],
    filtered: dict[str, Any] | None,
) -> None:
    for project_id, count in sorted(Counter(letter.project_id for letter in letters).items()):
        of_project = [letter for letter in letters if letter.project_id == project_id]
        one = of_project[0] if count == 1 and filtered is None else None
        await audit.record(
            connection, actor=identity.actor, action=deed, project_id=project_id,
            object="dead letters" if one is None else f"dead letter {one.dead_letter_id}",
            after=(
                {"count": count, "ids": [letter.dead_letter_id for letter in of_project[:100]], "filter": filtered}
                if one is None
                else {"source": one.source, "stream": one.stream, "crm_id": one.crm_id}
            ),
        )  # fmt: skip


def _described(wanted: LetterFilter) -> dict[str, Any]:
    given = {
        "state": wanted.state, "direction": wanted.direction, "source": wanted.source, "error_word": wanted.error_word
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}
