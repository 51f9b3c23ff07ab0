"""Tries a project on its CRM, and lets it be pulled if it waited for that."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import registry
from connectors.protocol import Health
from database.connection import Pool
from database.encryption import Keyring
from sync import projects
from sync.gateway import check_health
from sync.projects import Lookup
from sync.settings.trials import record_passed


@dataclass(frozen=True, slots=True)
class Trial:
    health: Health
    is_enabled_now: bool
    """The project waited for this test."""


async def try_project(
    pool: Pool, keyring: Keyring, project_id: str, *, actor: str, lookup: Lookup = registry.get
) -> Trial:
    """Try the project's credentials and, where it has one, its definition on the first pages, in memory.

    Raises ConfigError if there is no such project.
    """
    async with pool.connection() as connection:
        project = await projects.load(connection, project_id, lookup)
    health = await check_health(pool, keyring, project_id, lookup)
    if not health.ok or not health.is_proof:
        return Trial(health, False)
    async with pool.connection() as connection:
        enabled = await record_passed(connection, project_id, project.capabilities, project.row.options, actor)
    return Trial(health, enabled)
