"""Which projects a page of the sync is about, and which of them are, or can be, kept in step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from connectors import registry
from connectors.protocol import PushingConnector
from dashboard.guard import wanted_projects
from dashboard.identity import Identity
from dashboard.services import Services
from database.connection import Connection
from database.repositories import settings, two_way_overview


async def project_ids(services: Services, identity: Identity, names: Iterable[str] | None = None) -> list[str]:
    """The ids of the projects that a request is about: those named, else all that the user may see; sorted. Raises
    ProblemError, 404, if one named cannot be seen."""
    wanted = await wanted_projects(services, identity, list(names or ()))
    visible = identity.visible(wanted)
    async with services.database() as connection:
        known = [row.project_id for row in await settings.list_projects(connection)]
    return sorted(name for name in known if visible is None or name in visible)


async def two_way(connection: Connection, crms: dict[str, str]) -> list[str]:
    """Of these projects (id -> CRM) those whose CRM takes changes, or of which something was kept in step; sorted."""
    linked = await two_way_overview.projects_with_links(connection, sorted(crms))
    return sorted(name for name, crm in crms.items() if name in linked or takes_changes(crm))


@cache
def takes_changes(crm: str) -> bool:
    """Whether there is a connector for this CRM that can write."""
    try:
        return isinstance(registry.get(crm), PushingConnector)
    except KeyError:
        return False
