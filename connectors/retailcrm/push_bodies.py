"""What is written to RetailCRM: objects of the warehouse -> bodies of its API. Pure.

Money and quantities are `Decimal`; whoever sends them writes them as exact numbers. Texts that are to be empty are "".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connectors.records import OrderItem
from connectors.retailcrm.api import Row
from connectors.retailcrm.lines import line_of
from connectors.values.fields import Fields

_CENT = Decimal("0.01")


def wall(moment: datetime, local: tzinfo) -> str:
    """As the account writes times: on its own clocks, without an offset."""
    return moment.astimezone(local).strftime("%Y-%m-%d %H:%M:%S")


def name_parts(full_name: str | None) -> dict[str, str]:
    """First name, patronymic and last name, which, joined in this order, are the name again."""
    words = (full_name or "").split()
    if len(words) < 2:
        return {"firstName": "".join(words), "patronymic": "", "lastName": ""}
    return {"firstName": words[0], "patronymic": " ".join(words[1:-1]), "lastName": words[-1]}


def filled(body: Mapping[str, Any]) -> Row:
    """Without what is empty: for what is new."""
    rest = {name: filled(value) if type(value) is dict else value for name, value in body.items()}
    return {name: value for name, value in rest.items() if value not in (None, "", {}, [])}


# --------------------------------------------------------------------------------------------------------------- order


def order_body(
    data: Mapping[str, Any],
    fields: frozenset[str],
    *,
    customer: Row | None = None,
    carrier: str | None = None,
    items: Sequence[Row] | None = None,
) -> Row:
    """Those `fields` of an order. `customer` and `items` as the API takes them, `carrier` the code of a delivery type:
    what is None is left as it is."""
    body: Row = {}
    if "status" in fields and data.get("status") is not None:
        body["status"] = data["status"]
    if customer is not None:
        body["customer"] = customer
    if "discount" in fields:
        body |= {"discountManualAmount": data.get("discount") or Decimal(0), "discountManualPercent": 0}
    if "comment" in fields:
        body["managerComment"] = data.get("comment") or ""
    if items is not None:
        body["items"] = list(items)
    if "recipient" in fields:
        body |= name_parts(data.get("recipient") or _person(data).get("full_name"))
    if "phone" in fields:
        body["phone"] = data.get("phone") or _person(data).get("phone") or ""
    if delivery := _delivery(data, fields, carrier):
        body["delivery"] = delivery
    return body


def new_order_body(data: Mapping[str, Any], key: str, local: tzinfo, body: Row) -> Row:
    """A whole new order: `body` is `order_body` of all its fields."""
    ordered_at = data.get("ordered_at")
    return filled(
        {
            "externalId": key,
            "number": data.get("number"),
            "createdAt": None if ordered_at is None else wall(ordered_at, local),
            "email": _person(data).get("email"),
            **{name: value for name, value in body.items() if name != "discountManualPercent"},
        }
    )


def _delivery(data: Mapping[str, Any], fields: frozenset[str], carrier: str | None) -> Row:
    delivery: Row = {}
    if carrier is not None:
        delivery["code"] = carrier
    if "shipping_price" in fields:
        delivery["cost"] = data.get("shipping_price") or Decimal(0)
    if "tracking_number" in fields:
        delivery["data"] = {"trackNumber": data.get("tracking_number") or ""}
    if "address" in fields:
        delivery["address"] = {"text": data.get("address") or ""}
    return delivery


def _person(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return data.get("customer") or {}


def item_bodies(lines: Sequence[Mapping[str, Any]], offers: Sequence[int | None], rows: Sequence[Row]) -> list[Row]:
    """The lines of an order as its whole set: those of `rows` (what RetailCRM has) that are meant keep their id, and
    those that nobody names are gone. `offers`: of each line, the offer's id, or None where it only has a name."""
    known = [(row, has) for row in rows if (has := line_of(Fields(row))) is not None and type(row.get("id")) is int]
    chosen: dict[int, Row] = {}
    for is_same in (_is_same, _is_of_same):
        for index, line in enumerate(lines):
            if index in chosen:
                continue
            place = next((at for at, (_, has) in enumerate(known) if is_same(line, offers[index], has)), None)
            if place is not None:
                chosen[index], _ = known.pop(place)
    return [_item(line, offers[index], chosen.get(index)) for index, line in enumerate(lines)]


