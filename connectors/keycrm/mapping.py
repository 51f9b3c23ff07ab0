"""KeyCRM's JSON -> canonical records. Pure: the same text gives the same records.

A field of the wrong type becomes None and a `Problem` that names its path; a record without an id raises SkipRowError.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import unquote_plus

from msgspec.structs import replace

from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import (
    Batch,
    Customer,
    Offer,
    Order,
    OrderItem,
    OrderItems,
    OrderMarketing,
    OrderPayments,
    Payment,
    Problem,
    Product,
    Reversal,
    Source,
    Status,
    StatusEvent,
    StatusGroup,
    Stock,
    Transaction,
    deletion,
)
from connectors.values.fields import INDEXED_LENGTH, Fields
from connectors.values.phones import parse_phone
from connectors.values.plain import plain_json
from connectors.values.stored import read_object, required_id

# The API gives groups as numbers only; the names are those of the vendor's own funnel.
GROUP_NAMES = {"1": "New", "2": "Approval", "3": "Production", "4": "Delivery", "5": "Completed", "6": "Cancelled"}
CANCELLED_GROUP = "6"
UTM_NAMES = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
MARKETING_NAMES = (*UTM_NAMES, "fbclid", "gclid")
_MARKETING_LENGTH = 500

_NAME = r"(?:utm_(?:source|medium|campaign|term|content)|fbclid|gclid)"
_NEXT = rf"{_NAME}[ \t]*[:=]"
# `name=value` ends at a space, as in a URL; the value of `name: value` goes on to the end of its line.
_TAG = re.compile(
    rf"(?<![\w-])({_NAME})[ \t]*(?:"
    rf"=[ \t]*\"?(?!{_NEXT})([^&#\s\"'<>;,|]+)"
    rf"|:[ \t]*\"?(?!{_NEXT})([^\r\n;,|\"<>]+?)(?=[ \t]+{_NEXT}|[\r\n;,|\"<>]|\Z))",
    re.IGNORECASE,
)


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """Canonical records of one stored API record. Raises SkipRowError if nothing of it can be read."""
    row = read_object(stream, crm_id, body)
    mapper = _MAPPERS.get(stream)
    if mapper is None:
        raise SkipRowError(f"KeyCRM has no stream {stream}")
    fields = Fields(row)
    batch = Batch()
    found_id = required_id(fields, "id", stream, crm_id)
    mapper(batch, fields, found_id, context)
    add_problems(batch, fields.notes, stream, found_id)
    return batch


def map_deletion(stream: str, crm_id: str) -> Batch:
    """An order that is gone takes its transaction with it."""
    batch = deletion(stream, crm_id)
    if stream == "orders":
        batch.reversals.append(Reversal(transaction_id(crm_id)))
    return batch


def transaction_id(order_id: str) -> str:
    """The external id of the transaction that a paid order is."""
    return f"KEYCRM-{order_id}"


def add_problems(batch: Batch, notes: list[str], stream: str | None, crm_id: str | None) -> None:
    batch.problems += [Problem(note, stream, crm_id) for note in notes]


def read_marketing_comment(comment: str) -> dict[str, str]:
    """UTM tags and click ids in a comment: from URLs, `utm_source=x` and lines `utm_source: x`. The first wins."""
    if "utm_" not in comment.lower() and "clid" not in comment.lower():
        return {}
    found: dict[str, str] = {}
    for match in _TAG.finditer(html.unescape(comment)):
        value = unquote_plus(match[2] or match[3]).replace("\x00", "").strip().rstrip(").")
        if value and value.lower() not in ("-", "null", "none", "undefined"):
            found.setdefault(match[1].lower(), value[:_MARKETING_LENGTH])
    return found


def map_order(batch: Batch, row: Fields, order_id: str, context: MappingContext) -> None:
    updated_at, created_at = row.time("updated_at"), row.time("created_at")
    comment = row.text("manager_comment")
    buyer, shipping = row.child("buyer"), row.child("shipping")
    customer = None if buyer is None else _buyer_of_order(buyer, context, updated_at)
    if customer is not None:
        batch.customers.append(customer)
    order = read_order(
        row,
        order_id,
        context,
        customer_id=row.id("client_id") or (None if customer is None else customer.customer_id),
        shipping=shipping,
        comment=comment,
        created_at=created_at,
        updated_at=updated_at,
        # Without include the keys are absent: then nothing is known of them.
        is_complete="buyer" in row and "shipping" in row,
    )
    batch.orders.append(order)
    if order.status_id is not None:
        event = read_status_event(row, order)
        if event is not None:
            batch.status_events.append(event)
        else:
            row.notes.append("status_changed_at: the status has no usable time")
    lines = row.children("products")
    if lines is not None:
        items = tuple(item for line in lines if (item := _item(line)) is not None)
        batch.order_items.append(OrderItems(order_id, items, updated_at))
    payments = row.children("payments")
    if payments is not None:
        paid = tuple(payment for entry in payments if (payment := _payment(entry, order_id)) is not None)
        batch.order_payments.append(OrderPayments(order_id, paid, updated_at))
        _add_sale(batch, row.text("payment_status"), order, paid, customer, lines)
    if (marketing := _marketing(row.child("marketing"), comment, order_id)) is not None:
        batch.order_marketing.append(marketing)


def _add_sale(
    batch: Batch,
    payment_status: str | None,
    order: Order,
    payments: tuple[Payment, ...],
    customer: Customer | None,
    lines: list[Fields] | None,
) -> None:
    """An order paid in full is a sale, at its last paid payment; unpaid, cancelled or deleted it is none any more."""
    paid = [payment for payment in payments if payment.status == "paid"]
    is_paid = payment_status in ("paid", "overpaid") and bool(paid)
    if not is_paid or order.is_deleted or order.status_group_id == CANCELLED_GROUP:
        batch.reversals.append(Reversal(transaction_id(order.order_id), order.source_updated_at))
        return
    times = [time for payment in paid if (time := payment.paid_at or payment.source_created_at) is not None]
    occurred_at = max(times, default=order.source_updated_at)
    if order.grand_total is None or occurred_at is None:
        return  # what is missing is told as a problem of its field
    batch.transactions.append(
        Transaction(
            external_id=transaction_id(order.order_id),
            occurred_at=occurred_at,
            amount=order.grand_total,
            customer_id=order.customer_id,
            phone_e164=None if customer is None else customer.phone_e164,
            email=None if customer is None else customer.email,
            description=next((name for line in lines or () if (name := line.text("name"))), None),
            order_id=order.order_id,
            source_updated_at=order.source_updated_at,
        )
    )


def read_order(
    row: Fields,
    order_id: str,
    context: MappingContext,
    *,
    customer_id: str | None,
    shipping: Fields | None,
    comment: str | None,
    created_at: datetime | None,
    updated_at: datetime | None,
    is_complete: bool,
) -> Order:
    """An order of the API or of a webhook, whose row says client_ where the API says buyer_. The currency is not the
    order's but its source's."""
    ship = shipping if shipping is not None else Fields({}, "shipping", row.notes)
    manager = row.child("manager")
    address = [ship.text("shipping_secondary_line"), ship.text("shipping_receive_point")]
    return Order(
        order_id=order_id,
        parent_id=row.id("parent_id"),
        source_uuid=row.text("source_uuid", INDEXED_LENGTH),
        source_id=row.id("source_id"),
        status_id=row.id("status_id"),
        status_group_id=row.id("status_group_id"),
        customer_id=customer_id,
        manager_id=row.id("manager_id") or (None if manager is None else manager.id("id")),
        grand_total=row.money("grand_total"),
        products_total=row.money("products_total"),
        total_discount=row.money("total_discount"),
        expenses_sum=row.money("expenses_sum"),
        shipping_price=row.money("shipping_price"),
        payments_total=row.money("payments_total"),
        payment_status=row.text("payment_status"),
        promocode=row.text("promocode"),
        manager_comment=comment,
        customer_comment=row.text("buyer_comment") or row.text("client_comment"),
        delivery_service_id=ship.id("delivery_service_id"),
        tracking_code=ship.text("tracking_code"),
        shipping_status=ship.text("shipping_status"),
        shipping_country=ship.text("shipping_address_country") or ship.text("shipping_address_country_code"),
        shipping_region=ship.text("shipping_address_region"),
        shipping_city=ship.text("shipping_address_city"),
        shipping_address=", ".join(part for part in address if part is not None) or None,
        shipping_date=ship.date("shipping_date_actual") or ship.date("shipping_date"),
        recipient_name=ship.text("recipient_full_name"),
        recipient_phone_e164=_phone(ship.text("recipient_phone"), context),
        is_deleted=row.time("deleted_at") is not None,
        ordered_at=row.time("ordered_at"),
        order_created_at=created_at,
        closed_at=row.time("closed_at"),
        source_updated_at=updated_at,
        is_complete=is_complete,
    )


def read_status_event(row: Fields, order: Order, payload: object = None) -> StatusEvent | None:
    """The order's current status as an event; None if the row has no usable time for it."""
    changed_at = row.time("status_changed_at")
    is_approximate = changed_at is None
    if changed_at is None:
        if row.data.get("status_changed_at") not in (None, ""):
            return None  # it is there and unreadable, which is noted
        changed_at = order.source_updated_at
    if changed_at is None or order.status_id is None:
        return None
    return StatusEvent(
        order_id=order.order_id,
        status_id=order.status_id,
        status_changed_at=changed_at,
        status_group_id=order.status_group_id,
        order_created_at=order.order_created_at or order.ordered_at,
        is_approximate=is_approximate,
        payload=payload,
    )


