"""RetailCRM's JSON becomes canonical records: figures and times worked out by hand from the fixture."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import (
    Batch,
    Customer,
    Offer,
    Order,
    OrderMarketing,
    Place,
    Product,
    Reversal,
    Source,
    Status,
    StatusEvent,
    StatusGroup,
    Stock,
    Transaction,
)
from connectors.retailcrm import DEFAULT_STATUS_MAP, connector, vms_status
from sync.validation import check

FIXTURE = Path(__file__).parents[2] / "fixtures" / "retailcrm" / "order.json"
PLACES = {"": Place("", timezone="Europe/Moscow", currency="RUB"), "by": Place("by", currency="BYN")}
CONTEXT = MappingContext("shop", timezone="Europe/Kyiv", region="RU", currency="UAH", places=PLACES)


def order(**changes: Any) -> Batch:
    row = {**json.loads(FIXTURE.read_text()), **changes}
    body = json.dumps({name: value for name, value in row.items() if value != "absent"})
    batch = connector.map_record(CONTEXT, "orders", "31", body)
    check(batch, body)
    return batch


def mapped(stream: str, row: Any, context: MappingContext = CONTEXT) -> Batch:
    return connector.map_record(context, stream, "1", json.dumps(row))


def test_an_order_has_its_sums_address_and_times_in_utc() -> None:
    batch = order()
    assert batch.problems == []
    assert batch.orders == [
        Order(
            order_id="31",
            source_uuid="A-9",
            source_id="shop",
            status_id="delivering",
            status_group_id="delivery",
            customer_id="77",
            manager_id="5",
            grand_total=Decimal("2101.50"),
            products_total=Decimal("1801.50"),
            total_discount=Decimal("200.00"),
            shipping_price=Decimal("300.00"),
            payments_total=Decimal("2101.50"),
            currency="RUB",
            payment_status="paid",
            manager_comment="позвонить",
            customer_comment="домофон 7",
            delivery_service_id="courier",
            tracking_code="TR1",
            shipping_status="shipped",
            shipping_country="RU",
            shipping_region="Москва",
            shipping_city="Москва",
            shipping_address="ул. Мясницкая, д. 1, кв. 7",
            shipping_date=date(2026, 3, 3),
            recipient_name="Анна Петровна Ильина",
            recipient_phone_e164="+79161234567",
            ordered_at=datetime(2026, 3, 1, 20, 30, tzinfo=UTC),
            order_created_at=datetime(2026, 3, 1, 20, 30, tzinfo=UTC),
        )
    ]


def test_lines_have_the_price_after_the_discount_of_one_piece() -> None:
    [lines] = order().order_items
    cup, cloth = lines.items
    assert (cup.price, cup.price_sold, cup.total_discount) == (Decimal("1000.75"), Decimal("900.75"), Decimal("200.00"))
    assert (cup.item_id, cup.offer_id, cup.sku, cup.name) == ("501", "9", "cup", "Чашка, белая")
    assert (cup.quantity, cup.purchased_price, cup.unit_type) == (Decimal(2), Decimal("450.00"), "pc")
    assert (cloth.quantity, cloth.sku, cloth.name) == (Decimal("1.5"), "x-1", "Ткань")


def test_the_buyer_has_phones_and_e_mail_by_which_people_are_joined() -> None:
    assert order().customers == [
        Customer(
            customer_id="77",
            full_name="Анна Ильина",
            phone_e164="+79161234567",
            phones=("+79161234567", "+74950001122"),
            email="anna.ilina@example.com",
            emails=("anna.ilina@example.com",),
            is_complete=False,
        )
    ]


def test_a_buyer_without_phones_has_that_of_the_order() -> None:
    [customer] = order(customer={"id": 77, "firstName": "Анна"}).customers
    assert (customer.phone_e164, customer.phones) == ("+79161234567", ("+79161234567",))


def test_an_order_without_a_buyer_is_nobodys() -> None:
    batch = order(customer="absent")
    assert batch.customers == []
    assert batch.orders[0].customer_id is None
    assert batch.transactions[0].phone_e164 == "+79161234567"


def test_payments_come_keyed_by_id_or_as_a_list() -> None:
    keyed = order().order_payments
    listed = order(payments=list(json.loads(FIXTURE.read_text())["payments"].values())).order_payments
    assert keyed == listed
    [payment] = keyed[0].payments
    assert (payment.payment_id, payment.amount, payment.status) == ("4326", Decimal("2101.50"), "paid")
    assert payment.paid_at == datetime(2026, 3, 1, 21, 15, tzinfo=UTC)


def test_no_payments_are_an_empty_list_and_absent_ones_are_unknown() -> None:
    assert order(payments=[]).order_payments[0].payments == ()
    assert order(payments="absent").order_payments == []


def test_a_key_names_a_payment_that_has_no_id_itself() -> None:
    [payments] = order(payments={"9": {"amount": 1, "status": "paid"}}).order_payments
    assert payments.payments[0].payment_id == "9"


def test_the_current_status_is_an_approximate_event_of_its_own_time() -> None:
    assert order().status_events == [
        StatusEvent(
            "31",
            "delivering",
            datetime(2026, 3, 2, 9, 5, 6, tzinfo=UTC),
            order_created_at=datetime(2026, 3, 1, 20, 30, tzinfo=UTC),
            is_approximate=True,
        )
    ]
    assert order(statusUpdatedAt=None).status_events == []


def test_an_order_paid_in_full_is_a_transaction_at_that_time() -> None:
    batch = order()
    assert batch.reversals == []
    assert batch.transactions == [
        Transaction(
            external_id="RETAILCRM-31",
            occurred_at=datetime(2026, 3, 1, 21, 15, tzinfo=UTC),
            amount=Decimal("2101.50"),
            currency="RUB",
            customer_id="77",
            phone_e164="+79161234567",
            email="anna.ilina@example.com",
            description="Чашка, белая",
            order_id="31",
        )
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"fullPaidAt": None},
        {"fullPaidAt": "absent"},
        {"status": "no-call", "statusGroup": "cancel"},
        {"status": "refund", "statusGroup": "complete"},
        {"status": "cancel", "statusGroup": None},
    ],
)
def test_an_order_unpaid_again_cancelled_or_refunded_reverses_its_transaction(changes: dict[str, Any]) -> None:
    batch = order(**changes)
    assert batch.transactions == []
    assert batch.reversals == [Reversal("RETAILCRM-31")]


def test_a_paid_order_whose_sum_cannot_be_read_is_neither_a_sale_nor_a_reversal() -> None:
    batch = order(totalSumm="a lot")
    assert (batch.transactions, batch.reversals) == ([], [])
    assert [problem.reason for problem in batch.problems] == ["totalSumm: expected an amount, got 'a lot'"]


def test_an_order_without_a_currency_has_that_of_its_site_or_of_the_account() -> None:
    assert order(currency=None, site="by").orders[0].currency == "BYN"
    assert order(currency=None, site="other").orders[0].currency == "RUB"


def test_the_sources_of_an_order_are_its_utm_tags() -> None:
    assert order().order_marketing == [OrderMarketing("31", "google", "cpc", "spring", "чашка", "banner")]
    assert order(source=[]).order_marketing == []


@pytest.mark.parametrize(
    ("prepaid", "status"), [(0, "not_paid"), (100, "part_paid"), (None, None)], ids=["nothing", "a part", "unknown"]
)
def test_what_is_paid_so_far_is_the_payment_status(prepaid: int | None, status: str | None) -> None:
    assert order(fullPaidAt=None, prepaySum=prepaid).orders[0].payment_status == status


def test_a_field_of_the_wrong_type_is_a_problem_and_the_rest_is_read() -> None:
    batch = order(createdAt="yesterday", items=[7, {"id": 1}], payments="none", delivery=[], source=5)
    assert batch.orders[0].grand_total == Decimal("2101.50")
    assert sorted(problem.reason for problem in batch.problems) == [
        "createdAt: expected a time, got 'yesterday'",
        "items[0]: expected an object, got number",
        "items[1].quantity: missing",
        "payments: expected an object, got text",
        "source: expected an object, got number",
    ]
    assert {(problem.stream, problem.crm_id) for problem in batch.problems} == {("orders", "31")}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": null}', '{"id": {}}', '{"id": "'])
def test_a_record_without_an_id_is_skipped(body: str) -> None:
    for stream in ("orders", "customers", "order_history", "statuses", "nothing"):
        with pytest.raises(SkipRowError):
            connector.map_record(CONTEXT, stream, "31", body)


def test_a_deleted_order_takes_its_transaction_with_it() -> None:
    told = mapped("orders", {"id": 31, "deleted": True, "deletedAt": "2026-03-02 12:00:00", "historyId": 9})
    assert told == connector.map_deletion(CONTEXT, "orders", "31")
    assert told.orders == [Order("31", is_deleted=True, is_complete=False)]
    assert told.reversals == [Reversal("RETAILCRM-31")]
    assert mapped("customers", {"id": 7, "deleted": True}).customers == [
        Customer("7", is_deleted=True, is_complete=False)
    ]


def test_of_a_deleted_external_id_nothing_is_known() -> None:
    assert connector.map_deletion(CONTEXT, "orders", "externalId:A-9") == Batch()


def test_a_customer_is_read_whole() -> None:
    row = {
        "id": 77,
        "firstName": "Анна",
        "lastName": "Ильина",
        "email": " ANNA@example.com",
        "phones": [{"number": "89161234567"}, {"number": "+79161234567"}, {"number": "нет"}],
        "birthday": "1990-05-17",
        "createdAt": "2026-03-01 10:00:00",
        "managerId": 5,
        "commentary": "постоянный",
    }
    [customer] = mapped("customers", row).customers
    assert customer == Customer(
        customer_id="77",
        full_name="Анна Ильина",
        phone_e164="+79161234567",
        phones=("+79161234567", "нет"),
        email="anna@example.com",
        emails=("anna@example.com",),
        manager_id="5",
        birthday=date(1990, 5, 17),
        note="постоянный",
        source_created_at=datetime(2026, 3, 1, 7, 0, tzinfo=UTC),
    )


def test_a_company_is_called_by_its_nickname() -> None:
    [customer] = mapped("customers", {"id": 8, "type": "customer_corporate", "nickName": "ООО Ромашка"}).customers
    assert customer.full_name == "ООО Ромашка"


def test_an_entry_of_the_history_is_a_status_event_of_the_crms_own_log() -> None:
    entry = {
        "id": 702,
        "createdAt": "2026-03-02 11:59:40",
        "source": "user",
        "field": "status",
        "oldValue": {"code": "new"},
        "newValue": {"code": "assembling"},
        "order": {"id": 31, "site": "shop", "status": "complete"},
    }
    assert mapped("order_history", entry).status_events == [
        StatusEvent("31", "assembling", datetime(2026, 3, 2, 8, 59, 40, tzinfo=UTC), is_history=True)
    ]
    created = {**entry, "created": True, "oldValue": None, "newValue": {"code": "new"}}
    created["order"] = {"id": 31, "createdAt": "2026-03-02 11:59:39", "status": "complete"}
    [event] = mapped("order_history", created).status_events
    assert (event.status_id, event.order_created_at) == ("new", datetime(2026, 3, 2, 8, 59, 39, tzinfo=UTC))


def test_an_entry_without_a_status_is_a_problem() -> None:
    batch = mapped(
        "order_history", {"id": 1, "createdAt": "2026-03-02 11:59:40", "field": "status", "order": {"id": 3}}
    )
    assert batch.status_events == []
    assert [problem.reason for problem in batch.problems] == ["the entry names no order, no status or no time"]


def test_dictionaries_give_statuses_groups_sites_and_the_accounts_zone() -> None:
    status = {"name": "Недозвон", "code": "no-call", "active": False, "group": "cancel"}
    assert mapped("statuses", status).statuses == [
        Status("no-call", "Недозвон", None, "cancel", is_closing=True, is_active=False)
    ]
    assert mapped("statuses", {"name": "Новый", "code": "new", "group": "new"}).statuses[0].is_closing is False
    assert mapped("status_groups", {"name": "Отменен", "code": "cancel"}).status_groups == [
        StatusGroup("cancel", "Отменен")
    ]
    site = mapped("sources", {"id": 2, "code": "by", "name": "Минск", "currency": "BYN"})
    assert site.sources == [Source("by", "Минск", driver="site", currency="BYN")]
    assert site.places == [Place("by", "Минск", currency="BYN")]
    settings = {"timezone": {"value": "Asia/Almaty"}, "default_currency": {"value": "KZT"}}
    assert mapped("places", settings).places == [Place("", timezone="Asia/Almaty", currency="KZT")]


def test_a_zone_that_nobody_knows_is_a_problem_and_no_zone() -> None:
    batch = mapped("places", {"timezone": {"value": "Mars/Olympus"}})
    assert batch.places == [Place("")]
    assert [problem.reason for problem in batch.problems] == ["timezone.value: unknown time zone 'Mars/Olympus'"]


def test_times_are_in_the_projects_zone_where_the_account_has_told_none() -> None:
    context = MappingContext("shop", timezone="Asia/Almaty")
    batch = connector.map_record(context, "orders", "31", FIXTURE.read_text())
    assert batch.orders[0].ordered_at == datetime(2026, 3, 1, 18, 30, tzinfo=UTC)


def test_the_default_status_map_is_that_of_the_requirement() -> None:
    words = ("PENDING", "CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED", "REFUNDED")
    codes = ("new", "acceptance", "assembling", "delivery", "complete", "cancel", "refund")
    assert [DEFAULT_STATUS_MAP[code] for code in codes] == list(words)


@pytest.mark.parametrize(
    ("code", "group", "own", "expected"),
    [
        ("new", "new", {}, "PENDING"),
        ("client-confirmed", "approval", {}, "CONFIRMED"),
        ("refund", "complete", {}, "REFUNDED"),
        ("no-call", "cancel", {}, "CANCELLED"),
        ("own", "own-group", {}, None),
        ("own", None, {"own": "SHIPPED"}, "SHIPPED"),
        ("own", "own-group", {"own-group": "SHIPPED"}, "SHIPPED"),
        ("new", "new", {"new": "CONFIRMED"}, "CONFIRMED"),
        ("new", "late", {"late": "PROCESSING"}, "PROCESSING"),
    ],
)
def test_the_projects_own_map_goes_before_the_default_and_the_status_before_its_group(
    code: str, group: str | None, own: dict[str, str], expected: str | None
) -> None:
    assert vms_status(code, group, own) == expected


def discounted(**changes: Any) -> dict[str, Any]:
    """Three cups of 100: each 5 cheaper, and 3.33 of the 10 that the order is cheaper."""
    parts = [{"type": "manual_product", "amount": 5}, {"type": "manual_order", "amount": 3.33}]
    line = {"id": 1, "initialPrice": 100, "discountTotal": 8.33, "discounts": parts, "quantity": 3, "offer": {"id": 9}}
    return {"items": [line], "discountManualAmount": 10, **changes}


def test_an_orders_discount_is_told_apart_from_those_of_its_lines() -> None:
    batch = order(**discounted())
    [line] = batch.order_items[0].items
    assert (line.total_discount, line.price_sold) == (Decimal("15.00"), Decimal("91.67"))
    assert batch.orders[0].total_discount == Decimal("25.00")


def test_a_percentage_is_what_its_shares_add_up_to() -> None:
    batch = order(**discounted(discountManualPercent=3))
    assert batch.orders[0].total_discount == Decimal("24.99")


def test_without_parts_a_line_has_all_of_its_discount() -> None:
    row = discounted()
    del row["items"][0]["discounts"]
    batch = order(**row)
    assert batch.order_items[0].items[0].total_discount == Decimal("24.99")
    assert batch.orders[0].total_discount == Decimal("24.99")


@pytest.mark.parametrize(
    ("own", "is_sale"), [({}, True), ({"delivering": "REFUNDED"}, False), ({"delivery": "CANCELLED"}, False)]
)
def test_the_projects_own_map_says_which_status_undoes_a_sale(own: dict[str, str], is_sale: bool) -> None:
    context = MappingContext("shop", timezone="Europe/Kyiv", status_map=own)
    batch = connector.map_record(context, "orders", "31", FIXTURE.read_text())
    assert [sale.external_id for sale in batch.transactions] == (["RETAILCRM-31"] if is_sale else [])
    assert [reversal.external_id for reversal in batch.reversals] == ([] if is_sale else ["RETAILCRM-31"])


def test_a_cancelled_status_that_the_project_calls_delivered_is_a_sale() -> None:
    context = MappingContext("shop", timezone="Europe/Kyiv", status_map={"no-call": "DELIVERED"})
    row = {**json.loads(FIXTURE.read_text()), "status": "no-call", "statusGroup": "cancel"}
    assert [sale.external_id for sale in mapped("orders", row, context).transactions] == ["RETAILCRM-31"]


def test_what_we_made_is_known_by_its_keys() -> None:
    batch = order()
    assert batch.orders[0].source_uuid == "A-9"
    assert [payment.transaction_uuid for payment in batch.order_payments[0].payments] == ["p-1"]


def test_its_words_for_payments_and_statuses_are_those_of_the_warehouse() -> None:
    words = connector.vocabulary
    assert {code: words.payment_statuses[code] for code in ("not-paid", "paid", "canceled", "returned")} == {
        "not-paid": "pending",
        "paid": "paid",
        "canceled": "cancelled",
        "returned": "refunded",
    }
    assert words.statuses["cancel-other"] == words.status_groups["cancel"] == "CANCELLED"


OFFER = {
    "id": 9,
    "externalId": "p9",
    "article": "cup",
    "name": "Чашка, белая",
    "prices": [{"priceType": "sale", "price": 150}, {"priceType": "base", "price": 200.5}],
    "purchasePrice": 90,
    "barcode": "4600000000017",
    "active": False,
    "quantity": 7,
    "product": {"id": 3, "name": "Чашка", "article": "cup"},
}


def test_an_offer_has_its_product_and_the_price_that_the_settings_name() -> None:
    batch = mapped("offers", OFFER)
    assert batch.products == [Product("3", "Чашка", sku="cup", currency="RUB")]
    assert batch.offers == [
        Offer(
            "9",
            product_id="3",
            sku="cup",
            barcode="4600000000017",
            price=Decimal("200.50"),
            purchased_price=Decimal("90.00"),
            is_archived=True,
        )
    ]
    sale = MappingContext("shop", options={"price_type": "sale"})
    assert mapped("offers", OFFER, sale).offers[0].price == Decimal("150.00")
    assert mapped("offers", {"id": 9, "xmlId": "x", "purchasePrice": 0}).offers == [Offer("9", sku="x")]


@pytest.mark.parametrize(("options", "expected"), [({}, 9), ({"store": "second"}, 4), ({"store": "third"}, 0)])
def test_a_stock_is_that_of_the_store_that_the_settings_name_else_of_all(
    options: dict[str, str], expected: int
) -> None:
    row = {"id": 9, "quantity": 9, "stores": [{"store": "main", "quantity": 5}, {"store": "second", "quantity": 4}]}
    context = MappingContext("shop", options=options)
    assert mapped("stocks", row, context).stocks == [Stock("9", Decimal(expected), Decimal(0))]


def test_a_stock_without_a_quantity_is_no_guess() -> None:
    batch = mapped("stocks", {"id": 9})
    assert batch.stocks == []
    assert [problem.reason for problem in batch.problems] == ["quantity: missing"]
