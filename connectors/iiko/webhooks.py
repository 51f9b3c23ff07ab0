"""iiko's webhooks: arrays of events. Those about orders are applied as far as they go, and the orders read again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.http import decode_json
from connectors.iiko.mapping import add_problems, map_order, version_of
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.values.fields import Fields, kind
from connectors.webhook_body import read_json_body

ORDER_EVENTS = ("DeliveryOrderUpdate", "TableOrderUpdate")
OTHER_EVENTS = (
    "DeliveryOrderError",
    "TableOrderError",
    "ReserveUpdate",
    "ReserveError",
    "StopListUpdate",
    "PersonalShift",
    "KitchenOrderUpdate",
    "NomenclatureUpdate",
    "BusinessHoursAndMappingUpdate",
)
"""They say nothing of a sale. An error is about an order that was not created."""
FUTURE = timedelta(minutes=5)
"""Clocks differ; what is further ahead than this is a mistake."""


def check_webhook(request: WebhookRequest) -> str:
    """The payload as JSON text: an array of events, or one event. Raises WebhookUnreadableError if it is neither."""
    text, value = read_json_body(request.body)
    if not isinstance(value, dict | list):
        raise WebhookUnreadableError(f"the body: expected a list of events, got {kind(value)}")
    return text


def map_webhook(context: MappingContext, body: str, received_at: datetime) -> Batch:
    """Canonical records of one stored webhook. One event that cannot be read does not hold up the others.

    Raises SkipRowError if nothing of it can be read.
    """
    try:
        payload = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook is not JSON: {error}") from None
    events = payload if type(payload) is list else [payload]
    batch, problems = Batch(), []
    for index, event in enumerate(events):
        try:
            _map_event(batch, event, f"[{index}]", context, received_at)
        except SkipRowError as error:
            problems.append(error)
    if problems and len(problems) == len(events):
        raise problems[0]
    add_problems(batch, [error.message for error in problems], None, None)
    return batch


def _map_event(batch: Batch, given: Any, path: str, context: MappingContext, received_at: datetime) -> None:
    if type(given) is not dict:
        raise SkipRowError(f"{path}: expected an object, got {kind(given)}")
    event = Fields(given, path)
    name = event.text("eventType")
    if name in OTHER_EVENTS:
        return
    if name not in ORDER_EVENTS:
        what = event.notes[0] if event.notes else f"{event.at('eventType')}: unknown event {(name or '')[:60]!r}"
        raise SkipRowError(what)
    info = event.child("eventInfo")
    if info is None:
        raise SkipRowError(event.notes[0] if event.notes else f"{event.at('eventInfo')}: missing")
    changed_at = version_of(info)
    if changed_at is not None and changed_at > received_at + FUTURE:
        # Nothing of it is applied: a version of the future would stand before all true ones.
        order_id = info.id("id")
        info.notes.append(f"{info.at('timestamp')}: {changed_at.isoformat()} lies in the future")
    else:
        order_id = map_order(batch, info, context, organization_id=event.id("organizationId"), is_hint=True)
    if order_id is None:
        raise SkipRowError(f"{info.at('id')}: missing")
    batch.rereads.append(Reread("orders", order_id))
    add_problems(batch, event.notes, "orders", order_id)
