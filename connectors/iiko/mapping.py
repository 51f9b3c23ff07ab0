"""iiko's JSON -> canonical records. Pure: the same text gives the same records.

A field of the wrong type becomes None and a `Problem` that names its path; a record without an id raises SkipRowError.
"""

from __future__ import annotations

from datetime import datetime

from connectors.errors import SkipRowError
from connectors.iiko.guests import guest_keys
from connectors.iiko.items import describe
from connectors.iiko.places import zone_of
from connectors.iiko.statuses import is_closed, is_known
from connectors.protocol import MappingContext
from connectors.records import Batch, Customer, Place, Problem, Reversal, Transaction
from connectors.values.fields import Fields
from connectors.values.phones import parse_phone
from connectors.values.stored import read_object
from connectors.values.times import parse_epoch, zone


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """Canonical records of one stored API record. Raises SkipRowError if nothing of it can be read."""
    row = read_object(stream, crm_id, body)
    batch, fields = Batch(), Fields(row)
    if stream == "places":
        _map_places(batch, fields, crm_id)
    elif stream == "orders":
        map_order(batch, fields, context)
    else:
        raise SkipRowError(f"iiko has no stream {stream}")
    add_problems(batch, fields.notes, stream, crm_id)
    return batch


def transaction_id(order_id: str) -> str:
    """The external id of the transaction that a closed order is."""
    return f"IIKO-{order_id}"


def add_problems(batch: Batch, notes: list[str], stream: str | None, crm_id: str | None) -> None:
    # A field that is read twice is noted twice.
    batch.problems += [Problem(note, stream, crm_id) for note in dict.fromkeys(notes)]


def version_of(info: Fields) -> datetime | None:
    """When the order was last changed: `timestamp`, in milliseconds since 1970."""
    value = info.data.get("timestamp")
    if value is None:
        return None
    try:
        return parse_epoch(value)
    except ValueError:
        info.note("timestamp", "milliseconds since 1970", value)
        return None


def map_order(
    batch: Batch, info: Fields, context: MappingContext, *, organization_id: str | None = None, is_hint: bool = False
) -> str:
    """An order with what is around it (`{id, timestamp, order: {...}}`), or the order itself; its id.

    `is_hint`: it will be read again whole, so what it does not say is no problem. Raises SkipRowError without an id.
    """
    order_id = info.id("id")
    if order_id is None:
        raise SkipRowError(info.notes[0] if info.notes else f"{info.at('id')}: missing")
    updated_at = version_of(info)
    order = info.child("order") if "order" in info else info
    if order is None:
        # Without success there is no order, and there never was a sale.
        if info.data.get("order") is None and info.text("creationStatus") in (None, "Success") and not is_hint:
            info.note_missing("order")
        return order_id
    organization_id = info.id("organizationId") or organization_id
    terminal_id = order.id("terminalGroupId")
    order.zone = zone(_zone_name(context, terminal_id, organization_id))
    guest = info.child("customerInfo") or Fields({}, "customerInfo", info.notes)
    customer = _customer(order, guest, context, updated_at)
    if customer is not None:
        batch.customers.append(customer)
    status = order.text("status")
    if status is None:
        if not is_hint:
            order.note_missing("status")
    elif order.flag("isDeleted") or (is_known(status) and not is_closed(status)):
        batch.reversals.append(Reversal(transaction_id(order_id), updated_at))
    elif not is_closed(status):
        order.notes.append(
            f"{order.at('status')}: unknown status {status[:40]!r}, the order is neither taken nor undone"
        )
    elif not is_hint or ({"sum", "whenClosed"} <= order.data.keys() and not guest_keys(info.data)):
        _add_transaction(batch, order, order_id, context, (terminal_id, organization_id), guest, customer, updated_at)
    return order_id


