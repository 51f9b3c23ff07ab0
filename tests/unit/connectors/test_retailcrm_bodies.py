"""What is written to RetailCRM: bodies worked out by hand from the API's description."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.http import encode_json
from connectors.retailcrm import connector
from connectors.retailcrm.account import code_of
from connectors.retailcrm.push_articles import price_body, stock_body
from connectors.retailcrm.push_bodies import (
    customer_body,
    differing,
    filled,
    item_bodies,
    name_parts,
    new_order_body,
    order_body,
    payment_body,
    per_piece,
    wall,
)

MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")
CUP = {
    "sku": "cup",
    "name": "Чашка",
    "quantity": Decimal("2.000"),
    "price": Decimal("200.50"),
    "discount": Decimal("5.00"),
}
ENGRAVING = {
    "sku": None,
    "name": "Гравировка",
    "quantity": Decimal(1),
    "price": Decimal("50.00"),
    "discount": Decimal(0),
}
ORDER: dict[str, Any] = {
    "number": "A-17",
    "status": "assembling",
    "currency": "RUB",
    "total": Decimal("476.00"),
    "discount": Decimal("10.00"),
    "shipping_price": Decimal("40.00"),
    "comment": "Позвонить",
    "ordered_at": datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
    "items": [CUP, ENGRAVING],
    "customer": {
        "crm_id": "7",
        "key": "k",
        "full_name": "Анна Ильина",
        "phone": "+79161234567",
        "email": "a@example.com",
    },
    "carrier": "courier",
    "tracking_number": "TR1",
    "recipient": "Пётр Ильич Ильин",
    "phone": "+79160000001",
    "address": "Мясницкая, 1",
}
FIELDS = frozenset(ORDER) - {"number", "currency", "total", "ordered_at"}


def crm_line(item_id: int, **changes: Any) -> dict[str, Any]:
    """A line as an answer has it: two cups of the offer 9, each 2.50 cheaper, and 2.25 as its share of the order's."""
    row = {
        "id": item_id,
        "initialPrice": Decimal("200.5"),
        "discountTotal": Decimal("4.75"),
        "discounts": [
            {"type": "manual_product", "amount": Decimal("2.5")},
            {"type": "manual_order", "amount": Decimal("2.25")},
        ],
        "quantity": 2,
        "offer": {"id": 9, "article": "cup", "displayName": "Чашка"},
    }
    return {**row, **changes}


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("full_name", "first", "patronymic", "last"),
    [
        ("Анна", "Анна", "", ""),
        ("Анна Ильина", "Анна", "", "Ильина"),
        ("Анна Петровна Ильина", "Анна", "Петровна", "Ильина"),
        ("Анна Мария  Петровна Ильина ", "Анна", "Мария Петровна", "Ильина"),
        ("", "", "", ""),
        (None, "", "", ""),
    ],
)
def test_a_name_is_taken_apart_so_that_reading_joins_it_again(
    full_name: str | None, first: str, patronymic: str, last: str
) -> None:
    assert name_parts(full_name) == {"firstName": first, "patronymic": patronymic, "lastName": last}


def test_times_are_written_as_the_accounts_clocks_show_them() -> None:
    moment = datetime(2026, 3, 2, 9, 15, 59, 999_999, tzinfo=UTC)
    assert wall(moment, MOSCOW) == "2026-03-02 12:15:59"
    assert wall(moment, BERLIN) == "2026-03-02 10:15:59"
    assert wall(datetime(2026, 7, 2, 22, 30, tzinfo=UTC), BERLIN) == "2026-07-03 00:30:00"


@pytest.mark.parametrize(
    ("discount", "quantity", "expected"),
    [
        (Decimal("5.00"), Decimal(2), "2.50"),
        (Decimal("10.00"), Decimal(3), "3.33"),
        (Decimal("0.05"), Decimal(2), "0.03"),
        (Decimal("3.00"), Decimal("1.5"), "2.00"),
        (None, Decimal(1), "0.00"),
    ],
)
def test_a_lines_discount_is_written_for_one_piece_to_the_cent(
    discount: Decimal | None, quantity: Decimal, expected: str
) -> None:
    assert str(per_piece(discount, quantity)) == expected


@pytest.mark.parametrize(
    ("word", "code"),
    [("nova-poshta", "nova-poshta"), ("Нова пошта", "nova-poshta"), (" COURIER ", "courier"), ("DHL", None)],
)
def test_an_entry_is_called_by_its_code_or_its_name(word: str, code: str | None) -> None:
    assert code_of({"courier": "Кур'єр", "nova-poshta": "Нова Пошта"}, word) == code


# -------------------------------------------------------------------------------------------------------------- orders


