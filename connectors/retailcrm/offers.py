"""The catalogue's offers and their stocks -> canonical records."""

from __future__ import annotations

from decimal import Decimal

from connectors.protocol import MappingContext
from connectors.records import Batch, Offer, Product, Stock
from connectors.values.fields import INDEXED_LENGTH, Fields

BASE_PRICE = "base"
"""The price type that each account has."""


def offer_sku(offer: Fields) -> str | None:
    """What stands for the SKU, which RetailCRM has no field for."""
    return next((sku for name in ("article", "externalId", "xmlId") if (sku := offer.text(name, INDEXED_LENGTH))), None)


def map_offer(batch: Batch, row: Fields, offer_id: str, context: MappingContext) -> None:
    product = row.child("product")
    product_id = None if product is None else product.id("id")
    if product is not None and product_id is not None:
        name = product.text("name") or row.text("name") or product_id
        currency = context.currency_of(row.id("site"))
        batch.products.append(Product(product_id, name, sku=product.text("article"), currency=currency))
    batch.offers.append(
        Offer(
            offer_id=offer_id,
            product_id=product_id,
            sku=offer_sku(row),
            barcode=row.text("barcode"),
            price=_price(row, context.options.get("price_type") or BASE_PRICE),
            purchased_price=row.money("purchasePrice") or None,  # 0 where nobody has said one
            is_archived=not row.flag("active", default=True),
        )
    )


def map_stock(batch: Batch, row: Fields, offer_id: str, context: MappingContext) -> None:
    """Of the store that the settings name, else of all. What is reserved RetailCRM does not tell."""
    store = context.options.get("store")
    if not store:
        quantity = row.quantity("quantity")
    else:
        rows = [stock for stock in row.children("stores") or () if stock.text("store") == store]
        quantity = rows[0].quantity("quantity") if rows else Decimal(0)
    if quantity is None:
        row.note_missing("quantity")
        return
    batch.stocks.append(Stock(offer_id, quantity, Decimal(0)))


def _price(row: Fields, kind: str) -> Decimal | None:
    prices = row.children("prices") or ()
    return next((price.money("price") for price in prices if price.text("priceType") == kind), None)
