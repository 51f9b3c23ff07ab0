"""amoCRM's JSON -> canonical records. Pure: the same text gives the same records.

A stage is known by pipeline and status (`11/142`), for the statuses won (142) and lost (143) have the same ids in every
pipeline. A field of the wrong type becomes None and a `Problem` that names its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from connectors.amocrm.custom_fields import ORDER_TEXTS, UTM, CustomFields
from connectors.amocrm.related import main_contact_id
from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import (
    Batch,
    Customer,
    Order,
    OrderItems,
    OrderMarketing,
    Place,
    Problem,
    Reread,
    Reversal,
    Status,
    StatusEvent,
    StatusGroup,
    Transaction,
    deletion,
)
from connectors.values.fields import INDEXED_LENGTH, Fields
from connectors.values.phones import parse_phone
from connectors.values.stored import read_object, required_id
from connectors.values.times import parse_epoch, zone

WON, LOST = "142", "143"
_STREAM_OF = {"lead": "orders", "contact": "customers"}


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """Canonical records of one stored API record. Raises SkipRowError if nothing of it can be read."""
    row = read_object(stream, crm_id, body)
    mapper = _MAPPERS.get(stream)
    if mapper is None:
        raise SkipRowError(f"amoCRM has no stream {stream}")
    fields = Fields(row)
    found_id = required_id(fields, "id", stream, crm_id)
    batch = Batch()
    mapper(batch, fields, found_id, context)
    batch.problems += [Problem(note, stream, found_id) for note in fields.notes]
    return batch


def map_deletion(stream: str, crm_id: str, at: datetime | None = None) -> Batch:
    """A lead that is gone takes its transaction with it. `at`: a record of a later time stays as it is."""
    if at is None or stream not in _STREAM_OF.values():
        batch = deletion(stream, crm_id)
    elif stream == "orders":
        batch = Batch(orders=[Order(crm_id, is_deleted=True, source_updated_at=at, is_complete=False)])
    else:
        batch = Batch(customers=[Customer(crm_id, is_deleted=True, source_updated_at=at, is_complete=False)])
    if stream == "orders":
        batch.reversals.append(Reversal(transaction_id(crm_id), at))
    return batch


def transaction_id(lead_id: str) -> str:
    """The external id of the transaction that a won lead is."""
    return f"AMO-{lead_id}"


def stage_id(pipeline_id: str | None, status_id: str | None) -> str | None:
    return None if pipeline_id is None or status_id is None else f"{pipeline_id}/{status_id}"


def epoch(row: Fields, name: str) -> datetime | None:
    """Unix seconds, as a number or as text; zero is none."""
    value = row.data.get(name)
    if value in (None, "", 0, "0"):
        return None
    if type(value) is int or (type(value) is str and value.isascii() and value.isdigit()):
        try:
            return parse_epoch(value)
        except ValueError:
            row.note(name, "unix seconds", value, shown=True)
            return None
    row.note(name, "unix seconds", value, shown=True)
    return None


def read_amount(row: Fields) -> Decimal | None:
    """The lead's sum, in the account's currency: with its fraction where there is one, else in whole units."""
    exact = row.money("price_with_minor_units")
    return exact if exact is not None else row.money("price")


def is_sale(options: Mapping[str, Any], pipeline_id: str | None, status_id: str | None) -> bool:
    """Whether a lead in this stage is a transaction: won, in any pipeline, or in one of `paid_statuses`."""
    paid = {str(name) for name in options.get("paid_statuses") or ()}
    return status_id is not None and (status_id == WON or status_id in paid or f"{pipeline_id}/{status_id}" in paid)


def _map_lead(batch: Batch, row: Fields, lead_id: str, context: MappingContext) -> None:
    embedded = row.child("_embedded")
    options = context.options
    custom = CustomFields(row, options.get("fields") or {})
    pipeline_id, status_id = row.id("pipeline_id"), row.id("status_id")
    created_at, updated_at, closed_at = (epoch(row, name) for name in ("created_at", "updated_at", "closed_at"))
    contact = None if embedded is None else embedded.child("main_contact")
    customer = None
    if contact is not None and (contact_id := contact.id("id")) is not None:
        customer = _customer(contact, contact_id, context, updated_at=None, is_complete=False)
        batch.customers.append(customer)
    texts: dict[str, Any] = {name: custom.text(name) for name in ORDER_TEXTS}
    texts["source_id"] = texts["source_id"] or row.id("source_id")
    order = Order(
        order_id=lead_id,
        status_id=stage_id(pipeline_id, status_id),
        status_group_id=pipeline_id,
        customer_id=main_contact_id(row.data),
        manager_id=row.id("responsible_user_id"),
        grand_total=read_amount(row),
        currency=context.currency_of(),
        recipient_phone_e164=_first_phone(custom.texts("recipient_phone"), context),
        shipping_date=custom.date("shipping_date", _zone(row, context)),
        is_deleted=row.flag("is_deleted"),
        ordered_at=created_at,
        order_created_at=created_at,
        closed_at=closed_at,
        source_updated_at=updated_at,
        # Without `with=contacts` the key is absent: then nothing is known of them.
        is_complete=embedded is not None and "contacts" in embedded and status_id is not None,
        **texts,
    )
    batch.orders.append(order)
    if order.is_complete:
        # A lead has no lines; saying so tells that it was read whole.
        batch.order_items.append(OrderItems(lead_id, (), updated_at))
    tags = {name: text[:INDEXED_LENGTH] for name in UTM if (text := custom.text(name))}
    if tags:
        batch.order_marketing.append(OrderMarketing(lead_id, **tags))
    history = _history(row, embedded, order)
    batch.status_events += history
    _add_sale(batch, row, order, customer, custom, context, history)


def _history(row: Fields, embedded: Fields | None, order: Order) -> list[StatusEvent]:
    """The lead's stages: where it was created, then each change of the log. Where the log does not say how the lead
    came to where it is (it is behind, or cannot be read), the present stage at the time of the last change."""
    created_at, events = order.order_created_at, []
    log = None if embedded is None else embedded.children("events")
    before: tuple[str, str] | None = None
    for number, entry in enumerate(log or ()):
        at = epoch(entry, "created_at")
        after = _stage_of(entry, "value_after")
        if at is None or after is None:
            entry.note_missing("created_at", "value_after")
            continue
        if number == 0:
            before = _stage_of(entry, "value_before")
        events.append(_event(order, after, at, is_history=True))
    present = (
        None if order.status_id is None or order.status_group_id is None else (order.status_group_id, order.status_id)
    )
    first = before if log else present
    is_sure = log is not None and embedded is not None and not embedded.flag("events_may_be_late")
    if is_sure and first is not None and created_at is not None:
        events.insert(0, _event(order, first, created_at, is_history=True))
    last = None if not events else (events[-1].status_group_id, events[-1].status_id)
    if present is not None and last != present and order.source_updated_at is not None:
        events.append(_event(order, present, order.source_updated_at, is_approximate=True))
    return events


def _event(order: Order, stage: tuple[str, str], at: datetime, **kind_of_event: bool) -> StatusEvent:
    return StatusEvent(
        order_id=order.order_id,
        status_id=stage[1],
        status_changed_at=at,
        status_group_id=stage[0],
        order_created_at=order.order_created_at,
        **kind_of_event,
    )


def _stage_of(entry: Fields, name: str) -> tuple[str, str] | None:
    """(pipeline, stage) of an entry's value before or after."""
    for value in entry.children(name) or ():
        status = value.child("lead_status")
        if status is not None:
            pipeline_id = status.id("pipeline_id")
            stage = stage_id(pipeline_id, status.id("id"))
            if pipeline_id is not None and stage is not None:
                return pipeline_id, stage
    return None


