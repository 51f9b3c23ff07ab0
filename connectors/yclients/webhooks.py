"""YCLIENTS' webhooks: `{"company_id", "resource", "resource_id", "status", "data"}`, sometimes in a list of one.

Nothing is signed, there is no event id, and the order of delivery is not promised. So a webhook is a hint: a record is
mapped as far as it goes, since it carries the time of its change, and is read again whole.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.http import decode_json
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.values.fields import Fields, kind
from connectors.values.plain import unstorable
from connectors.yclients.mapping import add_problems, company_id, map_deletion, map_visit, zone_of

FUTURE = timedelta(minutes=5)
"""Clocks differ; what is further ahead than this is a mistake."""
_COMPANY = frozenset({"company", "salon"})
_NOT_OURS = frozenset({
    "service_category",
    "service",
    "good",
    "master",
    "staff",
    "schedule",
    "loyalty_card",
    "goods_operations_sale",
    "goods_operations_receipt",
    "goods_operations_consumable",
    "goods_operations_stolen",
    "goods_operations_move",
})  # fmt: skip
_NEEDED = ("paid_full", "deleted", "date", "services", "last_change_date")
"""Without one of these a record of a webhook is but a part of it."""


def check_webhook(request: WebhookRequest) -> str:
    """The payload as JSON text. Raises WebhookUnreadableError if it is none of the vendor's forms."""
    body = request.body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise WebhookUnreadableError("the body is empty")
    if b"\x00" in body:
        raise WebhookUnreadableError("the body holds NUL bytes")
    try:
        text = body.decode()
        value = decode_json(text)
    except UnicodeDecodeError:
        raise WebhookUnreadableError("the body is not UTF-8") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise WebhookUnreadableError(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict | list):
        raise WebhookUnreadableError(f"the body: expected an object or a list, got {kind(value)}")
    if (fault := unstorable(value)) is not None:
        raise WebhookUnreadableError(f"the body {fault}")
    return text


def map_webhook(context: MappingContext, body: str, received_at: datetime) -> Batch:
    """Canonical records of one stored webhook. Raises SkipRowError if nothing of it can be read."""
    try:
        payload = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook is not JSON: {error}") from None
    if type(payload) is list and len(payload) == 1:
        payload = payload[0]
    if type(payload) is not dict:
        raise SkipRowError(f"expected an object or a list of one, got {kind(payload)}")
    event = Fields(payload)
    resource, status = _needed_text(event, "resource"), _needed_text(event, "status")
    _check_company(event, context)
    if status not in ("create", "update", "delete"):
        raise SkipRowError(f"status: unknown status {status[:60]!r}")
    if resource in _NOT_OURS:
        return Batch()  # no part of the canonical model; the payload stays in raw
    crm_id = _needed_id(event, "resource_id")
    is_deletion = status == "delete"
    batch = Batch()
    if resource == "record":
        _map_record(batch, event, crm_id, context, received_at, is_deletion=is_deletion)
    elif resource == "client":
        if is_deletion:
            batch = map_deletion("customers", crm_id)
        batch.rereads.append(Reread("customers", crm_id))
    elif resource == "finances_operation":
        _map_transaction(batch, event, crm_id, is_deletion=is_deletion)
    elif resource in _COMPANY:
        batch.rereads.append(Reread("places", crm_id))
    else:
        raise SkipRowError(f"resource: unknown resource {resource[:60]!r}")
    add_problems(batch, event.notes, None, None)
    return batch


def _map_record(
    batch: Batch, event: Fields, record_id: str, context: MappingContext, received_at: datetime, *, is_deletion: bool
) -> None:
    """What is applied here is right or older than what the re-read brings, which then replaces it."""
    batch.rereads.append(Reread("records", record_id))
    if is_deletion:
        # What `data` holds then is not told; that the record is deleted is.
        batch.reversals += map_deletion("records", record_id).reversals
        return
    row = event.child("data")
    if row is None or any(row.data.get(name) is None for name in _NEEDED) or row.id("id") != record_id:
        return
    row.zone = zone_of(context, company_id(context))
    changed_at = row.time("last_change_date")
    if changed_at is None:
        return
    if changed_at > received_at + FUTURE:
        # Nothing of it is applied: a row of the future would stand before all true ones.
        row.notes.append(f"data.last_change_date: {changed_at.isoformat()} lies in the future")
    else:
        map_visit(batch, row, record_id, context)


def _map_transaction(batch: Batch, event: Fields, crm_id: str, *, is_deletion: bool) -> None:
    """A payment may have made its record a sale, or undone it."""
    if not is_deletion:
        batch.rereads.append(Reread("transactions", crm_id))
    row = event.child("data")
    if row is None:
        return
    record = row.child("record")
    record_id = row.id("record_id") or (None if record is None else record.id("id"))
    if record_id is not None and record_id != "0":
        batch.rereads.append(Reread("records", record_id))


def _check_company(event: Fields, context: MappingContext) -> None:
    """One address may be registered for several companies by mistake."""
    ours, theirs = company_id(context), event.id("company_id")
    if ours is not None and theirs is not None and ours != theirs:
        raise SkipRowError(
            f"company_id: the webhook is of company {theirs}, this project is company {ours}: "
            "register each company's own address"
        )


def _needed_text(event: Fields, name: str) -> str:
    found = event.text(name)
    if found is None:
        raise SkipRowError(event.notes[-1] if event.notes else f"{name}: missing")
    return found


def _needed_id(event: Fields, name: str) -> str:
    found = event.id(name)
    if found is None:
        raise SkipRowError(event.notes[-1] if event.notes else f"{name}: missing")
    return found
