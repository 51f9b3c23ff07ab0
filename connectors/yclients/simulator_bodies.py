"""Objects of the simulated company as the API shows them: three forms of time, numbers and texts as they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.yclients.simulator_objects import JSON, SERVICE_INCOME, Client, Line, Payment, Visit

if TYPE_CHECKING:
    from connectors.yclients.simulator_state import SimulatorState


def local(state: SimulatorState, moment: datetime) -> str:
    """The wall clock, without an offset (Altegio's newer form has one)."""
    there = moment.astimezone(state.zone)
    return there.isoformat(timespec="seconds") if state.is_altegio else there.strftime("%Y-%m-%d %H:%M:%S")


def stamp(state: SimulatorState, moment: datetime) -> str:
    """With an offset and no colon in it."""
    return moment.astimezone(state.zone).strftime("%Y-%m-%dT%H:%M:%S%z")


def company_body(state: SimulatorState) -> JSON:
    offset = state.zone.utcoffset(datetime(2026, 1, 15)) or timedelta(0)  # noqa: DTZ001 - of the zone itself
    zone: JSON = {"timezone": state.timezone}
    if state.is_altegio:
        zone = {"timezone": offset.total_seconds() / 3600, "timezone_name": state.timezone}
    return {
        "id": state.company_id,
        "title": state.title,
        "country_id": 1,
        "country": "Россия",
        "city_id": 2,
        "city": "Москва",
        **zone,
        "address": "ул. Примерная, 1",
        "coordinate_lat": "55.75",
        "coordinate_lon": "37.61",
        "phone_confirmation": False,
        "active_staff_count": len(state.staff),
        "currency_short_title": state.currency,
        "group_priority": 0,
    }


def record_body(
    state: SimulatorState, record: Visit, *, has_consumables: bool = False, has_payments: bool = False
) -> JSON:
    client = None if record.client_id is None else state.clients.get(record.client_id)
    length = 3600 * max(1, len(record.lines))
    paid = [one for one in state.payments.values() if one.record_id == record.id and not one.deleted]
    return {
        "id": record.id,
        "company_id": state.company_id,
        "staff_id": record.staff_id,
        "clients_count": 1,
        "services": [_line_body(line) for line in record.lines],
        "goods_transactions": [],
        "staff": {
            "id": record.staff_id,
            "api_id": None,
            "name": state.staff[record.staff_id],
            "specialization": "",
            "position": {"id": 1, "title": "Мастер"},
            "avatar": "",
            "rating": 5,
            "votes_count": 0,
        },
        "client": None if client is None else _client_of_record(state, client),
        "date": local(state, record.start),
        "datetime": _with_offset(state, record.start),
        "create_date": stamp(state, record.created),
        "last_change_date": stamp(state, record.changed),
        "comment": record.comment,
        "online": record.online,
        "attendance": record.attendance,
        "visit_attendance": record.attendance,
        "confirmed": 1,
        "seance_length": length,
        "length": length,
        "visit_id": record.visit_id,
        "created_user_id": 5,
        "deleted": record.deleted,
        "paid_full": int(record.paid_full),
        "payment_status": int(record.paid_full),
        "prepaid": False,
        "prepaid_confirmed": False,
        "is_update_blocked": False,
        "activity_id": record.activity_id,
        "api_id": "",
        "record_labels": [],
        "documents": [],
        "custom_fields": state.empty_custom_fields,
        "short_link": "",
        "consumables": [] if not has_consumables else [_consumable(line) for line in record.lines],
        "finance_transactions": [] if not has_payments else [payment_row(state, one) for one in paid],
        **record.extra,
    }


def client_body(state: SimulatorState, client: Client) -> JSON:
    visits = [one for one in state.records.values() if one.client_id == client.id and one.attendance == 1]
    return {
        "id": client.id,
        "name": client.name,
        "surname": client.surname,
        "patronymic": "",
        "phone": _phone(state, client),
        "email": client.email,
        "categories": [],
        "sex_id": 0,
        "sex": "Неизвестно",
        "discount": 0,
        "importance_id": 0,
        "importance": "Без класса важности",
        "card": None,
        "birth_date": client.birth_date,
        "comment": client.comment,
        "spent": number(sum((line.cost for one in visits if one.paid_full for line in one.lines), Decimal(0))),
        "balance": 0,
        "visits": len(visits),
        "last_change_date": stamp(state, client.changed),
        "custom_fields": state.empty_custom_fields,
    }


def payment_row(state: SimulatorState, payment: Payment) -> JSON:
    """As lists show it: numbers are texts."""
    client = None if payment.client_id is None else state.clients.get(payment.client_id)
    return {
        "id": str(payment.id),
        "document_id": str(payment.id + 1_000_000),
        "expense": {"id": str(SERVICE_INCOME), "title": "Оказание услуг"},
        "date": stamp(state, payment.at),
        "amount": f"{payment.amount:.2f}",
        "comment": payment.comment,
        "master": None,
        "supplier": None,
        "account": {"id": str(payment.account_id), "title": account_title(payment.account_id)},
        # No plus inside of some of them.
        "client": None
        if client is None
        else {"id": str(client.id), "name": client.name, "phone": client.phone.lstrip("+")},
        "last_change_date": stamp(state, payment.changed),
    }


def payment_body(state: SimulatorState, payment: Payment) -> JSON:
    """As a single read shows it: numbers are numbers, the time has no offset, who is absent is an empty list."""
    client = None if payment.client_id is None else state.clients.get(payment.client_id)
    return {
        "id": payment.id,
        "document_id": payment.id + 1_000_000,
        "type_id": 1,
        "expense_id": SERVICE_INCOME,
        "account_id": payment.account_id,
        "client_id": payment.client_id or 0,
        "master_id": 0,
        "supplier_id": 0,
        "item_id": 0,
        "target_type_id": 0,
        "record_id": payment.record_id or 0,
        "amount": number(payment.amount),
        "date": local(state, payment.at),
        "comment": payment.comment,
        "expense": {"id": SERVICE_INCOME, "title": "Оказание услуг"},
        "account": {"id": payment.account_id, "title": account_title(payment.account_id)},
        "client": [] if client is None else {"id": client.id, "name": client.name, "phone": client.phone.lstrip("+")},
        "master": [],
        "supplier": [],
        "last_change_date": stamp(state, payment.changed),
    }


def webhook_body(state: SimulatorState, resource: str, status: str, crm_id: int) -> JSON:
    data: Any
    if resource == "record":
        data = record_body(state, state.records[crm_id])
        # Webhooks say it otherwise than the API does.
        data |= {"paid_full": bool(data["paid_full"]), "custom_fields": []}
        if data["client"] is not None:
            data["client"]["custom_fields"] = []
    elif resource == "client":
        data = client_body(state, state.clients[crm_id])
    else:
        payment = state.payments[crm_id]
        data = payment_body(state, payment) | {
            "visit_id": 0 if payment.record_id is None else state.records[payment.record_id].visit_id,
            "sold_item_id": 0,
            "sold_item_type": "service",
            "account": {"id": payment.account_id, "title": account_title(payment.account_id), "is_cash": True},
            "record": None if payment.record_id is None else {"id": payment.record_id},
        }
    return {
        "company_id": state.company_id,
        "resource": resource,
        "resource_id": crm_id,
        "status": status,
        "data": data,
    }


def account_title(account_id: int) -> str:
    return "Основная касса" if account_id == 1 else "Расчётный счёт"


def number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _line_body(line: Line) -> JSON:
    return {
        "id": line.service_id,
        "title": line.title,
        "cost": number(line.cost),
        "cost_to_pay": number(line.cost),
        "manual_cost": number(line.cost),
        "cost_per_unit": number(line.price),
        "discount": line.discount,
        "first_cost": number(line.price * line.amount),
        "amount": line.amount,
    }


def _client_of_record(state: SimulatorState, client: Client) -> JSON:
    came = [one for one in state.records.values() if one.client_id == client.id and one.attendance == 1]
    missed = [one for one in state.records.values() if one.client_id == client.id and one.attendance == -1]
    return {
        "id": client.id,
        "name": client.name,
        "surname": client.surname,
        "patronymic": "",
        "display_name": client.name,
        "phone": _phone(state, client),
        "card": "",
        "email": client.email,
        "success_visits_count": len(came),
        "fail_visits_count": len(missed),
        "discount": 0,
        "custom_fields": state.empty_custom_fields,
        "client_tags": [],
    }


def _phone(state: SimulatorState, client: Client) -> str:
    return client.phone if state.shows_phones else ""


def _with_offset(state: SimulatorState, moment: datetime) -> str:
    there = moment.astimezone(state.zone)
    if not state.wrong_offset:
        return there.isoformat(timespec="seconds")
    winter = datetime(there.year, 1, 15, tzinfo=UTC).astimezone(state.zone)
    return there.replace(tzinfo=None).isoformat(timespec="seconds") + winter.isoformat()[-6:]


def _consumable(line: Line) -> JSON:
    return {"id": line.service_id + 1, "service_id": line.service_id, "good_id": 1, "amount": 1, "cost": 0}