def test_a_new_order_is_whole() -> None:
    items = item_bodies(ORDER["items"], [9, None], [])
    body = order_body(ORDER, FIELDS, customer={"id": 7}, carrier="courier", items=items)
    assert new_order_body(ORDER, "0b6c", MOSCOW, body) == {
        "externalId": "0b6c",
        "number": "A-17",
        "createdAt": "2026-03-02 11:30:00",
        "email": "a@example.com",
        "status": "assembling",
        "customer": {"id": 7},
        "discountManualAmount": Decimal("10.00"),
        "managerComment": "Позвонить",
        "items": [
            {
                "offer": {"id": 9},
                "initialPrice": Decimal("200.50"),
                "quantity": Decimal("2.000"),
                "discountManualAmount": Decimal("2.50"),
            },
            {
                "productName": "Гравировка",
                "initialPrice": Decimal("50.00"),
                "quantity": Decimal(1),
                "discountManualAmount": Decimal("0.00"),
            },
        ],
        "firstName": "Пётр",
        "patronymic": "Ильич",
        "lastName": "Ильин",
        "phone": "+79160000001",
        "delivery": {
            "code": "courier",
            "cost": Decimal("40.00"),
            "data": {"trackNumber": "TR1"},
            "address": {"text": "Мясницкая, 1"},
        },
    }


def test_money_is_written_as_exact_numbers() -> None:
    items = item_bodies([CUP], [9], [])
    assert encode_json({"items": items}) == (
        b'{"items":[{"offer":{"id":9},"initialPrice":200.50,"quantity":2.000,"discountManualAmount":2.50}]}'
    )


def test_a_new_order_names_nothing_that_is_empty() -> None:
    nothing = dict.fromkeys((*FIELDS, "number", "ordered_at"))
    body = order_body({**nothing, "items": []}, FIELDS, items=[])
    assert new_order_body(nothing, "0b6c", MOSCOW, body) == {
        "externalId": "0b6c",
        "discountManualAmount": 0,
        "delivery": {"cost": 0},
    }


def test_without_a_recipient_the_order_is_for_its_customer() -> None:
    data = {**ORDER, "recipient": None, "phone": None}
    assert order_body(data, frozenset({"recipient", "phone"})) == {
        "firstName": "Анна",
        "patronymic": "",
        "lastName": "Ильина",
        "phone": "+79161234567",
    }


def test_an_edit_names_the_changed_fields_alone() -> None:
    assert order_body(ORDER, frozenset({"status"})) == {"status": "assembling"}
    assert order_body({**ORDER, "status": None}, frozenset({"status"})) == {}
    assert order_body(ORDER, frozenset({"tracking_number"})) == {"delivery": {"data": {"trackNumber": "TR1"}}}
    assert order_body({**ORDER, "comment": None}, frozenset({"comment"})) == {"managerComment": ""}


def test_a_discount_replaces_a_percentage_too() -> None:
    assert order_body(ORDER, frozenset({"discount"})) == {
        "discountManualAmount": Decimal("10.00"),
        "discountManualPercent": 0,
    }


def test_lines_that_stay_keep_their_ids_and_what_nobody_names_is_gone() -> None:
    rows = [
        crm_line(501, quantity=1),
        crm_line(502),
        crm_line(503, offer={"id": 11, "article": "spoon"}),
        {"id": 504, "quantity": 1, "initialPrice": 50, "offer": {"displayName": "Гравировка"}},
    ]
    three = {**CUP, "quantity": Decimal(3)}
    bodies = item_bodies([three, CUP, ENGRAVING], [9, 9, None], rows)
    assert [(body["id"], body["quantity"]) for body in bodies] == [(501, 3), (502, 2), (504, 1)]
    assert not any("offer" in body or "productName" in body for body in bodies)


def test_a_line_more_has_no_id() -> None:
    bodies = item_bodies([CUP, {**CUP, "price": Decimal(1)}], [9, 9], [crm_line(502)])
    assert [body.get("id") for body in bodies] == [502, None]


def test_an_article_that_the_catalogue_lacks_is_a_line_with_a_name() -> None:
    [body] = item_bodies([{**CUP, "sku": "mug", "name": "Кружка"}], [None], [])
    assert body["productName"] == "Кружка"
    assert "offer" not in body


# --------------------------------------------------------------------------------------------------------- differences


def test_only_what_differs_is_left_of_a_body() -> None:
    has = {
        "status": "assembling",
        "discountManualAmount": 10,
        "customer": {"id": 7, "firstName": "Анна"},
        "delivery": {"cost": 40, "data": {"trackNumber": "TR0", "status": "new"}, "address": []},
    }
    wanted = {
        "status": "assembling",
        "discountManualAmount": Decimal("10.00"),
        "discountManualPercent": 0,
        "managerComment": "",
        "customer": {"id": 7},
        "delivery": {"cost": Decimal("40.00"), "data": {"trackNumber": "TR1"}, "address": {"text": ""}},
    }
    assert differing(wanted, has) == {"delivery": {"data": {"trackNumber": "TR1"}}}


