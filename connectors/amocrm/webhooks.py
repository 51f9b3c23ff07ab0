"""amoCRM's webhooks: forms with bracketed names, in the names of its old API; hints, followed by a re-read.

One request may carry several objects and several kinds of change. Nothing is signed: the token in the URL is the proof,
`account[id]` is compared with the account that the project has, and what a webhook says of a lead counts until the lead
is read again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from connectors import masking
from connectors.amocrm.mapping import epoch, map_deletion, read_amount, stage_id
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.http import decode_json, encode_json
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Order, Problem, Reread, StatusEvent
from connectors.values.fields import Fields, kind
from connectors.values.forms import form_pairs, nested
from connectors.values.plain import plain_json, unstorable

FUTURE = timedelta(minutes=5)
"""Clocks differ; what is further ahead than this is a mistake."""
_MOST_FIELDS = 20_000
_LEAD_ACTIONS = frozenset({"add", "update", "status", "restore", "responsible", "note"})
_GROUPS = ("leads", "contacts", "companies", "customers", "task", "unsorted", "catalogs", "message", "talk", "account")


def check_webhook(request: WebhookRequest) -> str:
    """The form as JSON text. Raises WebhookUnreadableError if it is none of the vendor's forms."""
    body = request.body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise WebhookUnreadableError("the body is empty")
    if b"\x00" in body:
        raise WebhookUnreadableError("the body holds NUL bytes")
    try:
        value: Any = nested(form_pairs(body, _MOST_FIELDS), _MOST_FIELDS)
    except ValueError as error:
        raise WebhookUnreadableError(str(error)) from None
    if not any(type(value.get(group)) in (dict, list) for group in _GROUPS):
        raise WebhookUnreadableError("the form has none of amoCRM's groups such as leads[...] or contacts[...]")
    if (fault := unstorable(value)) is not None:
        raise WebhookUnreadableError(f"the form {fault}")
    return encode_json(value).decode()


def map_webhook(context: MappingContext, body: str, received_at: datetime) -> Batch:
    """Canonical records of one stored webhook. Raises SkipRowError if nothing of it can be read."""
    try:
        payload = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook is not JSON: {error}") from None
    if type(payload) is not dict:
        raise SkipRowError(f"expected an object, got {kind(payload)}")
    form = Fields(payload)
    _check_account(form, context)
    batch = Batch()
    for group in ("leads", "contacts"):
        actions = form.child(group)
        for action in () if actions is None else actions.data:
            for row in actions.children(action) or () if actions is not None else ():
                if group == "leads":
                    _map_lead(batch, row, action, context, received_at)
                elif row.text("type") in (None, "contact"):  # companies come as contacts too
                    _map_contact(batch, row, action)
    batch.problems += [Problem(note) for note in form.notes]
    return batch


def _check_account(form: Fields, context: MappingContext) -> None:
    """A webhook of another account is refused, once the project's own is known."""
    account = form.child("account")
    account_id = None if account is None else account.id("id")
    known = {place_id for place_id in context.places if place_id}
    if account_id is not None and known and account_id not in known:
        raise SkipRowError("account.id: the webhook comes from another amoCRM account than the project's")


def _map_lead(batch: Batch, row: Fields, action: str, context: MappingContext, received_at: datetime) -> None:
    lead_id = row.id("id")
    if lead_id is None:
        row.note_missing("id")
        return
    pipeline_id, old_pipeline_id = row.id("pipeline_id"), row.id("old_pipeline_id")
    if action == "delete":
        gone = map_deletion("orders", lead_id)
        batch.orders += gone.orders
        batch.reversals += gone.reversals
        return
    if action not in _LEAD_ACTIONS:
        return
    wanted = {str(name) for name in context.options.get("pipeline_ids") or ()}
    if wanted and pipeline_id is not None and pipeline_id not in wanted:
        if old_pipeline_id in wanted:  # it has left the pipelines that the project is about
            gone = map_deletion("orders", lead_id)
            batch.orders += gone.orders
            batch.reversals += gone.reversals
        return
    batch.rereads.append(Reread("orders", lead_id))
    created_at = epoch(row, "created_at") or epoch(row, "date_create")
    updated_at = epoch(row, "updated_at") or epoch(row, "last_modified")
    if updated_at is None:
        return  # the digital pipeline's hooks have ids alone; the re-read tells the rest
    if updated_at > received_at + FUTURE:
        # Nothing of it is applied: a row of the future would stand before all true ones.
        row.notes.append(f"{row.at('updated_at')}: {updated_at.isoformat()} lies in the future")
        return
    status = stage_id(pipeline_id, row.id("status_id"))
    order = Order(
        order_id=lead_id,
        status_id=status,
        status_group_id=pipeline_id,
        manager_id=row.id("responsible_user_id"),
        grand_total=read_amount(row),
        currency=context.currency_of(),
        ordered_at=created_at,
        order_created_at=created_at,
        source_updated_at=updated_at,
        is_complete=False,
    )
    batch.orders.append(order)
    if status is not None and action in ("add", "status", "update"):
        is_first = action == "add" and created_at == updated_at
        batch.status_events.append(
            StatusEvent(
                order_id=lead_id,
                status_id=status,
                status_changed_at=updated_at,
                status_group_id=pipeline_id,
                order_created_at=created_at,
                # The log, which the re-read brings, has the true second; repeated and late webhooks say nothing new.
                is_approximate=not is_first,
                payload=plain_json({"leads": {action: [row.data]}}),
            )
        )


def _map_contact(batch: Batch, row: Fields, action: str) -> None:
    contact_id = row.id("id")
    if contact_id is None:
        row.note_missing("id")
    elif action == "delete":
        batch.customers += map_deletion("customers", contact_id).customers
    elif action in ("add", "update", "restore"):
        batch.rereads.append(Reread("customers", contact_id))


def mask_payload(body: str) -> str:
    """The payload with the names of people and leads, and whatever stands in custom fields, masked too."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return masking.mask_text(body)
    return msgspec.json.encode(masking.mask_json(_masked(value, is_custom=False))).decode()


def _masked(value: Any, *, is_custom: bool, depth: int = 0) -> Any:
    if depth > 100:
        return "***"
    if isinstance(value, list):
        return [_masked(item, is_custom=is_custom, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        is_object = any(name in value for name in ("responsible_user_id", "first_name", "custom_fields_values"))
        found = {}
        for name, item in value.items():
            if is_object and name == "name" and isinstance(item, str) and item:
                found[name] = item[0] + "***"
            elif is_custom and name in ("value", "values") and isinstance(item, str):
                found[name] = "***"
            else:
                inside = is_custom or name in ("custom_fields", "custom_fields_values")
                found[name] = _masked(item, is_custom=inside, depth=depth + 1)
        return found
    return value
