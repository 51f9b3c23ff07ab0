"""Reads of the orders' pages and routes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

import psycopg

from connectors import registry
from dashboard.capabilities import capabilities_of
from dashboard.marks import N_
from dashboard.orders import hiding, timeline
from dashboard.orders.query import OrderFilter
from dashboard.orders.timeline import Calendar, Interval, Stage, Terms
from dashboard.services import Services
from database.connection import Connection
from database.repositories import order_overrides, order_timelines, orders, settings, status_names
from database.repositories.order_overrides import OverrideRow
from database.repositories.order_timelines import ItemRow, MarketingRow, PaymentRow, SumsRow
from database.repositories.orders import Filter, Order
from database.repositories.settings import ProjectRow
from database.repositories.shown_orders import Hiding
from database.repositories.status_names import GroupName, StatusName
from web.problems import ProblemError

NOT_BUILT = N_("The marts have not been built yet: `crm-elt build` makes them.")
UNKNOWN = N_("There is no such order in this project.")
LINES = 500
"""Most items and most payments that are read of one order."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """An order as of `read_at`."""

    project: ProjectRow
    read_at: datetime
    order: Order
    intervals: list[Interval]
    stages: list[Stage]
    calendars: dict[int, Calendar]
    is_medical: bool
    sums: SumsRow | None
    items: list[ItemRow]
    payments: list[PaymentRow]
    marketing: MarketingRow | None
    override: OverrideRow | None
    crm_address: str | None
    """The order's page at the CRM, where it is known."""


@dataclass(frozen=True, slots=True)
class Names:
    """The dictionaries of some projects."""

    statuses: list[StatusName]
    groups: list[GroupName]


@contextlib.contextmanager
def marts_needed() -> Iterator[None]:
    """Raises ProblemError, 503, if the marts have not been built yet."""
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        raise ProblemError(503, "not_built", NOT_BUILT, retry_after=60) from error


def unknown_order() -> ProblemError:
    return ProblemError(404, "unknown_order", UNKNOWN)


async def names(services: Services, projects: Collection[str] | None) -> Names:
    """Raises ProblemError, 503."""
    wanted = None if projects is None else sorted(projects)
    with marts_needed():
        async with services.database() as connection:
            return Names(await status_names.statuses(connection, wanted), await status_names.groups(connection, wanted))


async def hidden(services: Services, query: OrderFilter, projects: Collection[str] | None) -> tuple[Hiding, ...]:
    """What the settings of these projects (None: all) leave out of a query's orders."""
    if not hiding.may_hide(query):
        return ()
    async with services.database() as connection:
        rows = await settings.list_projects(connection)
    seen = [row for row in rows if projects is None or row.project_id in projects]
    return hiding.of_query(query, hiding.of_projects(seen))


async def find_order(connection: Connection, project_id: str, order_id: str) -> Order:
    """Raises ProblemError: 404 if there is none."""
    if "\0" in order_id:
        raise unknown_order()
    page = await orders.page(connection, Filter(projects=[project_id], order_id=order_id), limit=1)
    if not page.orders:
        raise unknown_order()
    return page.orders[0]


async def read_timeline(services: Services, project: ProjectRow, order_id: str) -> Timeline:
    """All of it as of one instant. Raises ProblemError: 404, 503."""
    with marts_needed():
        async with services.database() as connection, connection.transaction():
            now = await order_timelines.begin_snapshot(connection)
            return await _read(connection, project, order_id, now)


async def _read(connection: Connection, project: ProjectRow, order_id: str, now: datetime) -> Timeline:
    project_id = project.project_id
    order = await find_order(connection, project_id, order_id)
    events = await order_timelines.events(connection, project_id, order_id)
    calendars: dict[int, Calendar] = {}
    if events:
        ids = {event.calendar_id for event in events if not event.is_always_open}
        start, end = events[0].entered_at, events[-1].entered_at
        if not events[-1].is_closing:
            end = max(end, now, order.sla_due_at or now)
        end += (end - start) / 10 + timedelta(minutes=10)  # what is drawn goes on a little
        windows = await order_timelines.windows(connection, ids, start, end) if ids else []
        known = await order_timelines.coverage(connection, project_id)
        calendars = timeline.calendars(events, windows, known)
    intervals = timeline.intervals(events, calendars, now)
    override = await order_overrides.load(connection, project_id, order_id)
    terms = Terms(
        await order_timelines.limits(connection, project_id), project.near_threshold, order.is_urgent,
        None if override is None else override.sla_profile,
    )  # fmt: skip
    is_medical = capabilities_of(project).is_medical
    return Timeline(
        project=project,
        read_at=now,
        order=order,
        intervals=intervals,
        stages=timeline.stages(intervals, terms) if intervals else [],
        calendars=calendars,
        is_medical=is_medical,
        sums=None if is_medical else await order_timelines.sums(connection, project_id, order_id),
        items=[] if is_medical else await order_timelines.items(connection, project_id, order_id, LINES),
        payments=[] if is_medical else await order_timelines.payments(connection, project_id, order_id, LINES),
        marketing=None if is_medical else await order_timelines.marketing(connection, project_id, order_id),
        override=override,
        crm_address=crm_address(project, order_id),
    )


def crm_address(project: ProjectRow, order_id: str) -> str | None:
    """Of accounts on the open web alone: a plain http address is a stand-in."""
    try:
        path = registry.get(project.crm).capabilities.order_page
    except KeyError:
        return None
    if path is None or urlsplit(project.base_url or "").scheme != "https":
        return None
    parts = urlsplit(str(project.base_url))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path.format(id=quote(order_id, safe=''))}"
