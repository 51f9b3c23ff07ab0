"""The simulated catalogue: products, their offers, prices and stocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.retailcrm.simulator_values import JSON, number


class Store:
    def __init__(self) -> None:
        self.products: dict[int, JSON] = {}
        self.offers: dict[int, JSON] = {}
        self.groups: dict[int, JSON] = {1: {"id": 1, "name": "Каталог", "site": "shop", "active": True}}
        self.stores: list[JSON] = [{"code": "main", "name": "Основной склад", "active": True}]
        self.price_types: list[JSON] = [{"code": "base", "name": "Базовая", "active": True, "default": True}]

    def add_product(
        self, name: str, price: float, *, article: str, quantity: float = 0, site: str = "shop", **fields: Any
    ) -> JSON:
        """A product with one offer; the offer."""
        product_id = len(self.products) + 1
        offer: JSON = {
            "id": product_id + 1000,
            "externalId": f"p{product_id}",
            "name": name,
            "article": article,
            "price": number(price),
            "prices": [{"priceType": "base", "price": number(price), "ordering": 0}],
            "site": site,
            "purchasePrice": 0,
            "stores": [{"store": "main", "quantity": number(quantity), "purchasePrice": 0}],
            "unit": {"code": "pc", "name": "Штука", "sym": "шт."},
        }
        self.offers[offer["id"]] = offer
        self.products[product_id] = {
            "id": product_id,
            "externalId": f"p{product_id}",
            "name": name,
            "article": article,
            "active": True,
            "groups": [{"id": 1}],
            "offer_ids": [offer["id"]],
            **fields,
        }
        return offer

    def product_body(self, product: JSON) -> JSON:
        offers = [self.offers[offer_id] for offer_id in product["offer_ids"]]
        body = {name: value for name, value in product.items() if name != "offer_ids"}
        prices = [offer["price"] for offer in offers]
        quantity = number(sum(stock["quantity"] for offer in offers for stock in offer["stores"]))
        return {**body, "offers": offers, "minPrice": min(prices), "maxPrice": max(prices), "quantity": quantity}

    def offer_body(self, offer: JSON) -> JSON:
        """As GET /store/offers has it."""
        product = next(row for row in self.products.values() if offer["id"] in row["offer_ids"])
        shown = {name: product[name] for name in ("id", "name", "article", "description") if name in product}
        quantity = number(sum(stock["quantity"] for stock in offer["stores"]))
        body = {name: value for name, value in offer.items() if name not in ("stores", "price", "site")}
        return {**body, "active": product["active"], "quantity": quantity, "product": shown}

    def inventory_body(self, offer: JSON, *, has_details: bool) -> JSON:
        body = {name: offer[name] for name in ("id", "externalId", "site", "purchasePrice")}
        body["quantity"] = number(sum(stock["quantity"] for stock in offer["stores"]))
        return {**body, "stores": offer["stores"]} if has_details else body

    def find(self, given: Mapping[str, Any]) -> JSON | None:
        """The offer that an upload names by id, externalId or xmlId."""
        for name in ("id", "externalId", "xmlId"):
            if name in given:
                return next((offer for offer in self.offers.values() if offer.get(name) == given[name]), None)
        return None

    def set_stocks(self, offer: JSON, stocks: list[Mapping[str, Any]]) -> None:
        """Absolute quantities by store."""
        known = {stock["store"]: stock for stock in offer["stores"]}
        for stock in stocks:
            row = known.setdefault(str(stock["code"]), {"store": stock["code"], "quantity": 0, "purchasePrice": 0})
            row["quantity"] = number(stock.get("available", row["quantity"]))
            row["purchasePrice"] = number(stock.get("purchasePrice", row["purchasePrice"]))
        offer["stores"] = list(known.values())

    def set_prices(self, offer: JSON, prices: list[Mapping[str, Any]]) -> None:
        for price in prices:
            offer["prices"] = [known for known in offer["prices"] if known["priceType"] != price["code"]]
            if not price.get("remove"):
                offer["prices"].append({"priceType": price["code"], "price": number(price["price"]), "ordering": 0})
                if price["code"] == "base":
                    offer["price"] = number(price["price"])
