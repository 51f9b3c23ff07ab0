"""What the calculation starts from, read from `core` and `config` by plain selects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row


@dataclass(frozen=True)
class Event:
    event_id: int
    order_id: str
    status_id: str
    group_id: str | None
    at: datetime
    order_created_at: datetime | None
    ingested_at: datetime


@dataclass(frozen=True)
class CycleRule:
    rule_id: str
    start_group: str | None
    start_status: str | None
    end_group: str | None
    end_status: str | None
    is_default: bool


@dataclass(frozen=True)
class Override:
    is_urgent: bool | None = None
    profile: str | None = None
    cycle_start: str | None = None
    cycle_end: str | None = None


@dataclass(frozen=True)
class Status:
    name: str | None
    group_id: str | None
    is_closing: bool


Window = tuple[timedelta, timedelta]
"""Opening and closing, from local midnight; closing at or before opening is on the next date."""


@dataclass
class Project:
    project_id: str
    crm: str
    time_zone: str
    near_threshold: Decimal
    statuses: dict[str, Status] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    """(profile, group) -> seconds."""
    cycles: list[CycleRule] = field(default_factory=list)
    urgent: set[tuple[str, str]] = field(default_factory=set)
    calendars: dict[str, dict[int, list[Window]]] = field(default_factory=dict)
    """group ('' the default) -> ISO weekday -> windows."""
    exceptions: dict[tuple[str, date], list[Window]] = field(default_factory=dict)
    """(group or '*', date) -> windows."""
    overrides: dict[str, Override] = field(default_factory=dict)
    items: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


def read(url: str) -> dict[str, Project]:
    """Every configured project with its settings and events."""
    with psycopg.connect(url, row_factory=dict_row, options="-c timezone=UTC") as connection:
        rows = _Reader(connection)
        projects = {
            row["project_id"]: Project(row["project_id"], row["crm"], row["timezone"], row["near_threshold"])
            for row in rows("select * from config.projects")
        }
        for project in projects.values():
            _fill(project, rows)
    return projects


class _Reader:
    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection

    def __call__(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return self._connection.execute(query.encode(), values).fetchall()

    def of(self, table: str, project: Project, columns: str = "*") -> list[dict[str, Any]]:
        return self(f"select {columns} from {table} where project_id = %s", project.project_id)


def _fill(project: Project, rows: _Reader) -> None:
    overlay = {row["status_id"]: row for row in rows.of("config.statuses", project)}
    reported = {row["status_id"]: row for row in rows.of("core.statuses", project)}
    for status_id in overlay.keys() | reported.keys():
        first, second = overlay.get(status_id, {}), reported.get(status_id, {})
        project.statuses[status_id] = Status(
            name=_first(first.get("name"), second.get("name")),
            group_id=_first(first.get("status_group_id"), second.get("status_group_id")),
            is_closing=bool(_first(first.get("is_closing"), second.get("is_closing"))),
        )
    for table in ("core.status_groups", "config.status_groups"):
        project.groups.update({row["status_group_id"]: row["name"] for row in rows.of(table, project)})
    for row in rows.of("config.sla_rules", project):
        project.limits[row["profile"], row["status_group_id"]] = row["limit_seconds"]
    for row in rows.of("config.cycle_rules", project):
        ends = (row["start_group_id"], row["start_status_id"], row["end_group_id"], row["end_status_id"])
        project.cycles.append(CycleRule(row["cycle_rule_id"], *ends, row["is_default"]))
    for row in rows.of("config.urgent_rules", project):
        if row["is_active"]:
            project.urgent.add((row["match"], row["value"]))
    _fill_calendars(project, rows)
    for row in rows.of("config.order_overrides", project):
        project.overrides[row["order_id"]] = Override(
            row["is_urgent"], row["sla_profile"], row["cycle_start"], row["cycle_end"]
        )
    for row in rows.of("core.order_items", project):
        names = ("sku", "offer_id", "product_id")
        project.items.setdefault(row["order_id"], []).append({name: row[name] for name in names})
    for row in rows.of("core.orders", project):
        project.orders[row["order_id"]] = row
    for row in rows.of("core.order_status_events", project):
        project.events.append(
            Event(
                row["event_id"],
                row["order_id"],
                row["status_id"],
                row["status_group_id"],
                row["status_changed_at"],
                row["order_created_at"],
                row["ingested_at"],
            )
        )


def _fill_calendars(project: Project, rows: _Reader) -> None:
    # As text: Python's time has no 24:00.
    times = "status_group_id, opens_at::text, closes_at::text"
    for row in rows.of("config.calendars", project):
        project.calendars[row["status_group_id"]] = {}
    for row in rows.of("config.calendar_windows", project, f"{times}, weekday"):
        project.calendars[row["status_group_id"]].setdefault(row["weekday"], []).append(_window(row))
    for row in rows.of("config.calendar_exceptions", project):
        project.exceptions[row["status_group_id"], row["exception_date"]] = []
    for row in rows.of("config.calendar_exception_windows", project, f"{times}, exception_date"):
        project.exceptions[row["status_group_id"], row["exception_date"]].append(_window(row))


def _window(row: dict[str, Any]) -> Window:
    return _since_midnight(row["opens_at"]), _since_midnight(row["closes_at"])


def _since_midnight(text: str) -> timedelta:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
