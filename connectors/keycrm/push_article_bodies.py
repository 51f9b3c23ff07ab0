"""Bodies that write articles: products, offers with their prices, and stocks. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.errors import ConnectorError
from connectors.http import decode_json
from connectors.protocol import Change
from connectors.values.fields import Fields

Row = Mapping[str, Any]

OF_PRODUCT = frozenset({"name", "description", "sku", "barcode"})
PRICES = ("price", "purchased_price")

SHARED = (
    "In KeyCRM this article is one of several variants of a product: they share name and description, and the API does "
    "not change their sku and barcode: change it in KeyCRM's own pages"
)
ARCHIVED_BY_HAND = "KeyCRM's API neither archives products nor brings them back: do it in KeyCRM's own pages"
NO_WAREHOUSE = (
    "KeyCRM keeps stocks by warehouse and does not tell which one is meant: set the option warehouse_id to the id that "
    "KeyCRM's pages show under Settings > Warehouses"
)
OTHERS_HOLD_MORE = (
    "The other warehouses of KeyCRM hold more of it than vms has in all: correct their stocks in KeyCRM's own pages"
)
COMMA_IN_SKU = (
    "KeyCRM cannot look up a sku with a comma in it, so that the article might be made twice: change the sku, or add "
    "the product in KeyCRM's own pages"
)


@dataclass(slots=True)
class Work:
    """One article on its way."""

    change: Change
    offer_id: int | None = None
    offer: Row | None = None
    """With its product, where it was read."""
    is_made: bool = False
    """Just now, by us: it has all but its stock."""
    was_there: bool = False
    ignored: dict[str, str] = field(default_factory=dict)
    writes: int = 0
    error: ConnectorError | None = None

    @property
    def goes_on(self) -> bool:
        return self.error is None

    @property
    def needs_offer(self) -> bool:
        """Whether what is to be written depends on what KeyCRM has."""
        return self.change.may_have_been_sent or bool(self.change.fields & OF_PRODUCT) or self.has_activity

    @property
    def has_activity(self) -> bool:
        return "is_active" in self.change.fields


def new_product(change: Change) -> dict[str, Any]:
    """A product without variants, whose one offer has its sku and prices."""
    data = change.data
    body: dict[str, Any] = {"name": data.get("name") or data["sku"], "sku": data["sku"], "price": data["price"]}
    for ours, theirs in (
        ("description", "description"),
        ("barcode", "barcode"),
        ("purchased_price", "purchased_price"),
        ("currency", "currency_code"),
    ):
        if data.get(ours) not in (None, ""):
            body[theirs] = data[ours]
    return body


def changed_product(work: Work) -> dict[str, Any]:
    """What differs of the offer's product, which has no other variant."""
    data, offer = work.change.data, Fields(dict(work.offer or {}))
    product = offer.child("product") or Fields({})
    change: dict[str, Any] = {}
    for name in OF_PRODUCT & work.change.fields:
        known = offer if name in ("sku", "barcode") else product
        wanted = data[name] or None
        is_kept = wanted is None and (name in ("name", "sku") or work.was_there)
        if not is_kept and not (name in known and known.text(name) == wanted):
            change[name] = wanted or ""
    if change:
        # The API wants the name with every change.
        change.setdefault("name", product.text("name") or data.get("name") or data["sku"])
    return change


def is_archived_wrongly(work: Work) -> bool:
    """Whether vms and KeyCRM differ on whether the article is on sale."""
    is_archived = Fields(dict(work.offer or {})).flag("is_archived")
    return work.has_activity and is_archived == bool(work.change.data["is_active"])


def changed_price(work: Work) -> dict[str, Any]:
    """The offer's row for PUT /offers; empty: it has its prices. A price that vms does not know stays as it is."""
    known = None if work.offer is None else Fields(dict(work.offer))
    prices = {
        name: work.change.data[name]
        for name in PRICES
        if name in work.change.fields and work.change.data.get(name) is not None
    }
    prices = {name: value for name, value in prices.items() if known is None or known.money(name) != value}
    return {"id": work.offer_id, **prices} if prices else {}


def filled_in(work: Work) -> dict[str, Any]:
    """Prices of nothing that KeyCRM has given a new offer by itself, where vms knows none."""
    offer = Fields(dict(work.offer or {}))
    unknown = [name for name in PRICES if work.change.is_new and work.change.data.get(name) is None]
    return {name: Decimal(0) for name in unknown if offer.money(name) == 0}


@dataclass(frozen=True, slots=True)
class Stocked:
    """An offer's stock as KeyCRM tells it."""

    total: Decimal
    by_warehouse: Mapping[str, Decimal] | None
    """None: the answer does not tell."""
    sku: str | None = None


def read_stocks(rows: Sequence[Row]) -> dict[int, Stocked]:
    """By offer id."""
    found = {}
    for row in rows:
        fields = Fields(dict(row))
        total = fields.quantity("quantity")
        if isinstance(row.get("id"), int) and total is not None:
            parts = fields.children("warehouse")
            found[int(row["id"])] = Stocked(
                total,
                None
                if parts is None
                else {str(part.id("id")): part.quantity("quantity") or Decimal(0) for part in parts},
                fields.text("sku"),
            )
    return found


def only_warehouse(stocks: Collection[Stocked]) -> int | None:
    """The one warehouse that all these stocks lie in; None if there are several, or none is told."""
    found = {warehouse for stock in stocks for warehouse in stock.by_warehouse or ()}
    only = next(iter(found)) if len(found) == 1 else ""
    return int(only) if only.isdigit() else None


def changed_stock(work: Work, known: Stocked, warehouse_id: int) -> dict[str, Any]:
    """The offer's row for PUT /offers/stocks, after which its stock over all warehouses is that of vms."""
    wanted: Decimal = work.change.data["stock"]
    others = sum(
        (part for warehouse, part in (known.by_warehouse or {}).items() if warehouse != str(warehouse_id)), Decimal(0)
    )
    if wanted < others:
        work.ignored["stock"] = OTHERS_HOLD_MORE
        return {}
    # The documents do not agree on what an offer's id is called here; on the sku they do.
    named: dict[str, Any] = {"id": work.offer_id} if known.sku is None else {"sku": known.sku}
    return {**named, "quantity": wanted - others}


def refused_rows(error: ConnectorError, field_name: str, count: int) -> set[int] | None:
    """Numbers of the rows of a batch that a refusal names, as `offers.3.id`: none of them where it names something
    else, which is wrong for all. None if it does not say what is wrong."""
    try:
        answer = decode_json(error.answer or "")
    except ValueError:
        return None
    named = answer.get("errors") if isinstance(answer, dict) else None
    if not isinstance(named, dict) or not named:
        return None
    found = (re.match(rf"{field_name}\.([0-9]{{1,4}})(?:\.|$)", key) for key in named)
    return {int(match[1]) for match in found if match is not None and int(match[1]) < count}
