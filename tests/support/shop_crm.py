"""A CRM in memory whose orders, customers and articles are as full as those of a real one, for tests of both ways."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.protocol import MappingContext, Vocabulary
from connectors.records import (
    Batch,
    Customer,
    Offer,
    Order,
    OrderItem,
    OrderItems,
    OrderPayments,
    Payment,
    Product,
    Reread,
    Status,
    StatusEvent,
    StatusGroup,
    Stock,
)
from connectors.values.phones import parse_phone
from tests.support.toy_crm import ToyCrm, decimal_of, load, minute, text_of, time_of

STATUSES = {"new": "PENDING", "packed": "PROCESSING", "gone": "SHIPPED", "done": "DELIVERED", "off": "CANCELLED"}


@dataclass
class ShopCrm(ToyCrm):
    """Records are as `shop_order`, `shop_customer` and `shop_article` make them; stream `articles` is an offer with its
    product and stock."""

    vocabulary: Vocabulary = Vocabulary(  # noqa: RUF009 - never changed
        statuses=STATUSES, payment_statuses={"paid": "paid", "not_paid": "pending", "canceled": "cancelled"}
    )

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        row = load(body)
        match stream:
            case "orders":
                return _order(context, row)
            case "customers":
                return Batch(customers=[_customer(context, row)])
            case "articles":
                return _article(row)
            case "statuses":
                return Batch(status_groups=[StatusGroup("1", "All")], statuses=[Status(str(row["id"]), row["name"])])
        return super().map_record(context, stream, crm_id, body)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        """The flat row of an order, and a hint to read it."""
        row = load(body)
        mark = hashlib.sha256(body.encode()).digest() if row.get("marked") else None
        if "customer_only" in row:
            return Batch(rereads=[Reread("customers", str(row["id"]), mark)])
        order = Order(
            str(row["id"]),
            source_uuid=row.get("key"),
            status_id=text_of(row.get("status")),
            customer_id=text_of(row.get("customer")),
            source_updated_at=time_of(row.get("updated_at")),
            is_deleted=row.get("deleted", False),
            is_complete=False,
        )
        batch = Batch(orders=[order], rereads=[Reread("orders", order.order_id, mark)])
        if order.status_id is not None and order.source_updated_at is not None:
            batch.status_events.append(StatusEvent(order.order_id, order.status_id, order.source_updated_at))
        return batch


def shop_order(crm_id: str, at: float = 0, **values: Any) -> str:
    """The text of an order; `at` minutes after a fixed time it changed last."""
    return json.dumps({"id": crm_id, "status": "new", "updated_at": minute(at), **values}, sort_keys=True)


def shop_customer(crm_id: str, at: float = 0, **values: Any) -> str:
    return json.dumps({"id": crm_id, "updated_at": minute(at), "created_at": minute(0), **values}, sort_keys=True)


def shop_article(crm_id: str, **values: Any) -> str:
    return json.dumps({"id": crm_id, **values}, sort_keys=True)


def _order(context: MappingContext, row: dict[str, Any]) -> Batch:
    order_id, updated_at = str(row["id"]), time_of(row["updated_at"])
    order = Order(
        order_id,
        source_uuid=row.get("key"),
        status_id=text_of(row.get("status")),
        customer_id=text_of(row.get("customer")),
        grand_total=decimal_of(row.get("total")),
        total_discount=decimal_of(row.get("discount")),
        shipping_price=decimal_of(row.get("shipping_price")),
        currency=row.get("currency"),
        payment_status=row.get("payment_status"),
        manager_comment=row.get("comment"),
        delivery_service_id=row.get("carrier"),
        tracking_code=row.get("tracking"),
        shipping_city=row.get("city"),
        shipping_address=row.get("address"),
        recipient_name=row.get("recipient"),
        ordered_at=time_of(minute(0)),
        order_created_at=time_of(minute(0)),
        source_updated_at=updated_at,
        is_deleted=row.get("deleted", False),
    )
    batch = Batch(orders=[order])
    if "customer" in row and row["customer"] is not None and row.get("buyer"):
        buyer = {"id": row["customer"], "updated_at": row["updated_at"], **row["buyer"]}
        batch.customers.append(_customer(context, buyer, is_complete=False))
    lines = tuple(
        OrderItem(
            Decimal(line.get("quantity", "1")),
            sku=line.get("sku"),
            name=line.get("name"),
            price=decimal_of(line.get("price", "10")),
            total_discount=decimal_of(line.get("discount", "0")),
        )
        for line in row.get("items", [])
    )
    batch.order_items.append(OrderItems(order_id, lines, updated_at))
    payments = tuple(
        Payment(
            str(entry["id"]),
            order_id,
            Decimal(entry["amount"]),
            entry.get("status", "paid"),
            payment_method_id=entry.get("method"),
            currency=row.get("currency"),
            description=entry.get("description"),
            paid_at=time_of(entry.get("paid_at")),
            source_updated_at=updated_at,
        )
        for entry in row.get("payments", [])
    )
    batch.order_payments.append(OrderPayments(order_id, payments, updated_at))
    if order.status_id is not None and updated_at is not None:
        batch.status_events.append(StatusEvent(order_id, order.status_id, updated_at, is_approximate=True))
    return batch


def _customer(context: MappingContext, row: dict[str, Any], *, is_complete: bool = True) -> Customer:
    phones = tuple(parse_phone(phone, context.region) or phone for phone in row.get("phones", []))
    return Customer(
        str(row["id"]),
        full_name=row.get("name"),
        phone_e164=phones[0] if phones else None,
        phones=phones,
        email=row.get("email"),
        emails=(row["email"],) if row.get("email") else (),
        note=row.get("note"),
        is_deleted=row.get("deleted", False),
        source_created_at=time_of(row.get("created_at")),
        source_updated_at=time_of(row.get("updated_at")),
        is_complete=is_complete,
    )


def _article(row: dict[str, Any]) -> Batch:
    crm_id = str(row["id"])
    batch = Batch(
        products=[Product(crm_id, row.get("name", "A thing"), currency=row.get("currency"))],
        offers=[
            Offer(
                crm_id, crm_id, row.get("sku"), row.get("barcode"), decimal_of(row.get("price")),
                is_archived=row.get("archived", False),
            )
        ],
    )  # fmt: skip
    if "stock" in row:
        batch.stocks.append(Stock(crm_id, Decimal(row["stock"]), Decimal(0)))
    return batch
