"""Brings orders to KeyCRM, each once: `source_uuid` holds our key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.errors import PermanentError
from connectors.keycrm import fingerprints
from connectors.keycrm.push_calls import ORDER_INCLUDE, Calls, Row, answered, needed_id
from connectors.keycrm.push_order_bodies import (
    NEEDS_ROW,
    TRACKING_STAYS,
    changed_order,
    customer_id,
    new_order,
    wanted_status,
)
from connectors.keycrm.push_words import order_source
from connectors.protocol import Change, PushResult


async def push_order(calls: Calls, change: Change) -> PushResult:
    """Raises ConnectorError."""
    if change.crm_id is not None:
        crm_id = needed_id(change.crm_id, "order")
        row = None
        if change.may_have_been_sent or change.fields & NEEDS_ROW:
            row = await calls.row("/order", crm_id, ORDER_INCLUDE)
        return await _bring_up_to_date(calls, change, crm_id, row)
    row = await _find(calls, change) if change.may_have_been_sent else None
    if row is None:
        built = new_order(change, calls.account)
        try:
            made = answered(await calls.write("POST", "/order", built.body), "POST /order")
        except PermanentError as error:
            # The source has an order with this source_uuid already, where the account does not allow a second one.
            row = await _find(calls, change) if "source_uuid" in (error.answer or "") else None
            if row is None:
                raise
        else:
            return await _enter_status(calls, change, made, built.ignored, built.as_crm)
    return await _bring_up_to_date(calls, change, str(row["id"]), row)


async def _find(calls: Calls, change: Change) -> Row | None:
    """The order that an earlier attempt made. Without a source none was made."""
    return None if order_source(calls.options) is None else await calls.order_with_key(change.key)


async def _enter_status(
    calls: Calls, change: Change, made: Row, ignored: dict[str, str], as_crm: Mapping[str, Any]
) -> PushResult:
    """A new order is in the first status, whatever is asked for: a second request brings it to its own."""
    crm_id, order = str(made["id"]), made
    status = wanted_status(change)
    if status is not None and str(made.get("status_id")) != str(status):
        try:
            order = answered(await calls.write("PUT", f"/order/{crm_id}", {"status_id": status}), "PUT /order", crm_id)
        except PermanentError as error:
            # The order is there: to fail now would be to make it a second time.
            ignored = {**ignored, "status": f"The order was made, but not in its status: {error.message}"}
    buyer = customer_id(order)
    if buyer is None and (change.data.get("customer") or {}).get("crm_id") is None:
        buyer = customer_id(await calls.row("/order", crm_id, "buyer"))
    return PushResult(
        crm_id,
        ignored=ignored,
        customer_id=buyer,
        fingerprint=fingerprints.of_order(order),
        echoes=() if order is made else fingerprints.echo(made),
        as_crm=as_crm,
        requests=calls.writes,
    )


async def _bring_up_to_date(calls: Calls, change: Change, crm_id: str, row: Row | None) -> PushResult:
    built = changed_order(change, calls.account, row)
    order = row
    if built.body:
        try:
            answer = await calls.write("PUT", f"/order/{crm_id}", built.body)
        except PermanentError as error:
            if "tracking_code" not in (error.answer or "") or "tracking_code" not in built.body.get("shipping", {}):
                raise
            # Somebody has set one since it was read; it is not tried again.
            built.ignored["tracking_number"] = TRACKING_STAYS
            shipping = {name: value for name, value in built.body["shipping"].items() if name != "tracking_code"}
            rest = {**built.body, "shipping": shipping}
            answer = row if rest == {"shipping": {}} else await calls.write("PUT", f"/order/{crm_id}", rest)
        order = answered(answer, "PUT /order", crm_id)
    return PushResult(
        crm_id,
        ignored=built.ignored,
        was_there=change.is_new,
        customer_id=None if order is None else customer_id(order),
        fingerprint=None if order is None else fingerprints.of_changed_order(order, built.body),
        as_crm=built.as_crm,
        requests=calls.writes,
    )