def _buyer_of_order(buyer: Fields, context: MappingContext, updated_at: datetime | None) -> Customer | None:
    customer_id = buyer.id("id")
    if customer_id is None:
        return None
    return _customer(buyer, customer_id, context, updated_at, is_complete=False)


def map_customer(batch: Batch, row: Fields, customer_id: str, context: MappingContext) -> None:
    batch.customers.append(
        replace(
            _customer(row, customer_id, context, row.time("updated_at"), is_complete=True),
            birthday=row.date("birthday"),
            note=row.text("note"),
            is_deleted=row.time("deleted_at") is not None,
            source_created_at=row.time("created_at"),
        )
    )


def _customer(
    row: Fields, customer_id: str, context: MappingContext, updated_at: datetime | None, *, is_complete: bool
) -> Customer:
    """What /buyer and the buyer of an order tell alike; phone and email are lists in the one and texts in the other."""
    phones, emails = row.texts("phone"), row.texts("email")
    numbers = [_phone(phone, context) for phone in phones]
    return Customer(
        customer_id=customer_id,
        full_name=row.text("full_name"),
        phone_e164=next((number for number in numbers if number is not None), None),
        phones=tuple([number or phone for number, phone in zip(numbers, phones, strict=True)]),
        email=emails[0] if emails else None,
        emails=emails,
        company_id=row.id("company_id"),
        manager_id=row.id("manager_id"),
        source_updated_at=updated_at,
        is_complete=is_complete,
    )


