"""YCLIENTS' records, clients, payments and companies -> canonical records. Expected values are worked out by hand."""

from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import Batch, Customer, Place, Reversal, Transaction

YCLIENTS = registry.get("yclients")
MOSCOW = MappingContext(
    "salon",
    timezone="UTC",
    region="RU",
    currency="KZT",
    options={"company_id": 77},
    places={"77": Place("77", "Студия", "Europe/Moscow", "RUB")},
)
RECORD: dict[str, Any] = {
    "id": 501,
    "company_id": 77,
    "staff_id": 9,
    "clients_count": 1,
    "services": [
        {"id": 11, "title": "Стрижка", "cost": 900, "cost_to_pay": 900, "cost_per_unit": 1000, "discount": 10},
        {"id": 12, "title": "Укладка", "cost": 1250.5, "amount": 2},
    ],
    "goods_transactions": [],
    "client": {
        "id": 31,
        "name": "Иван",
        "surname": "Петров",
        "patronymic": "",
        "display_name": "Иван",
        "phone": "+79990000001",
        "email": "ivan@example.com",
        "custom_fields": [],
    },
    "date": "2026-03-02 12:00:00",
    "datetime": "2026-03-02T12:00:00+03:00",
    "create_date": "2026-03-01T09:10:11+0300",
    "last_change_date": "2026-03-02T13:12:00+0300",
    "attendance": 1,
    "deleted": False,
    "paid_full": 1,
    "custom_fields": {},
}  # fmt: skip
CHANGED = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)


def mapped(row: dict[str, Any], context: MappingContext = MOSCOW, stream: str = "records") -> Batch:
    return YCLIENTS.map_record(context, stream, str(row.get("id")), json.dumps(row, ensure_ascii=False))


def record(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(RECORD), **changes}


def sale(row: dict[str, Any], context: MappingContext = MOSCOW) -> Transaction:
    batch = mapped(row, context)
    assert not batch.problems
    [found] = batch.transactions
    return found


def test_a_paid_record_is_a_sale_with_all_that_belongs_to_it() -> None:
    batch = mapped(RECORD)
    assert not batch.problems
    assert batch.transactions == [
        Transaction(
            external_id="YCLIENTS-501",
            occurred_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
            amount=Decimal("2150.50"),
            currency="RUB",
            customer_id="31",
            phone_e164="+79990000001",
            email="ivan@example.com",
            description="Стрижка",
            source_updated_at=CHANGED,
        )
    ]
    assert not batch.reversals
    assert not batch.orders
    assert batch.customers == [
        Customer(
            customer_id="31",
            full_name="Иван Петров",
            phone_e164="+79990000001",
            phones=("+79990000001",),
            email="ivan@example.com",
            emails=("ivan@example.com",),
            is_complete=False,
        )
    ]


@pytest.mark.parametrize(
    "changes",
    [{"paid_full": 0}, {"paid_full": False}, {"paid_full": "0"}, {"deleted": True}, {"deleted": 1}, {"deleted": "1"}],
)
def test_a_record_that_is_unpaid_or_deleted_is_a_reversal(changes: dict[str, Any]) -> None:
    batch = mapped(record(**changes))
    assert batch.reversals == [Reversal("YCLIENTS-501", CHANGED)]
    assert not batch.transactions
    assert not batch.problems


@pytest.mark.parametrize("paid_full", [1, True, "1"])
def test_paid_full_is_a_number_a_text_or_a_boolean(paid_full: Any) -> None:
    assert sale(record(paid_full=paid_full)).amount == Decimal("2150.50")


def test_a_prepaid_visit_to_which_nobody_came_is_a_sale_all_the_same() -> None:
    assert sale(record(attendance=-1, visit_attendance=-1)).external_id == "YCLIENTS-501"


@pytest.mark.parametrize(
    ("cost", "amount"), [(0, "0.00"), ("1500.00", "1500.00"), (99.999, "100.00"), (None, "2150.50"), ("", "2150.50")]
)
def test_the_records_own_cost_goes_before_the_sum_of_its_services(cost: Any, amount: str) -> None:
    assert sale(record(cost=cost)).amount == Decimal(amount)


def test_the_amount_is_not_taken_twice_for_two_units_of_a_service() -> None:
    line = {"id": 12, "title": "Массаж", "cost": 2000, "cost_per_unit": 1000, "amount": 2}
    assert sale(record(services=[line])).amount == Decimal("2000.00")


