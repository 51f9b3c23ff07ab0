"""One section of the stored settings at a time: read it, replace it. What is checked, stored and audited, and how, is
the work of `apply_settings`: here the project's document is written out, one part of it replaced, and applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.protocol import Capabilities
from database.connection import Connection
from database.encryption import Keyring
from database.repositories import audit, settings
from database.repositories.audit import AuditEntry
from sync.settings.applying import ApplyResult, apply_settings
from sync.settings.exporting import UnknownProjectError, document_of, escaped, yaml_of
from sync.settings.problems import Problem, SettingsError
from sync.settings.undoable import section_of

Json = Any
Document = dict[str, Json]
"""An item of a settings file's `projects`, without secrets; what has its default is left out."""

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "sla": ("near_threshold", "sla"),
    "cycle": ("cycles",),
    "urgent": ("urgent",),
    "working-hours": ("working_hours",),
    "statuses": ("status_groups", "statuses"),
    "status-map": ("status_map",),
    "conflicts": ("conflict_policy",),
    "sync": ("sync",),
    "options": ("options",),
    "two-way": ("vms",),
    "dashboard": ("dashboard",),
    "general": ("name", "timezone", "region", "currency"),
    "address": ("base_url", "webhook"),
}
"""What is edited together: its name in addresses, and the keys of the document."""
_SOURCE = "settings"
_PREFIX = "projects[0]."


@dataclass(frozen=True, slots=True)
class SectionState:
    project_id: str
    section: str
    value: Document
    """The section's keys of the document; a key that is missing has its default."""
    version: str
    """Another text when the section is another."""
    seen: int
    """Id of the newest entry of the audit log when it was read."""


class UnknownSectionError(Exception):
    """There is no section of that name. The message is one sentence."""


class ChangedMeanwhileError(Exception):
    """Somebody else has changed the section since it was read; nothing was written."""

    def __init__(self, state: SectionState, changes: list[AuditEntry]) -> None:
        self.state = state
        """The section as it is now."""
        self.changes = changes
        """What was changed since, the newest first, as far as the log tells."""
        super().__init__("The section was changed after it was read: look at what changed, and save again.")


async def load_document(connection: Connection, project_id: str) -> Document:
    """The project as `crm-elt export` would write it, without credentials. Raises UnknownProjectError."""
    row = await settings.load_project(connection, project_id)
    if row is None:
        raise UnknownProjectError(f"There is no project {project_id}.")
    return document_of(row, await settings.load_rules(connection, project_id))


async def read_section(connection: Connection, project_id: str, section: str) -> SectionState:
    """Raises UnknownProjectError, UnknownSectionError."""
    keys = _keys(section)
    seen = await audit.newest_id(connection, project_id)  # before the settings: what comes between is told again
    document = await load_document(connection, project_id)
    return section_state(project_id, section, {key: document[key] for key in keys if key in document}, seen)


def section_state(project_id: str, section: str, value: Document, seen: int) -> SectionState:
    # In the order of the document: that of status_map has a meaning.
    digest = hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:20]
    return SectionState(project_id, section, value, digest, seen)


async def edit_section(
    connection: Connection,
    keyring: Keyring,
    project_id: str,
    section: str,
    value: Mapping[str, Json],
    actor: str,
    *,
    version: str | None = None,
    seen: int | None = None,
    known: Mapping[str, Capabilities] | None = None,
) -> ApplyResult:
    """Make the section what `value` says; a key of it that `value` lacks gets its default. Credentials stay.

    `version` and `seen` are those of the state that the editor read: if the section is another by now, nothing is done.
    Raises UnknownProjectError, UnknownSectionError, ChangedMeanwhileError, and SettingsError as `apply_settings` does,
    with places inside of the project (`sla[2].limit`).
    """
    keys = _keys(section)
    if unknown := [key for key in value if key not in keys]:
        raise SettingsError(Problem(key, f"unknown key; expected {' or '.join(keys)}") for key in unknown)
    async with connection.transaction():
        await settings.lock(connection)
        state = await read_section(connection, project_id, section)
        if version is not None and version != state.version:
            raise ChangedMeanwhileError(state, await _changes_of(connection, state, seen))
        document = await load_document(connection, project_id)
        for key in keys:
            document.pop(key, None)
        return await apply_document(connection, keyring, {**document, **value}, actor, known=known)


async def apply_document(
    connection: Connection,
    keyring: Keyring,
    document: Mapping[str, Json],
    actor: str,
    *,
    known: Mapping[str, Capabilities] | None = None,
) -> ApplyResult:
    """Apply a whole project. Raises SettingsError with places inside of the project."""
    given = {key: item for key, item in document.items() if item is not None and item not in ({}, [])}
    try:
        text = yaml_of({"projects": [escaped(given)]})
    except RecursionError:
        raise SettingsError([Problem("", "nested too deeply")]) from None
    try:
        return await apply_settings(connection, keyring, text, source=_SOURCE, environ={}, actor=actor, known=known)
    except SettingsError as error:
        problems = [Problem(item.where.removeprefix(_PREFIX), item.message) for item in error.problems]
        raise SettingsError(problems) from None


async def _changes_of(connection: Connection, state: SectionState, seen: int | None) -> list[AuditEntry]:
    if seen is None:
        return []
    newest = await audit.entries(connection, project_id=state.project_id)
    return [item for item in newest if item.audit_id > seen and section_of(item.object) == state.section]


def _keys(section: str) -> tuple[str, ...]:
    try:
        return SECTIONS[section]
    except KeyError:
        raise UnknownSectionError(f"There is no section {section}; sections: {', '.join(SECTIONS)}.") from None
