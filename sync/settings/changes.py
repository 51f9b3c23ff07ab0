"""What differs between stored settings and new ones, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from database.repositories.settings import ALL_GROUPS, DEFAULT_CALENDAR, ProjectValues, Rules
from sync.settings.hours import WEEKDAYS, format_duration, format_window

Json = Any
Objects = dict[str, Json]
"""Everything of one project as people name it -> a JSON value: `sla group 2 normal` -> `08:00`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. For a credential `before` and `after` are None: values are never shown."""

    project_id: str
    object: str
    action: Literal["added", "changed", "removed"]
    before: Json = None
    after: Json = None

    def __str__(self) -> str:
        what = f"{self.project_id}: {self.object}"
        if self.object == "project":
            return f"{what} {self.action} ({self.after['crm']}, {self.after['timezone']})"
        if self.action == "changed" and isinstance(self.before, dict) and isinstance(self.after, dict):
            return f"{what} {_differences(self.before, self.after)}"
        if self.action == "changed" and self.before is not None:
            return f"{what} {in_words(self.before)} -> {in_words(self.after)}"
        value = self.after if self.action == "added" else self.before if self.action == "removed" else None
        return f"{what} {self.action}" if value is None else f"{what} {in_words(value)} {self.action}"


def compare(project_id: str, before: Objects | None, after: Objects) -> list[Change]:
    """The changes that make `after` of `before` (None: there is no such project yet)."""
    if before is None:
        return [Change(project_id, "project", "added", None, after)]
    changes = []
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in before:
            changes.append(Change(project_id, name, "added", None, after[name]))
        elif name not in after:
            changes.append(Change(project_id, name, "removed", before[name], None))
        elif before[name] != after[name]:
            changes.append(Change(project_id, name, "changed", before[name], after[name]))
    return changes


def objects(values: ProjectValues, rules: Rules) -> Objects:
    """All settings of a project but its credentials."""
    result: Objects = {
        "name": values.name,
        "crm": values.crm,
        "base_url": values.base_url,
        "timezone": values.timezone,
        "region": values.region,
        "currency": values.currency,
        "near_threshold": format(values.near_threshold, "f"),
        **{f"webhook {name}": value for name, value in values.webhook.items()},
        **{f"sync {name}": value for name, value in values.sync.items()},
        **{f"vms {name}": value for name, value in values.vms.items()},
        **{f"dashboard {name}": value for name, value in values.dashboard.items() if value != []},
        **{f"option {name}": value for name, value in values.options.items()},
        **{f"status_map {name}": value for name, value in values.status_map.items()},
        **{f"statuses for {word}": codes for word, codes in _in_order(values.status_map).items()},
        "conflict_policy": values.conflict_policy,
    }
    for group in rules.status_groups:
        result[f"status group {group.status_group_id}"] = group.name
    for status in rules.statuses:
        result[f"status {status.status_id}"] = _given(
            {"name": status.name, "group_id": status.status_group_id, "is_closing": status.is_closing}
        )
    for limit in rules.sla:
        result[f"sla group {limit.status_group_id} {limit.profile}"] = format_duration(limit.limit_seconds)
    for cycle in rules.cycles:
        result[f"cycle {cycle.cycle_rule_id}"] = _given(
            {
                "title": cycle.title,
                "start_group": cycle.start_group_id,
                "start_status": cycle.start_status_id,
                "end_group": cycle.end_group_id,
                "end_status": cycle.end_status_id,
                "default": cycle.is_default,
            }
        )
    for rule in rules.urgent:
        result[f"urgent {rule.match} {rule.value}"] = "active" if rule.is_active else "inactive"
    for calendar in rules.calendars:
        group_id = calendar.status_group_id
        name = "working hours default" if group_id == DEFAULT_CALENDAR else f"working hours group {group_id}"
        result[name] = {
            WEEKDAYS[day - 1]: ", ".join(format_window(window) for window in windows)
            for day, windows in sorted(calendar.windows.items())
        }
    for exception in rules.exceptions:
        whom = "" if exception.status_group_id == ALL_GROUPS else f" group {exception.status_group_id}"
        hours = ", ".join(format_window(window) for window in exception.windows)
        result[f"exception {exception.exception_date.isoformat()}{whom}"] = hours or "day off"
    return {name: value for name, value in result.items() if value is not None}


def _in_order(status_map: Mapping[str, str]) -> dict[str, list[str]]:
    """Of each word of vms that several statuses mean, these: the first is what is sent."""
    codes: dict[str, list[str]] = {}
    for code, word in status_map.items():
        codes.setdefault(word, []).append(code)
    return {word: several for word, several in codes.items() if len(several) > 1}


def _given(fields: Mapping[str, Json]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def in_words(value: Json) -> str:
    """A value of `objects` in one line."""
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, dict):
        inner = ", ".join(f"{name} {in_words(item)}" for name, item in value.items())
        return f"({inner})" if inner else "(closed)" if value == {} else "()"
    if isinstance(value, list):
        return ", ".join(in_words(item) for item in value) or "none"
    return json.dumps(value, ensure_ascii=False)


def _differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> str:
    parts = [
        f"{name} {in_words(before.get(name, 'none'))} -> {in_words(after.get(name, 'none'))}"
        for name in [*before, *(name for name in after if name not in before)]
        if before.get(name) != after.get(name)
    ]
    return ", ".join(parts)
