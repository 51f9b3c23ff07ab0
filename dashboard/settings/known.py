"""What a project's settings can be about: its status groups, statuses and options. Read for the forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors import registry
from dashboard.capabilities import capabilities_of
from dashboard.settings.forms.options import Kind, kind_of
from database.connection import Connection
from database.repositories import dictionaries
from database.repositories.dictionaries import NamedGroup, NamedStatus
from database.repositories.settings import ProjectRow
from sync.two_way.objects import FIELDS

_EDITED_ELSEWHERE = {"custom": ("definition",)}
"""Options with an editor of their own, in the area of integrations."""


@dataclass(frozen=True, slots=True)
class Known:
    groups: Mapping[str, NamedGroup] = field(default_factory=dict)
    statuses: Mapping[str, NamedStatus] = field(default_factory=dict)
    option_kinds: Mapping[str, Kind] = field(default_factory=dict)
    default_base_url: str | None = None
    """Of the CRM's API, where it is the same for all accounts."""
    has_api: bool = True

    @property
    def group_ids(self) -> tuple[str, ...]:
        return tuple(self.groups)

    @property
    def status_ids(self) -> tuple[str, ...]:
        return tuple(self.statuses)

    @property
    def reported_groups(self) -> tuple[str, ...]:
        """Those that need no name of ours: a row of such a group may stay empty."""
        return tuple(group_id for group_id, group in self.groups.items() if group.is_reported)

    @property
    def reported_statuses(self) -> tuple[str, ...]:
        return tuple(status_id for status_id, status in self.statuses.items() if status.is_reported)

    @property
    def conflict_fields(self) -> tuple[str, ...]:
        """What a policy by field may name."""
        return ("default", *sorted({name for names in FIELDS.values() for name in names}))

    def group_name(self, group_id: str | None) -> str:
        """As people call it; the id if nobody has named it."""
        group = self.groups.get(group_id or "")
        return (group and (group.own_name or group.reported_name)) or group_id or ""

    def status_name(self, status_id: str) -> str:
        status = self.statuses.get(status_id)
        return (status and (status.own_name or status.reported_name)) or status_id


async def load_known(connection: Connection, row: ProjectRow) -> Known:
    kinds: dict[str, Kind] = {}
    if row.crm in registry.names():
        hidden = _EDITED_ELSEWHERE.get(row.crm, ())
        options = registry.get(row.crm).capabilities.options
        kinds = {name: kind_of(annotation) for name, annotation in options.items() if name not in hidden}
    capabilities = capabilities_of(row)
    groups = await dictionaries.load_groups(connection, row.project_id)
    statuses = await dictionaries.load_statuses(connection, row.project_id)
    return Known(
        {group.status_group_id: group for group in groups},
        {status.status_id: status for status in statuses},
        kinds,
        capabilities.default_base_url,
        capabilities.has_api,
    )
