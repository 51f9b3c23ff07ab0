"""Articles of the warehouse -> offers of RetailCRM: stocks and prices. The catalogue itself comes from the shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.errors import ConnectorError, NotFoundError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, MappingContext, PushResult
from connectors.retailcrm import api
from connectors.retailcrm.account import catalogue, codes
from connectors.retailcrm.api import Row
from connectors.retailcrm.catalogue import rows_of
from connectors.retailcrm.mapping import map_row
from connectors.retailcrm.offers import BASE_PRICE

MOST_UPLOADED = 250
_STOCK = frozenset({"stock", "purchased_price"})
_OF_CATALOGUE = ("sku", "name", "description", "barcode", "is_active")
_CATALOGUE = "RetailCRM takes its catalogue from the shop's own feed: change it there"
_NO_STORE = "RetailCRM has several stores: say in options.store whose stock this is"


@dataclass(slots=True)
class _Article:
    """One change on its way."""

    change: Change
    offer: int | None = None
    """None: RetailCRM does not have it."""
    ignored: dict[str, str] = field(default_factory=dict)
    as_crm: dict[str, Any] = field(default_factory=dict)
    stock: Row | None = None
    """What is uploaded of it; likewise its price."""
    price: Row | None = None

    def result(self, missing: set[Any]) -> PushResult | ConnectorError:
        if self.offer is None:
            return PushResult(None, self.ignored, requests=0)
        if self.offer in missing:
            sku = self.change.data["sku"]
            return NotFoundError(f"RetailCRM has no offer {self.offer} (any more) for the article {sku!r}")
        writes = sum(body is not None for body in (self.stock, self.price))
        return PushResult(
            str(self.offer), self.ignored, was_there=self.change.is_new, requests=writes, as_crm=self.as_crm
        )


async def push_articles(
    http: HttpSession, account: Account, changes: Sequence[Change]
) -> list[PushResult | ConnectorError]:
    """Stocks and prices of all of them, each in one upload. Raises ConnectorError; what an upload did not find is an
    error of its own."""
    articles = [_Article(change) for change in changes]
    for article in articles:
        await _find(http, account, article)
    known = [article for article in articles if article.offer is not None]
    await _link(http, account, [article for article in known if article.change.is_new])
    is_stock = any(article.change.fields & _STOCK for article in known)
    store = await _store(http, account) if is_stock else None
    for article in known:
        _prepare(article, store, account.options)
    await _compare(http, account, [article for article in known if article.change.may_have_been_sent])
    stocks = [article.stock for article in known if article.stock is not None]
    prices = [article.price for article in known if article.price is not None]
    missing = await _upload(http, account, "/store/inventories/upload", "offers", stocks)
    missing |= await _upload(http, account, "/store/prices/upload", "prices", prices)
    return [article.result(missing) for article in articles]


async def _find(http: HttpSession, account: Account, article: _Article) -> None:
    """The offer that an article is, or why there is none."""
    change = article.change
    if change.crm_id is not None:
        article.offer = int(change.crm_id)
        article.ignored = {name: _CATALOGUE for name in _OF_CATALOGUE if name in change.fields}
        return
    sku = change.data["sku"]
    found = (await catalogue(http, account, sku)).ids(sku)
    if len(found) == 1:
        article.offer = found[0]
        return
    if found:
        why = f"RetailCRM has {len(found)} offers with the article {sku!r}: leave one of them"
    else:
        why = f"RetailCRM's catalogue has no article {sku!r}, and its API makes none: add it to the shop's feed"
    article.ignored = dict.fromkeys(sorted(change.fields), why)


async def _link(http: HttpSession, account: Account, articles: Sequence[_Article]) -> None:
    """What offers that are linked just now have from the shop's feed."""
    rows = await rows_of(http, account, "offers", [article.offer for article in articles if article.offer])
    for article in articles:
        if article.offer in rows:
            article.as_crm = kept_there(article.change.data, rows[article.offer], account.context)
            told = {name for name in article.as_crm if article.change.data.get(name) is not None}
            told |= {"description"} if article.change.data.get("description") else set()
            article.ignored |= dict.fromkeys(sorted(told), _CATALOGUE)