def test_lines_are_the_same_whatever_their_share_of_the_orders_discount() -> None:
    rows = [crm_line(502)]
    assert differing({"items": item_bodies([CUP], [9], rows)}, {"items": rows}) == {}


@pytest.mark.parametrize("change", [{"quantity": Decimal(3)}, {"price": Decimal(1)}, {"discount": Decimal(6)}])
def test_one_line_that_differs_makes_the_whole_set_differ(change: dict[str, Any]) -> None:
    rows = [crm_line(502), crm_line(503, offer={"id": 11, "article": "spoon"})]
    spoon = {**CUP, "sku": "spoon"}
    items = item_bodies([{**CUP, **change}, spoon], [9, 11], rows)
    assert differing({"items": items}, {"items": rows}) == {"items": items}
    assert len(items) == 2


def test_a_line_too_many_is_a_difference() -> None:
    rows = [crm_line(502), crm_line(503, offer={"id": 11, "article": "spoon"})]
    items = item_bodies([CUP], [9], rows)
    assert [item["id"] for item in differing({"items": items}, {"items": rows})["items"]] == [502]


# ------------------------------------------------------------------------------------- payments, customers, articles


def test_a_payment_names_its_changed_fields() -> None:
    data = {"amount": Decimal("100.10"), "method": "card", "status": "paid"}
    data["paid_at"] = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
    everything = frozenset({"amount", "method", "status", "paid_at"})
    assert payment_body(data, everything, MOSCOW, "bank-card", "paid") == {
        "amount": Decimal("100.10"),
        "type": "bank-card",
        "status": "paid",
        "paidAt": "2026-03-02 12:15:00",
    }
    assert payment_body(data, frozenset({"status"}), MOSCOW, None, "paid") == {"status": "paid"}
    assert payment_body({**data, "paid_at": None}, frozenset({"paid_at"}), MOSCOW, None, "paid") == {}


def test_a_customers_segment_goes_into_the_field_that_the_settings_name() -> None:
    data = {"full_name": "Анна Ильина", "phone": "+79161234567", "email": None, "segment": "vip", "note": "чай"}
    everything = frozenset(data)
    assert customer_body(data, everything, ["+74950001122"], "segment") == {
        "firstName": "Анна",
        "patronymic": "",
        "lastName": "Ильина",
        "phones": [{"number": "+79161234567"}, {"number": "+74950001122"}],
        "email": "",
        "commentary": "чай",
        "customFields": {"segment": "vip"},
    }
    assert "customFields" not in customer_body(data, everything, [], None)


def test_what_is_new_names_nothing_empty() -> None:
    assert filled({"a": "", "b": None, "c": {"d": ""}, "e": [], "f": Decimal(0), "g": {"h": 1, "i": None}}) == {
        "f": Decimal(0),
        "g": {"h": 1},
    }


def test_stocks_and_prices_are_absolute_and_of_the_store_and_type_that_the_settings_name() -> None:
    data = {"stock": Decimal("7.000"), "purchased_price": Decimal("90.00"), "price": Decimal("200.50")}
    assert stock_body(9, data, frozenset({"stock", "price"}), "main") == {
        "id": 9,
        "stores": [{"code": "main", "available": Decimal("7.000")}],
    }
    assert stock_body(9, data, frozenset({"purchased_price"}), "main") == {
        "id": 9,
        "stores": [{"code": "main", "purchasePrice": Decimal("90.00")}],
    }
    assert stock_body(9, {"purchased_price": None}, frozenset({"purchased_price"}), "main") is None
    assert price_body(9, Decimal("200.50"), {}) == {
        "id": 9,
        "prices": [{"code": "base", "price": Decimal("200.50")}],
    }
    assert price_body(9, Decimal("200.50"), {"site": "shop", "price_type": "sale"}) == {
        "id": 9,
        "site": "shop",
        "prices": [{"code": "sale", "price": Decimal("200.50")}],
    }


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"store": " "}, "store"),
        ({"price_type": ""}, "price_type"),
        ({"segment_field": ""}, "segment_field"),
        ({"payment_types": {"card": 7}}, "payment_types"),
        ({"delivery_types": {"": "courier"}}, "delivery_types"),
    ],
)
def test_options_of_writing_that_cannot_work_are_told(options: dict[str, Any], path: str) -> None:
    assert connector.capabilities.check_options is not None
    [(found, message)] = connector.capabilities.check_options(options)
    assert found == path
    assert message


def test_options_of_writing_that_work_are_not_complained_about() -> None:
    assert connector.capabilities.check_options is not None
    options = {
        "store": "main",
        "price_type": "base",
        "payment_types": {"card": "bank-card"},
        "delivery_types": {"DHL": "courier"},
        "segment_field": "segment",
    }
    assert list(connector.capabilities.check_options(options)) == []
    assert options.keys() <= connector.capabilities.options.keys()