def _is_of_same(line: Mapping[str, Any], offer: int | None, has: OrderItem) -> bool:
    if offer is not None:
        return has.offer_id == str(offer)
    return has.sku == line.get("sku") and (line.get("sku") is not None or has.name == line.get("name"))


def _is_same(line: Mapping[str, Any], offer: int | None, has: OrderItem) -> bool:
    return _is_of_same(line, offer, has) and (has.quantity, has.price) == (line["quantity"], line["price"])


def _item(line: Mapping[str, Any], offer: int | None, row: Row | None) -> Row:
    if row is not None:
        body: Row = {"id": row["id"]}
    elif offer is not None:
        body = {"offer": {"id": offer}}
    else:
        body = {"productName": line.get("name") or line.get("sku") or "?"}
    return {
        **body,
        "initialPrice": line["price"],
        "quantity": line["quantity"],
        "discountManualAmount": per_piece(line.get("discount"), line["quantity"]),
    }


def per_piece(discount: Decimal | None, quantity: Decimal) -> Decimal:
    """A line's discount as RetailCRM takes it: of one piece, to the cent."""
    return ((discount or Decimal(0)) / quantity).quantize(_CENT, ROUND_HALF_UP)


# ------------------------------------------------------------------------------------------------- payments, customers


def payment_body(data: Mapping[str, Any], fields: frozenset[str], local: tzinfo, kind: str | None, status: str) -> Row:
    """Those `fields` of a payment; `kind` and `status` are codes of the account."""
    body: Row = {}
    if "amount" in fields:
        body["amount"] = data["amount"]
    if "method" in fields and kind is not None:
        body["type"] = kind
    if "status" in fields:
        body["status"] = status
    if "paid_at" in fields and data.get("paid_at") is not None:
        body["paidAt"] = wall(data["paid_at"], local)
    return body


def customer_body(
    data: Mapping[str, Any], fields: frozenset[str], phones: Sequence[str], segment_field: str | None
) -> Row:
    """Those `fields` of a customer. `phones`: those that the customer keeps besides."""
    body: Row = {}
    if "full_name" in fields:
        body |= name_parts(data.get("full_name"))
    if "phone" in fields:
        phone = data.get("phone")
        body["phones"] = [{"number": number} for number in dict.fromkeys([*([phone] if phone else []), *phones])]
    if "email" in fields:
        body["email"] = data.get("email") or ""
    if "note" in fields:
        body["commentary"] = data.get("note") or ""
    if "segment" in fields and segment_field is not None:
        body["customFields"] = {segment_field: data.get("segment") or ""}
    return body


# --------------------------------------------------------------------------------------------------------- differences


def differing(wanted: Mapping[str, Any], has: Mapping[str, Any]) -> Row:
    """What of a body the object does not have yet. Lists are whole; of objects, fields that it does not name stay."""
    found: Row = {}
    for name, value in wanted.items():
        old = has.get(name)
        if type(value) is dict:
            if inner := differing(value, old if type(old) is dict else {}):
                found[name] = inner
        elif name == "items":
            if _lines_differ(value, old if type(old) is list else []):
                found[name] = value
        elif name == "phones":
            if [row["number"] for row in value] != numbers(has):
                found[name] = value
        elif (value or "") != (old or ""):  # 0, "" and what is not there are one
            found[name] = value
    return found


def numbers(customer: Mapping[str, Any]) -> list[str]:
    """A customer's phones, as they are written."""
    phones = customer.get("phones")
    rows = phones if type(phones) is list else []
    return [str(row["number"]) for row in rows if type(row) is dict and row.get("number")]


def _lines_differ(wanted: Sequence[Row], has: Sequence[Row]) -> bool:
    by_id = {row.get("id"): row for row in has if type(row) is dict}
    return len(wanted) != len(has) or any(
        item.get("id") not in by_id or _line_differs(item, by_id[item["id"]]) for item in wanted
    )


def _line_differs(wanted: Row, row: Row) -> bool:
    line = line_of(Fields(row))
    if line is None:
        return True
    has = {
        "initialPrice": line.price,
        "quantity": line.quantity,
        "discountManualAmount": per_piece(line.total_discount, line.quantity) if line.quantity else None,
    }
    return any((wanted[name] or 0) != (value or 0) for name, value in has.items())