def kept_there(data: Mapping[str, Any], row: Row, context: MappingContext) -> dict[str, Any]:
    """Fields of an offer that stay as the shop has them, where the article has them otherwise."""
    batch = map_row(context, "offers", str(row["id"]), row)
    [offer] = batch.offers
    there: dict[str, Any] = {"barcode": offer.barcode, "is_active": not offer.is_archived}
    if batch.products:
        there["name"] = batch.products[0].name
    return {name: value for name, value in there.items() if value != data.get(name)}


async def _store(http: HttpSession, account: Account) -> str | None:
    """The code of the store that is written to; None if there are several and none is named."""
    named = account.options.get("store")
    if named:
        return str(named)
    known = await codes(http, account, "stores", "stores")
    return next(iter(known)) if len(known) == 1 else None


def _prepare(article: _Article, store: str | None, options: Mapping[str, Any]) -> None:
    """What is uploaded of an article that has an offer."""
    data, fields = article.change.data, article.change.fields
    if article.offer is None:
        return
    if store is not None:
        article.stock = stock_body(article.offer, data, fields, store)
    elif fields & _STOCK:
        article.ignored |= dict.fromkeys(sorted(fields & _STOCK), _NO_STORE)
    if "price" in fields and data.get("price") is not None:
        article.price = price_body(article.offer, data["price"], options)


def stock_body(offer: int, data: Mapping[str, Any], fields: frozenset[str], store: str) -> Row | None:
    """An offer's stock in one store: absolute."""
    row: Row = {"code": store}
    if "stock" in fields:
        row["available"] = data["stock"]
    if "purchased_price" in fields and data.get("purchased_price") is not None:
        row["purchasePrice"] = data["purchased_price"]
    return {"id": offer, "stores": [row]} if len(row) > 1 else None


def price_body(offer: int, price: Decimal, options: Mapping[str, Any]) -> Row:
    """An offer's price of one type: absolute."""
    site = {"site": options["site"]} if options.get("site") else {}
    return {"id": offer, **site, "prices": [{"code": options.get("price_type") or BASE_PRICE, "price": price}]}


async def _compare(http: HttpSession, account: Account, articles: Sequence[_Article]) -> None:
    """Leave out what RetailCRM has already."""
    offers = [article.offer for article in articles if article.offer is not None]
    prices = await rows_of(http, account, "offers", offers)
    stocks = await rows_of(http, account, "stocks", offers)
    for article in articles:
        if article.stock is not None and _has_stock(stocks.get(article.offer or 0, {}), article.stock):
            article.stock = None
        if article.price is not None and _has_price(prices.get(article.offer or 0, {}), article.price):
            article.price = None


def _has_stock(offer: Row, body: Row) -> bool:
    [wanted] = body["stores"]
    has = next((row for row in api.rows_of(offer, "stores") if row.get("store") == wanted["code"]), None)
    if has is None:
        return False
    pairs = {"available": has.get("quantity"), "purchasePrice": has.get("purchasePrice")}
    return all(wanted[name] == (value or 0) for name, value in pairs.items() if name in wanted)


def _has_price(offer: Row, body: Row) -> bool:
    [wanted] = body["prices"]
    rows = api.rows_of(offer, "prices")
    return any(row.get("priceType") == wanted["code"] and row.get("price") == wanted["price"] for row in rows)


async def _upload(http: HttpSession, account: Account, path: str, name: str, bodies: Sequence[Row]) -> set[Any]:
    """Ids of the offers that RetailCRM did not find."""
    missing = set()
    for start in range(0, len(bodies), MOST_UPLOADED):
        answer = await api.post(http, account, path, {name: bodies[start : start + MOST_UPLOADED]})
        missing |= {row.get("id") for row in api.rows_of(answer, "notFoundOffers")}
    return missing
