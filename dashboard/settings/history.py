"""The last changes of a project's settings, for lists with buttons to undo them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from database.connection import Connection
from database.repositories import audit
from database.repositories.audit import AuditEntry
from sync.settings.changes import in_words
from sync.settings.undoable import is_undoable, section_of

_READ = 200


@dataclass(frozen=True, slots=True)
class PastChange:
    entry: AuditEntry
    before: str
    """In words; empty if there was nothing."""
    after: str
    is_undoable: bool
    together: int
    """How many changes were saved at once; 0 but for the first of several."""


async def last_changes(
    connection: Connection, project_id: str, *, section: str | None = None, limit: int = 20
) -> list[PastChange]:
    """The newest changes of settings of a project first, of one section or of all."""
    found = await audit.entries(connection, project_id=project_id, limit=_READ)
    changes = past_changes(found)
    return [item for item in changes if section is None or section_of(item.entry.object) == section][:limit]


def past_changes(entries: Sequence[AuditEntry]) -> list[PastChange]:
    """Those of the entries that are about settings, in the same order."""
    kept = [item for item in entries if section_of(item.object) is not None or item.object == "project"]
    saved = Counter((item.at, item.actor) for item in kept)
    changes = []
    for item in kept:
        together = saved.pop((item.at, item.actor), 0)
        undoable = is_undoable(item.project_id, item.action, item.object)
        is_whole = item.object == "project"
        changes.append(
            PastChange(
                item,
                "" if item.before is None or is_whole else in_words(item.before),
                "" if item.after is None or is_whole else in_words(item.after),
                undoable,
                together if together > 1 and undoable else 0,
            )
        )
    return changes