def test_where_the_amount_cannot_be_told_there_is_a_problem_and_no_sale() -> None:
    for services, told in (
        ([], "cost: missing, and there are no services to sum up"),
        ([{"title": "A", "cost": 1}, {"title": "B"}], "services[1].cost: missing"),
        ([{"title": "A", "cost": "many"}], "services[0].cost: expected an amount, got 'many'"),
    ):
        batch = mapped(record(services=services))
        assert not batch.transactions
        assert not batch.reversals
        assert told in [problem.reason for problem in batch.problems]
        assert {(problem.stream, problem.crm_id) for problem in batch.problems} == {("records", "501")}


def test_local_time_is_the_companys_also_where_the_offset_is_of_the_other_half_of_the_year() -> None:
    berlin = MappingContext("s", places={"77": Place("77", timezone="Europe/Berlin")})
    summer = record(date="2026-07-01 12:00:00", datetime="2026-07-01T12:00:00+01:00")
    assert sale(summer, berlin).occurred_at == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    winter = record(date="2026-01-15 12:00:00", datetime="2026-01-15T12:00:00+01:00")
    assert sale(winter, berlin).occurred_at == datetime(2026, 1, 15, 11, 0, tzinfo=UTC)


def test_an_offset_in_date_is_believed_and_datetime_stands_in_where_there_is_no_date() -> None:
    with_offset = record(date="2026-03-02T12:00:00+05:00")
    assert sale(with_offset).occurred_at == datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    without = record(date="", datetime="2026-03-02T12:00:00+04:00")
    assert sale(without).occurred_at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    batch = mapped(record(date=None, datetime=None))
    assert not batch.transactions
    assert [problem.reason for problem in batch.problems] == ["date: missing"]


def test_without_a_place_zone_and_currency_are_the_projects() -> None:
    context = MappingContext("s", timezone="Asia/Novosibirsk", currency="RUB")
    found = sale(RECORD, context)
    assert found.occurred_at == datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
    assert found.currency == "RUB"


def test_a_record_without_a_client_is_a_sale_to_nobody() -> None:
    for client in (None, [], {"id": 0, "name": ""}):
        batch = mapped(record(client=client))
        assert not batch.customers
        assert not batch.problems
        assert (batch.transactions[0].customer_id, batch.transactions[0].phone_e164) == (None, None)


def test_phones_are_read_with_and_without_a_plus_and_hidden_ones_are_none() -> None:
    for written, read in (
        ("+79990000001", "+79990000001"),
        ("79990000001", "+79990000001"),
        ("8 (999) 000-00-01", "+79990000001"),
        ("+7999*****01", None),
        ("", None),
    ):
        assert sale(record(client={"id": 31, "name": "Иван", "phone": written})).phone_e164 == read


def test_the_description_is_the_first_title_that_there_is() -> None:
    assert sale(record(services=[{"title": "", "cost": 1}, {"title": "Бритьё", "cost": 2}])).description == "Бритьё"
    assert sale(record(services=[{"cost": 1}])).description is None


def test_a_record_whose_payment_is_not_told_is_neither_sale_nor_reversal() -> None:
    without = record()
    del without["paid_full"]
    for row in (without, record(paid_full=None), record(paid_full="yes"), record(deleted="perhaps")):
        batch = mapped(row)
        assert not batch.transactions
        assert not batch.reversals
        assert len(batch.problems) == 1


def test_fields_of_the_wrong_type_are_problems_and_ids_that_are_missing_skip_the_row() -> None:
    batch = mapped(record(last_change_date=7, client="Иван", services={"a": 1}))
    assert [problem.reason for problem in batch.problems][:2] == [
        "last_change_date: expected a time, got number",
        "client: expected an object, got text",
    ]
    for row in ({**RECORD, "id": None}, {**RECORD, "id": [1]}):
        with pytest.raises(SkipRowError):
            mapped(row)
    for body in ("[]", "7", "{", '"x"'):
        with pytest.raises(SkipRowError):
            YCLIENTS.map_record(MOSCOW, "records", "1", body)
    with pytest.raises(SkipRowError):
        mapped(RECORD, stream="orders")


def test_ids_may_be_texts() -> None:
    assert sale(record(id="501", company_id="77")).external_id == "YCLIENTS-501"


