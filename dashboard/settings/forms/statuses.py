"""Names, groups and closing of statuses (an overlay on what the CRM reports), and what they mean in the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.settings.forms.base import Draft, Fields, given, kept_rows, put

_CLOSING = {"true": True, "false": False}


def show(value: Mapping[str, Any], groups: Sequence[str], statuses: Sequence[str]) -> dict[str, str]:
    """`groups` and `statuses`: ids that the CRM reports, each of which has a row. `group.N.id`, `.name`;
    `status.N.id`, `.name`, `.group`, `.closing` (`true`, `false` or none); `.known` marks rows of reported ids."""
    fields: dict[str, str] = {}
    named = {item["id"]: item["name"] for item in value.get("status_groups", [])}
    for index, group_id in enumerate(dict.fromkeys((*groups, *named))):
        put(fields, "group", index, {"id": group_id, "name": named.get(group_id), "known": group_id in groups})
    set_ = {item["id"]: item for item in value.get("statuses", [])}
    for index, status_id in enumerate(dict.fromkeys((*statuses, *set_))):
        item = set_.get(status_id, {})
        closing = None if "is_closing" not in item else "true" if item["is_closing"] else "false"
        put(fields, "status", index, {"id": status_id, "name": item.get("name"), "group": item.get("group_id")})
        put(fields, "status", index, {"closing": closing, "known": status_id in statuses})
    return fields


def read(fields: Fields) -> Draft:
    """A row of an id that the CRM reports in which nothing is set leaves what the CRM says."""
    draft = Draft()
    groups: list[dict[str, Any]] = []
    for row in kept_rows(fields, "group"):
        if row.is_blank("name") and (row.has("known") or row.is_blank("id")):
            continue
        draft.at(f"{row.name}.name", "status_groups", len(groups), "name")
        draft.at(f"{row.name}.id", "status_groups", len(groups))
        groups.append({"id": row.get("id"), "name": row.values.get("name", "")})
    statuses: list[dict[str, Any]] = []
    for row in kept_rows(fields, "status"):
        if row.is_blank("name", "group", "closing") and (row.has("known") or row.is_blank("id")):
            continue
        place = ("statuses", len(statuses))
        draft.at(f"{row.name}.name", *place, "name")
        draft.at(f"{row.name}.group", *place, "group_id")
        draft.at(f"{row.name}.closing", *place, "is_closing")
        draft.at(f"{row.name}.id", *place)
        item: dict[str, Any] = {"id": row.get("id"), **given(group_id=row.get("group"))}
        if not row.is_blank("name"):
            item["name"] = row.values["name"]
        if row.get("closing"):
            item["is_closing"] = _CLOSING.get(row.get("closing"), row.get("closing"))
        statuses.append(item)
    draft.value = {"status_groups": groups, "statuses": statuses}
    return draft


def show_map(value: Mapping[str, Any]) -> dict[str, str]:
    """`map.N.crm`, `.vms`."""
    fields: dict[str, str] = {}
    for index, (crm, vms) in enumerate(value.get("status_map", {}).items()):
        put(fields, "map", index, {"crm": crm, "vms": vms})
    return fields


def read_map(fields: Fields) -> Draft:
    draft = Draft()
    found: dict[str, str] = {}
    for row in kept_rows(fields, "map"):
        crm = row.get("crm")
        if not crm and not row.get("vms"):
            continue
        if not crm or crm in found:
            sentence = "This status has a meaning already." if crm else "Give the CRM's status."
            draft.problems.append((f"{row.name}.crm", sentence))
            continue
        draft.at(f"{row.name}.vms", "status_map", crm)
        found[crm] = row.get("vms")
    draft.value["status_map"] = found
    return draft