def _map_status(batch: Batch, row: Fields, status_id: str, context: MappingContext) -> None:
    group_id, alias = row.id("group_id"), row.text("alias")
    batch.statuses.append(
        Status(
            status_id=status_id,
            name=row.text("name") or alias or status_id,
            alias=alias,
            status_group_id=group_id,
            is_closing=row.flag("is_closing_order"),
            is_active=row.flag("is_active", default=True) and row.time("deleted_at") is None,
        )
    )
    if group_id is not None and (name := GROUP_NAMES.get(group_id)) is not None:
        batch.status_groups.append(StatusGroup(group_id, name))


def _map_source(batch: Batch, row: Fields, source_id: str, context: MappingContext) -> None:
    alias = row.text("alias")
    name = row.text("name") or row.text("source_name") or alias or source_id
    batch.sources.append(Source(source_id, name, alias, row.text("driver"), row.text("currency_code")))


def _map_product(batch: Batch, row: Fields, product_id: str, context: MappingContext) -> None:
    sku, price = row.text("sku"), row.money("price")
    batch.products.append(
        Product(
            product_id=product_id,
            name=row.text("name") or sku or product_id,
            sku=sku,
            category_id=row.id("category_id"),
            price=price if price is not None else row.money("min_price"),
            purchased_price=row.money("purchased_price"),
            currency=row.text("currency_code"),
            is_archived=row.flag("is_archived"),
            source_updated_at=row.time("updated_at"),
        )
    )


