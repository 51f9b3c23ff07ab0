"""KeyCRM's webhooks: hints that are kept, mapped as far as they go, and followed by a re-read of the whole object.

KeyCRM sends `{"event", "context"}` as POST JSON or as a GET, whose encoding is not documented: a form's fields with
`context` as JSON, or as `context[id]=501`, are taken too, and stored as JSON. The stock webhook is a bare array. The
by-event routes also take the bare object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.http import decode_json, encode_json
from connectors.keycrm import fingerprints
from connectors.keycrm.mapping import add_problems, map_customer, read_order, read_status_event, read_stock
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.values.fields import Fields, kind
from connectors.values.forms import form_pairs, nested
from connectors.values.plain import plain_json, unstorable

EVENT_NAMES = (
    "order-created",
    "order-updated",
    "order-status-changed",
    "payment-created",
    "payment-updated",
    "buyer-created",
    "buyer-updated",
)
FUTURE = timedelta(minutes=5)
"""Clocks differ; what is further ahead than this is a mistake."""

_NOT_PAYLOAD = frozenset({"token", "project"})


def check_webhook(request: WebhookRequest) -> str:
    """The payload as JSON text. Raises WebhookUnreadableError if it is none of the vendor's forms."""
    content_type = request.headers.get("content-type", "").lower()
    body = request.body.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in body:
        raise WebhookUnreadableError("the body holds NUL bytes")
    if not body.strip():
        pairs = [(name, value) for name, value in request.query.items() if name not in _NOT_PAYLOAD]
        if not pairs:
            raise WebhookUnreadableError("the body is empty")
        value = _object_of(pairs)
        text = encode_json(value).decode()
    elif "x-www-form-urlencoded" in content_type and body.lstrip()[:1] not in (b"{", b"["):
        try:
            given = form_pairs(body)
        except ValueError as error:
            raise WebhookUnreadableError(str(error)) from None
        value = _object_of(given)
        text = encode_json(value).decode()
    else:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise WebhookUnreadableError("the body is not UTF-8") from None
        try:
            value = decode_json(text)
        except (msgspec.MsgspecError, ValueError) as error:
            raise WebhookUnreadableError(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict | list):
        raise WebhookUnreadableError(f"the body: expected an object or a list, got {kind(value)}")
    if (fault := unstorable(value)) is not None:
        raise WebhookUnreadableError(f"the body {fault}")
    return text


