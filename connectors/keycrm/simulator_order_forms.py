"""Bodies that write orders and payments: checked, and turned into arguments of `SimulatorState`'s methods."""

from __future__ import annotations

from connectors.keycrm.simulator_defaults import EMPTY_SHIPPING
from connectors.keycrm.simulator_records import Buyer, Order
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_totals import price_line
from connectors.keycrm.simulator_values import (
    JSON,
    Errors,
    read_day,
    read_id,
    read_number,
    read_rows,
    read_stamp,
    read_texts,
)

PAYMENT_STATUSES = ("paid", "not_paid", "canceled")
_TEXTS = ("buyer_comment", "manager_comment", "promocode", "gift_message")
_AMOUNTS = ("shipping_price", "wrap_price", "taxes", "discount_amount", "discount_percent")
_MARKETING = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


def check_order(state: SimulatorState, body: JSON, prefix: str, errors: Errors) -> JSON:
    """The arguments of `SimulatorState.add_order`; what is wrong with the body is noted in `errors`."""
    source_id = read_id(body.get("source_id"))
    if body.get("source_id") in (None, ""):
        errors.required(f"{prefix}source_id")
    elif source_id not in state.dictionaries["sources"].rows:
        errors.invalid(f"{prefix}source_id")
    buyer = body.get("buyer")
    if not isinstance(buyer, dict) or not buyer:
        errors.required(f"{prefix}buyer")
    elif not any(buyer.get(name) for name in ("full_name", "email", "phone")):
        errors.required(f"{prefix}buyer.full_name")
    given: JSON = {"source_id": source_id, **{name: body[name] for name in _TEXTS if body.get(name) is not None}}
    given |= {name: read_number(body[name], prefix + name, errors) for name in _AMOUNTS if name in body}
    given |= {name: bool(body[name]) for name in ("is_gift", "gift_wrap") if name in body}
    given["source_uuid"] = None if body.get("source_uuid") in (None, "") else str(body["source_uuid"])
    given["ordered_at"] = read_stamp(body.get("ordered_at"), f"{prefix}ordered_at", errors)
    if body.get("manager_id") is not None:
        given["manager_id"] = read_id(body["manager_id"])
        if given["manager_id"] not in state.users.rows:
            errors.invalid(f"{prefix}manager_id")
    if isinstance(body.get("shipping"), dict):
        given["shipping"] = _read_shipping(body["shipping"], errors)
    if isinstance(body.get("marketing"), dict):
        given["marketing"] = {name: body["marketing"].get(name) for name in _MARKETING}
    given["custom_fields"] = read_custom_fields(state, body, errors, [])
    given["products"] = [
        _read_line(row, f"{prefix}products.{number}.", errors)
        for number, row in enumerate(read_rows(body, "products", errors))
    ]
    given["payments"] = [
        read_payment(state, row, f"{prefix}payments.{number}.", errors)
        for number, row in enumerate(read_rows(body, "payments", errors))
    ]
    if (
        state.source_uuid_policy == "reject"
        and given["source_uuid"] is not None
        and source_id is not None
        and state.order_with_uuid(given["source_uuid"], source_id) is not None
    ):
        errors.add(f"{prefix}source_uuid", "The source uuid has already been taken.")
    return given


def create_order_from(state: SimulatorState, body: JSON, *, announce: bool = True) -> Order:
    errors = Errors()
    given = check_order(state, body, "", errors)
    errors.stop()
    buyer = body["buyer"]
    phones, emails = read_texts(buyer.get("phone")), read_texts(buyer.get("email"))
    found = state.find_buyer(phones, emails)
    if found is None:
        name = buyer.get("full_name") or (phones + emails)[0]
        found = state.add_buyer(str(name), phones=phones, emails=emails)
        state.writes.buyers[buyer_key(found)] += 1
    ordered_at = given.pop("ordered_at")
    order = state.add_order(buyer=found, announce=announce, **given)
    if ordered_at is not None:
        state.orders.change(order, ordered_at=ordered_at)
    state.writes.orders[order.fields["source_uuid"] or ""] += 1
    for payment in order.payments:
        state.writes.payments[payment["description"] or ""] += 1
    return order


