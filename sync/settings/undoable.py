"""Changes of the audit log put back: the names of `changes.objects`, read the other way. Pure.

A value that is put back is what `Change.before` holds: None takes the object out of the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sync.settings.models import NORMAL, URGENT

Json = Any
Document = dict[str, Json]

_SCALARS = ("name", "crm", "base_url", "timezone", "region", "currency", "conflict_policy")
_MAPPINGS = {
    "webhook": "webhook",
    "sync": "sync",
    "vms": "vms",
    "dashboard": "dashboard",
    "option": "options",
    "status_map": "status_map",
}
"""First word of an object's name -> the document's key that holds it."""
_PATTERN = re.compile(
    r"(?P<kind>status group|statuses for|status|sla group|cycle|urgent|working hours default|working hours group|"
    rf"exception|{'|'.join(_MAPPINGS)})(?: (?P<rest>.*))?",
    re.DOTALL,
)
_SECTIONS = {
    "near_threshold": "sla",
    "sla group": "sla",
    "cycle": "cycle",
    "urgent": "urgent",
    "working hours default": "working-hours",
    "working hours group": "working-hours",
    "exception": "working-hours",
    "status group": "statuses",
    "status": "statuses",
    "status_map": "status-map",
    "statuses for": "status-map",
    "conflict_policy": "conflicts",
    "sync": "sync",
    "option": "options",
    "vms": "two-way",
    "dashboard": "dashboard",
    "webhook": "address",
    "base_url": "address",
    "name": "general",
    "timezone": "general",
    "region": "general",
    "currency": "general",
}


def section_of(name: str) -> str | None:
    """The section of `editing.SECTIONS` that an object of the audit log belongs to; None for what is no setting."""
    if name in _SECTIONS:
        return _SECTIONS[name]
    match = _PATTERN.fullmatch(name)
    return None if match is None or match["rest"] is None else _SECTIONS[match["kind"]]


def is_undoable(project_id: str | None, action: str, name: str) -> bool:
    """Whether an entry of the audit log is a change of a setting whose value before is known."""
    is_setting = section_of(name) is not None or name == "crm"
    return project_id is not None and action in ("added", "changed", "removed") and is_setting


def put_back(document: Mapping[str, Json], name: str, before: Json, after: Json) -> Document:
    """The document with the object as it was before. Raises KeyError if it is no name of an object."""
    result = dict(document)
    if name in _SCALARS:
        result[name] = before
        return result
    if name == "near_threshold":
        result[name] = None if before is None else float(before)
        return result
    match = _PATTERN.fullmatch(name)
    if match is None:
        raise KeyError(name)
    kind, rest = match["kind"], match["rest"] or ""
    if (kind == "status" and rest.startswith("group ")) or kind == "status group":
        # The name of a group is text, what is set of a status a mapping: that tells `status` of id "group 1".
        is_status = isinstance(after if before is None else before, dict)
        kind, rest = ("status", name.removeprefix("status ")) if is_status else ("status group", rest)
    if kind in _MAPPINGS:
        key = _MAPPINGS[kind]
        result[key] = _without_none({**result.get(key, {}), rest: before})
        return result
    _SETTERS[kind](result, rest, before)
    return result


def _set_group(document: Document, group_id: str, before: Json) -> None:
    _replace(document, "status_groups", {"id": group_id}, None if before is None else {"name": before})


def _set_status(document: Document, status_id: str, before: Json) -> None:
    _replace(document, "statuses", {"id": status_id}, before)


def _set_cycle(document: Document, cycle_id: str, before: Json) -> None:
    _replace(document, "cycles", {"id": cycle_id}, before)


def _set_urgent(document: Document, rest: str, before: Json) -> None:
    match, _, value = rest.partition(" ")
    fields = None if before is None else {"active": before == "active"}
    _replace(document, "urgent", {"match": match, "value": value}, fields)


def _set_limit(document: Document, rest: str, before: Json) -> None:
    limits: dict[tuple[str, str], Json] = {}
    for item in document.get("sla", []):
        profile = item.get("profile", NORMAL)
        limits[profile, item["group_id"]] = item.get("limit")
        if "urgent_limit" in item:
            limits[URGENT, item["group_id"]] = item["urgent_limit"]
    group_id, _, profile = rest.rpartition(" ")
    # Both ids may hold blanks: a grid that there is goes before a last word.
    for known in sorted({NORMAL, URGENT, *(profile for profile, _ in limits)}, key=len, reverse=True):
        if rest.endswith(f" {known}"):
            group_id, profile = rest.removesuffix(f" {known}"), known
            break
    limits[profile, group_id] = before
    document["sla"] = [
        {"group_id": group_id, "limit": limit, "profile": profile}
        for (profile, group_id), limit in limits.items()
        if limit is not None
    ]


def _set_order(document: Document, word: str, before: Json) -> None:
    # In any order of a save's changes: codes that were not there before go by changes of their own.
    first = dict.fromkeys(before or (), word)
    document["status_map"] = {**first, **document.get("status_map", {})}


def _set_default_hours(document: Document, _: str, before: Json) -> None:
    hours = {**document.get("working_hours", {}), "default": _week(before)}
    document["working_hours"] = _without_none(hours)


def _set_group_hours(document: Document, group_id: str, before: Json) -> None:
    hours = dict(document.get("working_hours", {}))
    hours["groups"] = _without_none({**hours.get("groups", {}), group_id: _week(before)})
    document["working_hours"] = hours


def _set_exception(document: Document, rest: str, before: Json) -> None:
    day, _, group = rest.partition(" group ")
    hours = dict(document.get("working_hours", {}))
    found = [item for item in hours.get("exceptions", []) if (item["date"], item.get("group", "")) != (day, group)]
    if before is not None:
        ranges = [] if before == "day off" else before.split(", ")
        found.append({"date": day, "ranges": ranges, **({"group": group} if group else {})})
    hours["exceptions"] = found
    document["working_hours"] = hours


_SETTERS: Mapping[str, Callable[[Document, str, Json], None]] = {
    "status group": _set_group,
    "status": _set_status,
    "cycle": _set_cycle,
    "urgent": _set_urgent,
    "sla group": _set_limit,
    "statuses for": _set_order,
    "working hours default": _set_default_hours,
    "working hours group": _set_group_hours,
    "exception": _set_exception,
}


def _replace(document: Document, key: str, identity: Mapping[str, str], fields: Mapping[str, Json] | None) -> None:
    """Set the item of a list that has this identity; None removes it."""
    items = [item for item in document.get(key, []) if any(item[name] != value for name, value in identity.items())]
    document[key] = items if fields is None else [*items, {**identity, **fields}]


def _week(before: Json) -> Json:
    return None if before is None else {days: text.split(", ") for days, text in before.items()}


def _without_none(values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None}
