"""Working hours: a text of windows for each weekday of each calendar, and exceptions by date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dashboard.settings.forms.base import Draft, Fields, Row, kept_rows, put
from sync.settings.hours import WEEKDAYS, parse_weekdays

AS_WRITTEN, ALWAYS, OFFICE = "hours", "always", "office"
_WHOLE_DAY = "00:00-24:00"
PRESETS: Mapping[str, Mapping[str, str]] = {
    ALWAYS: dict.fromkeys(WEEKDAYS, _WHOLE_DAY),
    OFFICE: dict.fromkeys(WEEKDAYS[:5], "09:00-18:00"),
}
"""Weekday -> windows of the choices of `preset`."""


def show(value: Mapping[str, Any]) -> dict[str, str]:
    """`default.preset` and `default.mon`..`default.sun`; `calendar.N.group`, `.mon`..`.sun`; `exception.N.date`,
    `.hours` (none: a day off), `.group` (none: all)."""
    hours = value.get("working_hours", {})
    week = hours.get("default")
    preset = ALWAYS if week is None else AS_WRITTEN
    fields = {"default.preset": preset, "default.was": preset, **_days("default", week or {})}
    for index, (group, week) in enumerate(hours.get("groups", {}).items()):
        put(fields, "calendar", index, {"group": group, "preset": AS_WRITTEN})
        fields |= _days(f"calendar.{index}", week)
    for index, item in enumerate(hours.get("exceptions", [])):
        put(fields, "exception", index, {"date": item["date"], "hours": _text(item.get("ranges", []))})
        put(fields, "exception", index, {"group": item.get("group")})
    return fields


def read(fields: Fields) -> Draft:
    """A weekday without windows is closed. A preset that is chosen replaces what is written in the days."""
    draft = Draft()
    hours: dict[str, Any] = {}
    default = Row("default", 0, {key.removeprefix("default."): text for key, text in fields.items()})
    # Who wrote hours below "24/7" without choosing otherwise meant the hours.
    written = default.get("preset") == default.get("was") and not default.is_blank(*WEEKDAYS)
    if written:
        default = Row("default", 0, {**default.values, "preset": AS_WRITTEN})
    if default.get("preset") != ALWAYS:
        hours["default"] = _week(draft, default, "working_hours", "default")
    groups: dict[str, Any] = {}
    for row in kept_rows(fields, "calendar"):
        group = row.get("group")
        if not group:
            if not row.is_blank(*WEEKDAYS):
                draft.problems.append((f"{row.name}.group", "Choose the group that these hours are for."))
            continue
        if group in groups:
            draft.problems.append((f"{row.name}.group", "This group has a calendar already."))
            continue
        groups[group] = _week(draft, row, "working_hours", "groups", group)
    if groups:
        hours["groups"] = groups
    exceptions: list[dict[str, Any]] = []
    for row in kept_rows(fields, "exception"):
        if row.is_blank("date", "hours"):
            continue
        place = ("working_hours", "exceptions", len(exceptions))
        item: dict[str, Any] = {"date": row.get("date"), "ranges": _windows(row.get("hours"))}
        if row.get("group"):
            item["group"] = row.get("group")
        draft.at(f"{row.name}.hours", *place, "ranges")
        draft.at(f"{row.name}.group", *place, "group")
        draft.at(f"{row.name}.date", *place)
        exceptions.append(item)
    if exceptions:
        hours["exceptions"] = exceptions
    draft.value["working_hours"] = hours
    return draft


def _week(draft: Draft, row: Row, *place: str) -> dict[str, list[str]]:
    chosen = PRESETS.get(row.get("preset"))
    week: dict[str, list[str]] = {}
    for day in WEEKDAYS:
        draft.at(f"{row.name}.{day}", *place, day)
        windows = _windows(row.get(day) if chosen is None else chosen.get(day, ""))
        if windows:
            week[day] = windows
    draft.at(f"{row.name}.{'mon' if row.name == 'default' else 'group'}", *place)
    return week


def _windows(text: str) -> list[str]:
    return [part.strip() for part in text.replace("–", "-").replace(";", ",").split(",") if part.strip()]


def _text(windows: Iterable[str]) -> str:
    return ", ".join(windows)


def _days(name: str, week: Mapping[str, list[str]]) -> dict[str, str]:
    """The fields of a week as a settings file writes it (`mon-fri`)."""
    return {
        f"{name}.{WEEKDAYS[day - 1]}": _text(windows) for days, windows in week.items() for day in parse_weekdays(days)
    }
