"""How pulls are partitioned: by project (dynamic, one set for each CRM) and by UTC day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from connectors.protocol import Window
from database.environment import load_environment

PROJECT = "project"
DAY = "day"


def first_day() -> str:
    """The oldest day that can be backfilled from the UI, YYYY-MM-DD; older history comes by a full pull."""
    return load_environment().first_day.isoformat()


def projects_name(crm: str) -> str:
    """Name of the dynamic partition set that holds the active projects of a CRM."""
    return f"projects_{crm}"


def projects(crm: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=projects_name(crm))


def project_days(crm: str) -> dg.MultiPartitionsDefinition:
    """Active projects of a CRM by UTC day; the day under way is there too (`end_offset`)."""
    days = dg.DailyPartitionsDefinition(start_date=first_day(), timezone="UTC", end_offset=1)
    return dg.MultiPartitionsDefinition({PROJECT: projects(crm), DAY: days})


def key(project_id: str, day: datetime) -> dg.MultiPartitionKey:
    return dg.MultiPartitionKey({PROJECT: project_id, DAY: day.astimezone(UTC).strftime("%Y-%m-%d")})


def project_of(key: str) -> str:
    """The project of a partition key: `day|project` (dimensions in alphabetical order), or the project alone."""
    return key.rpartition("|")[2]


def windows(keys: Sequence[str]) -> dict[str, list[Window]]:
    """Keys of `project_days` as windows by project, adjoining days joined."""
    days: dict[str, set[datetime]] = {}
    for item in keys:
        day, project_id = item.split("|", 1)
        days.setdefault(project_id, set()).add(datetime.fromisoformat(day).replace(tzinfo=UTC))
    return {project_id: _joined(sorted(chosen)) for project_id, chosen in days.items()}


def _joined(days: Sequence[datetime]) -> list[Window]:
    joined: list[Window] = []
    for day in days:
        end = day + timedelta(days=1)
        if joined and joined[-1].end == day:
            joined[-1] = Window(joined[-1].start, end)
        else:
            joined.append(Window(day, end))
    return joined