def map_webhook(context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
    """Canonical records of one stored webhook. Raises SkipRowError if nothing of it can be read."""
    try:
        payload = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook is not JSON: {error}") from None
    batch = Batch()
    if type(payload) is list:
        _map_stocks(batch, payload)
        return batch
    if type(payload) is not dict:
        raise SkipRowError(f"expected an object or a list, got {kind(payload)}")
    event, row = _event_of(payload, event_name)
    subject, _, _ = event.replace("-", ".").partition(".")
    if subject == "lead":
        return batch  # leads are no part of the canonical model; the payload stays in raw
    if subject == "order":
        _map_order(batch, row, context, payload, received_at)
    elif subject == "payment":
        _map_payment(batch, row, context, payload, received_at)
    elif subject in ("buyer", "client"):
        _map_buyer(batch, row, context, received_at)
    else:
        raise SkipRowError(f"event: unknown event {event[:60]!r}")
    return batch


def _event_of(payload: dict[str, Any], event_name: str | None) -> tuple[str, Fields]:
    """The event's name and its object. What the payload calls itself goes before the route's name."""
    event = payload.get("event")
    if event is not None and (type(event) is not str or not event):
        raise SkipRowError(f"event: expected a text, got {kind(event)}")
    if "context" in payload:
        row, path = payload["context"], "context"
        if type(row) is not dict:
            raise SkipRowError(f"context: expected an object, got {kind(row)}")
    else:
        row, path = payload, ""
        if event is not None:
            raise SkipRowError("context: missing")
    name = event or event_name
    if not name:
        raise SkipRowError("event: missing")
    return name, Fields(row, path)


def _map_order(
    batch: Batch, row: Fields, context: MappingContext, payload: dict[str, Any], received_at: datetime
) -> None:
    order_id = _needed_id(row, "id")
    batch.rereads.append(Reread("orders", order_id, _mark(fingerprints.of_order, row, context)))
    updated_at, created_at = row.time("updated_at"), row.time("created_at")
    buyer = row.child("buyer")
    order = read_order(
        row,
        order_id,
        context,
        customer_id=row.id("client_id") or (None if buyer is None else buyer.id("id")),
        shipping=row.child("shipping"),
        comment=row.text("manager_comment"),
        created_at=created_at,
        updated_at=updated_at,
        is_complete=False,
    )
    event = read_status_event(row, order, plain_json(payload))
    latest = received_at + FUTURE
    future = [
        f"{row.at(name)}: {moment.isoformat()} lies in the future"
        for name, moment in (
            ("status_changed_at", None if event is None or event.is_approximate else event.status_changed_at),
            ("updated_at", updated_at),
        )
        if moment is not None and moment > latest
    ]
    if future:
        # Nothing of it is applied: a row of the future would stand before all true ones.
        row.notes += future
    else:
        batch.orders.append(order)
        if event is not None:
            batch.status_events.append(event)
        elif order.status_id is None:
            row.note_missing("status_id")
        elif row.data.get("status_changed_at") in (None, ""):
            row.notes.append(f"{row.at('status_changed_at')}: the event has no usable time")
    add_problems(batch, row.notes, "orders", order_id)


def _map_payment(
    batch: Batch, row: Fields, context: MappingContext, payload: dict[str, Any], received_at: datetime
) -> None:
    """A payment names its order as destination_id; an order's row may come under a payment's name too."""
    if "destination_id" not in row and ("payment_status" in row or "status_id" in row):
        _map_order(batch, row, context, payload, received_at)
        return
    for name in ("destination_id", "order_id"):
        if row.data.get(name) not in (None, ""):
            # One payment of an order is not all of them: the order is read again whole.
            batch.rereads.append(Reread("orders", _needed_id(row, name)))
            return
    raise SkipRowError(f"{row.at('destination_id')}: missing, the payment's order is not known")


def _map_buyer(batch: Batch, row: Fields, context: MappingContext, received_at: datetime) -> None:
    customer_id = _needed_id(row, "id")
    batch.rereads.append(Reread("customers", customer_id, _mark(fingerprints.of_buyer, row, context)))
    updated_at = row.time("updated_at")
    if updated_at is not None and updated_at > received_at + FUTURE:
        row.notes.append(f"{row.at('updated_at')}: {updated_at.isoformat()} lies in the future")
    elif row.data.get("full_name") not in (None, "") and "phone" in row and "email" in row:
        read = Batch()
        map_customer(read, row, customer_id, context)
        batch.customers += [replace(customer, is_complete=False) for customer in read.customers]
    add_problems(batch, row.notes, "customers", customer_id)


def _map_stocks(batch: Batch, rows: list[Any]) -> None:
    notes: list[str] = []
    for index, item in enumerate(rows):
        if type(item) is not dict:
            notes.append(f"[{index}]: expected an object, got {kind(item)}")
            continue
        row = Fields(item, f"[{index}]", notes)
        offer_id = row.id("offer_id")
        if offer_id is None:
            row.note_missing("offer_id")
            continue
        stock = read_stock(row, offer_id, "in_stock", "in_reserve")
        if stock is not None:
            batch.stocks.append(stock)
    add_problems(batch, notes, "stocks", None)


def _mark(
    fingerprint: Callable[[Mapping[str, Any]], bytes | None], row: Fields, context: MappingContext
) -> bytes | None:
    """It costs a tenth of a replay, which looks for no echoes."""
    return fingerprint(row.data) if context.looks_for_echoes else None


def _needed_id(row: Fields, name: str) -> str:
    found = row.id(name)
    if found is None:
        raise SkipRowError(row.notes[-1] if row.notes else f"{row.at(name)}: missing")
    return found


def _object_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    try:
        return nested(pairs, decode=_json_or_text)
    except ValueError as error:
        raise WebhookUnreadableError(str(error)) from None


def _json_or_text(name: str, value: str) -> Any:
    """`context` may be JSON text."""
    if value[:1] not in ("{", "["):
        return value
    try:
        return decode_json(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"the form's field {name[:40]} is not JSON: {error}") from None
