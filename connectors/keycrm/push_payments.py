"""Brings payments to KeyCRM, each once: its description holds our key."""

from __future__ import annotations

from connectors.errors import NotFoundError, PermanentError, RetryError
from connectors.keycrm.push_calls import ORDER_INCLUDE, Calls, Row, needed_id
from connectors.keycrm.push_payment_bodies import (
    CHANGEABLE,
    answered_values,
    changed_payment,
    new_payment,
    payment_with_key,
)
from connectors.protocol import Change, PushResult


async def push_payment(calls: Calls, change: Change) -> PushResult:
    """Leaves no fingerprint of the order: what others have changed of it meanwhile would be in it. Raises
    ConnectorError."""
    given = change.data["order"]["crm_id"]
    if given is None:
        raise PermanentError("KeyCRM does not have the payment's order: send the order first, then this payment again")
    order_id = needed_id(given, "order")
    if change.crm_id is not None:
        return await _change_payment(calls, change, order_id, needed_id(change.crm_id, "payment"))
    if change.may_have_been_sent:
        order = await calls.row("/order", order_id, ORDER_INCLUDE)
        if (found := payment_with_key(order, change.key)) is not None:
            return await _change_payment(calls, change, order_id, str(found["id"]), found)
    await calls.write("POST", f"/order/{order_id}/payment", new_payment(change, calls.options))
    # The answer does not tell the payment's id.
    order = await calls.row("/order", order_id, ORDER_INCLUDE)
    made = payment_with_key(order, change.key)
    if made is None:
        raise RetryError("KeyCRM has taken the payment and does not show it among those of its order")
    return PushResult(
        str(made["id"]),
        as_crm=answered_values(made),
        requests=calls.writes,
    )


async def _change_payment(
    calls: Calls, change: Change, order_id: str, crm_id: str, known: Row | None = None
) -> PushResult:
    """Its status; nothing else of a payment can be changed."""
    if known is None and change.may_have_been_sent and change.fields & CHANGEABLE:
        order = await calls.row("/order", order_id, ORDER_INCLUDE)
        rows = order.get("payments") or []
        known = next((row for row in rows if isinstance(row, dict) and str(row.get("id")) == crm_id), None)
        if known is None:
            raise NotFoundError("KeyCRM no longer has this payment on its order: take it out of vms, or add it anew")
    built = changed_payment(change, known)
    answer = known or {}
    if built.body:
        answer = await calls.write("PUT", f"/order/{order_id}/payment/{crm_id}", built.body)
    return PushResult(
        crm_id,
        ignored=built.ignored,
        was_there=change.is_new,
        as_crm={**built.as_crm, **answered_values(answer)},
        requests=calls.writes,
    )
