"""The same working time by pandas with businesstimedelta, on a sample of the closed intervals (extra `bench`)."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import businesstimedelta
import pandas as pd
import psycopg
import pytz

_SAMPLE = """
select i.project_id, i.status_group_id, p.timezone, i.entered_at, i.left_at, i.working_seconds::float8
from marts.fct_order_status_intervals i join config.projects p using (project_id)
where i.left_at is not null and not i.is_closing order by i.event_id limit %s
"""
_WINDOWS = "select project_id, status_group_id, weekday, opens_at, closes_at from config.calendar_windows"
_HOLIDAYS = "select distinct exception_date from config.calendar_exceptions"


def measure(connection: psycopg.Connection, sample: int) -> dict[str, Any]:
    """Seconds and rows per second; `differences` counts times more than a second from those of the marts."""
    columns = ["project", "group", "zone", "entered_at", "left_at", "expected"]
    frame = pd.DataFrame(connection.execute(_SAMPLE.encode(), [sample]).fetchall(), columns=columns)
    holidays = {row[0]: "holiday" for row in connection.execute(_HOLIDAYS.encode()).fetchall()}
    zones = frame.drop_duplicates(["project", "zone"]).set_index("project")["zone"].to_dict()
    rules = _rules(connection, zones, holidays)
    started = time.monotonic()
    worked = frame.apply(
        lambda row: rules[row["project"], row["group"]].difference(row["entered_at"], row["left_at"]), axis=1
    )
    seconds = time.monotonic() - started
    found = worked.map(lambda delta: delta.hours * 3600 + delta.seconds)
    return {
        "rows": len(frame),
        "seconds": round(seconds, 2),
        "rows_per_second": round(len(frame) / seconds),
        "differences": int(((found - frame["expected"]).abs() > 1).sum()),
    }


def _rules(connection: psycopg.Connection, zones: dict[str, str], holidays: dict[date, str]) -> dict[Any, Any]:
    windows: dict[Any, list[Any]] = {}
    for project, group, weekday, opens_at, closes_at in connection.execute(_WINDOWS.encode()).fetchall():
        if project in zones:
            zone = pytz.timezone(zones[project])
            windows.setdefault((project, group), []).append(
                businesstimedelta.WorkDayRule(
                    start_time=opens_at, end_time=closes_at, working_days=[weekday - 1], tz=zone
                )
            )
    return {
        key: businesstimedelta.Rules([*rules, businesstimedelta.HolidayRule(holidays, tz=pytz.timezone(zones[key[0]]))])
        for key, rules in windows.items()
    }
