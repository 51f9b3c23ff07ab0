"""What all pages of analytics share: tabs, filters, definitions, and the notice before the first build."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from dashboard.analytics.definitions import DEFINITIONS
from dashboard.analytics.filters import GRAINS, Filters, neighbours, parsed
from dashboard.analytics.sharing import ageing_of
from dashboard.analytics.texts import period_title
from dashboard.identity import Identity
from dashboard.services import services_of
from dashboard.ui import pages
from dashboard.ui.docs_links import model_page
from dashboard.ui.language import translations
from dashboard.ui.pages import Shell
from database.connection import Connection
from database.repositories import analytics
from database.repositories.analytics import NotBuiltError, Rows

_SPAN = frozenset({"from", "to"})
_KEPT = frozenset({"project", "grain", "group", "urgent", "clock"}) | _SPAN
"""Filters that go along from tab to tab."""


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    title: str
    """English."""
    path: str


TABS = (
    Tab("times", "Times", "/analytics"),
    Tab("cycles", "Cycles", "/analytics/cycles"),
    Tab("sla", "SLA and outcomes", "/analytics/sla"),
    Tab("flow", "Flow", "/analytics/flow"),
    Tab("map", "Process map", "/analytics/map"),
    Tab("variants", "Variants", "/analytics/variants"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A page that is asked for, with its filters."""

    page: Shell
    filters: Filters
    connection: Connection
    ageing: Rows
    """Rows of marts.rpt_ageing in the filters, of some seconds ago; none where they were not asked for."""

    @property
    def names(self) -> dict[str, str]:
        """Of the projects that the page is about, by id, in the order of their names."""
        return _names(self.page)

    def translate(self, text: str) -> str:
        return translations(self.page.language).gettext(text)


Reader = Callable[[Asked], Awaitable[Mapping[str, Any]]]


async def answer(
    request: Request,
    identity: Identity,
    tab: str,
    template: str,
    read: Reader,
    *,
    has_span: bool = True,
    with_ageing: bool = False,
) -> Response:
    """The page of a tab: `read` gives what its template shows beside the frame. 422 if a filter cannot be read.

    `has_span`: whether `from` and `to` of the address are days.
    """
    page = await pages.shell(request, identity, "analytics")
    today = datetime.now(page.zone_of(None)).date()
    query = {name: value for name, value in request.query_params.items() if has_span or name not in _SPAN}
    filters = parsed(query, today)
    groups: Rows = []
    shown: Mapping[str, Any] | None = None
    with contextlib.suppress(NotBuiltError):
        # Before this request holds a connection: else those who wait for the same could hold all of them.
        ageing = await _ageing(request, page, filters) if with_ageing else []
        async with services_of(request).database() as connection:
            groups = await analytics.groups(connection, sorted(page.scope))
            shown = await read(Asked(page, filters, connection, ageing))
    environment = request.app.state.environment
    context = {
        "filters": filters,
        "tab": tab,
        "tabs": [(each, _tab_link(page, each, _KEPT if has_span else _KEPT - _SPAN)) for each in TABS],
        "grains": GRAINS,
        "groups": _options(groups) if shown is not None else [],
        "define": lambda *names: " ".join(translations(page.language).gettext(DEFINITIONS[name]) for name in names),
        "docs": lambda name: model_page(environment, name.split(".")[0]),
        "names": _names(page),
        "period_title": lambda first: period_title(filters.grain, first, page.language),
        "neighbours": lambda first: neighbours(filters.grain, first, today),
    }
    status = 422 if filters.errors else 200
    if shown is None:
        return pages.answer(request, page, "analytics/not_built.html", status=status, **context)
    return pages.answer(request, page, template, status=status, **{**context, **shown})


def _names(page: Shell) -> dict[str, str]:
    return {each.project_id: each.name for each in page.projects.values() if each.project_id in page.scope}


async def _ageing(request: Request, page: Shell, filters: Filters) -> Rows:
    """Raises NotBuiltError."""
    wanted = filters.of(sorted(page.scope))
    services = services_of(request)

    async def read() -> Rows:
        async with services.database() as connection:
            return await analytics.read(connection, analytics.AGEING, wanted)

    key = (tuple(wanted.projects), wanted.group, wanted.is_urgent)
    return await ageing_of(request).get(key, read)


def _tab_link(page: Shell, tab: Tab, kept: Collection[str]) -> str:
    query = urlencode([(name, value) for name, value in page.query.multi_items() if name in kept and value])
    return f"{tab.path}?{query}" if query else tab.path


def _options(groups: analytics.Rows) -> list[tuple[str, str]]:
    """Ids and names of stages; one id may have several names, in several projects."""
    names: dict[str, list[str]] = {}
    for row in groups:
        found = names.setdefault(row["status_group_id"], [])
        name = row["status_group_name"] or row["status_group_id"]
        if name not in found:
            found.append(name)
    ordered = sorted(names, key=lambda group: (len(group), group))
    return [(group, " / ".join(names[group][:3])) for group in ordered]
