"""The areas of the dashboard, in the order of a morning."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.marks import N_


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    """As the area's package."""
    title: str
    """English; translated where it is shown."""
    path: str
    key: str
    """Pressed after `g`, it opens the area."""
    is_for_admins: bool = False


ENTRIES: tuple[Entry, ...] = (
    Entry("home", N_("Home"), "/", "h"),
    Entry("orders", N_("Orders"), "/orders", "o"),
    Entry("analytics", N_("Analytics"), "/analytics", "a"),
    Entry("integrations", N_("Integrations"), "/integrations", "i"),
    Entry("two_way", N_("Sync"), "/sync", "y"),
    Entry("settings", N_("Settings"), "/settings", "s"),
    Entry("audit", N_("Audit log"), "/audit", "l"),
    Entry("users", N_("Users"), "/users", "u", is_for_admins=True),
)


def with_projects(path: str, projects: Collection[str]) -> str:
    """The address of a page for the chosen projects; all if there are none."""
    query = urlencode([("project", name) for name in sorted(projects)])
    return f"{path}?{query}" if query else path
