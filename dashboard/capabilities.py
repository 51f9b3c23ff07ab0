"""What a project's connector can do, as pages and routes ask."""

from __future__ import annotations

from connectors.errors import ConfigError
from connectors.protocol import Capabilities
from database.repositories.settings import ProjectRow
from sync.projects import connector_of

_NOTHING_KNOWN = Capabilities(streams=(), credentials=(), has_api=False, is_medical=True)


def capabilities_of(row: ProjectRow) -> Capabilities:
    """With the project's options. Of a CRM that this version does not know: nothing, and that it may be health data."""
    try:
        return connector_of(row.crm).capabilities.given(row.options)
    except ConfigError:
        return _NOTHING_KNOWN
