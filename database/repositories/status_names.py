"""Statuses and their groups, as the marts name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class StatusName:
    project_id: str
    status_id: str
    status_name: str | None
    status_alias: str | None
    status_group_id: str | None
    status_group_name: str | None
    is_closing: bool
    is_cancelled: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class GroupName:
    project_id: str
    status_group_id: str
    status_group_name: str | None
    is_cancelled: bool


async def statuses(connection: Connection, project_ids: Sequence[str] | None) -> list[StatusName]:
    """Of these projects or of all. Raises psycopg.errors.UndefinedTable before the marts have been built."""
    cursor = await connection.execute(
        """
        select project_id, status_id, status_name, status_alias, status_group_id, status_group_name, is_closing,
            is_cancelled, is_active
        from marts.dim_statuses
        where %(projects)s::text[] is null or project_id = any(%(projects)s)
        order by project_id, length(status_group_id), status_group_id, length(status_id), status_id
        """,
        {"projects": None if project_ids is None else list(project_ids)},
    )
    return [StatusName(**row) for row in await cursor.fetchall()]


async def groups(connection: Connection, project_ids: Sequence[str] | None) -> list[GroupName]:
    """Of these projects or of all. Raises psycopg.errors.UndefinedTable before the marts have been built."""
    cursor = await connection.execute(
        """
        select g.project_id, g.status_group_id, g.status_group_name, g.is_cancelled
        from intermediate.int_status_groups__resolved as g
        where g.status_group_id <> '' and (%(projects)s::text[] is null or g.project_id = any(%(projects)s))
        order by g.project_id, length(g.status_group_id), g.status_group_id
        """,
        {"projects": None if project_ids is None else list(project_ids)},
    )
    return [GroupName(**row) for row in await cursor.fetchall()]
