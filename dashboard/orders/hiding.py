"""Which orders the list leaves out: what the projects' settings say, unless somebody asks for just those. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from dashboard.orders.query import OrderFilter
from database.repositories.settings import ProjectRow
from database.repositories.shown_orders import Hiding
from sync.settings.shown import Shown, shown_of


def of_projects(rows: Iterable[ProjectRow]) -> tuple[Hiding, ...]:
    """What each project hides; those that hide the same together, those that hide nothing nowhere."""
    projects: dict[Shown, list[str]] = defaultdict(list)
    for row in rows:
        projects[shown_of(row)].append(row.project_id)
    found = (
        Hiding(tuple(sorted(names)), shown.hidden_groups, shown.hidden_statuses, shown.closed_days)
        for shown, names in projects.items()
    )
    return tuple(sorted((rule for rule in found if _hides(rule)), key=lambda rule: rule.projects))


def may_hide(query: OrderFilter) -> bool:
    """Whoever asks for a status, a stage or a number gets all of its orders, and whoever asks for all gets all."""
    return not (query.hidden == "yes" or query.status or query.group or query.number)


def of_query(query: OrderFilter, hiding: Sequence[Hiding]) -> tuple[Hiding, ...]:
    """What of it a query is subject to: whoever asks for closed orders gets those of any age."""
    if not may_hide(query):
        return ()
    if query.closed == "yes" or query.closed == "no" or query.state:  # the latter two are about open orders alone
        return tuple(rule for rule in (replace(rule, closed_days=None) for rule in hiding) if _hides(rule))
    return tuple(hiding)


def hidden_groups(hiding: Iterable[Hiding]) -> list[tuple[str, str]]:
    """Project and group of each group that is hidden."""
    return [(project, group) for rule in hiding for project in rule.projects for group in sorted(rule.groups)]


def settings_page(hiding: Sequence[Hiding], among: Collection[str]) -> str:
    """Where it is set: the project's section, or of several projects the list of them."""
    projects = [project for rule in hiding for project in rule.projects if project in among]
    return f"/settings/{projects[0]}/dashboard" if len(projects) == 1 else "/settings"


def _hides(rule: Hiding) -> bool:
    return bool(rule.groups or rule.statuses) or rule.closed_days is not None
