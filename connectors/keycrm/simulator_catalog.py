"""Products, their offers, categories, warehouses and stocks of the simulated account."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from connectors.keycrm.simulator_records import Record, Table
from connectors.keycrm.simulator_values import JSON, number
from connectors.keycrm.simulator_webhooks import STOCK_EVENT, Webhooks

_SIZES: JSON = {"weight": None, "length": None, "width": None, "height": None}
_EMPTY_PRODUCT: JSON = {
    "id": None,
    "name": "",
    "description": None,
    "thumbnail_url": None,
    "attachments_data": [],
    "quantity": 0,
    "unit_type": None,
    "currency_code": "UAH",
    "sku": None,
    "barcode": None,
    "price": 0,
    "purchased_price": 0,
    "min_price": 0,
    "max_price": 0,
    **_SIZES,
    "has_offers": False,
    "is_archived": False,
    "category_id": None,
    "custom_fields": [],
}
_EMPTY_OFFER: JSON = {
    "id": None,
    "product_id": None,
    "sku": None,
    "barcode": None,
    "thumbnail_url": None,
    "price": 0,
    "purchased_price": 0,
    "quantity": 0,
    **_SIZES,
    "properties": [],
    "is_archived": False,
}


class Catalog:
    """Part of `SimulatorState`, whose lock, clock and webhooks it shares."""

    def __init__(self, lock: threading.RLock, now: Callable[[datetime | None], str], webhooks: Webhooks) -> None:
        self._lock = lock
        self._now = now
        self._webhooks = webhooks
        self.products: Table[Record] = Table("updated_at")
        self.offers: Table[Record] = Table("updated_at")
        self.categories: Table[Record] = Table()
        self.warehouses: dict[int, JSON] = {1: {"id": 1, "name": "Main", "description": None, "is_active": True}}
        self.stocks: dict[int, dict[int, list[int | float]]] = {}
        """offer id -> warehouse id -> [quantity, reserve]"""
        self.webhook_warehouses: frozenset[int] = frozenset()
        """Warehouses that the stock webhook sums over; none: all of them."""
        self._offer_by_sku: dict[str, int] = {}
        self._offer_ids: dict[int, list[int]] = {}

    def add_warehouse(self, name: str, warehouse_id: int | None = None) -> int:
        with self._lock:
            taken = warehouse_id if warehouse_id is not None else max(self.warehouses, default=0) + 1
            self.warehouses[taken] = {"id": taken, "name": name, "description": None, "is_active": True}
            return taken

    def add_category(self, name: str, parent_id: int | None = None) -> Record:
        with self._lock:
            now = self._now(None)
            row = {"id": self.categories.new_id(), "name": name, "parent_id": parent_id}
            return self.categories.add(Record(row | {"created_at": now, "updated_at": now}))

    def add_product(
        self,
        name: str,
        *,
        sku: str | None = None,
        offers: Sequence[JSON] = (),
        at: datetime | None = None,
        offer_id: int | None = None,
        **fields: Any,
    ) -> Record:
        """A product with its offers; a product without variants has one offer with its own sku and price."""
        with self._lock:
            now = self._now(at)
            own = {"id": fields.pop("id", None) or self.products.new_id(), "name": name, "sku": sku}
            own |= {"created_at": now, "updated_at": now, "has_offers": bool(offers)}
            product = self.products.add(Record({**_EMPTY_PRODUCT, **own, **fields}))
            basic = {name: product.fields[name] for name in ("sku", "barcode", "price", "purchased_price", *_SIZES)}
            for offer in offers or [basic | ({"id": offer_id} if offer_id is not None else {})]:
                self.add_offer(product.id, at=at, **offer)
            return product

    def add_offer(self, product_id: int, *, at: datetime | None = None, **fields: Any) -> Record:
        """Raises KeyError for an unknown product."""
        with self._lock:
            product = self.products.rows[product_id]
            now = self._now(at)
            own = {"id": fields.pop("id", None) or self.offers.new_id(), "product_id": product_id}
            own |= {"created_at": now, "updated_at": now}
            offer = self.offers.add(Record({**_EMPTY_OFFER, **own, **fields}))
            self._offer_ids.setdefault(product_id, []).append(offer.id)
            if offer.fields["sku"]:
                self._offer_by_sku[offer.fields["sku"]] = offer.id
            self._summarise(product)
            return offer

    def update_product(self, product_id: int, *, at: datetime | None = None, **fields: Any) -> Record:
        """A product without variants passes sku, prices and sizes on to its offer. Raises KeyError."""
        with self._lock:
            product = self.products.rows[product_id]
            self.products.change(product, **fields, updated_at=self._now(at))
            if not product.fields["has_offers"]:
                shared = {"sku", "barcode", "price", "purchased_price", "is_archived", *_SIZES} & fields.keys()
                for offer in self._offers_of(product_id):
                    self.update_offer(offer.id, at=at, **{name: fields[name] for name in shared})
            self._summarise(product)
            return product

    def update_offer(self, offer_id: int, *, at: datetime | None = None, **fields: Any) -> Record:
        """Raises KeyError."""
        with self._lock:
            offer = self.offers.rows[offer_id]
            if fields.get("sku", offer.fields["sku"]) != offer.fields["sku"]:
                self._offer_by_sku.pop(offer.fields["sku"] or "", None)
                self._offer_by_sku[fields["sku"]] = offer_id
            self.offers.change(offer, **fields, updated_at=self._now(at))
            self._summarise(self.products.rows[offer.fields["product_id"]])
            return offer

    def offer_of_sku(self, sku: str) -> Record | None:
        with self._lock:
            return self.offers.get(self._offer_by_sku.get(sku))

    def set_stocks(
        self,
        changes: Sequence[tuple[int, int | float, int | float | None]],
        *,
        warehouse_id: int = 1,
        announce: bool = True,
    ) -> None:
        """Absolute (offer id, quantity, reserve; None: as it was) in one warehouse; one webhook tells of all that
        changed. Raises KeyError for an unknown offer or warehouse, before anything is changed."""
        with self._lock:
            self.warehouses[warehouse_id]
            for offer_id, _, _ in changes:
                self.offers.rows[offer_id]
            changed = []
            for offer_id, quantity, reserve in changes:
                known = self.stocks.setdefault(offer_id, {}).setdefault(warehouse_id, [0, 0])
                new = [number(quantity), known[1] if reserve is None else number(reserve)]
                if new != known:
                    self.stocks[offer_id][warehouse_id] = new
                    changed.append(offer_id)
                offer = self.offers.rows[offer_id]
                self.offers.change(offer, quantity=self.stock(offer_id)[0])
                self._summarise(self.products.rows[offer.fields["product_id"]])
            if changed and announce:
                self._webhooks.send(STOCK_EVENT, [self.stock_event(offer_id) for offer_id in changed])

    def set_stock(
        self,
        offer_id: int,
        quantity: int | float,
        reserve: int | float | None = None,
        *,
        warehouse_id: int = 1,
        announce: bool = True,
    ) -> None:
        self.set_stocks([(offer_id, quantity, reserve)], warehouse_id=warehouse_id, announce=announce)

    def stock(self, offer_id: int, warehouses: frozenset[int] = frozenset()) -> tuple[int | float, int | float]:
        """Quantity and reserve, summed over these warehouses (none: all)."""
        rows = [row for key, row in self.stocks.get(offer_id, {}).items() if not warehouses or key in warehouses]
        return number(sum(row[0] for row in rows)), number(sum(row[1] for row in rows))

    def stock_event(self, offer_id: int) -> JSON:
        """One element of the stock webhook's array."""
        in_stock, in_reserve = self.stock(offer_id, self.webhook_warehouses)
        sku = self.offers.rows[offer_id].fields["sku"]
        return {"offer_id": offer_id, "sku": sku, "in_stock": in_stock, "in_reserve": in_reserve}

    def stock_body(self, offer: Record, *, has_details: bool) -> JSON:
        quantity, reserve = self.stock(offer.id)
        body = {name: offer.fields[name] for name in ("id", "sku", "price", "purchased_price")}
        body |= {"quantity": quantity, "reserve": reserve}
        if has_details:
            body["warehouse"] = [
                {"id": key, "name": self.warehouses[key]["name"], "quantity": row[0], "reserve": row[1]}
                for key, row in sorted(self.stocks.get(offer.id, {}).items())
            ]
        return body

    def _offers_of(self, product_id: int) -> list[Record]:
        return [self.offers.rows[offer_id] for offer_id in self._offer_ids.get(product_id, [])]

    def _summarise(self, product: Record) -> None:
        offers = [offer.fields for offer in self._offers_of(product.id)]
        if offers:
            prices = [offer["price"] for offer in offers]
            product.fields |= {"min_price": min(prices), "max_price": max(prices)}
            product.fields["quantity"] = number(sum(offer["quantity"] for offer in offers))
