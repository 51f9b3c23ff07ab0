"""One random project per seed, wilder than tests/oracle/generated.py: any zone, any calendar, any log.

The same seed gives the same project, whatever else is in the database (only the times near now move with the clock), so
that a failure is repeated with its seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from tests.oracle.calendars import Calendar
from tests.oracle.changes import offset_changes
from tests.oracle.inputs import Project

ZONES = (
    "UTC",
    # DST in the north and in the south
    "Europe/Kyiv", "Europe/London", "America/New_York", "America/Los_Angeles", "Asia/Beirut", "Africa/Cairo",
    "America/Havana", "America/Nuuk", "America/St_Johns", "Atlantic/Azores",
    "Australia/Sydney", "Pacific/Auckland", "America/Santiago", "America/Asuncion", "Pacific/Easter", "Pacific/Norfolk",
    # by half an hour, by two hours, to less in winter, in Ramadan
    "Australia/Lord_Howe", "Antarctica/Troll", "Europe/Dublin", "Africa/Casablanca",
    # offsets of odd minutes, with DST and without
    "Pacific/Chatham", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Eucla", "Pacific/Marquesas",
    # far from UTC
    "Pacific/Kiritimati", "Pacific/Niue",
    # whole days skipped, in 2011 and in the nineties
    "Pacific/Apia", "Pacific/Fakaofo", "Pacific/Kwajalein",
    # standard time itself has moved
    "Europe/Moscow", "Asia/Pyongyang", "America/Caracas", "Europe/Istanbul", "Asia/Almaty", "Africa/Juba",
)  # fmt: skip
GROUPS = ("1", "2", "3", "4", "5", "6")
STATUSES = tuple(str(number) for number in range(1, 13))

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def fill(url: str, seeds: Iterable[int]) -> dict[str, int]:
    """A project for each seed; returns the seed of each project_id."""
    named = {f"p{number:04}": seed for number, seed in enumerate(seeds)}
    with psycopg.connect(url) as connection, connection.pipeline():
        for project_id, seed in named.items():
            Filler(connection, project_id, random.Random(seed)).fill()
    return named


class Filler:
    """Writes one project; its settings with its orders, or single orders of it."""

    def __init__(self, connection: psycopg.Connection[Any], project_id: str, chance: random.Random) -> None:
        self._connection = connection
        self._project = project_id
        self._chance = chance
        self._zone = chance.choice(ZONES)
        self._changes = self._some_changes()

    def fill(self) -> None:
        chance = self._chance
        self._insert(
            "config.projects", name=self._project, crm="keycrm", timezone=self._zone,
            near_threshold=chance.choice(["0.8", "0.5", "1", "0.0001", "0.3333"]),
        )  # fmt: skip
        self._statuses()
        self._rules()
        self._calendars()
        for number in range(chance.randint(1, 8)):
            self.order(str(number))

    def _insert(self, table: str, on_conflict: str = "", **values: Any) -> None:
        values = {"project_id": self._project, **values}
        marks = ", ".join(["%s"] * len(values))
        query = f"insert into {table} ({', '.join(values)}) values ({marks}) {on_conflict}"
        self._connection.execute(query.encode(), list(values.values()))

    def _some_changes(self) -> list[datetime]:
        """Two or three instants around which the project's orders live: mostly changes of the zone's offset."""
        found = offset_changes(self._zone)
        recent = [each for each in found if each.year >= 2023] or [datetime(2025, 3, 1, tzinfo=UTC)]
        some = [self._chance.choice(recent) for _ in range(2)]
        # Years back: the calendars must reach there. Of zones that are here for what happened then, more often.
        if found and self._chance.random() < (0.05 if found[-1] >= recent[0] else 0.4):
            some.append(self._chance.choice(found))
        if self._chance.random() < 0.2:
            some.append(datetime.now(UTC))
        return some

    # Settings

    def _statuses(self) -> None:
        chance = self._chance
        for group in chance.sample(GROUPS, chance.randint(0, 6)):
            self._insert("core.status_groups", status_group_id=group, name=f"Group {group}")
        for group in chance.sample(GROUPS, chance.randint(0, 2)):
            self._insert("config.status_groups", status_group_id=group, name=f"Overlaid {group}")
        for status in chance.sample(STATUSES, chance.randint(6, 12)):
            self._insert(
                "core.statuses", status_id=status, name=f"Status {status}", is_closing=chance.random() < 0.2,
                status_group_id=chance.choice([None, *GROUPS, *GROUPS]),
            )  # fmt: skip
        for status in chance.sample(STATUSES, chance.randint(0, 3)):
            self._insert(
                "config.statuses", status_id=status, name=chance.choice([None, "Overlaid"]),
                status_group_id=chance.choice([None, *GROUPS]), is_closing=chance.choice([None, None, True, False]),
            )  # fmt: skip

    def _rules(self) -> None:
        chance = self._chance
        for profile, probability in (("normal", 0.8), ("urgent", 0.5), ("vip", 0.3)):
            for group in GROUPS:
                if chance.random() < probability:
                    limit = chance.choice([1, chance.randint(2, 3600), chance.randint(3600, 100_000), 1_000_000])
                    self._insert("config.sla_rules", profile=profile, status_group_id=group, limit_seconds=limit)
        default = chance.choice([None, 0, 1])
        for number in range(chance.randint(0, 4)):
            start, end = self.side(), self.side()
            self._insert(
                "config.cycle_rules", cycle_rule_id=f"rule-{number}", title=f"Rule {number}",
                is_default=number == default,
                start_group_id=start[0], start_status_id=start[1], end_group_id=end[0], end_status_id=end[1],
            )  # fmt: skip
        for match, value in (("sku", "urgent"), ("offer_id", "16"), ("product_id", "7")):
            if chance.random() < 0.5:
                self._insert("config.urgent_rules", match=match, value=value, is_active=chance.random() < 0.8)

    def side(self) -> tuple[str | None, str | None]:
        if self._chance.random() < 0.6:
            return self._chance.choice(GROUPS), None
        return None, self._chance.choice(STATUSES)

    def _calendars(self) -> None:
        chance = self._chance
        groups = chance.sample(GROUPS, chance.randint(0, 3))
        if chance.random() < 0.75:
            groups.append("")
        for group in groups:
            self._insert("config.calendars", status_group_id=group)
            if chance.random() < 0.1:
                continue  # never open
            for weekday in chance.sample(range(1, 8), chance.randint(1, 7)):
                for opens_at, closes_at in self.windows():
                    self._insert(
                        "config.calendar_windows", status_group_id=group, weekday=weekday,
                        opens_at=opens_at, closes_at=closes_at,
                    )  # fmt: skip
        if chance.random() < 0.3:
            return
        days: set[tuple[str, date]] = set()
        for _ in range(chance.randint(1, 12)):
            day = chance.choice(self._changes).date() + timedelta(days=chance.randint(-6, 6))
            days.add((chance.choice(["*", "*", *GROUPS]), day))
        for group, day in sorted(days):
            key = {"status_group_id": group, "exception_date": day}
            self._insert("config.calendar_exceptions", **key)
            for opens_at, closes_at in self.windows() if chance.random() < 0.6 else ():
                self._insert("config.calendar_exception_windows", **key, opens_at=opens_at, closes_at=closes_at)

    def windows(self) -> set[tuple[str, str]]:
        """One to four, which may overlap, touch, run over midnight, or take the whole day."""
        found = set()
        for _ in range(self._chance.choice([1, 1, 1, 2, 2, 3, 4])):
            opens, closes = self._time(), self._time(closing=True)
            if opens != closes:
                found.add((opens, closes))
        return found

    def _time(self, *, closing: bool = False) -> str:
        kind = self._chance.random()
        if kind < 0.1:
            return "24:00:00" if closing else "00:00:00"
        if kind < 0.5:  # in the hours in which zones change
            seconds = self._chance.randrange(0 if not closing else 900, 4 * 3600, 900)
        elif kind < 0.9:
            seconds = self._chance.randrange(900, 86_400, 900)
        else:
            micros = self._chance.randrange(1, 86_400_000_000)
            return f"{_clock(micros // 1_000_000)}.{micros % 1_000_000:06}"
        return _clock(seconds)

    # Orders

    def order(self, order: str) -> None:
        chance = self._chance
        events = self._history()
        created = events[0][2] - timedelta(minutes=5) if chance.random() < 0.8 else None
        if chance.random() < 0.4:
            chance.shuffle(events)  # late arrivals
        repeated = [chance.choice(events) for _ in range(chance.choice([0, 0, 1, 3]))]
        for status, group, at in [*events, *repeated]:
            # As normalise does it: the same event again adds nothing.
            self._insert(
                "core.order_status_events", "on conflict do nothing", order_id=order, status_id=status,
                status_group_id=group, status_changed_at=at, order_created_at=created, source="pull",
                dedup_key=f"{self._project}|{order}|{at.isoformat(timespec='microseconds')}|{status}|{group or ''}",
                ingested_at=at + timedelta(seconds=chance.randint(1, 10_000)),
            )  # fmt: skip
        if chance.random() < 0.8:
            self._insert("core.orders", order_id=order, order_created_at=created, status_id=events[-1][0])
        for line in range(chance.choice([0, 0, 1, 2])):
            self._insert(
                "core.order_items", order_id=order, line_number=line + 1, quantity=1,
                sku=chance.choice(["plain", "urgent", None]), offer_id=chance.choice(["15", "16", None]),
                product_id=chance.choice(["7", None]),
            )  # fmt: skip
        if chance.random() < 0.2:
            self._insert(
                "config.order_overrides", order_id=order, is_urgent=chance.choice([True, False, None]),
                sla_profile=chance.choice(["vip", "urgent", "normal", "unheard-of", None]),
                cycle_start=chance.choice([*GROUPS, None, None]), cycle_end=chance.choice([*GROUPS, None, None]),
            )  # fmt: skip

    def _history(self) -> list[tuple[str, str | None, datetime]]:
        chance = self._chance
        at = chance.choice(self._changes) - _some_span(chance, timedelta(days=10))
        found: list[tuple[str, str | None, datetime]] = []
        for _ in range(chance.choice([1, 2, 3, 5, 8, 13])):
            status = chance.choice(STATUSES) if chance.random() < 0.95 else "unknown"
            if found and chance.random() < 0.15:
                status = found[-1][0]  # entered again
            found.append((status, chance.choice([None, None, None, None, *GROUPS, "9"]), at))
            at += _some_span(chance, chance.choice([timedelta(0), timedelta(hours=3), 2 * _DAY, 20 * _DAY]))
            if chance.random() < 0.15:
                at = chance.choice(self._changes) + chance.choice([-1, 0, 1]) * _MICROSECOND
        return found


def moments(project: Project, calendar: Calendar, chance: random.Random, count: int) -> list[datetime]:
    """Instants of the kind that break calendars: on openings, closings and offset changes, and a microsecond beside."""
    changes = [*offset_changes(project.time_zone), datetime.now(UTC)]
    around = [each.at for each in project.events]
    low, high = min(around) - _DAY, datetime.now(UTC) + 4 * 365 * _DAY
    changes = [each for each in changes if low < each < high]
    found = []
    while len(found) < count:
        at = chance.choice(changes if chance.random() < 0.6 else around) + timedelta(days=chance.uniform(-12, 12))
        day = at.date() + timedelta(days=chance.randint(-1, 1))
        edges = [edge for window in calendar.windows_of(day) for edge in window]
        if edges and chance.random() < 0.6:
            at = chance.choice(edges) + chance.choice([-1, 0, 0, 1]) * _MICROSECOND
        if at > low:
            found.append(at)
    return found


def _some_span(chance: random.Random, longest: timedelta) -> timedelta:
    return timedelta(microseconds=chance.randint(0, longest // _MICROSECOND))


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
