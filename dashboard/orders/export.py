"""Orders as CSV, however many: page after page of the database, never all in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dashboard.orders.reading import marts_needed
from dashboard.services import Services
from database.repositories import orders
from database.repositories.orders import MAX_LIMIT, Filter, Order, Page, Sort

BOM = b"\xef\xbb\xbf"
"""Without it Excel takes UTF-8 for the machine's own code page."""
COLUMNS = (
    "project_id", "order_id", "order_created_at", "started_at", "last_status_id", "last_status_name",
    "last_status_group_id", "last_status_group_name", "last_changed_at", "is_closed", "closed_at", "is_urgent",
    "stage_working_seconds", "sla_limit_seconds", "sla_state", "sla_near_at", "sla_due_at", "delivery_entered_at",
    "cycle_rule_id_applied", "cycle_duration_to_delivery",
)  # fmt: skip
HEADER = (*COLUMNS[:-1], "cycle_duration_to_delivery_seconds")
"""The API's names."""
SORT = Sort("created", descending=True)
"""An order keeps its place while others change, so that none is left out or comes twice."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any) -> str:
    """A value as text. What a spreadsheet would run as a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    is_formula = isinstance(value, str) and (text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA))
    return "'" + text if is_formula else text


def lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows of CSV (RFC 4180), UTF-8."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


async def begin(services: Services, wanted: Filter) -> AsyncIterator[bytes]:
    """The file, piece by piece; its first page is read before this returns. Raises ProblemError, 503.

    A database that goes away later ends the answer without its end, which every HTTP client notices.
    """
    with marts_needed():
        first = await _page(services, wanted, None)
    return _pieces(services, wanted, first)


async def _pieces(services: Services, wanted: Filter, page: Page) -> AsyncIterator[bytes]:
    yield BOM + lines([HEADER])
    while True:
        if page.orders:
            yield lines([_row(order) for order in page.orders])
        if page.next is None:
            return
        page = await _page(services, wanted, page.next)


async def _page(services: Services, wanted: Filter, cursor: str | None) -> Page:
    """Each page borrows a connection for itself: a slow reader holds none."""
    async with services.database() as connection:
        return await orders.page(connection, wanted, SORT, cursor=cursor, limit=MAX_LIMIT)


def _row(order: Order) -> list[Any]:
    return [getattr(order, name) for name in COLUMNS]
