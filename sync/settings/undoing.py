"""Undo: the value before an entry of the audit log goes back the way every change goes, and is audited as one."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.protocol import Capabilities
from database.connection import Connection
from database.encryption import Keyring
from database.repositories import audit, settings
from database.repositories.audit import AuditEntry
from sync.settings.applying import ApplyResult
from sync.settings.changes import objects
from sync.settings.editing import apply_document
from sync.settings.exporting import UnknownProjectError, document_of
from sync.settings.rows import stored_values
from sync.settings.undoable import is_undoable, put_back


class UndoError(Exception):
    """It cannot be undone; nothing was written. The message is one sentence, `entry` what it is about."""

    def __init__(self, entry: AuditEntry, sentence: str) -> None:
        self.entry = entry
        super().__init__(sentence)


class NotUndoableError(UndoError):
    """The entry is no change of a setting, or undoing it alone changes nothing."""


class ChangedSinceError(UndoError):
    """The setting is not any more what the entry made of it."""

    def __init__(self, entry: AuditEntry, later: AuditEntry | None) -> None:
        self.later = later
        """The newest entry about the same setting."""
        super().__init__(entry, "This was changed again since: undo the later change first, or edit the setting.")


async def undo(
    connection: Connection,
    keyring: Keyring,
    audit_id: int,
    actor: str,
    *,
    together: bool = False,
    known: Mapping[str, Capabilities] | None = None,
) -> ApplyResult:
    """Put back what was there before the change `audit_id`; with `together`, before everything that was saved with it.

    Raises LookupError (no such entry), NotUndoableError, ChangedSinceError, UnknownProjectError, and SettingsError if
    what was there before does not fit what is there now.
    """
    async with connection.transaction():
        await settings.lock(connection)
        named = await audit.entry(connection, audit_id)
        if named is None:
            raise LookupError(f"There is no entry {audit_id} in the audit log.")
        found = await audit.written_with(connection, named) if together else [named]
        entries = [item for item in found if is_undoable(item.project_id, item.action, item.object)]
        if not entries or not is_undoable(named.project_id, named.action, named.object):
            raise NotUndoableError(named, "This is no change of a setting that could be put back.")
        project_id = str(named.project_id)
        row = await settings.load_project(connection, project_id)
        if row is None:
            raise UnknownProjectError(f"There is no project {project_id}.")
        rules = await settings.load_rules(connection, project_id)
        now, document = objects(stored_values(row), rules), document_of(row, rules)
        for item in entries:
            if now.get(item.object) != item.after:
                raise ChangedSinceError(item, await audit.newest_of(connection, project_id, item.object))
            document = put_back(document, item.object, item.before, item.after)
        result = await apply_document(connection, keyring, document, actor, known=known)
        if not result.changes:
            raise NotUndoableError(named, "Alone this changes nothing: undo all that was saved with it.")
        return result