def _add_sale(
    batch: Batch,
    row: Fields,
    order: Order,
    customer: Customer | None,
    custom: CustomFields,
    context: MappingContext,
    history: list[StatusEvent],
) -> None:
    """A lead that is won is a sale when it was closed, and in another paid stage when it came there."""
    sold = is_sale(context.options, order.status_group_id, row.id("status_id"))
    if not sold or order.is_deleted:
        batch.reversals.append(Reversal(transaction_id(order.order_id), order.source_updated_at))
        return
    entered = [event.status_changed_at for event in history if event.status_id == order.status_id]
    occurred_at = order.closed_at or (entered[-1] if entered else None)
    if occurred_at is None or order.grand_total is None:
        row.note_missing(
            *(name for name in ("closed_at", "price") if not row.data.get(name) and row.data.get(name) != 0)
        )
        return
    batch.transactions.append(
        Transaction(
            external_id=transaction_id(order.order_id),
            occurred_at=occurred_at,
            amount=order.grand_total,
            currency=order.currency,
            customer_id=order.customer_id,
            phone_e164=_first_phone(custom.texts("phone"), context) or (customer.phone_e164 if customer else None),
            email=next(iter(custom.texts("email")), None) or (customer.email if customer else None),
            description=custom.text("description") or row.text("name"),
            order_id=order.order_id,
            source_updated_at=order.source_updated_at,
        )
    )


