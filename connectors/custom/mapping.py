"""Records of a definition's vendor -> canonical records. Pure: text, definition and context decide."""

from __future__ import annotations

from datetime import datetime

from connectors.custom.definition import definition_of
from connectors.custom.documents import Document, read_body
from connectors.custom.shapes import ORDERS, PLACED_BY, REQUIRED, TRANSACTIONS, Definition, Entity
from connectors.custom.values import RecordFields
from connectors.errors import ConfigError, SkipRowError
from connectors.protocol import MappingContext
from connectors.records import Batch, Customer, Order, Problem, Reversal, StatusEvent, Transaction, deletion
from connectors.values.fields import INDEXED_LENGTH


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """As `Connector.map_record` says."""
    entity = entity_of(definition_for(context), stream)
    try:
        document = read_body(body)
    except ValueError as error:
        raise SkipRowError(f"{stream}: {error}") from None
    return map_document(context, entity, document, crm_id)


def map_deletion(context: MappingContext, stream: str, crm_id: str) -> Batch:
    """What it means that the vendor has no such object any more."""
    if stream == TRANSACTIONS:
        return Batch(reversals=[Reversal(external_id(context, crm_id))])
    return deletion(stream, crm_id)


def map_document(
    context: MappingContext, entity: Entity, document: Document, crm_id: str | None = None, *, is_whole: bool = True
) -> Batch:
    """What one record becomes. `crm_id` None: as the record says. Raises SkipRowError if it has no id."""
    fields = RecordFields(entity, document, context)
    own_id = crm_id or record_id(fields)
    batch = Batch()
    if entity.name == TRANSACTIONS:
        _map_transaction(batch, fields, context, own_id)
    elif entity.name == ORDERS:
        _map_order(batch, fields, own_id, is_whole)
    else:
        _map_customer(batch, fields, own_id, is_whole)
    batch.problems += [Problem(note, entity.name, own_id) for note in fields.notes]
    return batch


def record_id(fields: RecordFields) -> str:
    """Raises SkipRowError if there is none."""
    if (found := fields.id("id")) is None:
        fields.note_missing("id")
        raise SkipRowError(fields.notes[0])
    return found


def placed_at(entity: Entity, fields: RecordFields) -> datetime | None:
    """When the record belongs, for a backfill by day; None if it does not say."""
    return next((moment for name in PLACED_BY[entity.name] if (moment := fields.time(name)) is not None), None)


def external_id(context: MappingContext, crm_id: str) -> str:
    """Of a transaction: `MYSHOP-17`."""
    return f"{context.project_id.upper()}-{crm_id}"


def definition_for(context: MappingContext) -> Definition:
    """Raises SkipRowError if the project's definition cannot be used (any more)."""
    try:
        return definition_of(context.options)
    except ConfigError as error:
        raise SkipRowError(error.message) from None


def entity_of(definition: Definition, stream: str) -> Entity:
    """Raises SkipRowError."""
    if stream not in definition.entities:
        raise SkipRowError(f"the definition has no entity {stream[:40]!r} (any more)")
    return definition.entities[stream]


def _map_transaction(batch: Batch, fields: RecordFields, context: MappingContext, crm_id: str) -> None:
    name, updated_at = external_id(context, crm_id), fields.time("updated_at")
    if fields.flag("is_reversed"):
        batch.reversals.append(Reversal(name, updated_at))
        return
    occurred_at, amount = fields.time("occurred_at"), fields.money("amount")
    if occurred_at is None or amount is None:
        absent = {"occurred_at": occurred_at, "amount": amount}
        fields.note_missing(*(key for key in REQUIRED[TRANSACTIONS] if key in absent and absent[key] is None))
        return
    batch.transactions.append(
        Transaction(
            name,
            occurred_at,
            amount,
            currency=fields.text("currency", INDEXED_LENGTH),
            customer_id=fields.id("customer_id"),
            phone_e164=fields.phone("phone"),
            email=fields.text("email", INDEXED_LENGTH),
            description=fields.text("description"),
            order_id=fields.id("order_id"),
            source_updated_at=updated_at,
        )
    )


def _map_order(batch: Batch, fields: RecordFields, crm_id: str, is_whole: bool) -> None:
    updated_at, created_at = fields.time("updated_at"), fields.time("created_at")
    customer_id, phone = fields.id("customer_id"), fields.phone("phone")
    name, email = fields.text("customer_name"), fields.text("email", INDEXED_LENGTH)
    order = Order(
        order_id=crm_id,
        status_id=fields.id("status"),
        status_group_id=fields.id("status_group"),
        customer_id=customer_id,
        manager_id=fields.id("manager_id"),
        grand_total=fields.money("total"),
        total_discount=fields.money("discount"),
        payments_total=fields.money("paid"),
        currency=fields.text("currency", INDEXED_LENGTH),
        payment_status=fields.text("payment_status", INDEXED_LENGTH),
        manager_comment=fields.text("comment"),
        tracking_code=fields.text("tracking_code", INDEXED_LENGTH),
        recipient_name=name,
        recipient_phone_e164=phone,
        is_deleted=fields.flag("is_deleted"),
        ordered_at=fields.time("ordered_at") or created_at,
        order_created_at=created_at,
        source_updated_at=updated_at,
        is_complete=is_whole,
    )
    batch.orders.append(order)
    if customer_id is not None and (name or phone or email):
        phones, emails = ((phone,) if phone else ()), ((email,) if email else ())
        batch.customers.append(
            Customer(customer_id, name, phone, phones, email, emails, source_updated_at=updated_at, is_complete=False)
        )
    _add_status_event(batch, fields, order)


def _add_status_event(batch: Batch, fields: RecordFields, order: Order) -> None:
    changed_at = fields.time("status_changed_at")
    moment = changed_at or order.source_updated_at or order.order_created_at
    if order.status_id is None or order.is_deleted:
        return
    if moment is None:
        fields.notes.append("fields.status: the status has no usable time")
        return
    batch.status_events.append(
        StatusEvent(
            order.order_id,
            order.status_id,
            moment,
            order.status_group_id,
            order.order_created_at,
            is_approximate=changed_at is None,
        )
    )


def _map_customer(batch: Batch, fields: RecordFields, crm_id: str, is_whole: bool) -> None:
    phone, email = fields.phone("phone"), fields.text("email", INDEXED_LENGTH)
    batch.customers.append(
        Customer(
            customer_id=crm_id,
            full_name=fields.text("full_name"),
            phone_e164=phone,
            phones=(phone,) if phone else (),
            email=email,
            emails=(email,) if email else (),
            manager_id=fields.id("manager_id"),
            note=fields.text("note"),
            is_deleted=fields.flag("is_deleted"),
            source_created_at=fields.time("created_at"),
            source_updated_at=fields.time("updated_at"),
            is_complete=is_whole,
        )
    )
