"""What the flows need to know of a project beside its credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors import registry
from connectors.errors import ConfigError
from connectors.protocol import Connector, MappingContext
from database.connection import Connection
from database.repositories import settings
from database.repositories.settings import ProjectRow

Lookup = Callable[[str], Connector]
"""CRM -> connector; raises KeyError. `connectors.registry.get`, unless somebody brings connectors of their own."""


@dataclass(frozen=True, slots=True)
class Project:
    row: ProjectRow
    connector: Connector
    context: MappingContext


async def load(connection: Connection, project_id: str, lookup: Lookup = registry.get) -> Project:
    """Raises ConfigError if there is no such project, or no connector for its CRM."""
    row = await settings.load_project(connection, project_id)
    if row is None:
        raise ConfigError(f"There is no project {project_id!r}: add it with `crm-elt apply`.")
    return Project(row, connector_of(row.crm, lookup), context_of(row))


def context_of(row: ProjectRow) -> MappingContext:
    return MappingContext(
        project_id=row.project_id,
        timezone=row.timezone,
        region=row.region,
        currency=row.currency,
        options=row.options,
    )


def connector_of(crm: str, lookup: Lookup = registry.get) -> Connector:
    """Raises ConfigError if there is no such connector."""
    try:
        return lookup(crm)
    except KeyError:
        raise ConfigError(
            f"There is no connector for the CRM {crm!r}: check `crm` in the project's settings."
        ) from None
