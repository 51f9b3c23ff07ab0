"""Seeded random projects for the marts: settings, orders and events as `apply` and normalise would leave them."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

ZONES = (
    "Europe/Kyiv",
    "America/New_York",
    "Australia/Sydney",
    "America/Santiago",
    "Asia/Kathmandu",
    "Europe/Dublin",
    "Pacific/Auckland",
)
GROUPS = ("1", "2", "3", "4", "5", "6")

_WEEKS: tuple[dict[int, list[tuple[str, str]]], ...] = (
    {day: [("09:00", "18:00")] for day in range(1, 6)},
    {day: [("08:00", "12:00"), ("13:00", "17:00")] for day in range(1, 7)},
    {
        1: [("22:00", "06:00")],
        3: [("22:00", "06:00"), ("01:30", "02:45")],
        6: [("20:00", "24:00")],
        7: [("00:00", "03:30")],
    },
    {day: [("00:00", "24:00")] for day in range(1, 8)},
    {day: [("09:00", "13:00"), ("12:00", "18:00"), ("18:00", "19:15")] for day in (1, 2, 5)},
    {day: [("23:30", "23:15")] for day in range(1, 8)},
    {7: [("00:30", "01:30"), ("02:15", "02:40"), ("02:50", "03:10"), ("10:00", "10:00:30")], 6: [("23:00", "00:10")]},
    {},
)
_EXCEPTIONAL: tuple[list[tuple[str, str]], ...] = (
    [],
    [("10:00", "14:00")],
    [("22:00", "02:30"), ("08:00", "09:00")],
    [("00:00", "24:00")],
)
_CHANGES = (  # of DST, in one zone or another
    date(2025, 3, 9), date(2025, 3, 30), date(2025, 4, 6), date(2025, 9, 7), date(2025, 9, 28),
    date(2025, 10, 5), date(2025, 10, 26), date(2025, 11, 2), date(2026, 3, 29), date(2026, 4, 5),
)  # fmt: skip


def fill(url: str, *, seed: int, orders_per_project: int) -> None:
    """One project per zone, each with other calendars and rules."""
    chance = random.Random(seed)
    with psycopg.connect(url) as connection:
        for number, zone in enumerate(ZONES):
            _project(connection, chance, f"p{number}", zone, orders_per_project)


def _project(connection: psycopg.Connection[Any], chance: random.Random, project: str, zone: str, orders: int) -> None:
    def insert(table: str, **values: Any) -> None:
        names = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        connection.execute(f"insert into {table} ({names}) values ({marks})".encode(), list(values.values()))

    insert(
        "config.projects", project_id=project, name=project.upper(), crm="keycrm", timezone=zone,
        near_threshold=chance.choice(["0.8", "0.5", "1"]),
    )  # fmt: skip
    _statuses(insert, chance, project)
    _rules(insert, chance, project)
    _calendars(insert, chance, project)
    for number in range(orders):
        _order(insert, chance, project, str(1000 + number))


def _statuses(insert: Any, chance: random.Random, project: str) -> None:
    for group in GROUPS[:-1]:
        insert("core.status_groups", project_id=project, status_group_id=group, name=f"Group {group}")
    insert("config.status_groups", project_id=project, status_group_id="6", name="Скасовано")
    insert("config.status_groups", project_id=project, status_group_id="2", name="Overlaid 2")
    for status in range(1, 13):
        insert(
            "core.statuses", project_id=project, status_id=str(status), name=f"Status {status}",
            status_group_id=None if status == 3 else GROUPS[(status - 1) // 2], is_closing=status in (10, 11, 12),
        )  # fmt: skip
    insert("config.statuses", project_id=project, status_id="4", name="Renamed", status_group_id="3")
    insert("config.statuses", project_id=project, status_id="11", name=None, is_closing=False)
    insert(
        "config.statuses", project_id=project, status_id="50", name="Only in settings", is_closing=chance.random() < 0.5
    )


def _rules(insert: Any, chance: random.Random, project: str) -> None:
    for group in GROUPS:
        for profile, probability in (("normal", 0.8), ("urgent", 0.6), ("vip", 0.4)):
            if chance.random() < probability:
                limit = chance.choice([1, 600, 3600, 7200, 30_000, 100_000, 400_000])
                insert(
                    "config.sla_rules", project_id=project, profile=profile, status_group_id=group, limit_seconds=limit
                )
    names = ("cycle_rule_id", "start_group_id", "start_status_id", "end_group_id", "end_status_id", "is_default")
    rules = (
        ("to-delivery", "1", None, "4", None, chance.random() < 0.8),
        ("by-status", None, "2", None, "10", False),
        ("again", "2", None, "2", None, False),
    )
    for rule in rules:
        insert("config.cycle_rules", project_id=project, title=rule[0], **dict(zip(names, rule, strict=True)))
    for match, value, is_active in (("sku", "Терміново", True), ("offer_id", "16", True), ("product_id", "7", False)):
        insert("config.urgent_rules", project_id=project, match=match, value=value, is_active=is_active)


def _calendars(insert: Any, chance: random.Random, project: str) -> None:
    if project not in ("p4", "p6"):  # these two have no default: open day and night
        _week(insert, project, "", chance.choice(_WEEKS[:6]))
    for group in chance.sample(GROUPS, 3):
        _week(insert, project, group, chance.choice(_WEEKS))
    if project == "p4":
        return  # and no exceptions either: nothing to look up
    exceptions: dict[tuple[str, date], list[tuple[str, str]]] = {}
    for _ in range(40):
        day = chance.choice(_CHANGES) + timedelta(days=chance.randint(-20, 20))
        exceptions[chance.choice(["*", "*", *GROUPS]), day] = chance.choice(_EXCEPTIONAL)
    for (group, day), windows in exceptions.items():
        key = {"project_id": project, "status_group_id": group, "exception_date": day}
        insert("config.calendar_exceptions", **key)
        for opens_at, closes_at in windows:
            insert("config.calendar_exception_windows", **key, opens_at=opens_at, closes_at=closes_at)


def _week(insert: Any, project: str, group: str, week: dict[int, list[tuple[str, str]]]) -> None:
    insert("config.calendars", project_id=project, status_group_id=group)
    for weekday, windows in week.items():
        for opens_at, closes_at in windows:
            insert(
                "config.calendar_windows", project_id=project, status_group_id=group, weekday=weekday,
                opens_at=opens_at, closes_at=closes_at,
            )  # fmt: skip


def _order(insert: Any, chance: random.Random, project: str, order: str) -> None:
    at = datetime.combine(chance.choice(_CHANGES), datetime.min.time(), UTC) - timedelta(days=chance.uniform(0, 25))
    created = at - timedelta(minutes=5) if chance.random() < 0.8 else None
    events = []
    for _ in range(chance.choice([1, 2, 3, 5, 8, 12])):
        status = str(chance.randint(1, 12)) if chance.random() < 0.95 else chance.choice(["50", "unknown"])
        group = chance.choice([None, None, None, *GROUPS, "9"])
        events.append((status, group, at))
        step = chance.choice(["same", "short", "hours", "days", "weeks"])
        spans = {"same": 0.0, "short": 900.0, "hours": 40_000.0, "days": 400_000.0, "weeks": 3_000_000.0}
        at += timedelta(microseconds=int(chance.random() * spans[step] * 1_000_000))
    if chance.random() < 0.03:
        events.append((str(chance.randint(1, 9)), None, datetime.now(UTC) + timedelta(days=chance.randint(1, 900))))
    if chance.random() < 0.3:
        events.append((str(chance.randint(1, 8)), None, datetime.now(UTC) - timedelta(hours=chance.uniform(0, 30))))
    if chance.random() < 0.4:
        chance.shuffle(events)  # late arrivals
    for number, (status, group, moment) in enumerate(events):
        insert(
            "core.order_status_events", project_id=project, order_id=order, status_id=status, status_group_id=group,
            status_changed_at=moment, order_created_at=created, source="pull", dedup_key=f"{order}/{number}",
            ingested_at=moment + timedelta(seconds=chance.randint(1, 10_000)),
        )  # fmt: skip
    if chance.random() < 0.9:
        insert("core.orders", project_id=project, order_id=order, order_created_at=created, status_id=events[-1][0])
    for line in range(chance.randint(0, 3)):
        insert(
            "core.order_items", project_id=project, order_id=order, line_number=line + 1, quantity=1,
            sku=chance.choice(["a", "b", "Терміново", None]), offer_id=chance.choice(["15", "16", None, None, None]),
            product_id=chance.choice(["7", None]),
        )  # fmt: skip
    if chance.random() < 0.15:
        insert(
            "config.order_overrides", project_id=project, order_id=order,
            is_urgent=chance.choice([True, False, None]), sla_profile=chance.choice(["vip", "urgent", "other", None]),
            cycle_start=chance.choice(["2", "3", None]), cycle_end=chance.choice(["5", "6", None]),
        )  # fmt: skip
