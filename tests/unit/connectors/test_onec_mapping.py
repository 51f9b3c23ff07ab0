"""1C's rows and documents -> transactions. Expected values are worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import registry
from connectors.errors import SkipRowError
from connectors.onec.mapping import ITEM_NAMES, parse_amount
from connectors.onec.rows import external_id
from connectors.protocol import MappingContext, ReconcilingConnector
from connectors.records import Batch, Reversal, Transaction

ONEC = registry.get("onec")
SERVICE = MappingContext("shop", timezone="Europe/Moscow", region="RU", currency="RUB")
ODATA = MappingContext(
    "shop",
    timezone="Asia/Almaty",
    region="KZ",
    options={
        "dialect": "odata",
        "document": "Document_ЧекККМ",
        "timezone": "Europe/Moscow",
        "fields": {
            "amount": "СуммаДокумента",
            "items": "Товары",
            "customer": "Контрагент_Key",
            "phone": "Контрагент.КонтактнаяИнформация.НомерТелефона",
        },
    },
)
KEY = "11111111-2222-11ee-8000-0050569f0001"
COFFEE, BUN = "33333333-4444-11ee-8000-0050569f0001", "33333333-4444-11ee-8000-0050569f0002"
EMPTY = "00000000-0000-0000-0000-000000000000"
# As the requirement shows it.
ROW = {
    "id": "1C-12345",
    "date": "2025-11-17T14:05:09",
    "customer_phone": "+79990001122",
    "amount": "1 250,50",
    "items": [{"name": "Кофе", "price": 625.25}],
}
DOCUMENT = {
    "Ref_Key": KEY,
    "DataVersion": "AAAAAQAAAAA=",
    "DeletionMark": False,
    "Number": "0000-000123",
    "Date": "2025-11-17T14:05:09",
    "Posted": True,
    "СуммаДокумента": 1250.5,
    "Контрагент_Key": "22222222-4444-11ee-8000-0050569f0009",
    "Контрагент": {
        "Description": "Иванов",
        "КонтактнаяИнформация": [
            {"LineNumber": "1", "НомерТелефона": ""},
            {"LineNumber": "2", "НомерТелефона": "8 (999) 000-11-22"},
        ],
    },
    "Товары": [
        {"LineNumber": "1", "Номенклатура_Key": COFFEE, "Количество": 2},
        {"LineNumber": "2", "Номенклатура_Key": EMPTY},
        {"LineNumber": "3", "Номенклатура_Key": BUN},
        {"LineNumber": "4", "Номенклатура_Key": COFFEE},
    ],
    ITEM_NAMES: {COFFEE: "Кофе", BUN: "Булочка\u00a0с маком"},
}


def map_service(context: MappingContext = SERVICE, **changes: Any) -> Batch:
    return ONEC.map_record(context, "transactions", "x", json.dumps({**ROW, **changes}))


def map_document(context: MappingContext = ODATA, **changes: Any) -> Batch:
    return ONEC.map_record(context, "transactions", KEY, json.dumps({**DOCUMENT, **changes}))


def reasons(batch: Batch) -> list[str]:
    return [problem.reason for problem in batch.problems]


def test_the_connector_satisfies_the_protocol() -> None:
    assert isinstance(ONEC, ReconcilingConnector)
    assert ONEC.crm == "onec"


def test_the_requirements_row_is_a_sale_at_the_bases_own_time() -> None:
    assert map_service() == Batch(
        transactions=[
            Transaction(
                external_id="1C-12345",
                occurred_at=datetime(2025, 11, 17, 11, 5, 9, tzinfo=UTC),
                amount=Decimal("1250.50"),
                phone_e164="+79990001122",
                description="Кофе",
            )
        ]
    )


def test_a_posted_document_is_a_sale_with_names_of_its_items_and_the_phone_of_its_customer() -> None:
    assert map_document() == Batch(
        transactions=[
            Transaction(
                external_id=f"1C-{KEY}",
                occurred_at=datetime(2025, 11, 17, 11, 5, 9, tzinfo=UTC),
                amount=Decimal("1250.50"),
                customer_id="22222222-4444-11ee-8000-0050569f0009",
                phone_e164="+79990001122",
                description="Кофе, Булочка с маком",
            )
        ]
    )


@pytest.mark.parametrize("changes", [{"Posted": False}, {"DeletionMark": True}, {"Posted": False, "Date": "?"}])
def test_an_unposted_or_deletion_marked_document_reverses_its_sale(changes: dict[str, Any]) -> None:
    assert map_document(**changes) == Batch(reversals=[Reversal(f"1C-{KEY}")])


def test_a_document_that_is_gone_reverses_its_sale() -> None:
    assert ONEC.map_deletion(ODATA, "transactions", KEY) == Batch(reversals=[Reversal(f"1C-{KEY}")])
    assert ONEC.map_deletion(SERVICE, "transactions", "1С-7") == Batch(reversals=[Reversal("1C-7")])


def test_a_document_that_does_not_say_whether_it_is_posted_is_neither_a_sale_nor_its_reversal() -> None:
    batch = map_document(Posted=None)
    assert (batch.transactions, batch.reversals) == ([], [])
    assert reasons(batch) == ["Posted: missing"]


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("1C-12345", "1C-12345"),
        ("1c-12345", "1C-12345"),
        ("1С-12345", "1C-12345"),  # Cyrillic
        ("1с-12345", "1C-12345"),
        ("1C-1С-12345", "1C-12345"),
        ("12345", "1C-12345"),
        (12345, "1C-12345"),
        (" 1C-12345 ", "1C-12345"),
        ("C-12345", "1C-C-12345"),
        ("1CX-1", "1C-1CX-1"),
        ("1C", "1C-1C"),
        ("11C-5", "1C-11C-5"),
        ("a-1C-5", "1C-a-1C-5"),
    ],
)
def test_the_prefix_stands_once_in_latin(given_id: Any, expected: str) -> None:
    assert map_service(id=given_id).transactions[0].external_id == expected


@given(st.text(min_size=1, max_size=30))
def test_an_external_id_made_twice_is_the_same(crm_id: str) -> None:
    once = external_id(crm_id)
    assert once.startswith("1C-")
    assert external_id(once) == once


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("1\u00a0234\u00a0567,89", "1234567.89"),
        ("1\u202f234,5", "1234.50"),
        ("1 250,50", "1250.50"),
        ("1250.5", "1250.50"),
        ("1,250", "1.25"),
        ("-1\u00a0250,50", "-1250.50"),
        ("0", "0.00"),
        (" 7 ", "7.00"),
        (1250.5, "1250.50"),
        (7, "7.00"),
        ("0,005", "0.01"),
        ("12345678901,20", "12345678901.20"),
    ],
)
def test_an_amount_is_read_as_1c_writes_it(written: Any, amount: str) -> None:
    assert map_service(amount=written).transactions[0].amount == Decimal(amount)


@pytest.mark.parametrize(
    "written", ["1.234,56", "1,234.56", "12,34,56", "1e5", "руб. 5", "5 руб", "--5", ",5", "5,", "٣"]
)
def test_an_amount_in_any_other_form_is_a_problem(written: str) -> None:
    batch = map_service(amount=written)
    assert batch.transactions == []
    [reason] = reasons(batch)
    assert reason.startswith("amount: expected an amount")
    with pytest.raises(ValueError):
        parse_amount(written)


@pytest.mark.parametrize("changes", [{"amount": True}, {"amount": []}, {"amount": {}}])
def test_an_amount_of_another_type_is_a_problem(changes: dict[str, Any]) -> None:
    assert [reason.partition(":")[0] for reason in reasons(map_service(**changes))] == ["amount"]


@pytest.mark.parametrize("empty", [None, "", "0001-01-01T00:00:00", "0001-01-01"])
def test_an_empty_date_is_no_date(empty: str | None) -> None:
    batch = map_service(date=empty)
    assert batch.transactions == []
    assert reasons(batch) == ["date: missing"]


def test_an_empty_or_undefined_reference_is_no_customer() -> None:
    assert map_document(Контрагент_Key=EMPTY).transactions[0].customer_id is None
    undefined = {"Контрагент_Key": KEY, "Контрагент_Key_Type": "StandardODATA.Undefined"}
    assert map_document(**undefined).transactions[0].customer_id is None
    of_a_type = {"Контрагент_Key": KEY, "Контрагент_Key_Type": "StandardODATA.Catalog_Контрагенты"}
    assert map_document(**of_a_type).transactions[0].customer_id == KEY


def test_a_time_with_an_offset_keeps_it_and_the_zone_of_the_base_goes_before_the_projects() -> None:
    with_offset = map_service(date="2025-11-17T14:05:09+05:00").transactions[0].occurred_at
    assert with_offset == datetime(2025, 11, 17, 9, 5, 9, tzinfo=UTC)
    almaty = MappingContext("shop", timezone="Asia/Almaty")
    assert map_service(almaty).transactions[0].occurred_at == datetime(2025, 11, 17, 9, 5, 9, tzinfo=UTC)
    moscow = MappingContext("shop", timezone="Asia/Almaty", options={"timezone": "Europe/Moscow"})
    assert map_service(moscow).transactions[0].occurred_at == datetime(2025, 11, 17, 11, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize("items", [None, [], "absent"])
def test_no_items_are_no_description(items: Any) -> None:
    row = {name: value for name, value in ROW.items() if name != "items"}
    if items != "absent":
        row["items"] = items
    batch = ONEC.map_record(SERVICE, "transactions", "x", json.dumps(row))
    assert not batch.problems
    assert batch.transactions[0].description is None


def test_wrong_parts_are_problems_and_the_sale_is_kept() -> None:
    batch = map_service(items={"name": "Кофе"}, customer_phone={"a": 1})
    assert len(batch.transactions) == 1
    assert reasons(batch) == [
        "customer_phone: expected a text, got object",
        "items: expected a list, got object",
    ]


def test_a_phone_that_nobody_can_read_is_none() -> None:
    assert map_service(customer_phone="звонить Маше").transactions[0].phone_e164 is None
    assert map_service(customer_phone=79990001122).transactions[0].phone_e164 == "+79990001122"


def test_a_long_list_of_items_is_cut() -> None:
    items = [{"name": f"Товар номер {number}"} for number in range(100)]
    description = map_service(items=items).transactions[0].description
    assert description is not None
    assert len(description) == 500
    assert description.startswith("Товар номер 0, Товар номер 1, ")
    assert description.endswith("…")


def test_fields_of_the_service_may_have_other_names() -> None:
    options = {"fields": {"id": "Номер", "date": "Дата", "amount": "Сумма", "phone": "Тел", "items": "Т", "item": "Н"}}
    context = MappingContext("shop", timezone="UTC", region="RU", options=options)
    row = {"Номер": 5, "Дата": "2026-01-02T03:04:05", "Сумма": 1, "Тел": "89990001122", "Т": [{"Н": "Чай"}]}
    assert ONEC.map_record(context, "transactions", "5", json.dumps(row)).transactions == [
        Transaction(
            "1C-5",
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            Decimal("1.00"),
            phone_e164="+79990001122",
            description="Чай",
        )
    ]


@pytest.mark.parametrize("body", ["{", "[]", "7", "{}", '{"id": null}', '{"id": []}', '{"id": ""}'])
def test_a_record_without_an_id_is_skipped(body: str) -> None:
    with pytest.raises(SkipRowError):
        ONEC.map_record(SERVICE, "transactions", "x", body)


def test_an_empty_reference_is_no_id() -> None:
    with pytest.raises(SkipRowError, match="Ref_Key: missing"):
        map_document(Ref_Key=EMPTY)


@given(
    st.dictionaries(
        st.sampled_from([*ROW, *DOCUMENT]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_whatever_a_row_holds_it_is_mapped_or_skipped(row: dict[str, Any]) -> None:
    for context in (SERVICE, ODATA):
        try:
            batch = ONEC.map_record(context, "transactions", "x", json.dumps({**row}))
        except SkipRowError:
            continue
        assert batch.problems or batch.transactions or batch.reversals


def test_a_payload_for_people_hides_what_cyrillic_fields_hold() -> None:
    masked = ONEC.mask_payload(json.dumps({**DOCUMENT, "ТелефонПолучателя": "9990001122"}, ensure_ascii=False))
    shown = json.loads(masked)
    assert (shown["Number"], shown["СуммаДокумента"]) == ("0000-000123", 1250.5)
    assert shown["Контрагент_Key"] == DOCUMENT["Контрагент_Key"]
    for personal in ("Иванов", "999"):
        assert personal not in masked
