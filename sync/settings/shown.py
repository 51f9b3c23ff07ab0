"""Which orders the dashboard's list shows of a project, as its settings say. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from database.repositories.settings import ProjectRow
from sync.settings.rows import DASHBOARD_DEFAULTS


@dataclass(frozen=True, slots=True)
class Shown:
    """What a list of orders leaves out unless somebody asks for it."""

    hidden_groups: frozenset[str]
    """Orders that stand in one of these status groups."""
    hidden_statuses: frozenset[str]
    closed_days: int | None
    """Orders that were closed longer ago than so many days; None: closed orders are always shown, 0: never."""


def shown_of(row: ProjectRow) -> Shown:
    """By default everything is shown."""
    given = {**DASHBOARD_DEFAULTS, **row.dashboard}
    return Shown(frozenset(given["hidden_groups"]), frozenset(given["hidden_statuses"]), given["closed_days"])
