"""Articles of the warehouse -> offers of RetailCRM: stocks and prices. The catalogue itself comes from the shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import ConnectorError, NotFoundError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, PushResult
from connectors.retailcrm import api
from connectors.retailcrm.account import catalogue, codes
from connectors.retailcrm.api import Row
from connectors.retailcrm.catalogue import rows_of
from connectors.retailcrm.offers import BASE_PRICE

MOST_UPLOADED = 250
_STOCK = frozenset({"stock", "purchased_price"})
_OF_CATALOGUE = ("sku", "name", "description", "barcode", "is_active")
_CATALOGUE = "RetailCRM takes its catalogue from the shop's own feed: change it there"
_NO_STORE = "RetailCRM has several stores: say in options.store whose stock this is"


async def push_articles(
    http: HttpSession, account: Account, changes: Sequence[Change]
) -> list[PushResult | ConnectorError]:
    """Stocks and prices of all of them, each in one upload. Raises ConnectorError; what an upload did not find is an
    error of its own."""
    offers: list[int | None] = []
    ignored: list[dict[str, str]] = []
    for change in changes:
        offer, why = await _offer(http, account, change)
        offers.append(offer)
        ignored.append(why)
    store = await _store(http, account) if any(change.fields & _STOCK for change in changes) else None
    stocks, prices = [], []
    for change, offer, why in zip(changes, offers, ignored, strict=True):
        if offer is None:
            continue
        if change.fields & _STOCK:
            if store is None:
                why |= dict.fromkeys(sorted(change.fields & _STOCK), _NO_STORE)
            elif body := stock_body(offer, change.data, change.fields, store):
                stocks.append(body)
        if "price" in change.fields and change.data.get("price") is not None:
            prices.append(price_body(offer, change.data["price"], account.options))
    doubtful = [offer for change, offer in zip(changes, offers, strict=True) if offer and change.may_have_been_sent]
    if doubtful:
        has = await _current(http, account, doubtful)
        stocks = [body for body in stocks if body["id"] not in has or not _has_stock(has[body["id"]], body)]
        prices = [body for body in prices if body["id"] not in has or not _has_price(has[body["id"]], body)]
    missing = await _upload(http, account, "/store/inventories/upload", "offers", stocks)
    missing |= await _upload(http, account, "/store/prices/upload", "prices", prices)
    counts = [
        sum(any(body["id"] == offer for body in bodies) for bodies in (stocks, prices)) if offer is not None else 0
        for offer in offers
    ]
    return [
        NotFoundError(f"RetailCRM has no offer {offer} (any more) for the article {change.data['sku']!r}")
        if offer in missing
        else PushResult(
            crm_id=None if offer is None else str(offer),
            ignored=why,
            was_there=change.is_new and offer is not None,
            requests=count,
        )
        for change, offer, why, count in zip(changes, offers, ignored, counts, strict=True)
    ]


def stock_body(offer: int, data: Mapping[str, Any], fields: frozenset[str], store: str) -> Row | None:
    """An offer's stock in one store: absolute."""
    row: Row = {"code": store}
    if "stock" in fields:
        row["available"] = data["stock"]
    if "purchased_price" in fields and data.get("purchased_price") is not None:
        row["purchasePrice"] = data["purchased_price"]
    return {"id": offer, "stores": [row]} if len(row) > 1 else None


def price_body(offer: int, price: Any, options: Mapping[str, Any]) -> Row:
    """An offer's price of one type: absolute."""
    site = {"site": options["site"]} if options.get("site") else {}
    return {"id": offer, **site, "prices": [{"code": options.get("price_type") or BASE_PRICE, "price": price}]}


async def _offer(http: HttpSession, account: Account, change: Change) -> tuple[int | None, dict[str, str]]:
    """The offer that an article is, and what of the change cannot go there."""
    if change.crm_id is not None:
        return int(change.crm_id), {name: _CATALOGUE for name in _OF_CATALOGUE if name in change.fields}
    sku = change.data["sku"]
    found = (await catalogue(http, account, sku)).ids(sku)
    if len(found) == 1:
        # What is new is not news: the offer has a name and the rest from the shop.
        return found[0], {}
    if found:
        why = f"RetailCRM has {len(found)} offers with the article {sku!r}: leave one of them"
    else:
        why = f"RetailCRM's catalogue has no article {sku!r}, and its API makes none: add it to the shop's feed"
    return None, dict.fromkeys(sorted(change.fields), why)


async def _store(http: HttpSession, account: Account) -> str | None:
    """The code of the store that is written to; None if there are several and none is named."""
    named = account.options.get("store")
    if named:
        return str(named)
    known = await codes(http, account, "stores", "stores")
    return next(iter(known)) if len(known) == 1 else None


async def _current(http: HttpSession, account: Account, offers: list[int]) -> dict[int, tuple[Row, Row]]:
    """Of each offer its prices and its stocks, as RetailCRM has them."""
    prices = await rows_of(http, account, "offers", offers)
    stocks = await rows_of(http, account, "stocks", offers)
    return {offer: (prices[offer], stocks[offer]) for offer in offers if offer in prices and offer in stocks}


def _has_stock(offer: tuple[Row, Row], body: Row) -> bool:
    [wanted] = body["stores"]
    rows = api.rows_of(offer[1], "stores")
    has = next((row for row in rows if row.get("store") == wanted["code"]), {})
    pairs = {"available": has.get("quantity"), "purchasePrice": has.get("purchasePrice")}
    return all(wanted[name] == (value or 0) for name, value in pairs.items() if name in wanted)


def _has_price(offer: tuple[Row, Row], body: Row) -> bool:
    [wanted] = body["prices"]
    rows = api.rows_of(offer[0], "prices")
    return any(row.get("priceType") == wanted["code"] and row.get("price") == wanted["price"] for row in rows)


async def _upload(http: HttpSession, account: Account, path: str, name: str, bodies: Sequence[Row]) -> set[Any]:
    """Ids of the offers that RetailCRM did not find."""
    missing = set()
    for start in range(0, len(bodies), MOST_UPLOADED):
        answer = await api.post(http, account, path, {name: bodies[start : start + MOST_UPLOADED]})
        missing |= {row.get("id") for row in api.rows_of(answer, "notFoundOffers")}
    return missing