def _map_offer(batch: Batch, row: Fields, offer_id: str, context: MappingContext) -> None:
    batch.offers.append(
        Offer(
            offer_id=offer_id,
            product_id=row.id("product_id"),
            sku=row.text("sku", INDEXED_LENGTH),
            barcode=row.text("barcode"),
            price=row.money("price"),
            purchased_price=row.money("purchased_price"),
            properties=_properties(row),
            is_archived=row.flag("is_archived"),
        )
    )


def _map_stock(batch: Batch, row: Fields, offer_id: str, context: MappingContext) -> None:
    stock = read_stock(row, offer_id, "quantity", "reserve")
    if stock is not None:
        batch.stocks.append(stock)


def read_stock(row: Fields, offer_id: str, stock_name: str, reserve_name: str) -> Stock | None:
    """None, with a note, unless both quantities are there: a guess would overwrite what is known."""
    in_stock, in_reserve = row.quantity(stock_name), row.quantity(reserve_name)
    if in_stock is None or in_reserve is None:
        row.note_missing(stock_name, reserve_name)
        return None
    return Stock(offer_id, in_stock, in_reserve, row.text("sku", INDEXED_LENGTH))


def _item(line: Fields) -> OrderItem | None:
    quantity = line.quantity("quantity")
    if quantity is None:
        line.note_missing("quantity")
        return None
    offer = line.child("offer")
    sku = line.text("sku")
    return OrderItem(
        quantity=quantity,
        item_id=line.id("id"),
        product_id=line.id("product_id") or (None if offer is None else offer.id("product_id")),
        offer_id=line.id("offer_id") or (None if offer is None else offer.id("id")),
        sku=sku or (None if offer is None else offer.text("sku")),
        name=line.text("name"),
        price=line.money("price"),
        price_sold=line.money("price_sold"),
        purchased_price=line.money("purchased_price"),
        total_discount=line.money("total_discount"),
        unit_type=line.text("unit_type"),
        properties=_properties(line),
    )


def _properties(row: Fields) -> tuple[object, ...]:
    value = row.data.get("properties")
    if type(value) is list:
        return tuple(plain_json(item) for item in value) if value else ()
    if value is not None and value != {} and value != "":
        row.note("properties", "a list", value)
    return ()


def _payment(entry: Fields, order_id: str) -> Payment | None:
    payment_id, amount, status = entry.id("id"), entry.money("amount"), entry.text("status")
    if payment_id is None or amount is None or status is None:
        entry.note_missing("id", "amount", "status")
        return None
    return Payment(
        payment_id=payment_id,
        order_id=order_id,
        amount=amount,
        status=status,
        payment_method_id=entry.id("payment_method_id"),
        currency=entry.text("actual_currency"),
        description=entry.text("description"),
        transaction_uuid=entry.text("transaction_uuid"),
        paid_at=entry.time("payment_date"),
        source_created_at=entry.time("created_at"),
        source_updated_at=entry.time("updated_at"),
    )


def _marketing(given: Fields | None, comment: str | None, order_id: str) -> OrderMarketing | None:
    """The order's tags; its comment's where it has none. Click ids come from the comment alone: the API has none."""
    tags = {} if given is None else {name: value for name in MARKETING_NAMES if (value := given.text(name)) is not None}
    source = "api" if tags else "comment"
    said = {} if comment is None else read_marketing_comment(comment)
    if tags:
        said = {name: value for name, value in said.items() if name not in UTM_NAMES}
    tags = said | tags
    return OrderMarketing(order_id=order_id, **tags, source=source) if tags else None


def _phone(text: str | None, context: MappingContext) -> str | None:
    return None if text is None else parse_phone(text, context.region)


_MAPPERS: dict[str, Callable[[Batch, Fields, str, MappingContext], None]] = {
    "orders": map_order,
    "customers": map_customer,
    "statuses": _map_status,
    "sources": _map_source,
    "products": _map_product,
    "offers": _map_offer,
    "stocks": _map_stock,
}
