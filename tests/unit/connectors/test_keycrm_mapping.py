"""KeyCRM's records -> canonical records."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import registry
from connectors.errors import SkipRowError
from connectors.keycrm.mapping import read_marketing_comment
from connectors.protocol import Connector, MappingContext
from connectors.records import (
    Batch,
    Customer,
    Offer,
    OrderItem,
    OrderMarketing,
    Payment,
    Product,
    Source,
    Status,
    StatusEvent,
    StatusGroup,
    Stock,
)

KEYCRM = registry.get("keycrm")
CONTEXT = MappingContext("shop", timezone="Europe/Kyiv", region="UA", currency="UAH")
CHANGED = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
CREATED = datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC)
UPDATED = datetime(2026, 3, 2, 9, 20, tzinfo=UTC)


def order(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": 501,
        "parent_id": None,
        "source_uuid": "A-77",
        "source_id": 3,
        "status_id": 11,
        "status_group_id": 4,
        "status_changed_at": "2026-03-02T09:15:00.000000Z",
        "client_id": 40,
        "manager_id": 2,
        "grand_total": 1200.5,
        "products_total": 1200,
        "payments_total": 0,
        "total_discount": 0,
        "expenses_sum": 0,
        "shipping_price": 70,
        "promocode": "",
        "manager_comment": None,
        "buyer_comment": "дзвінок 😀",
        "payment_status": "part_paid",
        "last_synced_at": "2026-03-02T09:21:00.000000Z",
        "ordered_at": "2026-03-01T08:00:00.000000Z",
        "created_at": "2026-03-01T08:00:05.000000Z",
        "updated_at": "2026-03-02T09:20:00.000000Z",
        "closed_at": None,
        "buyer": {"id": 40, "full_name": "Олена Шевченко", "email": "olena@example.com", "phone": "050 123 45 67",
                  "company_id": None, "manager_id": 2},
        "products": [
            {"id": 9001, "name": "Чашка", "sku": "cup", "price": 250, "price_sold": 225.25, "purchased_price": 100,
             "total_discount": 49.5, "quantity": 2, "unit_type": None,
             "properties": [{"name": "Колір", "value": "синій"}],
             "offer": {"id": 130, "product_id": 77, "sku": "cup", "quantity": 5}},
            {"name": "Гравіювання", "sku": None, "price": 750, "price_sold": 750, "quantity": 1.5, "offer": None},
        ],
        "payments": [
            {"id": 88, "destination_id": 501, "payment_method_id": 2, "amount": 500.1, "actual_currency": "UAH",
             "status": "paid", "payment_date": "2026-03-01 10:00:00", "transaction_uuid": "t-1", "description": "x"},
        ],
        "marketing": None,
        "shipping": {"delivery_service_id": 1, "tracking_code": "20450", "shipping_status": "sent",
                     "shipping_address_city": "Львів", "shipping_address_country": "Україна",
                     "shipping_secondary_line": "вул. Зелена 5", "shipping_receive_point": "Відділення 3",
                     "recipient_full_name": "Іван", "recipient_phone": "0671234567",
                     "shipping_date_actual": "2026-03-03"},
        "manager": {"id": 2, "full_name": "Менеджер"},
    }  # fmt: skip
    return {**row, **changes}


def map_order(**changes: Any) -> Batch:
    return KEYCRM.map_record(CONTEXT, "orders", "501", json.dumps(order(**changes)))


def without(*names: str) -> Batch:
    row = {name: value for name, value in order().items() if name not in names}
    return KEYCRM.map_record(CONTEXT, "orders", "501", json.dumps(row))


def reasons(batch: Batch) -> list[str]:
    return [problem.reason for problem in batch.problems]


def test_the_connector_satisfies_the_protocol() -> None:
    assert isinstance(KEYCRM, Connector)
    assert KEYCRM.crm == "keycrm"
    assert "keycrm" in registry.names()
    with pytest.raises(KeyError):
        registry.get("unknown")


def test_an_order_is_mapped_whole() -> None:
    batch = map_order()
    assert not batch.problems
    [mapped] = batch.orders
    assert mapped.order_id == "501"
    assert mapped.source_id == "3"
    assert mapped.customer_id == "40"
    assert mapped.manager_id == "2"
    assert mapped.status_id == "11"
    assert mapped.status_group_id == "4"
    assert mapped.grand_total == Decimal("1200.50")
    assert mapped.shipping_price == Decimal("70.00")
    assert mapped.currency is None
    assert mapped.promocode is None
    assert mapped.customer_comment == "дзвінок 😀"
    assert mapped.tracking_code == "20450"
    assert mapped.shipping_address == "вул. Зелена 5, Відділення 3"
    assert mapped.recipient_phone_e164 == "+380671234567"
    assert mapped.shipping_date == date(2026, 3, 3)
    assert mapped.order_created_at == CREATED
    assert mapped.ordered_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert mapped.source_updated_at == UPDATED
    assert mapped.is_complete
    assert not mapped.is_deleted


def test_its_buyer_is_a_partial_customer() -> None:
    assert map_order().customers == [
        Customer(
            customer_id="40",
            full_name="Олена Шевченко",
            phone_e164="+380501234567",
            phones=("+380501234567",),
            email="olena@example.com",
            emails=("olena@example.com",),
            manager_id="2",
            source_updated_at=UPDATED,
            is_complete=False,
        )
    ]


def test_its_items_keep_the_order_of_the_crm() -> None:
    [items] = map_order().order_items
    assert items.items == (
        OrderItem(
            quantity=Decimal("2.000"),
            item_id="9001",
            product_id="77",
            offer_id="130",
            sku="cup",
            name="Чашка",
            price=Decimal("250.00"),
            price_sold=Decimal("225.25"),
            purchased_price=Decimal("100.00"),
            total_discount=Decimal("49.50"),
            properties=({"name": "Колір", "value": "синій"},),
        ),
        OrderItem(quantity=Decimal("1.500"), name="Гравіювання", price=Decimal("750.00"), price_sold=Decimal("750.00")),
    )


def test_its_payments_are_those_it_has() -> None:
    [payments] = map_order().order_payments
    assert payments.payments == (
        Payment(
            payment_id="88",
            order_id="501",
            amount=Decimal("500.10"),
            status="paid",
            payment_method_id="2",
            currency="UAH",
            description="x",
            transaction_uuid="t-1",
            paid_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
        ),
    )


def test_its_status_is_an_event() -> None:
    assert map_order().status_events == [
        StatusEvent("501", "11", CHANGED, status_group_id="4", order_created_at=CREATED)
    ]


def test_without_status_changed_at_the_event_is_approximate() -> None:
    for batch in (without("status_changed_at"), map_order(status_changed_at=None), map_order(status_changed_at="")):
        assert batch.status_events == [
            StatusEvent("501", "11", UPDATED, status_group_id="4", order_created_at=CREATED, is_approximate=True)
        ]


def test_an_unreadable_time_is_a_problem_and_no_event() -> None:
    batch = map_order(status_changed_at="yesterday")
    assert batch.status_events == []
    assert reasons(batch)[0] == "status_changed_at: expected a time, got 'yesterday'"
    assert batch.problems[0].stream == "orders"
    assert batch.problems[0].crm_id == "501"
    assert batch.orders


def test_absent_means_unknown_and_empty_means_none() -> None:
    unknown = without("products", "payments", "buyer", "shipping")
    assert unknown.order_items == []
    assert unknown.order_payments == []
    assert unknown.customers == []
    assert not unknown.orders[0].is_complete
    assert unknown.orders[0].customer_id == "40"
    none = map_order(products=[], payments=[], buyer=None, shipping=None)
    assert none.order_items[0].items == ()
    assert none.order_payments[0].payments == ()
    assert none.orders[0].is_complete


def test_ids_may_be_text() -> None:
    batch = map_order(id="501", status_id="11", status_group_id="4", source_id="3", client_id="40")
    assert batch == map_order()


@pytest.mark.parametrize("crm_id", [None, "", [], {}, True, 1.5])
def test_an_order_without_an_id_is_skipped(crm_id: object) -> None:
    with pytest.raises(SkipRowError, match="orders 501: id: "):
        map_order(id=crm_id)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "7", "[" * 5000])
def test_a_body_that_is_no_object_is_skipped(body: str) -> None:
    with pytest.raises(SkipRowError):
        KEYCRM.map_record(CONTEXT, "orders", "501", body)


def test_an_unknown_stream_is_skipped() -> None:
    with pytest.raises(SkipRowError, match="no stream"):
        KEYCRM.map_record(CONTEXT, "planets", "1", '{"id":1}')


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grand_total": []}, "grand_total: expected an amount, got list"),
        ({"grand_total": "1.000"}, "grand_total: expected an amount, got '1.000'"),
        ({"status_id": {}}, "status_id: expected an id, got object"),
        ({"buyer": "Олена"}, "buyer: expected an object, got text"),
        ({"products": 7}, "products: expected a list, got number"),
        ({"products": ["x"]}, "products[0]: expected an object, got text"),
        ({"products": [{"name": "x"}]}, "products[0].quantity: missing"),
        ({"products": [{"name": "x", "quantity": ""}]}, "products[0].quantity: missing"),
        ({"products": [{"quantity": "two"}]}, "products[0].quantity: expected a number, got 'two'"),
        ({"products": [{"quantity": 1, "price": True}]}, "products[0].price: expected an amount, got boolean"),
        ({"products": [{"quantity": 1, "offer": {"id": []}}]}, "products[0].offer.id: expected an id, got list"),
        ({"payments": [{"id": 1, "status": "paid"}]}, "payments[0].amount: missing"),
        (
            {"payments": [{"id": 1, "status": "paid", "amount": "much"}]},
            "payments[0].amount: expected an amount, got 'much'",
        ),
        ({"manager_comment": ["x"]}, "manager_comment: expected a text, got list"),
        ({"shipping": {"recipient_phone": {}}}, "shipping.recipient_phone: expected a text, got object"),
        ({"ordered_at": 5}, "ordered_at: expected a time, got number"),
        ({"source_uuid": "x" * 501}, "source_uuid: expected at most 500 characters, got 501"),
    ],
)
def test_a_wrong_type_is_a_problem_that_names_its_path_and_the_rest_is_mapped(
    changes: dict[str, Any], reason: str
) -> None:
    batch = map_order(**changes)
    assert reasons(batch) == [reason]
    assert batch.orders[0].order_id == "501"


def test_nul_characters_are_left_out() -> None:
    batch = map_order(
        manager_comment="a\x00b", products=[{"quantity": 1, "name": "\x00", "properties": [{"a\x00": "b\x00"}]}]
    )
    assert batch.orders[0].manager_comment == "ab"
    assert batch.order_items[0].items[0].name is None
    assert batch.order_items[0].items[0].properties == ({"a": "b"},)


def test_a_deleted_order_is_marked() -> None:
    assert map_order(deleted_at="2026-03-02T10:00:00Z").orders[0].is_deleted


def test_a_time_of_mysql_that_means_none_is_none() -> None:
    batch = map_order(closed_at="0000-00-00 00:00:00")
    assert batch.orders[0].closed_at is None
    assert not batch.problems


def test_a_status_brings_the_name_of_its_group() -> None:
    row = {"id": 11, "name": "sent", "alias": "sent", "is_active": True, "group_id": 4, "is_closing_order": False}
    batch = KEYCRM.map_record(CONTEXT, "statuses", "11", json.dumps(row))
    assert batch.statuses == [Status("11", "sent", "sent", "4")]
    assert batch.status_groups == [StatusGroup("4", "Delivery")]
    row |= {"group_id": 9, "is_closing_order": 1, "deleted_at": "2026-01-01 00:00:00", "name": None}
    batch = KEYCRM.map_record(CONTEXT, "statuses", "11", json.dumps(row))
    assert batch.statuses == [Status("11", "sent", "sent", "9", is_closing=True, is_active=False)]
    assert batch.status_groups == []


def test_the_other_streams_are_mapped() -> None:
    def mapped(stream: str, **row: Any) -> Batch:
        batch = KEYCRM.map_record(CONTEXT, stream, "1", json.dumps({"id": 1, **row}))
        assert not batch.problems
        return batch

    source = mapped("sources", name="Shop", alias="shop", driver="api", currency_code="UAH")
    assert source.sources == [Source("1", "Shop", "shop", "api", "UAH")]
    product = mapped(
        "products", name="Чашка", sku="cup", category_id=2, price=10.1, currency_code="UAH", is_archived=False
    )
    assert product.products == [Product("1", "Чашка", "cup", "2", Decimal("10.10"), currency="UAH")]
    assert mapped("products", sku="cup", min_price=5).products == [Product("1", "cup", "cup", price=Decimal("5.00"))]
    offer = mapped("offers", product_id=7, sku="cup", price=10, properties=[], is_archived=True)
    assert offer.offers == [Offer("1", "7", "cup", price=Decimal("10.00"), is_archived=True)]
    stock = mapped("stocks", sku="cup", quantity=16, reserve=3)
    assert stock.stocks == [Stock("1", Decimal(16), Decimal(3), "cup")]
    buyer = mapped(
        "customers", full_name="Олена", phone=["0501234567", "без номера"], email=["a@x.ua", "b@x.ua"],
        birthday="1990-05-01",        created_at="2026-03-01 08:00:05", updated_at="2026-03-02T09:20:00Z", note="VIP",
    )  # fmt: skip
    assert buyer.customers == [
        Customer(
            customer_id="1",
            full_name="Олена",
            phone_e164="+380501234567",
            phones=("+380501234567", "без номера"),
            email="a@x.ua",
            emails=("a@x.ua", "b@x.ua"),
            birthday=date(1990, 5, 1),
            note="VIP",
            source_created_at=CREATED,
            source_updated_at=UPDATED,
        )
    ]


def test_a_stock_without_a_quantity_is_a_problem_and_no_zero() -> None:
    batch = KEYCRM.map_record(CONTEXT, "stocks", "1", '{"id":1,"quantity":4}')
    assert batch.stocks == []
    assert reasons(batch) == ["reserve: missing"]


def test_marketing_comes_from_the_api() -> None:
    batch = map_order(marketing={"utm_source": "fb", "utm_medium": "", "utm_campaign": "весна"})
    assert batch.order_marketing == [OrderMarketing("501", utm_source="fb", utm_campaign="весна")]


def test_marketing_comes_from_the_comment_where_the_api_has_none() -> None:
    comment = "https://shop.ua/?utm_source=ig&utm_campaign=spring%20sale&fbclid=IwAR1#x"
    for marketing in (None, {"utm_source": None}):
        batch = map_order(marketing=marketing, manager_comment=comment)
        expected = OrderMarketing("501", utm_source="ig", utm_campaign="spring sale", fbclid="IwAR1", source="comment")
        assert batch.order_marketing == [expected]


def test_utm_tags_of_the_api_go_before_the_comments_but_click_ids_are_added() -> None:
    batch = map_order(marketing={"utm_source": "fb"}, manager_comment="utm_source=ig utm_medium=cpc gclid=Cj0")
    assert batch.order_marketing == [OrderMarketing("501", utm_source="fb", gclid="Cj0")]


def test_an_order_without_tags_has_no_marketing() -> None:
    assert map_order(manager_comment="call after six").order_marketing == []


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("https://x.ua/?utm_source=fb&utm_medium=cpc", {"utm_source": "fb", "utm_medium": "cpc"}),
        ("see (https://x.ua/?a=1&utm_source=fb).", {"utm_source": "fb"}),
        ("utm_source: facebook\nutm_campaign: Весняний розпродаж\r\nfbclid: abc", {
            "utm_source": "facebook", "utm_campaign": "Весняний розпродаж", "fbclid": "abc"}),
        ("utm_source: google, utm_medium: cpc; utm_term: чашки", {
            "utm_source": "google", "utm_medium": "cpc", "utm_term": "чашки"}),
        ("utm_source: google utm_medium: cpc", {"utm_source": "google", "utm_medium": "cpc"}),
        ("UTM_SOURCE = Google", {"utm_source": "Google"}),
        ("?utm_source=a&amp;utm_content=b%2Bc", {"utm_source": "a", "utm_content": "b+c"}),
        ("utm_source=first utm_source=second", {"utm_source": "first"}),
        ('<a href="https://x.ua/?utm_source=fb">', {"utm_source": "fb"}),
        ("utm_source= utm_medium=-", {}),
        ("no tags, xutm_source=fb", {}),
        ("", {}),
        ("utm_", {}),
    ],
)  # fmt: skip
def test_tags_are_found_in_comments(comment: str, expected: dict[str, str]) -> None:
    assert read_marketing_comment(comment) == expected


def test_a_hostile_comment_is_read_in_reasonable_time() -> None:
    for comment in (
        "utm_source:" * 20_000,
        "utm_source: " + "a " * 50_000,
        "utm_source=" + " " * 100_000,
        "fbclid" * 20_000,
    ):
        read_marketing_comment(comment)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(list(order())), JSON),
    st.sampled_from([s.name for s in KEYCRM.capabilities.streams]),
)
def test_any_json_in_any_field_raises_nothing_but_skip_row(changes: dict[str, Any], stream: str) -> None:
    body = json.dumps({**order(), **changes})
    try:
        batch = KEYCRM.map_record(CONTEXT, stream, "501", body)
    except SkipRowError:
        return
    assert batch == KEYCRM.map_record(CONTEXT, stream, "501", body)


@given(st.text(max_size=50))
def test_any_text_as_a_body_raises_nothing_but_skip_row(body: str) -> None:
    with suppress(SkipRowError):
        KEYCRM.map_record(CONTEXT, "orders", "1", body)
