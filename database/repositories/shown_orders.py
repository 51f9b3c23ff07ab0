"""Which orders lists leave out, as the settings of their projects say: conditions on rows of int_orders__latest.

What is shown of a project is cut into parts that have no order in common, each of them a range of an index: open
orders, and closed ones since an instant. One condition with `or` would be none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Hiding:
    """What lists leave out of the orders of some projects."""

    projects: tuple[str, ...]
    groups: frozenset[str] = frozenset()
    """Orders whose last status is in one of these groups."""
    statuses: frozenset[str] = frozenset()
    closed_days: int | None = None
    """Orders that were closed longer ago than so many days; 0: all closed ones, None: none of them.

    When a closed order without any event was closed is what the CRM says; if it says nothing, long ago.
    """


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the orders that are shown."""

    projects: sql.Composable | None
    """The end of a condition on a project's id; None: all projects."""
    orders: sql.Composable
    """A condition on `o`, whatever its project."""
    is_whole: bool
    """No order of these projects is left out."""

    def of(self, project: sql.Composable) -> sql.Composable:
        """A condition on the project's id."""
        return sql.SQL("true") if self.projects is None else sql.SQL("{} {}").format(project, self.projects)


def parts(hiding: Sequence[Hiding]) -> tuple[list[Part], dict[str, Any]]:
    """All that is shown, each order in one part; and the values that the conditions name."""
    if not hiding:
        return [Part(None, sql.SQL("true"), is_whole=True)], {}
    values: dict[str, Any] = {"hiding": [name for rule in hiding for name in rule.projects]}
    found = [Part(sql.SQL("<> all(%(hiding)s)"), sql.SQL("true"), is_whole=True)]
    for number, rule in enumerate(hiding):
        named = f"hiding_{number}_"
        values[f"{named}projects"] = list(rule.projects)
        projects = sql.SQL("= any({})").format(sql.Placeholder(f"{named}projects"))
        stands = _stands(rule, named, values)
        found += [Part(projects, _all([*stands, *closed]), is_whole=False) for closed in _closed(rule, named, values)]
    return found, values


def open_shown(hiding: Sequence[Hiding]) -> tuple[sql.Composable, dict[str, Any]]:
    """A condition on open orders `o` of any project: that they are shown."""
    conditions: list[sql.Composable] = []
    values: dict[str, Any] = {}
    for number, rule in enumerate(hiding):
        named = f"hiding_{number}_"
        stands = _stands(rule, named, values)
        if stands:
            values[f"{named}projects"] = list(rule.projects)
            conditions.append(
                sql.SQL("(o.project_id <> all({}) or {})").format(sql.Placeholder(f"{named}projects"), _all(stands))
            )
    return _all(conditions), values


def shown(found: Sequence[Part]) -> sql.Composable:
    """The parts as one condition on orders `o`, for a few of them: true or false."""
    each = [sql.SQL("({} and {})").format(part.of(sql.SQL("o.project_id")), part.orders) for part in found]
    return sql.SQL("(({}) is true)").format(sql.SQL(" or ").join(each))


def _stands(rule: Hiding, named: str, values: dict[str, Any]) -> list[sql.Composable]:
    """That an order stands in nothing that is hidden; one that stands nowhere is not."""
    conditions: list[sql.Composable] = []
    for name, column, hidden in (
        ("groups", "last_status_group_id", rule.groups),
        ("statuses", "last_status_id", rule.statuses),
    ):
        if hidden:
            values[named + name] = sorted(hidden)
            conditions.append(
                sql.SQL("(o.{} = any({})) is not true").format(sql.Identifier(column), sql.Placeholder(named + name))
            )
    return conditions


def _closed(rule: Hiding, named: str, values: dict[str, Any]) -> list[list[sql.Composable]]:
    """Conditions of each part: an order's last event is what closed it."""
    if rule.closed_days is None:
        return [[]]
    if rule.closed_days == 0:
        return [[sql.SQL("not o.is_closed")]]
    values[f"{named}days"] = rule.closed_days
    since = sql.SQL("now() - {} * interval '1 day'").format(sql.Placeholder(f"{named}days"))
    return [
        [sql.SQL("not o.is_closed")],
        [sql.SQL("o.is_closed"), sql.SQL("o.changed_key >= {}").format(since)],
        [sql.SQL("o.is_closed"), sql.SQL("o.changed_key = '-infinity'"), sql.SQL("o.closed_at >= {}").format(since)],
    ]


def _all(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")
