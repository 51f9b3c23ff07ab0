"""The nightly comparison of both sides: how many objects differ, and a cure where the winner is clear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from connectors import registry
from database.connection import Pool
from database.repositories import consistency, logs
from sync import projects
from sync.projects import Lookup, Project
from sync.two_way.comparison import Comparison, Found, Position
from sync.two_way.objects import ENTITIES, Entity

TARGET_SHARE = 0.01
"""Fewer should differ."""

Progress = Callable[[str, int, int], None]
"""Kind of object, how many are looked at, of how many."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EntityConsistency:
    entity: Entity
    found: Found

    def as_row(self) -> dict[str, Any]:
        return {"entity": self.entity, **asdict(self.found), "share": round(self.found.share, 4)}


async def check_project(
    pool: Pool,
    project_id: str,
    *,
    lookup: Lookup = registry.get,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
) -> list[EntityConsistency]:
    """Compare every kind of object as core and vms have it now; what has a clear winner goes into the queues.

    Raises ConfigError if there is no such project. If `stop` is set, what is done so far is returned and the kind of
    object that was under way is left out.
    """
    async with pool.connection() as connection:
        project = await projects.load(connection, project_id, lookup)
    results: list[EntityConsistency] = []
    for entity in ENTITIES:
        found = await _check(pool, project, entity, progress, stop)
        if found is None:
            return results
        results.append(EntityConsistency(entity, found))
    await _tell(pool, project_id, results)
    return results


async def _check(
    pool: Pool, project: Project, entity: Entity, progress: Progress | None, stop: asyncio.Event | None
) -> Found | None:
    project_id = project.row.project_id
    comparison, found = Comparison(project, entity), Found()
    position: Position | None = Position()
    async with pool.connection() as connection:
        total = await comparison.total(connection)
        check_id = await consistency.start(connection, project_id, entity)
        while position is not None:
            if stop is not None and stop.is_set():
                return None
            async with connection.transaction():
                part, position = await comparison.portion(connection, position)
            found.add(part)
            if progress is not None:
                progress(entity, found.compared + found.missing_at_crm + found.missing_in_vms, total)
        await consistency.finish(connection, project_id, check_id, asdict(found))
    _log.info("compared_sides", project_id=project_id, entity=entity, **asdict(found))
    return found


async def _tell(pool: Pool, project_id: str, results: list[EntityConsistency]) -> None:
    """The owner, where more differ than should."""
    bad = [result for result in results if result.found.share >= TARGET_SHARE]
    if not bad:
        return
    what = "; ".join(f"{r.entity}: {r.found.differing} of {r.found.compared}" for r in bad)
    async with pool.connection() as connection:
        await logs.write(
            connection, project_id, "warning",
            f"vms and the CRM differ in more than {TARGET_SHARE:.0%} of objects ({what}). What has a clear winner is "
            "under way; see `crm-elt conflicts list` and `crm-elt dead-letters list` for the rest.",
            details={result.entity: asdict(result.found) for result in results},
        )  # fmt: skip
