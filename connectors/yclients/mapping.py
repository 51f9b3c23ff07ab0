"""YCLIENTS' JSON -> canonical records. Pure: the same text gives the same records.

A field of the wrong type becomes None and a `Problem` that names its path; a record without an id raises SkipRowError.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal

from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import Batch, Customer, Place, Problem, Reversal, Transaction, deletion
from connectors.values import times
from connectors.values.fields import Fields
from connectors.values.phones import parse_phone
from connectors.values.stored import read_object, required_id
from connectors.yclients.places import read_currency, read_zone


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """Canonical records of one stored API record. Raises SkipRowError if nothing of it can be read."""
    row = read_object(stream, crm_id, body)
    mapper = _MAPPERS.get(stream)
    if mapper is None:
        raise SkipRowError(f"YCLIENTS has no stream {stream}")
    fields = Fields(row)
    found_id = required_id(fields, "id", stream, crm_id)
    batch = Batch()
    mapper(batch, fields, found_id, context)
    add_problems(batch, fields.notes, stream, found_id)
    return batch


def map_deletion(stream: str, crm_id: str) -> Batch:
    """A record that is gone takes its sale with it."""
    if stream == "records":
        return Batch(reversals=[Reversal(transaction_id(crm_id))])
    return deletion(stream, crm_id)


def transaction_id(record_id: str) -> str:
    """The external id of the sale that a paid record is."""
    return f"YCLIENTS-{record_id}"


def add_problems(batch: Batch, notes: list[str], stream: str | None, crm_id: str | None) -> None:
    batch.problems += [Problem(note, stream, crm_id) for note in notes]


def map_visit(batch: Batch, row: Fields, record_id: str, context: MappingContext) -> None:
    """A record ("запись") is a sale while it is paid in full and not deleted, whether or not the client came."""
    company = row.id("company_id") or company_id(context)
    row.zone = zone_of(context, company)
    changed_at = row.time("last_change_date")
    client = row.child("client")
    customer = None if client is None else _client_of_visit(client, context)
    if customer is not None:
        batch.customers.append(customer)
    if row.data.get("paid_full") in (None, ""):
        row.note_missing("paid_full")
        return
    before = len(row.notes)
    is_paid, is_deleted = row.flag("paid_full"), row.flag("deleted")
    if len(row.notes) > before:
        return  # whether it is a sale is not known
    if is_deleted or not is_paid:
        batch.reversals.append(Reversal(transaction_id(record_id), changed_at))
        return
    occurred_at, amount, services = _visited_at(row), _amount(row), row.children("services") or []
    if occurred_at is None or amount is None:
        return  # what is missing is noted
    batch.transactions.append(
        Transaction(
            external_id=transaction_id(record_id),
            occurred_at=occurred_at,
            amount=amount,
            currency=context.currency_of(company),
            customer_id=None if customer is None else customer.customer_id,
            phone_e164=None if customer is None else customer.phone_e164,
            email=None if customer is None else customer.email,
            description=next((title for line in services if (title := line.text("title"))), None),
            source_updated_at=changed_at,
        )
    )


def company_id(context: MappingContext) -> str | None:
    """The company that the project is."""
    given = context.options.get("company_id")
    return None if given is None else str(given)


def zone_of(context: MappingContext, company: str | None) -> tzinfo:
    """The zone of the company's local times."""
    return times.zone(context.timezone_of(company))


def _visited_at(row: Fields) -> datetime | None:
    """`date` is the company's wall clock. The offset in `datetime` may be that of the other half of the year, so it
    counts only where there is no `date`."""
    name = "date" if row.data.get("date") not in (None, "") else "datetime"
    found = row.time(name)
    if found is None:
        row.note_missing("date")
    return found


def _amount(row: Fields) -> Decimal | None:
    """The record's own cost, else the sum of its services' costs: each is of the whole line, after the discount."""
    if row.data.get("cost") not in (None, ""):
        return row.money("cost")
    lines = row.children("services")
    if not lines:
        row.notes.append(f"{row.at('cost')}: missing, and there are no services to sum up")
        return None
    costs = []
    for line in lines:
        cost = line.money("cost")
        if cost is None:
            line.note_missing("cost")
            return None
        costs.append(cost)
    return sum(costs, Decimal("0.00"))


def _client_of_visit(client: Fields, context: MappingContext) -> Customer | None:
    """The few fields that a record has of its client, as they are now: they carry no time of their own."""
    customer_id = client.id("id")
    if customer_id is None or customer_id == "0":
        return None
    return _customer(client, customer_id, context, is_complete=False)


def _map_client(batch: Batch, row: Fields, client_id: str, context: MappingContext) -> None:
    row.zone = zone_of(context, company_id(context))
    batch.customers.append(_customer(row, client_id, context, is_complete=True))


def _customer(row: Fields, client_id: str, context: MappingContext, *, is_complete: bool) -> Customer:
    names = [row.text(name) for name in ("name", "patronymic", "surname")]
    phone, email = row.text("phone"), row.text("email")
    return Customer(
        customer_id=client_id,
        full_name=" ".join(name.strip() for name in names if name and name.strip()) or row.text("display_name"),
        phone_e164=None if phone is None else parse_phone(phone, context.region),
        phones=() if phone is None else (phone,),
        email=email,
        emails=() if email is None else (email,),
        birthday=row.date("birth_date") if is_complete else None,
        note=row.text("comment") if is_complete else None,
        source_updated_at=row.time("last_change_date") if is_complete else None,
        is_complete=is_complete,
    )


def _check_transaction(batch: Batch, row: Fields, transaction_id: str, context: MappingContext) -> None:
    """A movement of money is kept as it came and checked. It is no sale by itself: the record that it pays for is."""
    row.zone = zone_of(context, company_id(context))
    if row.money("amount") is None:
        row.note_missing("amount")
    if row.time("date") is None:
        row.note_missing("date")
    row.time("last_change_date")


def _map_company(batch: Batch, row: Fields, company: str, context: MappingContext) -> None:
    zone = read_zone(row.data)
    if zone is None:
        row.notes.append("timezone: expected an IANA name there or in timezone_name; the project's own zone is used")
    batch.places.append(
        Place(place_id=company, name=row.text("title"), timezone=zone, currency=read_currency(row)),
    )


_MAPPERS: dict[str, Callable[[Batch, Fields, str, MappingContext], None]] = {
    "places": _map_company,
    "records": map_visit,
    "transactions": _check_transaction,
    "customers": _map_client,
}
