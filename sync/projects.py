"""What the flows need to know of a project beside its credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors import registry
from connectors.errors import ConfigError
from connectors.protocol import Capabilities, Connector, MappingContext
from connectors.records import Place
from database.connection import Connection
from database.repositories import core, settings
from database.repositories.settings import ProjectRow

Lookup = Callable[[str], Connector]
"""CRM -> connector; raises KeyError. `connectors.registry.get`, unless somebody brings connectors of their own."""


@dataclass(frozen=True, slots=True)
class Project:
    row: ProjectRow
    connector: Connector
    context: MappingContext

    @property
    def capabilities(self) -> Capabilities:
        """The connector's, with the project's options."""
        return self.connector.capabilities.given(self.row.options)


async def load(connection: Connection, project_id: str, lookup: Lookup = registry.get) -> Project:
    """Raises ConfigError if there is no such project, or no connector for its CRM."""
    row = await settings.load_project(connection, project_id)
    if row is None:
        raise ConfigError(f"There is no project {project_id!r}: add it with `crm-elt apply`.")
    connector = connector_of(row.crm, lookup)
    return Project(row, connector, context_of(row, await core.places(connection, project_id)))


def context_of(row: ProjectRow, places: Iterable[Mapping[str, Any]] = ()) -> MappingContext:
    """What mapping may know; `places` are rows of core.places."""
    return MappingContext(
        project_id=row.project_id,
        timezone=row.timezone,
        region=row.region,
        currency=row.currency,
        options=row.options,
        status_map=row.status_map,
        places={place["place_id"]: Place(**place) for place in places},
    )


def connector_of(crm: str, lookup: Lookup = registry.get) -> Connector:
    """Raises ConfigError if there is no such connector."""
    try:
        return lookup(crm)
    except KeyError:
        raise ConfigError(
            f"There is no connector for the CRM {crm!r}: check `crm` in the project's settings."
        ) from None
