"""What sending a project's changes needs: its settings, its words, its CRM."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from connectors.http import HttpSession
from connectors.protocol import PushingConnector
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import alerts
from sync import projects
from sync.gateway import ProjectAccount, open_account, open_session
from sync.projects import Lookup, Project
from sync.settings.rows import SYNC_DEFAULTS
from sync.two_way.crm_state import status_words
from sync.two_way.flags import Flags, flags_of
from sync.two_way.objects import ENTITIES, Entity
from sync.two_way.statuses import StatusWords

DISABLED_ALERT = "project_disabled"
SKIPPED_AT_ONCE = 500
"""Lanes of a kind that is not sent are put aside by so many."""


@dataclass(frozen=True, slots=True)
class Target:
    """An open way to the CRM."""

    connector: PushingConnector
    account: ProjectAccount
    http: HttpSession


@dataclass(frozen=True, slots=True)
class Context:
    project: Project
    flags: Flags
    words: StatusWords
    refusals: Mapping[Entity, str]
    """Kinds of objects that are not sent, and why."""
    sizes: Mapping[str, int]
    """By kind of object: how many changes go into one push."""
    slots: int
    """Pushes at once."""
    retries: int
    target: Target | None
    """None: nothing is sent."""
    lookup: Lookup
    announced: frozenset[str] | None = None
    """As `Vocabulary.announced`."""
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while what was read before writing is brought into core: one at a time does it, and one connection."""
    loaded_at: float = field(default_factory=time.monotonic)

    @property
    def project_id(self) -> str:
        return self.project.row.project_id

    async def close(self) -> None:
        if self.target is not None:
            await self.target.http.__aexit__(None, None, None)


async def open_context(
    pool: Pool, connection: Connection, keyring: Keyring, project_id: str, lookup: Lookup
) -> Context:
    """Close it. Raises ConfigError if what is to be sent cannot be, for the project's settings are wrong."""
    project = await projects.load(connection, project_id, lookup)
    flags = flags_of(project.row)
    connector = project.connector
    pushes = isinstance(connector, PushingConnector)
    refusals: dict[Entity, str] = {}
    for entity in ENTITIES:
        if not pushes:
            refusals[entity] = f"{project.row.crm} takes no changes from here."
        elif not flags.sends(entity):
            refusals[entity] = f"The project does not send such changes: see `vms` in the settings ({entity})."
    target: Target | None = None
    sizes: dict[str, int] = dict.fromkeys(ENTITIES, SKIPPED_AT_ONCE)
    if len(refusals) < len(ENTITIES):
        pushing = cast("PushingConnector", connector)
        account = await open_account(pool, connection, keyring, project_id, lookup)
        for entity in ENTITIES:
            most = pushing.most_pushed(entity, account)
            if most < 1:
                refusals.setdefault(entity, f"{project.row.crm} takes no changes of such objects ({entity}).")
            elif entity not in refusals:
                sizes[entity] = min(most, account.batch_size)
        if len(refusals) < len(ENTITIES) and not flags.dry_run:
            target = Target(pushing, account, open_session(pool, account, retry_attempts=0))
    await alerts.resolve(connection, project_id, DISABLED_ALERT, project_id)
    settings = {**SYNC_DEFAULTS, **project.row.sync}
    return Context(
        project=project,
        flags=flags,
        words=await status_words(connection, project),
        refusals=refusals,
        sizes=sizes,
        slots=int(settings["max_concurrent_requests"]),
        retries=int(settings["retry_attempts"]),
        target=target,
        lookup=lookup,
        announced=cast("PushingConnector", connector).vocabulary.announced if pushes else None,
    )
