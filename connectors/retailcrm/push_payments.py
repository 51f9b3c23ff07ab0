"""Payments of the warehouse -> RetailCRM: looked for in their order first, so that none is made twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from connectors.errors import PermanentError, RetryError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, PushResult
from connectors.retailcrm import api, client
from connectors.retailcrm.account import code_of, codes, local_zone
from connectors.retailcrm.api import Row
from connectors.retailcrm.push_bodies import differing, payment_body, wall
from connectors.retailcrm.statuses import PAYMENT_STATUS_CODES
from connectors.values.times import parse_time

_ORDERS = client.RESOURCES["orders"]


async def push_payment(http: HttpSession, account: Account, change: Change) -> PushResult:
    """Create the payment, or bring it up to date. Raises ConnectorError."""
    data = change.data
    status = await _status(http, account, data["status"])
    kind, why = None, None
    if change.is_new or "method" in change.fields:
        kind, why = await _type(http, account, data.get("method"))
    ignored = {} if why is None else {"method": why}
    local = await local_zone(http, account)
    fields = frozenset(("amount", "method", "status", "paid_at")) if change.is_new else change.fields
    body = payment_body(data, fields, local, kind, status)
    as_crm = _as_crm(data, fields, local, kind, status)
    if change.crm_id is None or change.may_have_been_sent:
        order = await _order(http, account, data["order"])
        row = _payment(order, change)
        if row is None and change.crm_id is None:
            payment_id = await _create(http, account, change, order, body)
            return PushResult(payment_id, ignored, as_crm=as_crm)
        if row is None:
            raise PermanentError(f"RetailCRM has no payment {change.crm_id} in the order {order['id']} any more")
        body = differing(body, row)
        payment_id, was_there = str(row["id"]), change.is_new
    else:
        payment_id, was_there = change.crm_id, False
    if body:
        await api.post(http, account, f"/orders/payments/{payment_id}/edit", {"payment": body}, by="id")
    return PushResult(payment_id, ignored, was_there=was_there, requests=int(bool(body)), as_crm=as_crm)


async def _create(http: HttpSession, account: Account, change: Change, order: Row, body: Row) -> str:
    payment = {"order": {"id": order["id"]}, "externalId": change.key, **body}
    try:
        answer = await api.post(http, account, "/orders/payments/create", {"payment": payment})
    except api.ExistsError as error:
        row = _payment(await _order(http, account, change.data["order"]), change)
        if row is None:
            raise error from None
        return str(row["id"])
    if type(answer.get("id")) is not int:
        raise RetryError("POST /orders/payments/create: RetailCRM does not say the id of the payment")
    return str(answer["id"])


async def _order(http: HttpSession, account: Account, named: Mapping[str, Any]) -> Row:
    """The order as it is now. Raises NotFoundError, PermanentError."""
    if named.get("crm_id") is not None:
        return await client.by_id(http, account, _ORDERS, str(named["crm_id"]))
    row = await client.by_external_id(http, account, _ORDERS, str(named.get("key") or ""))
    if row is None:
        raise PermanentError("RetailCRM does not have the order of this payment: send the order first")
    return row


def _payment(order: Row, change: Change) -> Row | None:
    """The payment in its order: by its id, else by our key."""
    given = order.get("payments")
    rows = list(given.values()) if type(given) is dict else given if type(given) is list else []
    for row in rows:
        if type(row) is dict and type(row.get("id")) is int:
            if change.crm_id is not None and str(row["id"]) == change.crm_id:
                return row
            if change.crm_id is None and row.get("externalId") == change.key:
                return row
    return None


def _as_crm(
    data: Mapping[str, Any], fields: frozenset[str], local: tzinfo, kind: str | None, status: str
) -> dict[str, Any]:
    """As it is read there later."""
    seen: dict[str, Any] = {"status": status, **({} if kind is None else {"method": kind})}
    paid_at = data.get("paid_at")
    if paid_at is not None:
        # In whole seconds; in the hour that the end of summer time repeats, read as the later one.
        read = parse_time(wall(paid_at, local), local)
        seen["paid_at"] = read
    return {name: value for name, value in seen.items() if name in fields and value != data.get(name)}


async def _status(http: HttpSession, account: Account, word: str) -> str:
    """The account's code for a payment's status: the first of those that mean it which the account has."""
    wanted = PAYMENT_STATUS_CODES[word]
    known = await codes(http, account, "payment-statuses", "paymentStatuses")
    return next((code for code in wanted if code in known), wanted[0])


async def _type(http: HttpSession, account: Account, method: str | None) -> tuple[str, str | None]:
    """The code of a payment type: what the settings call it, else the account's own word, else the first there is, and
    why it is that one. Raises PermanentError."""
    given: Mapping[str, str] = account.options.get("payment_types") or {}
    if method is not None and method in given:
        return given[method], None
    known = await codes(http, account, "payment-types", "paymentTypes", method)
    code = None if method is None else code_of(known, method)
    if code is not None:
        return code, None
    first = next(iter([*given.values(), *known]), None)
    if first is None:
        raise PermanentError("RetailCRM has no payment types: add one in its settings")
    why = (
        f"RetailCRM has no type for payments by {method!r}, so it is {first}: say in options.payment_types which it is"
    )
    return first, None if method is None else why