def _map_contact(batch: Batch, row: Fields, contact_id: str, context: MappingContext) -> None:
    batch.customers.append(_customer(row, contact_id, context, updated_at=epoch(row, "updated_at"), is_complete=True))


def _customer(
    row: Fields, contact_id: str, context: MappingContext, *, updated_at: datetime | None, is_complete: bool
) -> Customer:
    custom = CustomFields(row, context.options.get("fields") or {})
    given = custom.texts("contact phone", "PHONE")
    emails = custom.texts("contact e-mail", "EMAIL")
    names = [name for part in ("first_name", "last_name") if (name := row.text(part))]
    embedded = row.child("_embedded")
    companies = None if embedded is None else embedded.children("companies")
    return Customer(
        customer_id=contact_id,
        full_name=row.text("name") or " ".join(names) or None,
        phone_e164=_first_phone(given, context),
        phones=tuple(parse_phone(phone, context.region) or phone for phone in given),
        email=emails[0] if emails else None,
        emails=emails,
        company_id=companies[0].id("id") if companies else None,
        manager_id=row.id("responsible_user_id"),
        birthday=custom.date("birthday", _zone(row, context)),
        note=custom.text("note"),
        is_deleted=row.flag("is_deleted"),
        source_created_at=epoch(row, "created_at"),
        source_updated_at=updated_at,
        is_complete=is_complete,
    )


def _map_pipeline(batch: Batch, row: Fields, pipeline_id: str, context: MappingContext) -> None:
    """A pipeline is a group of statuses."""
    batch.status_groups.append(StatusGroup(pipeline_id, row.text("name") or pipeline_id))
    embedded = row.child("_embedded")
    for status in (None if embedded is None else embedded.children("statuses")) or ():
        status_id = status.id("id")
        if status_id is None:
            status.note_missing("id")
            continue
        batch.statuses.append(
            Status(
                status_id=f"{pipeline_id}/{status_id}",
                name=status.text("name") or status_id,
                alias={WON: "won", LOST: "lost"}.get(status_id),
                status_group_id=pipeline_id,
                is_closing=status_id in (WON, LOST),
                is_active=not row.flag("is_archive"),
            )
        )


def _map_account(batch: Batch, row: Fields, account_id: str, context: MappingContext) -> None:
    """The account as a place: once as itself, once by its id, which webhooks name."""
    embedded = row.child("_embedded")
    settings = None if embedded is None else embedded.child("datetime_settings")
    timezone = None if settings is None else settings.text("timezone")
    if timezone is not None and settings is not None:
        try:
            zone(timezone)
        except ValueError:
            settings.note("timezone", "a time zone", timezone, shown=True)
            timezone = None
    for place_id in ("", account_id):
        batch.places.append(Place(place_id, row.text("name"), timezone, row.text("currency", 3)))


def _map_log_entry(batch: Batch, row: Fields, entry_id: str, context: MappingContext) -> None:
    """An object was deleted or restored."""
    stream, crm_id, at = _STREAM_OF.get(row.text("entity_type") or ""), row.id("entity_id"), epoch(row, "created_at")
    what = row.text("type") or ""
    if stream is None or crm_id is None:
        row.note_missing("entity_type", "entity_id")
    elif what.endswith("_restored"):
        batch.rereads.append(Reread(stream, crm_id))
    elif what.endswith("_deleted"):
        gone = map_deletion(stream, crm_id, at)
        batch.orders += gone.orders
        batch.customers += gone.customers
        batch.reversals += gone.reversals


def _first_phone(texts: tuple[str, ...], context: MappingContext) -> str | None:
    return next((found for text in texts if (found := parse_phone(text, context.region)) is not None), None)


def _zone(row: Fields, context: MappingContext) -> tzinfo:
    try:
        return zone(context.timezone_of())
    except ValueError:
        return row.zone


_MAPPERS: dict[str, Callable[[Batch, Fields, str, MappingContext], None]] = {
    "account": _map_account,
    "statuses": _map_pipeline,
    "orders": _map_lead,
    "customers": _map_contact,
    "deletions": _map_log_entry,
}
