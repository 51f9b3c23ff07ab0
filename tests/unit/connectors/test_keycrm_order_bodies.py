"""Bodies that write orders and payments to KeyCRM, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import PermanentError
from connectors.keycrm import push_order_bodies as bodies
from connectors.keycrm.push_lines import changed_lines, new_lines
from connectors.keycrm.push_order_bodies import changed_order, new_order
from connectors.keycrm.push_payment_bodies import changed_payment, new_payment, payment_with_key
from connectors.protocol import Account, Change, MappingContext

KEY = "7d1c1f0e-7a53-4a0e-9b51-0f6f3f3f3f3f"
KYIV = timezone(timedelta(hours=2))


def account(**options: Any) -> Account:
    return Account("shop", "keycrm", "http://x/v1", {}, MappingContext("shop", region="UA"), options)


def item(
    name: str = "Mug", sku: str | None = "mug", quantity: str = "2", price: str = "100", discount: str = "0"
) -> Any:
    amounts = {"quantity": Decimal(quantity), "price": Decimal(price), "discount": Decimal(discount)}
    return {"sku": sku, "name": name, "crm_id": None, **amounts}


def line(name: str = "Mug", sku: str | None = "mug", quantity: float = 2, price: float = 100, **more: Any) -> Any:
    """As the API tells it."""
    known = {"id": 7, "name": name, "sku": sku, "quantity": quantity, "price": price, "price_sold": price}
    rest = {"discount_amount": 0, "discount_percent": 0, "total_discount": 0, "offer": {"id": 1, "sku": sku}}
    return {**known, **rest, **more}


def order(fields: set[str] | None = None, crm_id: str | None = None, **data: Any) -> Change:
    values = {
        "number": "A-1",
        "status": None,
        "discount": Decimal(0),
        "shipping_price": Decimal(0),
        "comment": None,
        "ordered_at": None,
        "items": [],
        "customer": {"crm_id": None, "key": "k", "full_name": "Olena", "phone": "+380501234567", "email": None},
        "carrier": None,
        "tracking_number": None,
        "recipient": None,
        "phone": None,
        "address": None,
        **data,
    }
    names = frozenset(data) if fields is None else frozenset(fields)
    return Change("order", 1, KEY, crm_id, values, names)


def test_the_least_order_has_its_source_our_key_and_its_buyer() -> None:
    built = new_order(order(), account(source_id=2))
    buyer = {"full_name": "Olena", "phone": "+380501234567"}
    assert built.body == {"source_id": 2, "source_uuid": KEY, "buyer": buyer}
    assert built.ignored == built.as_crm == {}


def test_a_whole_order_has_everything_where_keycrm_wants_it() -> None:
    change = order(
        status="5",
        discount=Decimal("15.50"),
        shipping_price=Decimal("40.00"),
        comment="Call first",
        ordered_at=datetime(2026, 3, 2, 10, 30, 15, 999_999, KYIV),
        items=[item(discount="5"), item("Engraving", None, "1", "50.10")],
        carrier="nova poshta",
        tracking_number="2045",
        recipient="Ivan",
        phone="+380671112233",
        address="Kyiv, Khreshchatyk 1",
    )
    built = new_order(change, account(source_id=2, delivery_services={"Nova Poshta": 3}))
    assert built.body == {
        "source_id": 2,
        "source_uuid": KEY,
        "buyer": {"full_name": "Olena", "phone": "+380501234567"},
        "manager_comment": "Call first",
        "ordered_at": "2026-03-02 08:30:15",
        "discount_amount": Decimal("15.50"),
        "shipping_price": Decimal("40.00"),
        "shipping": {
            "tracking_code": "2045",
            "recipient_full_name": "Ivan",
            "recipient_phone": "+380671112233",
            "shipping_secondary_line": "Kyiv, Khreshchatyk 1",
            "delivery_service_id": 3,
        },
        "products": [
            {
                "sku": "mug",
                "name": "Mug",
                "price": Decimal(100),
                "quantity": Decimal(2),
                "discount_amount": Decimal("2.5"),
            },
            {"name": "Engraving", "price": Decimal("50.10"), "quantity": Decimal(1)},
        ],
    }
    assert built.as_crm == {"carrier": "3"}


def test_without_a_source_or_a_buyer_there_is_no_order_and_a_reason() -> None:
    with pytest.raises(PermanentError, match="source_id"):
        new_order(order(), account())
    nobody = {"crm_id": None, "key": "k", "full_name": "", "phone": None, "email": None}
    for customer in (None, nobody):
        with pytest.raises(PermanentError, match="buyer"):
            new_order(order(customer=customer), account(source_id=2))


def test_a_buyer_without_a_name_is_called_by_phone() -> None:
    customer = {"crm_id": None, "key": "k", "full_name": None, "phone": "+380501234567", "email": "a@b.ua"}
    buyer = new_order(order(customer=customer), account(source_id=2)).body["buyer"]
    assert buyer == {"full_name": "+380501234567", "phone": "+380501234567", "email": "a@b.ua"}


def test_a_discount_that_does_not_divide_is_kept_to_the_cent_per_piece() -> None:
    lines = new_lines([item(quantity="3", discount="10"), item("Pen", "pen", discount="1")])
    assert [row.get("discount_amount") for row in lines.products] == [Decimal("3.33"), Decimal("0.50")]
    assert lines.as_crm is not None
    assert [row["discount"] for row in lines.as_crm] == [Decimal("9.99"), Decimal("1.00")]


def test_without_the_order_all_fields_of_the_change_are_sent() -> None:
    built = changed_order(order(crm_id="9", status="8", comment="Hi", recipient="Ivan", phone=None), account(), None)
    shipping = {"recipient_full_name": "Ivan", "recipient_phone": None}
    assert built.body == {"status_id": 8, "manager_comment": "Hi", "shipping": shipping}


def test_what_the_order_has_already_is_not_sent_again() -> None:
    row = {
        "id": 9,
        "status_id": 8,
        "manager_comment": "Hi",
        "total_discount": 25,
        "shipping_price": 40,
        "client_id": 4,
        "products": [line(discount_amount=2.5, price_sold=97.5, total_discount=5)],
        "shipping": {
            "delivery_service_id": 3, "tracking_code": "2045", "recipient_full_name": "Ivan",
            "recipient_phone": "067 111 22 33", "shipping_secondary_line": "Khreshchatyk 1",
        },
    }  # fmt: skip
    change = order(
        crm_id="9",
        status="8",
        comment="Hi",
        discount=Decimal(20),
        shipping_price=Decimal("40.00"),
        customer={"crm_id": "4", "key": "k", "full_name": "Another name"},
        items=[item(discount="5.00")],
        carrier="Nova",
        tracking_number="2045",
        recipient="Ivan",
        phone="+380671112233",
        address="Khreshchatyk 1",
    )
    built = changed_order(change, account(delivery_services={"nova": 3}), row)
    assert built.body == {}
    assert built.ignored == {}


@pytest.mark.parametrize(
    ("there", "wanted", "body", "is_ignored"),
    [
        (None, "2045", {"shipping": {"tracking_code": "2045"}}, False),
        ("2045", "2045", {}, False),
        ("2045", "2046", {}, True),
        ("2045", None, {}, True),
    ],
)
def test_a_tracking_number_is_set_once(there: str | None, wanted: str | None, body: Any, is_ignored: bool) -> None:
    row = {"id": 9, "shipping": {"tracking_code": there}}
    built = changed_order(order(crm_id="9", tracking_number=wanted), account(), row)
    assert built.body == body
    assert built.ignored == ({"tracking_number": bodies.TRACKING_STAYS} if is_ignored else {})


def test_what_keycrm_does_not_change_is_said_and_not_sent() -> None:
    customer = {"crm_id": "5", "key": "k", "full_name": "Ivan"}
    change = order(crm_id="9", customer=customer, shipping_price=Decimal(50), carrier="Pigeons", status="new")
    built = changed_order(change, account(), {"id": 9, "client_id": 4, "shipping_price": 40})
    assert built.body == {}
    assert built.ignored == {
        "customer": bodies.BUYER_STAYS,
        "shipping_price": bodies.SHIPPING_PRICE_STAYS,
        "carrier": bodies.UNKNOWN_CARRIER,
        "status": bodies.UNKNOWN_STATUS,
    }
    assert all(reason[0].isupper() and not reason.endswith(".") for reason in built.ignored.values())


def test_an_orders_own_discount_is_what_its_lines_leave_of_it_and_a_share_is_switched_off() -> None:
    # 100 x 2 with 10 % of each line off are 20; the order's own 5 % of 180 are 9.
    row = {
        "id": 9,
        "total_discount": 29,
        "discount_percent": 5,
        "discount_amount": 0,
        "products": [line(discount_percent=10, price_sold=90, total_discount=20)],
    }
    assert changed_order(order(crm_id="9", discount=Decimal(9)), account(), row).body == {}
    built = changed_order(order(crm_id="9", discount=Decimal("12.00")), account(), row)
    assert built.body == {"discount_amount": Decimal("12.00"), "discount_percent": 0}


def test_of_a_line_only_what_differs_is_sent() -> None:
    lines = changed_lines([item(quantity="3"), item("Pen", "pen")], [line(), line("Pen", "pen", id=8)])
    assert lines is not None
    assert list(lines.products) == [{"id": 7, "quantity": Decimal(3)}]


def test_a_lines_share_becomes_an_amount_once_the_line_changes() -> None:
    # 10 % of 100 x 2 are 20; of three pieces 20 are 6.67 each, 20.01 in all.
    known = line(discount_percent=10, price_sold=90, total_discount=20)
    same = changed_lines([item(discount="20")], [known])
    assert same is not None
    assert same.products == []
    assert same.as_crm is None
    lines = changed_lines([item(quantity="3", discount="20")], [known])
    assert lines is not None
    change = {"id": 7, "quantity": Decimal(3), "discount_percent": 0, "discount_amount": Decimal("6.67")}
    assert list(lines.products) == [change]
    assert lines.as_crm is not None
    assert lines.as_crm[0]["discount"] == Decimal("20.01")


def test_a_discount_that_is_there_to_the_cent_per_piece_is_told_though_nothing_is_sent() -> None:
    known = line(quantity=3, discount_amount=3.33, price_sold=96.67, total_discount=9.99)
    lines = changed_lines([item(quantity="3", discount="10")], [known])
    assert lines is not None
    assert lines.products == []
    assert lines.as_crm is not None
    assert lines.as_crm[0]["discount"] == Decimal("9.99")


def test_lines_are_neither_added_nor_removed() -> None:
    assert changed_lines([item(), item("Pen", "pen")], [line()]) is None
    assert changed_lines([], [line()]) is None
    built = changed_order(order(crm_id="9", items=[]), account(), {"id": 9, "products": [line()]})
    assert built.body == {}
    assert built.ignored == {"items": bodies.LINES_STAY}


def test_a_one_off_can_be_called_otherwise_and_an_article_cannot_become_another() -> None:
    one_off = line("Engraving", None, 1, 50, offer=None)
    lines = changed_lines([item("Engraving, gold", None, "1", "50")], [one_off])
    assert lines is not None
    assert list(lines.products) == [{"id": 7, "name": "Engraving, gold"}]
    assert changed_lines([item("Pen", "pen")], [line()]) is None


def test_of_two_lines_of_one_sku_those_that_are_equal_belong_together() -> None:
    rows = [line(quantity=2), line(quantity=5, id=8)]
    lines = changed_lines([item(quantity="5"), item(quantity="4")], rows)
    assert lines is not None
    assert list(lines.products) == [{"id": 7, "quantity": Decimal(4)}]


def test_where_lines_have_no_id_the_sku_names_them_if_it_is_one_lines_alone() -> None:
    bare = line(id=None)
    lines = changed_lines([item(quantity="3")], [bare])
    assert lines is not None
    assert list(lines.products) == [{"sku": "mug", "quantity": Decimal(3)}]
    assert changed_lines([item(quantity="3"), item(quantity="4")], [bare, bare]) is None


@pytest.mark.parametrize(
    ("ship", "wanted", "change"),
    [
        ({}, "Kyiv, Khreshchatyk 1", {"shipping_secondary_line": "Kyiv, Khreshchatyk 1"}),
        ({"shipping_secondary_line": "Old 1"}, None, {"shipping_secondary_line": None}),
        (
            {"shipping_address_city": "Kyiv", "shipping_secondary_line": "Old 1"},
            "Kyiv, New 2",
            {"shipping_secondary_line": "Kyiv, New 2"},
        ),
        (
            {"shipping_address_city": "Lviv", "shipping_secondary_line": "Old 1"},
            "Kyiv, New 2",
            {"shipping_address_city": None, "shipping_secondary_line": "Kyiv, New 2"},
        ),
        (
            {"shipping_secondary_line": "Old 1", "shipping_receive_point": "Branch 5"},
            "New 2, branch 5",
            {"shipping_secondary_line": "New 2"},
        ),
        (
            {"shipping_secondary_line": "Old 1", "shipping_receive_point": "Branch 5"},
            "New 2",
            {"shipping_receive_point": None, "shipping_secondary_line": "New 2"},
        ),
    ],
)
def test_an_address_is_one_line_and_parts_that_are_none_of_it_go(ship: Any, wanted: str | None, change: Any) -> None:
    built = changed_order(order(crm_id="9", address=wanted), account(), {"id": 9, "shipping": ship})
    assert built.body == {"shipping": change}


def test_a_carrier_may_be_a_number_or_be_taken_away() -> None:
    row = {"id": 9, "shipping": {"delivery_service_id": 3}}
    assert changed_order(order(crm_id="9", carrier="4"), account(), row).body == {
        "shipping": {"delivery_service_id": 4}
    }
    assert changed_order(order(crm_id="9", carrier=None), account(), row).body == {
        "shipping": {"delivery_service_id": None}
    }


def payment(crm_id: str | None = None, fields: set[str] | None = None, **data: Any) -> Change:
    values = {
        "order": {"crm_id": "9", "key": "k"},
        "amount": Decimal("100.10"),
        "method": None,
        "status": "paid",
        "paid_at": None,
        **data,
    }
    return Change("payment", 1, KEY, crm_id, values, frozenset(fields or {"amount", "method", "status", "paid_at"}))


def test_a_payment_holds_our_key_in_its_description() -> None:
    change = payment(method="Card", paid_at=datetime(2026, 3, 2, 11, 15, tzinfo=KYIV))
    assert new_payment(change, {"payment_methods": {"card": 2}}) == {
        "amount": Decimal("100.10"),
        "status": "paid",
        "description": KEY,
        "payment_date": "2026-03-02 09:15:00",
        "payment_method_id": 2,
    }


@pytest.mark.parametrize(
    ("method", "options", "body"),
    [
        ("Card", {}, {"payment_method": "Card"}),
        ("3", {}, {"payment_method_id": 3}),
        ("Cheque", {"payment_methods": {"card": 2}, "default_payment_method": 1}, {"payment_method_id": 1}),
        ("card", {"payment_methods": {"card": 2}, "default_payment_method": 1}, {"payment_method_id": 2}),
        (None, {"default_payment_method": 1}, {"payment_method_id": 1}),
        (None, {"payment_methods": {"card": 2}}, {"payment_method": "VMS"}),
    ],
)
def test_every_payment_has_a_method(method: str | None, options: Any, body: Any) -> None:
    sent = new_payment(payment(method=method), options)
    assert {name: value for name, value in sent.items() if name.startswith("payment_method")} == body


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("pending", "not_paid"), ("paid", "paid"), ("cancelled", "canceled"), ("refunded", "canceled")],
)
def test_a_payments_status_in_keycrms_words(ours: str, theirs: str) -> None:
    assert new_payment(payment(status=ours), {})["status"] == theirs
    built = changed_payment(payment("7", {"status"}, status=ours), {"id": 7, "status": "else"})
    assert built.body == {"status": theirs}
    assert built.as_crm == {"status": theirs}


def test_of_a_payment_that_is_there_the_status_alone_changes() -> None:
    built = changed_payment(payment("7"), {"id": 7, "status": "paid"})
    assert built.body == {}
    assert set(built.ignored) == {"amount", "method", "paid_at"}


def test_a_payment_is_known_by_its_key_whatever_is_written_beside_it() -> None:
    rows = [
        {"id": 1, "description": "other"},
        {"id": 3, "description": f"checked: {KEY}"},
        {"id": 2, "description": None},
    ]
    assert payment_with_key({"payments": rows}, KEY) == rows[1]
    assert payment_with_key({"payments": rows[:1]}, KEY) is None
    assert payment_with_key({}, KEY) is None


def test_a_status_that_is_left_is_not_written() -> None:
    assert new_order(order(status=None), account(source_id=1)).ignored == {}
    assert changed_order(order(crm_id="9", status=None), account(), None).body == {}
    assert bodies.wanted_status(order(status="5")) == 5
    assert bodies.wanted_status(order({"comment"}, status="5")) is None
    assert bodies.stamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00"