def buyer_key(buyer: Buyer) -> str:
    """What a new buyer is counted by."""
    return str([*buyer.fields["phone"], *buyer.fields["email"], buyer.fields["full_name"]][0])


def _read_line(row: JSON, prefix: str, errors: Errors) -> JSON:
    line = {
        name: row[name]
        for name in ("sku", "name", "unit_type", "comment", "picture", "properties")
        if row.get(name) is not None
    }
    if not line.get("name") and not line.get("sku"):
        errors.required(f"{prefix}name")
    for name in ("price", "purchased_price", "discount_percent", "discount_amount", "quantity"):
        if row.get(name) is not None:
            line[name] = read_number(row[name], prefix + name, errors)
    return line


def read_payment(state: SimulatorState, row: JSON, prefix: str, errors: Errors) -> JSON:
    payment: JSON = {"status": row.get("status", "not_paid"), "description": row.get("description")}
    if row.get("amount") in (None, ""):
        errors.required(f"{prefix}amount")
    payment["amount"] = read_number(row.get("amount"), f"{prefix}amount", errors)
    if payment["status"] not in PAYMENT_STATUSES:
        errors.invalid(f"{prefix}status")
    payment["payment_date"] = read_stamp(row.get("payment_date"), f"{prefix}payment_date", errors)
    methods = state.dictionaries["payment_methods"]
    if row.get("payment_method_id") is not None:
        payment["payment_method_id"] = read_id(row["payment_method_id"])
        if payment["payment_method_id"] not in methods.rows:
            errors.invalid(f"{prefix}payment_method_id")
    elif row.get("payment_method"):
        named = [method for method in methods if method.fields["name"] == row["payment_method"]]
        entry = named[0] if named else state.add_entry("payment_methods", {"name": row["payment_method"]})
        payment["payment_method_id"] = entry.id
    else:
        errors.required(f"{prefix}payment_method_id")
    return payment


def _read_shipping(given: JSON, errors: Errors) -> JSON:
    """Known fields alone: `shipping_price` belongs at the root, and is dropped here."""
    shipping = {name: given[name] for name in EMPTY_SHIPPING if name in given}
    if "shipping_date" in given:
        shipping["shipping_date_actual"] = read_day(given["shipping_date"], "shipping.shipping_date", errors)
    return shipping


def change_shipping(order: Order, given: JSON, errors: Errors) -> JSON:
    changes = _read_shipping(given, errors)
    if "tracking_code" in changes and order.shipping["tracking_code"] is not None:
        errors.add("shipping.tracking_code", "The order already has a tracking code.")
    return order.shipping | changes


def read_custom_fields(state: SimulatorState, body: JSON, errors: Errors, known: list[JSON]) -> list[JSON]:
    """The known values with those of the body put over them."""
    uuids = {field.fields["uuid"] for field in state.custom_fields}
    values = {row["uuid"]: row for row in known}
    for number, row in enumerate(read_rows(body, "custom_fields", errors)):
        if row.get("uuid") not in uuids:
            errors.invalid(f"custom_fields.{number}.uuid")
        else:
            values[row["uuid"]] = {"uuid": row["uuid"], "value": row.get("value")}
    return list(values.values())


def change_lines(order: Order, rows: list[JSON], errors: Errors) -> list[JSON]:
    """The order's lines with the changes; a row that matches none is refused: products cannot be added."""
    lines = [line.copy() for line in order.lines]
    for number, row in enumerate(rows):
        wanted = read_id(row.get("id"))
        matching = [
            line
            for line in lines
            if (line["id"] == wanted if wanted is not None else row.get("sku") and line["sku"] == row["sku"])
        ]
        if not matching:
            errors.invalid(f"products.{number}.{'id' if wanted is not None else 'sku'}")
            continue
        line = matching[0]
        if row.get("name") is not None and line["offer_id"] is None:
            line["name"] = row["name"]
        for name in ("comment", "product_status_id"):
            if name in row:
                line[name] = row[name]
        for name in ("price", "purchased_price", "discount_percent", "discount_amount", "quantity"):
            if row.get(name) is not None:
                line[name] = read_number(row[name], f"products.{number}.{name}", errors)
        price_line(line)
    return lines
