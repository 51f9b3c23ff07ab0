"""Status groups and statuses as people may choose them: what the CRM reports, and what the settings say of it."""

from __future__ import annotations

from dataclasses import dataclass

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class NamedGroup:
    status_group_id: str
    reported_name: str | None
    """None: the CRM has not told it."""
    own_name: str | None
    """What the settings call it."""
    is_reported: bool
    """Whether more than the settings' own list of groups names it."""


@dataclass(frozen=True, slots=True)
class NamedStatus:
    status_id: str
    reported_name: str | None
    own_name: str | None
    alias: str | None
    status_group_id: str | None
    """The settings' if they name one, else the reported one."""
    reported_group_id: str | None
    is_closing: bool
    reported_closing: bool | None
    is_reported: bool


async def load_groups(connection: Connection, project_id: str) -> list[NamedGroup]:
    """Every group that the CRM, a status or the settings name, numbers in their order."""
    cursor = await connection.execute(
        """
        with used as (
            select status_group_id from core.status_groups where project_id = %(project)s
            union select status_group_id from core.statuses where project_id = %(project)s
            union select status_group_id from config.statuses where project_id = %(project)s
            union select status_group_id from config.sla_rules where project_id = %(project)s
        ),

        named as (
            select status_group_id from used
            union select status_group_id from config.status_groups where project_id = %(project)s
        )

        select
            named.status_group_id,
            reported.name as reported_name,
            own.name as own_name,
            exists (select from used where used.status_group_id = named.status_group_id) as is_reported
        from named
        left join core.status_groups as reported
            on reported.project_id = %(project)s and reported.status_group_id = named.status_group_id
        left join config.status_groups as own
            on own.project_id = %(project)s and own.status_group_id = named.status_group_id
        where named.status_group_id is not null
        order by length(named.status_group_id), named.status_group_id collate "C"
        """,
        {"project": project_id},
    )
    return [NamedGroup(**row) for row in await cursor.fetchall()]


async def load_statuses(connection: Connection, project_id: str) -> list[NamedStatus]:
    """Every status that the CRM or the settings name, by group."""
    cursor = await connection.execute(
        """
        select
            status_id,
            reported.name as reported_name,
            own.name as own_name,
            reported.alias,
            coalesce(own.status_group_id, reported.status_group_id) as status_group_id,
            reported.status_group_id as reported_group_id,
            coalesce(own.is_closing, reported.is_closing, false) as is_closing,
            reported.is_closing as reported_closing,
            reported.status_id is not null as is_reported
        from (select * from core.statuses where project_id = %(project)s) as reported
        full join (select * from config.statuses where project_id = %(project)s) as own using (status_id)
        order by
            length(coalesce(own.status_group_id, reported.status_group_id)),
            coalesce(own.status_group_id, reported.status_group_id) collate "C",
            length(status_id),
            status_id collate "C"
        """,
        {"project": project_id},
    )
    return [NamedStatus(**row) for row in await cursor.fetchall()]
