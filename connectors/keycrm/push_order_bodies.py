"""Bodies that write orders, from an order of vms and, where it was read, the order at KeyCRM. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connectors.errors import PermanentError
from connectors.keycrm.push_lines import changed_lines, discount_of_lines, new_lines
from connectors.keycrm.push_words import is_id, number_of, order_source
from connectors.protocol import Account, Change
from connectors.values.fields import Fields
from connectors.values.phones import parse_phone

Row = Mapping[str, Any]

NEEDS_ROW = frozenset({"items", "discount", "tracking_number", "address"})
"""Fields of an order whose change depends on what KeyCRM has."""
NO_SOURCE = (
    "KeyCRM takes no order without a source: set the option order_source_id to the id of the source that "
    "orders of the warehouse belong to (Settings > Sources; GET /order/source lists them)"
)
TRACKING_STAYS = (
    "KeyCRM lets a tracking number be set once, and this order has one: change it in KeyCRM's own pages, or take back "
    "the change in vms"
)
LINES_STAY = (
    "KeyCRM lets nobody add or remove lines of an order through its API: do it in KeyCRM's own pages, and the lines "
    "come back to vms from there"
)
BUYER_STAYS = "KeyCRM keeps the buyer that an order was made for: change it in KeyCRM's own pages"
SHIPPING_PRICE_STAYS = "KeyCRM takes the price of shipping only with a new order: change it in KeyCRM's own pages"
UNKNOWN_CARRIER = "KeyCRM knows delivery services by number: name this one's in the option delivery_services"
UNKNOWN_STATUS = "This is no status of KeyCRM, whose ids are numbers: check the project's status_map"


@dataclass(slots=True)
class Built:
    """A body to send; empty: there is nothing to write."""

    body: dict[str, Any] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    as_crm: dict[str, Any] = field(default_factory=dict)


def stamp(moment: datetime) -> str:
    """A time as KeyCRM reads it, in UTC and whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def wanted_status(change: Change) -> int | None:
    """The status that the order is to be in; None if it is left as it is, or is none of KeyCRM's."""
    status = change.data.get("status") if "status" in change.fields else None
    return int(status) if status is not None and is_id(status) else None


def new_order(change: Change, account: Account) -> Built:
    """A whole order, without its status and payments. Raises PermanentError where KeyCRM cannot take it."""
    data, options, built = change.data, account.options, Built()
    if (source_id := order_source(options)) is None:
        raise PermanentError(NO_SOURCE)
    body: dict[str, Any] = {"source_id": source_id, "source_uuid": change.key, "buyer": _buyer(data)}
    if data.get("comment"):
        body["manager_comment"] = data["comment"]
    if data.get("ordered_at") is not None:
        body["ordered_at"] = stamp(data["ordered_at"])
    body |= {
        theirs: data[ours]
        for ours, theirs in (("discount", "discount_amount"), ("shipping_price", "shipping_price"))
        if data.get(ours)
    }
    shipping = {
        theirs: data[ours]
        for ours, theirs in (
            ("tracking_number", "tracking_code"),
            ("recipient", "recipient_full_name"),
            ("phone", "recipient_phone"),
            ("address", "shipping_secondary_line"),
        )
        if data.get(ours)
    }
    shipping |= _carrier(data, options, built) if data.get("carrier") else {}
    if shipping:
        body["shipping"] = shipping
    if data.get("items"):
        lines = new_lines(data["items"])
        body["products"] = lines.products
        if lines.as_crm is not None:
            built.as_crm["items"] = lines.as_crm
    _note_status(change, built)
    built.body = body
    return built


def changed_order(change: Change, account: Account, row: Row | None) -> Built:
    """The fields of the change that differ from the order at KeyCRM; without it (`NEEDS_ROW` says when that is enough)
    all of them."""
    data, built = change.data, Built()
    known = None if row is None else Fields(dict(row))
    if (status := wanted_status(change)) is not None and (known is None or known.id("status_id") != str(status)):
        built.body["status_id"] = status
    _note_status(change, built)
    if "comment" in change.fields and (known is None or known.text("manager_comment") != (data["comment"] or None)):
        built.body["manager_comment"] = data["comment"] or None
    if "shipping_price" in change.fields and (
        known is None or (known.money("shipping_price") or 0) != data["shipping_price"]
    ):
        built.ignored["shipping_price"] = SHIPPING_PRICE_STAYS
    if "customer" in change.fields and not _is_buyer(data.get("customer"), known):
        built.ignored["customer"] = BUYER_STAYS
    if known is not None:
        if "items" in change.fields:
            _change_lines(data, known, built)
        if "discount" in change.fields:
            _change_discount(data["discount"], known, built)
    shipping = _changed_shipping(change, account, known, built)
    if shipping:
        built.body["shipping"] = shipping
    return built


