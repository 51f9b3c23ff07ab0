"""The last changes of a project's settings, for lists with buttons to undo them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from database.connection import Connection
from database.repositories import audit
from database.repositories.audit import AuditEntry
from sync.settings.changes import in_words
from sync.settings.undoable import is_undoable, section_of

_READ = 200
_MOST_READS = 10
"""So far back one page looks at most: most of the log may be about something else."""

Save = tuple[datetime, str]
"""What one person saved at once has one time and one actor."""


@dataclass(frozen=True, slots=True)
class PastChange:
    entry: AuditEntry
    before: str
    """In words; empty if there was nothing."""
    after: str
    is_undoable: bool
    together: int
    """How many changes were saved at once; 0 but for the first of several."""


@dataclass(frozen=True, slots=True)
class PastPage:
    changes: list[PastChange]
    """None of them, and a page after this one: so far back there was none."""
    next: int | None
    """The page after this one begins after this entry; None: there is none."""
    is_first: bool


async def last_changes(
    connection: Connection, project_id: str, *, section: str | None = None, after: int | None = None, limit: int = 20
) -> PastPage:
    """The newest changes of settings of a project first, of one section or of all. `after`: the last entry of the page
    before."""
    begun = None if after is None else await audit.entry(connection, after)
    above = None if begun is None or begun.project_id != project_id else _save_of(begun)
    entries: list[AuditEntry] = []
    kept: list[PastChange] = []
    is_all = False
    for _ in range(_MOST_READS):
        last = entries[-1].audit_id if entries else after
        portion = await audit.entries(connection, project_id=project_id, before_id=last, limit=_READ)
        entries += portion
        is_all = len(portion) < _READ
        changes = past_changes(entries, above)
        kept = [item for item in changes if section is None or section_of(item.entry.object) == section]
        # Of what was saved at once all is read, that its number is right.
        if is_all or (len(kept) > limit and _save_of(entries[-1]) != _save_of(kept[limit - 1].entry)):
            break
    following: int | None = None
    if len(kept) > limit:
        following = kept[limit - 1].entry.audit_id
    elif not is_all:
        following = entries[-1].audit_id
    return PastPage(kept[:limit], following, after is None)


def past_changes(entries: Sequence[AuditEntry], above: Save | None = None) -> list[PastChange]:
    """Those of the entries that are about settings, in the same order. `above`: what the page before ended with."""
    kept = [item for item in entries if section_of(item.object) is not None or item.object == "project"]
    saved = Counter(_save_of(item) for item in kept)
    if above is not None:
        saved.pop(above, None)
    changes = []
    for item in kept:
        together = saved.pop(_save_of(item), 0)
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


def _save_of(entry: AuditEntry) -> Save:
    return entry.at, entry.actor
