"""The catalogue: offers with their products, and their stocks. Lists without a time of change, so read whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from connectors.errors import NotFoundError
from connectors.http import HttpSession
from connectors.protocol import Account
from connectors.retailcrm import api
from connectors.retailcrm.api import Row

PAGE_SIZE = 250
PATHS: dict[str, tuple[str, tuple[tuple[str, object], ...]]] = {
    "offers": ("/store/offers", ()),
    "stocks": ("/store/inventories", (("filter[details]", 1),)),
}
"""By stream: path and parameters."""


async def pages(http: HttpSession, account: Account, stream: str) -> AsyncIterator[tuple[list[Row], int | None]]:
    """(rows, number of all) of each page; rows may come twice."""
    path, params = PATHS[stream]
    async for rows, total in api.list_rows(
        http, account, path, "offers", [*params, *api.site_filter(account)], PAGE_SIZE
    ):
        yield rows, total


async def rows_of(http: HttpSession, account: Account, stream: str, offers: Sequence[int]) -> dict[int, Row]:
    """Those of these offers that there are, by id."""
    path, params = PATHS[stream]
    found: dict[int, Row] = {}
    for start in range(0, len(offers), PAGE_SIZE):
        some = [("filter[ids][]", offer) for offer in offers[start : start + PAGE_SIZE]]
        asked = [("limit", PAGE_SIZE), *api.site_filter(account), *params, *some]
        rows = api.rows_of(await api.get(http, account, path, asked), "offers")
        found |= {row["id"]: row for row in rows if type(row.get("id")) is int}
    return found


async def read(http: HttpSession, account: Account, stream: str, crm_id: str) -> Row:
    """One offer. Raises NotFoundError."""
    if crm_id.isascii() and crm_id.isdigit() and len(crm_id) < 19:
        row = (await rows_of(http, account, stream, [int(crm_id)])).get(int(crm_id))
        if row is not None:
            return row
    raise NotFoundError(f"{stream}: RetailCRM has no offer {crm_id[:40]!r}", status=404)
