"""What the routes share: one object per running application."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from database.encryption import Keyring
from ingest_api.landing import GroupCommit
from ingest_api.metrics import Metrics
from ingest_api.projects import ProjectDirectory
from ingest_api.refusals import RefusalLog
from ingest_api.requests import BodyReader
from web.connections import Connections


@dataclass(slots=True)
class Services:
    metrics: Metrics
    landing: GroupCommit
    projects: ProjectDirectory
    connections: Connections
    """For everything but landing, which has connections of its own."""
    keyring: Keyring
    head: str
    """The migration that this code needs."""
    imports: Connections
    """For CSV imports, which hold one for seconds."""
    bodies: BodyReader = field(default_factory=BodyReader)
    refusals: RefusalLog = field(default_factory=RefusalLog)


def services_of(request: Request) -> Services:
    """Of the application that answers this request."""
    services: Services = request.app.state.services
    return services
