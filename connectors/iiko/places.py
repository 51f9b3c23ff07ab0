"""Organizations with their terminal groups: names, zones, currencies. A dictionary, asked for anew each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.http import encode_json
from connectors.iiko.api import SPEC, Api, Organization
from connectors.iiko.zones import read_zone
from connectors.protocol import Page, RawRecord


async def read_places(api: Api, organizations: Sequence[Organization]) -> Page:
    """One record per organization: `{organization, terminalGroups}`, both as iiko gives them."""
    terminals = await read_terminals(api, organizations)
    records = []
    for organization in organizations:
        content = encode_json(
            {"organization": organization.row, "terminalGroups": terminals[organization.organization_id]}
        )
        digest = hashlib.sha256(content).digest()
        records.append(RawRecord("places", organization.organization_id, content.decode(), digest))
    return Page(records, None, len(records))


async def read_terminals(api: Api, organizations: Sequence[Organization]) -> dict[str, list[dict[str, Any]]]:
    """Terminal groups by organization, by id, those in sleep and the disabled ones too: old orders name them."""
    found: dict[str, dict[str, dict[str, Any]]] = {one.organization_id: {} for one in organizations}
    if api.dialect == SPEC:
        return {one: [] for one in found}
    answer = await api.post("/api/1/terminal_groups", {"organizationIds": list(found), "includeDisabled": True})
    for name in ("terminalGroups", "terminalGroupsInSleep"):
        for group in _objects(answer, name):
            for item in _objects(group, "items"):
                owner = item.get("organizationId") or group.get("organizationId")
                if owner in found and item.get("id"):
                    found[owner].setdefault(str(item["id"]), item)
    return {one: [items[key] for key in sorted(items)] for one, items in found.items()}


def zones_of(
    organization: Organization, terminals: Sequence[Mapping[str, Any]], default: str
) -> tuple[dict[str, str], list[str]]:
    """(zone by terminal group, all zones of the organization); `default` where iiko tells none that can be read."""
    by_terminal = {str(item["id"]): zone_of(item) or zone_of(organization.row) or default for item in terminals}
    return by_terminal, sorted(set(by_terminal.values())) or [zone_of(organization.row) or default]


def zone_of(row: Mapping[str, Any]) -> str | None:
    """The zone that a terminal group or an organization names."""
    for name in ("timeZone", "timezone"):
        if isinstance(value := row.get(name), str) and value.strip():
            return read_zone(value)
    return None


def _objects(row: Any, name: str) -> list[dict[str, Any]]:
    value = row.get(name) if isinstance(row, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