def customer_id(row: Row) -> str | None:
    """The buyer of an order, where the row tells."""
    fields = Fields(dict(row))
    buyer = fields.child("buyer")
    return fields.id("client_id") or (None if buyer is None else buyer.id("id"))


def _buyer(data: Mapping[str, Any]) -> Row:
    """KeyCRM knows a buyer again by phone or e-mail."""
    customer = data.get("customer") or {}
    buyer = {name: customer[name] for name in ("full_name", "email", "phone") if customer.get(name)}
    if not buyer:
        raise PermanentError(
            "KeyCRM takes no order without a buyer: give the order a customer who has a name, a phone or an e-mail"
        )
    return {"full_name": customer.get("phone") or customer.get("email"), **buyer}


def _note_status(change: Change, built: Built) -> None:
    status = change.data.get("status")
    if "status" in change.fields and status is not None and not is_id(status):
        built.ignored["status"] = UNKNOWN_STATUS


def _is_buyer(customer: Row | None, known: Fields | None) -> bool:
    """Whether the order's buyer is that customer, as far as anybody can tell."""
    if customer is None or known is None:
        return False
    theirs = customer_id(known.data)
    return theirs is None or customer.get("crm_id") in (None, theirs)


def _change_lines(data: Mapping[str, Any], known: Fields, built: Built) -> None:
    rows = known.data.get("products")
    lines = changed_lines(data["items"], [row for row in rows if isinstance(row, dict)] if rows else [])
    if lines is None:
        built.ignored["items"] = LINES_STAY
        return
    if lines.products:
        built.body["products"] = lines.products
    if lines.as_crm is not None:
        built.as_crm["items"] = lines.as_crm


def _change_discount(wanted: Decimal, known: Fields, built: Built) -> None:
    """Of the order itself, beside those of its lines. A share in per cent would go on counting beside the amount."""
    percent = known.money("discount_percent")
    total = known.money("total_discount")
    lines: Sequence[Row] = known.data.get("products") or []
    current = known.money("discount_amount") if total is None else total - discount_of_lines(lines)
    if current == wanted:
        return
    built.body["discount_amount"] = wanted
    if percent:
        built.body["discount_percent"] = 0


def _changed_shipping(change: Change, account: Account, known: Fields | None, built: Built) -> dict[str, Any]:
    data, fields = change.data, change.fields
    ship = None if known is None else (known.child("shipping") or Fields({}, "shipping"))
    shipping: dict[str, Any] = {}
    if "carrier" in fields:
        carrier = _carrier(data, account.options, built)
        if carrier and (ship is None or ship.id("delivery_service_id") != _text(carrier["delivery_service_id"])):
            shipping |= carrier
    if "recipient" in fields and (ship is None or ship.text("recipient_full_name") != (data["recipient"] or None)):
        shipping["recipient_full_name"] = data["recipient"] or None
    if "phone" in fields and (ship is None or _phone(ship, account) != (data["phone"] or None)):
        shipping["recipient_phone"] = data["phone"] or None
    if ship is not None:
        if "tracking_number" in fields and (code := ship.text("tracking_code")) != data["tracking_number"]:
            if code is None:
                shipping["tracking_code"] = data["tracking_number"]
            else:
                built.ignored["tracking_number"] = TRACKING_STAYS
        if "address" in fields:
            shipping |= _address(data["address"], ship)
    return shipping


def _carrier(data: Mapping[str, Any], options: Mapping[str, Any], built: Built) -> dict[str, Any]:
    """Nothing, and a reason, where nobody has said which of KeyCRM's services it is."""
    if not data["carrier"]:
        return {"delivery_service_id": None}
    number = number_of(options.get("delivery_services"), data["carrier"])
    if number is None:
        built.ignored["carrier"] = UNKNOWN_CARRIER
        return {}
    built.as_crm["carrier"] = str(number)
    return {"delivery_service_id": number}


def _address(wanted: str | None, ship: Fields) -> dict[str, Any]:
    """The address in one line. Parts that KeyCRM keeps apart stay where they are a part of it, and go where they are of
    another: what is read back is all parts together."""
    line, point = ship.text("shipping_secondary_line"), ship.text("shipping_receive_point")
    places = {name: ship.text(name) for name in ("shipping_address_city", "shipping_address_region") if ship.text(name)}
    text = wanted or ""
    change: dict[str, Any] = {name: None for name, place in places.items() if place and not _has(text, place)}
    if point and text.casefold().endswith(point.casefold()):
        text = text[: -len(point)].rstrip(" ,")
    elif point:
        change["shipping_receive_point"] = None
    if line != (text or None):
        change["shipping_secondary_line"] = text or None
    return change


def _has(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()


def _phone(ship: Fields, account: Account) -> str | None:
    text = ship.text("recipient_phone")
    return None if text is None else parse_phone(text, account.context.region) or text


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