def test_a_client_becomes_a_whole_customer() -> None:
    row = {
        "id": 31,
        "name": "Иван",
        "surname": "Петров",
        "phone": "79990000001",
        "email": "",
        "birth_date": "1990-05-17",
        "comment": "Не звонить утром",
        "sex_id": 1,
        "last_change_date": "2026-03-02T13:12:00+0300",
        "custom_fields": [],
        "card": None,
    }
    batch = mapped(row, stream="customers")
    assert not batch.problems
    assert batch.customers == [
        Customer(
            customer_id="31",
            full_name="Иван Петров",
            phone_e164="+79990000001",
            phones=("79990000001",),
            birthday=date(1990, 5, 17),
            note="Не звонить утром",
            source_updated_at=CHANGED,
        )
    ]
    # Without an offset a time is of the company's zone.
    [customer] = mapped(
        {**row, "last_change_date": "2026-03-02 13:12:00", "birth_date": "0000-00-00"}, stream="customers"
    ).customers
    assert (customer.source_updated_at, customer.birthday) == (CHANGED, None)  # fmt: skip


def test_a_payment_is_no_sale_and_is_checked_in_both_of_its_forms() -> None:
    row = {
        "id": "48",
        "document_id": "100",
        "expense": {"id": "5", "title": "Оказание услуг"},
        "date": "2026-04-13T15:34:31+0400",
        "amount": "1000.00",
        "master": [],
        "client": {"id": "31", "name": "Иван", "phone": "79990000001"},
        "last_change_date": "2026-04-13T15:34:31+0400",
    }
    assert mapped(row, stream="transactions") == Batch()
    single = {"id": 48, "date": "2026-04-04 20:00:00", "amount": 1000, "master": [], "supplier": [], "record_id": 501}
    assert mapped(single, stream="transactions") == Batch()
    batch = mapped({"id": 48, "amount": "a lot", "date": ""}, stream="transactions")
    assert [problem.reason for problem in batch.problems] == [
        "amount: expected an amount, got 'a lot'",
        "date: missing",
    ]


@pytest.mark.parametrize(
    ("row", "zone", "currency"),
    [
        ({"timezone": "Europe/Moscow", "currency_short_title": "₽"}, "Europe/Moscow", "RUB"),
        ({"timezone": -5, "timezone_name": "America/New_York", "currency_short_title": "$"}, "America/New_York", None),
        ({"timezone": "7", "timezone_name": "Asia/Omsk", "currency_short_title": "руб."}, "Asia/Omsk", "RUB"),
        ({"timezone": "Asia/Almaty", "currency_short_title": "KZT"}, "Asia/Almaty", "KZT"),
        ({"timezone": "Europe/Prague", "currency_short_title": "Kč"}, "Europe/Prague", "CZK"),
        ({"timezone": "Europe/Bucharest", "currency_short_title": "lei"}, "Europe/Bucharest", None),
    ],
)  # fmt: skip
def test_a_company_tells_its_zone_and_its_currency(row: dict[str, Any], zone: str, currency: str | None) -> None:
    batch = mapped({"id": 77, "title": "Студия", **row}, stream="places")
    assert batch.places == [Place("77", "Студия", zone, currency)]
    assert not batch.problems


def test_a_company_whose_zone_cannot_be_read_is_a_place_without_one_and_a_problem() -> None:
    batch = mapped({"id": 77, "title": "Студия", "timezone": 3}, stream="places")
    assert batch.places == [Place("77", "Студия", None, None)]
    assert "the project's own zone is used" in batch.problems[0].reason


def test_what_is_gone_takes_its_sale_with_it() -> None:
    assert YCLIENTS.map_deletion(MOSCOW, "records", "501") == Batch(reversals=[Reversal("YCLIENTS-501")])
    [customer] = YCLIENTS.map_deletion(MOSCOW, "customers", "31").customers
    assert (customer.customer_id, customer.is_deleted, customer.is_complete) == ("31", True, False)
    assert YCLIENTS.map_deletion(MOSCOW, "transactions", "48") == Batch()


@pytest.mark.parametrize(("options", "is_good"), [({}, False), ({"company_id": 0}, False), ({"company_id": 77}, True)])
def test_a_project_names_its_company(options: dict[str, Any], is_good: bool) -> None:
    check = YCLIENTS.capabilities.check_options
    assert check is not None
    assert (check(options) == []) is is_good
