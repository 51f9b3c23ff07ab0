"""iiko's orders and places as canonical records, against values worked out by hand."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SkipRowError
from connectors.iiko.guests import guest_keys
from connectors.iiko.zones import _WINDOWS, read_zone
from connectors.protocol import MappingContext
from connectors.records import Batch, Place, Reversal
from connectors.values.times import zone

IIKO = registry.get("iiko")
FIXTURE = Path(__file__).parents[2] / "fixtures" / "iiko" / "delivery.json"
ORGANIZATION, TERMINAL = "0a1b2c3d-0000-4000-8000-000000000001", "7e000000-0000-4000-8000-000000000001"
ORDER_ID = "b7d0aa10-0000-4000-8000-000000000009"
CONTEXT = MappingContext(
    "cafe",
    timezone="UTC",
    region="RU",
    currency="KZT",
    places={TERMINAL: Place(TERMINAL, "Кафе", "Europe/Moscow", "RUB")},
)


def delivery(**order: Any) -> dict[str, Any]:
    """The delivery of the fixture with fields of its order replaced."""
    row = json.loads(FIXTURE.read_text())
    row["order"] |= order
    return row


def mapped(row: Any, context: MappingContext = CONTEXT) -> Batch:
    return IIKO.map_record(context, "orders", ORDER_ID, json.dumps(row, ensure_ascii=False))


def reasons(batch: Batch) -> list[str]:
    return [problem.reason for problem in batch.problems]


def test_a_closed_delivery_is_a_transaction_with_its_guest() -> None:
    batch = mapped(delivery())
    assert not batch.problems
    [sale] = batch.transactions
    assert sale.external_id == f"IIKO-{ORDER_ID}"
    assert sale.occurred_at == datetime(2025, 11, 17, 11, 55, 40, tzinfo=UTC)
    assert (sale.amount, sale.currency) == (Decimal("1719.90"), "RUB")
    assert sale.phone_e164 == "+79990001122"
    assert sale.customer_id == "c1000000-0000-4000-8000-000000000001"
    assert sale.source_updated_at == datetime(2025, 11, 17, 11, 55, 40, tzinfo=UTC)
    assert not sale.is_medical
    [guest] = batch.customers
    assert (guest.full_name, guest.phone_e164, guest.birthday) == ("Анна Ким", "+79990001122", date(1990, 5, 17))
    assert not guest.is_complete
    assert not batch.orders
    assert not batch.order_items
    assert not batch.reversals


def test_the_description_tells_items_modifiers_compounds_services_and_discounts_and_leaves_out_what_was_deleted() -> (
    None
):
    [sale] = mapped(delivery()).transactions
    assert sale.description == (
        "Борщ x2 (Хлеб), Маргарита / Пепперони (Тонкое тесто, Сыр), Сок x0.5, Доставка; discounts: Лояльность 10 191.10"
    )


def test_items_inside_items_are_told_and_a_long_description_is_cut() -> None:
    combo = {
        "name": "Обед",
        "items": [{"name": "Суп", "amount": 1, "modifiers": [{"name": "Гренки"}]}, {"name": "Чай"}],
    }
    [sale] = mapped(delivery(items=[combo], discounts=[])).transactions
    assert sale.description == "Обед (Суп (Гренки), Чай)"
    [sale] = mapped(delivery(items=[{"name": "Щи" * 100}] * 9)).transactions
    assert sale.description is not None
    assert len(sale.description) == 500
    assert sale.description.endswith("…")
    [sale] = mapped(delivery(items=[], discounts=None)).transactions
    assert sale.description is None


def test_items_nested_too_deeply_are_cut_off_and_raise_nothing() -> None:
    item: dict[str, Any] = {"name": "дно"}
    for level in range(60):
        item = {"name": f"{level}", "items": [item]}
    [sale] = mapped(delivery(items=[item])).transactions
    assert sale.description is not None
    assert sale.description.startswith("59 (58 (57")
    assert "дно" not in sale.description


@pytest.mark.parametrize("status", ["Closed", "CLOSED", "closed", " Закрыт ", "Закрыта", "ЗАКРЫТА"])
def test_every_word_for_closed_makes_a_sale(status: str) -> None:
    assert len(mapped(delivery(status=status)).transactions) == 1


@pytest.mark.parametrize(
    "status",
    [
        *("Unconfirmed", "WaitCooking", "ReadyForCooking", "CookingStarted", "CookingCompleted", "Waiting", "OnWay"),
        *("Delivered", "Cancelled", "New", "Bill", "Deleted"),
        *("Новая", "Готовится", "Готово", "В пути", "Отменена", "Доставлена", "Не подтверждена", "Счёт"),
    ],
)
def test_every_other_known_status_undoes_the_sale(status: str) -> None:
    batch = mapped(delivery(status=status))
    assert not batch.transactions
    assert not batch.problems
    assert batch.reversals == [Reversal(f"IIKO-{ORDER_ID}", datetime(2025, 11, 17, 11, 55, 40, tzinfo=UTC))]


def test_a_closed_order_that_is_marked_deleted_is_undone() -> None:
    batch = mapped(delivery(isDeleted=True))
    assert not batch.transactions
    assert len(batch.reversals) == 1


def test_an_unknown_status_neither_makes_nor_undoes_a_sale_and_is_reported() -> None:
    batch = mapped(delivery(status="Archived"))
    assert not batch.transactions
    assert not batch.reversals
    assert reasons(batch) == ["order.status: unknown status 'Archived', the order is neither taken nor undone"]


@pytest.mark.parametrize("creation", ["InProgress", "Error"])
def test_an_order_that_was_not_created_is_nothing(creation: str) -> None:
    row = {**delivery(), "creationStatus": creation, "order": None, "errorInfo": {"code": "Common", "message": "no"}}
    assert mapped(row) == Batch()


def test_a_created_order_without_its_body_is_reported() -> None:
    assert reasons(mapped({**delivery(), "order": None})) == ["order: missing"]


def test_a_flat_order_of_the_other_dialect_maps_as_well() -> None:
    row = delivery()
    flat = {**row["order"], "id": row["id"], "organizationId": ORGANIZATION, "status": "Закрыт"}
    [sale] = mapped(flat).transactions
    assert (sale.external_id, sale.amount) == (f"IIKO-{ORDER_ID}", Decimal("1719.90"))
    assert sale.source_updated_at is None


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({TERMINAL: Place(TERMINAL, timezone="Asia/Vladivostok")}, datetime(2025, 11, 17, 4, 55, 40, tzinfo=UTC)),
        ({ORGANIZATION: Place(ORGANIZATION, timezone="Asia/Tbilisi")}, datetime(2025, 11, 17, 10, 55, 40, tzinfo=UTC)),
        ({TERMINAL: Place(TERMINAL, "no zone")}, datetime(2025, 11, 17, 9, 55, 40, tzinfo=UTC)),
        ({}, datetime(2025, 11, 17, 9, 55, 40, tzinfo=UTC)),
    ],
    ids=["terminal", "organization", "terminal without a zone", "project"],
)
def test_times_are_on_the_terminals_clock_else_the_organizations_else_the_projects(
    places: dict[str, Place], expected: datetime
) -> None:
    [sale] = mapped(delivery(), replace(CONTEXT, timezone="Asia/Almaty", places=places)).transactions
    assert sale.occurred_at == expected
    assert sale.currency == "KZT"


@pytest.mark.parametrize(
    ("order", "info", "expected"),
    [
        ({}, {"phone": "+79995554433"}, "+79990001122"),
        ({"phone": None, "customer": {"id": "c1", "phone": "8 (999) 222-33-44"}}, None, "+79992223344"),
        ({"phone": None}, {"id": "c1", "phone": "+79995554433", "email": "a@example.com"}, "+79995554433"),
        ({"phone": "n/a"}, {"phone": "+79995554433"}, "+79995554433"),
        ({"phone": None}, None, None),
        ({"phone": "12"}, None, None),
    ],
)
def test_the_phone_is_the_orders_else_the_customers_else_that_of_the_loyalty_programme(
    order: dict[str, Any], info: dict[str, Any] | None, expected: str | None
) -> None:
    row = delivery(**order)
    if info is not None:
        row["customerInfo"] = info
    batch = mapped(row)
    assert not batch.problems
    assert batch.transactions[0].phone_e164 == expected


def test_a_guest_known_by_card_alone_is_the_customer() -> None:
    row = delivery(phone=None, customer={"type": "one-time", "name": "Пётр"})
    row["customerInfo"] = {"id": "c9", "phone": "+79995554433", "email": "p@example.com"}
    batch = mapped(row)
    assert (batch.transactions[0].customer_id, batch.transactions[0].email) == ("c9", "p@example.com")
    assert batch.customers[0].customer_id == "c9"


def test_a_one_time_customer_is_no_customer() -> None:
    batch = mapped(delivery(customer={"type": "one-time", "name": "Пётр"}))
    assert not batch.customers
    assert batch.transactions[0].customer_id is None


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"phone": None}, [("id", "c1000000-0000-4000-8000-000000000001")]),
        ({"phone": None, "customer": None, "loyaltyCard": {"number": "7700"}}, [("cardNumber", "7700")]),
        ({"phone": None, "customer": None, "loyaltyInfo": {"cardTrack": "T77"}}, [("cardTrack", "T77")]),
        ({"phone": None, "customer": None, "cardNumber": 7700}, [("cardNumber", "7700")]),
        (
            {"phone": "", "customer": {"id": "c1", "cardNumber": "5"}, "cardNumber": "5"},
            [("id", "c1"), ("cardNumber", "5")],
        ),
        ({"phone": None, "status": "New"}, []),
        ({"phone": None, "customer": {"id": "c1", "phone": "+79990001122"}}, []),
        ({}, []),
        ({"phone": None, "customer": "Анна", "loyaltyInfo": []}, []),
    ],
)
def test_a_guest_is_asked_for_by_profile_then_by_card_and_only_where_a_sale_lacks_a_phone(
    order: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert guest_keys(delivery(**order)) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sum": None}, "order.sum: missing"),
        ({"sum": "a lot"}, "order.sum: expected an amount, got 'a lot'"),
        ({"whenClosed": None}, "order.whenClosed: missing"),
        ({"whenClosed": 17}, "order.whenClosed: expected a time, got number"),
        ({"status": None}, "order.status: missing"),
        ({"status": ["Closed"]}, "order.status: expected a text, got list"),
    ],
)
def test_a_sale_that_cannot_be_read_is_reported_and_not_guessed(changes: dict[str, Any], reason: str) -> None:
    batch = mapped(delivery(**changes))
    assert not batch.transactions
    assert not batch.reversals
    assert reason in reasons(batch)


def test_wrong_types_beside_the_sale_are_reported_once_and_the_sale_is_taken() -> None:
    batch = mapped({**delivery(items="x", customer=[1], phone={}), "timestamp": "soon"})
    assert len(batch.transactions) == 1
    assert sorted(reasons(batch)) == [
        "order.customer: expected an object, got list",
        "order.items: expected a list, got text",
        "order.phone: expected a text, got object",
        "timestamp: expected milliseconds since 1970, got text",
    ]


@pytest.mark.parametrize("body", ["{", "[]", "7", '{"order": {}}', '{"id": null}', '{"id": {}, "order": {}}'])
def test_a_record_that_is_none_raises_skip_row(body: str) -> None:
    with pytest.raises(SkipRowError):
        IIKO.map_record(CONTEXT, "orders", ORDER_ID, body)


def test_a_deletion_means_nothing_because_old_orders_are_not_found_either() -> None:
    assert IIKO.map_deletion(CONTEXT, "orders", ORDER_ID) == Batch()


def place_row(*zones: str, currency: str | None = "RUB") -> dict[str, Any]:
    terminals = [{"id": f"t{number}", "name": f"Зал {number}", "timeZone": one} for number, one in enumerate(zones)]
    return {"organization": {"id": "o", "name": "Кафе", "currencyIsoName": currency}, "terminalGroups": terminals}


def places(row: dict[str, Any]) -> Batch:
    return IIKO.map_record(CONTEXT, "places", "o", json.dumps(row))


def test_terminals_have_their_zones_and_the_organization_that_which_all_share() -> None:
    batch = places(place_row("Russian Standard Time", "Europe/Moscow"))
    assert batch.places == [
        Place("o", "Кафе", "Europe/Moscow", "RUB"),
        Place("t0", "Зал 0", "Europe/Moscow", "RUB"),
        Place("t1", "Зал 1", "Europe/Moscow", "RUB"),
    ]
    batch = places(place_row("Europe/Moscow", "Asia/Omsk", currency="RUR"))
    assert [(one.timezone, one.currency) for one in batch.places] == [
        (None, "RUB"),
        ("Europe/Moscow", "RUB"),
        ("Asia/Omsk", "RUB"),
    ]


def test_an_unknown_zone_or_currency_is_reported() -> None:
    batch = places(place_row("Middle-earth Standard Time", currency="рубли"))
    assert [(one.timezone, one.currency) for one in batch.places] == [(None, None), (None, None)]
    assert reasons(batch) == [
        "organization.currencyIsoName: expected a currency's code, got 'РУБЛИ'",
        "terminalGroups[0].timeZone: unknown time zone 'Middle-earth Standard Time', the project's is taken instead",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Europe/Moscow", "Europe/Moscow"),
        (" russian  standard TIME ", "Europe/Moscow"),
        ("UTC", "UTC"),
        ("UTC+3", "Etc/GMT-3"),
        ("+03:00", "Etc/GMT-3"),
        ("GMT-05:00", "Etc/GMT+5"),
        ("(UTC+03:00) Москва", "Etc/GMT-3"),
        ("+00:00", "UTC"),
        ("+05:30", None),
        ("UTC+25", None),
        ("Moscow", None),
        ("../etc/passwd", None),
    ],
)
def test_zones_are_read_in_the_forms_that_programs_on_windows_write(text: str, name: str | None) -> None:
    assert read_zone(text) == name


def test_every_windows_name_stands_for_a_zone_that_there_is() -> None:
    for name in _WINDOWS.values():
        assert zone(name) is not None


def test_the_same_text_maps_to_the_same_records() -> None:
    row = delivery()
    assert mapped(row) == mapped(deepcopy(row))


def test_a_payload_for_people_names_no_guest_no_courier_and_no_address() -> None:
    row = delivery(
        deliveryPoint={"address": {"street": {"name": "Тверская"}, "house": "7"}, "comment": "домофон 12"},
        courierInfo={"courier": {"id": "k", "name": "Семён", "phone": "+79991112233"}},
        comment="позвоните Анне",
        cardNumber="77001234",
    )
    masked = IIKO.mask_payload(json.dumps(row, ensure_ascii=False))
    assert json.loads(masked)["id"] == ORDER_ID
    assert "Борщ" in masked
    for personal in ("Анна", "Анне", "Ким", "9990001122", "Тверская", "домофон", "Семён", "77001234", "1990-05-17"):
        assert personal not in masked