def _add_transaction(
    batch: Batch,
    order: Fields,
    order_id: str,
    context: MappingContext,
    place_ids: tuple[str | None, str | None],
    guest: Fields,
    customer: Customer | None,
    updated_at: datetime | None,
) -> None:
    closed_at, amount = order.time("whenClosed"), order.money("sum")
    if closed_at is None or amount is None:
        order.note_missing("whenClosed", "sum")
        return
    batch.transactions.append(
        Transaction(
            external_id=transaction_id(order_id),
            occurred_at=closed_at,
            amount=amount,
            currency=_currency(context, *place_ids),
            customer_id=None if customer is None else customer.customer_id,
            phone_e164=_phone(order, guest, context),
            email=_email(order, guest),
            description=describe(order),
            source_updated_at=updated_at,
        )
    )


def _customer(order: Fields, guest: Fields, context: MappingContext, updated_at: datetime | None) -> Customer | None:
    """A guest with a profile, as far as the order knows it. A `one-time` customer is a name without an id."""
    given = order.child("customer")
    customer_id = (None if given is None else given.id("id")) or guest.id("id")
    if customer_id is None:
        return None
    names = () if given is None else (given.text("name"), given.text("surname"))
    phone, email = _phone(order, guest, context), _email(order, guest)
    return Customer(
        customer_id=customer_id,
        full_name=" ".join(name for name in names if name is not None) or None,
        phone_e164=phone,
        phones=() if phone is None else (phone,),
        email=email,
        emails=() if email is None else (email,),
        birthday=None if given is None else given.date("birthdate"),
        source_updated_at=updated_at,
        is_complete=False,
    )


def _phone(order: Fields, guest: Fields, context: MappingContext) -> str | None:
    """Of the order, of its customer, or of the loyalty programme."""
    for holder in (order, order.child("customer"), guest):
        text = None if holder is None else holder.text("phone")
        if text is not None and (phone := parse_phone(text, context.region)) is not None:
            return phone
    return None


def _email(order: Fields, guest: Fields) -> str | None:
    customer = order.child("customer")
    return (None if customer is None else customer.text("email")) or guest.text("email")


def _zone_name(context: MappingContext, *place_ids: str | None) -> str:
    for place_id in place_ids:
        place = context.places.get(place_id or "-")
        if place is not None and place.timezone is not None:
            return place.timezone
    return context.timezone_of()


def _currency(context: MappingContext, *place_ids: str | None) -> str | None:
    for place_id in place_ids:
        place = context.places.get(place_id or "-")
        if place is not None and place.currency is not None:
            return place.currency
    return context.currency_of()


def _map_places(batch: Batch, row: Fields, crm_id: str) -> None:
    """The organization and its terminal groups with their zones. Where all of these agree, it has their zone too."""
    organization = row.child("organization")
    if organization is None:
        raise SkipRowError(f"places {crm_id}: organization: missing")
    organization_id = organization.id("id")
    if organization_id is None:
        raise SkipRowError(f"places {crm_id}: organization.id: missing")
    currency = _currency_code(organization)
    places = []
    for terminal in row.children("terminalGroups") or ():
        if (terminal_id := terminal.id("id")) is None:
            terminal.note_missing("id")
            continue
        places.append(Place(terminal_id, terminal.text("name"), _zone(terminal), currency))
    zones = {place.timezone for place in places}
    shared = zones.pop() if len(zones) == 1 else None
    batch.places = [
        Place(organization_id, organization.text("name"), _zone(organization) or shared, currency),
        *places,
    ]


def _zone(row: Fields) -> str | None:
    name = zone_of(row.data)
    if name is None:
        for field in ("timeZone", "timezone"):
            if (text := row.text(field)) is not None:
                row.notes.append(f"{row.at(field)}: unknown time zone {text[:40]!r}, the project's is taken instead")
    return name


def _currency_code(organization: Fields) -> str | None:
    """`currencyIsoName`; the rouble of before 1998 is how some installations still name today's."""
    code = (organization.text("currencyIsoName") or "").strip().upper()
    if not code:
        return None
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        organization.note("currencyIsoName", "a currency's code", code, shown=True)
        return None
    return "RUB" if code == "RUR" else code
