"""Bodies that write buyers and articles to KeyCRM, its words, and the fingerprints that echoes are known by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.errors import PermanentError
from connectors.keycrm import fingerprints
from connectors.keycrm.push_article_bodies import (
    OTHERS_HOLD_MORE,
    Stocked,
    Work,
    changed_price,
    changed_product,
    changed_stock,
    is_archived_wrongly,
    new_product,
    only_warehouse,
    read_stocks,
    refused_rows,
)
from connectors.keycrm.push_buyer_bodies import NO_SEGMENT, buyer_with, changed_buyer, new_buyer, phone_forms
from connectors.keycrm.push_words import VOCABULARY, check_options, number_of
from connectors.protocol import Account, Change, MappingContext

BUYER = frozenset({"full_name", "phone", "email", "segment", "note"})
ARTICLE = frozenset({"sku", "name", "description", "price", "purchased_price", "stock", "barcode", "is_active"})


def account(**options: Any) -> Account:
    return Account("shop", "keycrm", "http://x/v1", {}, MappingContext("shop", region="UA"), options)


def customer(crm_id: str | None = None, **data: Any) -> Change:
    empty = dict.fromkeys(BUYER)
    return Change("customer", 1, "k", crm_id, {**empty, **data}, frozenset(data) if crm_id else BUYER)


def article(crm_id: str | None = None, **data: Any) -> Change:
    values = {
        "sku": "mug",
        "name": "Mug",
        "description": None,
        "price": Decimal("200.50"),
        "purchased_price": None,
        "currency": None,
        "stock": Decimal(7),
        "barcode": None,
        "is_active": True,
    }
    return Change("article", 1, "k", crm_id, {**values, **data}, frozenset(data) if crm_id else ARTICLE)


# -------------------------------------------------------------------------------------------------------------- buyers


def test_a_new_buyer_has_lists_of_phones_and_emails() -> None:
    change = customer(full_name="Olena", phone="+380501234567", email="o@e.ua", note="tea", segment="vip")
    built = new_buyer(change, account(segment_field="CT_1001"))
    assert built.body == {
        "full_name": "Olena",
        "phone": ["+380501234567"],
        "email": ["o@e.ua"],
        "note": "tea",
        "custom_fields": [{"uuid": "CT_1001", "value": "vip"}],
    }
    assert new_buyer(change, account()).ignored == {"segment": NO_SEGMENT}


def test_a_buyer_without_a_name_gets_its_phone_or_email_for_one() -> None:
    built = new_buyer(customer(email="o@e.ua"), account())
    assert built.body == {"full_name": "o@e.ua", "email": ["o@e.ua"]}
    assert built.as_crm == {"full_name": "o@e.ua"}
    with pytest.raises(PermanentError, match="name"):
        new_buyer(customer(note="who?"), account())


@pytest.mark.parametrize(
    ("there", "wanted", "after"),
    [
        (["0501234567", "0670000001"], "+380990000009", ["+380990000009", "0670000001"]),
        (["0501234567", "0670000001"], "+380501234567", None),
        (["0501234567", "0670000001"], "+380670000001", ["0670000001", "0501234567"]),
        (["0501234567", "0670000001"], None, ["0670000001"]),
        ([], "+380501234567", ["+380501234567"]),
    ],
)
def test_a_changed_phone_takes_the_first_place_and_the_others_stay(there: Any, wanted: Any, after: Any) -> None:
    row = {"id": 4, "full_name": "Olena", "phone": there, "email": []}
    built = changed_buyer(customer("4", phone=wanted), account(), row)
    # The API wants the name with every change.
    assert built.body == ({} if after is None else {"phone": after, "full_name": "Olena"})


def test_a_buyer_that_we_had_to_name_is_known_again_by_that_name() -> None:
    row = {"id": 4, "full_name": "o@e.ua", "phone": [], "email": ["o@e.ua"]}
    built = changed_buyer(customer(email="o@e.ua"), account(), row)
    assert (built.body, built.ignored, built.as_crm) == ({}, {}, {"full_name": "o@e.ua"})
    taken = changed_buyer(customer("4", full_name=None), account(), {**row, "full_name": "Olena"})
    assert (taken.body, taken.as_crm, set(taken.ignored)) == ({}, {}, {"full_name"})


def test_of_a_buyer_only_what_differs_is_sent() -> None:
    row = {"id": 4, "full_name": "Olena", "phone": ["0501234567"], "email": ["O@E.ua"], "note": "tea"}
    change = customer("4", full_name="Olena K", phone="+380501234567", email="o@e.ua", note="tea")
    assert changed_buyer(change, account(), row).body == {"full_name": "Olena K"}


def test_who_is_linked_with_a_buyer_takes_nothing_away_from_it() -> None:
    row = {"id": 4, "full_name": "Olena", "phone": ["0501234567"], "email": ["o@e.ua"], "note": "tea"}
    built = changed_buyer(customer(phone="+380501234567"), account(), row)
    assert built.body == {}
    assert built.ignored == {}


def test_a_segment_is_a_custom_field() -> None:
    row = {"id": 4, "full_name": "Olena", "custom_fields": [{"uuid": "CT_1", "value": ["vip"]}]}
    has = account(segment_field="CT_1")
    assert changed_buyer(customer("4", segment="vip"), has, row).body == {}
    fields = [{"uuid": "CT_1", "value": "new"}]
    assert changed_buyer(customer("4", segment="new"), has, row).body == {"custom_fields": fields, "full_name": "Olena"}
    built = changed_buyer(customer("4", segment="new"), account(), row)
    assert (built.body, built.ignored) == ({}, {"segment": NO_SEGMENT})


def test_a_buyer_is_found_by_the_number_and_not_by_how_it_is_written() -> None:
    rows = [{"id": 9, "phone": ["050 123 45 67"]}, {"id": 5, "phone": ["067", "+380501234567"]}, {"id": 1, "phone": []}]
    assert buyer_with(rows, "phone", "+380501234567", account()) == rows[1]
    assert buyer_with(rows, "phone", "+380501234560", account()) is None
    assert buyer_with([{"id": 2, "email": ["A@B.ua"]}], "email", "a@b.ua", account()) is not None
    assert phone_forms("+380501234567") == ["+380501234567", "380501234567", "0501234567"]
    assert phone_forms("ask") == ["ask"]


# ------------------------------------------------------------------------------------------------------------ articles


def test_a_new_article_is_a_product_without_variants() -> None:
    assert new_product(article()) == {"name": "Mug", "sku": "mug", "price": Decimal("200.50")}
    change = article(description="Blue", barcode="482", purchased_price=Decimal(90), currency="EUR", name=None)
    assert new_product(change) == {
        "name": "mug",
        "sku": "mug",
        "price": Decimal("200.50"),
        "description": "Blue",
        "barcode": "482",
        "purchased_price": Decimal(90),
        "currency_code": "EUR",
    }


def test_of_a_product_only_what_differs_is_sent() -> None:
    product = {"id": 3, "name": "Mug", "description": "Blue"}
    offer = {"id": 8, "sku": "mug", "barcode": "482", "is_archived": False, "product": product}
    work = Work(article("8", name="Cup", description="Blue", barcode=None), 8, offer)
    assert changed_product(work) == {"name": "Cup", "barcode": ""}
    assert changed_product(Work(article("8", barcode="483"), 8, offer)) == {"name": "Mug", "barcode": "483"}
    assert changed_product(Work(article("8", sku="mug", name="Mug"), 8, offer)) == {}
    assert is_archived_wrongly(Work(article("8", is_active=False), 8, offer))
    assert not is_archived_wrongly(Work(article("8", is_active=True), 8, offer))


def test_a_price_is_sent_if_it_differs_or_nobody_has_looked() -> None:
    change = article("8", price=Decimal("210.00"), purchased_price=None)
    assert changed_price(Work(change, 8)) == {"id": 8, "price": Decimal("210.00")}
    assert changed_price(Work(change, 8, {"id": 8, "price": 210})) == {}
    assert changed_price(Work(article("8", stock=Decimal(1)), 8)) == {}


def test_a_stock_is_written_so_that_all_warehouses_together_have_it() -> None:
    rows: list[dict[str, Any]] = [
        {"id": 8, "sku": "mug", "quantity": 9, "warehouse": [{"id": 1, "quantity": 6}, {"id": 2, "quantity": 3}]},
        {"id": 9, "sku": None, "quantity": 0, "warehouse": []},
        {"id": 10, "quantity": "many"},
    ]
    stocks = read_stocks(rows)
    assert stocks == {
        8: Stocked(Decimal(9), {"1": Decimal(6), "2": Decimal(3)}, "mug"),
        9: Stocked(Decimal(0), {}, None),
    }
    assert changed_stock(Work(article("8", stock=Decimal(10)), 8), stocks[8], 1) == {
        "sku": "mug",
        "quantity": Decimal(7),
    }
    assert changed_stock(Work(article("9", stock=Decimal(4)), 9), stocks[9], 2) == {"id": 9, "quantity": Decimal(4)}
    work = Work(article("8", stock=Decimal(2)), 8)
    assert changed_stock(work, stocks[8], 1) == {}
    assert work.ignored == {"stock": OTHERS_HOLD_MORE}


def test_the_only_warehouse_is_told_by_the_stocks() -> None:
    one, two = Stocked(Decimal(1), {"3": Decimal(1)}), Stocked(Decimal(1), {"4": Decimal(1)})
    assert only_warehouse([one, Stocked(Decimal(0), {})]) == 3
    assert only_warehouse([one, two]) is None
    assert only_warehouse([Stocked(Decimal(0), None)]) is None


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        ({"message": "no", "errors": {"offers.1.id": ["x"], "offers.3.price": ["y"]}}, {1, 3}),
        ({"message": "no", "errors": {"offers": ["too many"], "offers.12.id": ["x"]}}, set()),
        ({"message": "no", "errors": {"warehouse_id": ["x"]}}, set()),
        ({"message": "no"}, None),
        ({"message": "no", "errors": []}, None),
        ([], None),
    ],
)
def test_a_refusal_names_the_rows_that_are_wrong(answer: Any, rows: set[int] | None) -> None:
    error = PermanentError("refused", status=422)
    error.answer = msgspec.json.encode(answer).decode()
    assert refused_rows(error, "offers", 5) == rows
    error.answer = None
    assert refused_rows(error, "offers", 5) is None


# --------------------------------------------------------------------------------------------------------------- words


def test_the_vendors_groups_mean_what_a_warehouse_calls_them() -> None:
    assert VOCABULARY.status_groups == {
        "1": "PENDING", "2": "CONFIRMED", "3": "PROCESSING", "4": "SHIPPED", "5": "DELIVERED", "6": "CANCELLED",
    }  # fmt: skip
    assert VOCABULARY.payment_statuses == {"not_paid": "pending", "paid": "paid", "canceled": "cancelled"}


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"source_id": 2, "warehouse_id": 1, "payment_methods": {"card": 2, "cash": "3"}, "segment_field": "CT_7"}, []),
        ({"source_id": 0, "warehouse_id": -1, "default_payment_method": 0},
         ["source_id", "warehouse_id", "default_payment_method"]),
        ({"order_source_id": 2}, []),
        ({"source_id": 2, "order_source_id": 2}, []),
        ({"source_id": 2, "order_source_id": 3}, ["order_source_id"]),
        ({"payment_methods": {"card": "Card"}, "delivery_services": {"np": True}},
         ["payment_methods.card", "delivery_services.np"]),
        ({"delivery_services": {" ": 1}}, ["delivery_services"]),
        ({"segment_field": "segment"}, ["segment_field"]),
    ],
)  # fmt: skip
def test_options_are_checked(options: Any, paths: list[str]) -> None:
    assert [path for path, _ in check_options(options)] == paths


def test_a_word_is_found_in_any_case_and_a_number_names_itself() -> None:
    assert number_of({"Nova Poshta": 3}, " nova poshta ") == 3
    assert number_of(None, "17") == 17
    assert number_of({}, "Nova Poshta") is None
    assert number_of({}, "0") is None


# -------------------------------------------------------------------------------------------------------- fingerprints

ROW: dict[str, Any] = {
    "id": 501, "status_id": 11, "grand_total": 1200.5, "total_discount": 0, "expenses_sum": 0, "payment_status": "paid",
    "manager_comment": "ring", "buyer_comment": "soon", "updated_at": "2026-03-02T09:15:00.000000Z",
}  # fmt: skip


def test_the_api_and_a_webhook_tell_of_the_same_order_alike() -> None:
    webhook = {name: value for name, value in ROW.items() if name != "buyer_comment"} | {
        "client_comment": "soon", "updated_at": "2026-03-02 09:15:00", "grand_total": "1200.50", "id": "501",
        "payments_total": 5, "is_expired": False, "total_discount": None,
    }  # fmt: skip
    assert fingerprints.of_order(webhook) == fingerprints.of_order(ROW) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"status_id": 12},
        {"grand_total": 1200.51},
        {"total_discount": 1},
        {"payment_status": "overpaid"},
        {"manager_comment": None},
        {"buyer_comment": "later"},
        {"updated_at": "2026-03-02T09:15:01.000000Z"},
        {"id": 502},
    ],
)
def test_whatever_both_tell_makes_another_fingerprint(change: Any) -> None:
    assert fingerprints.of_order({**ROW, **change}) != fingerprints.of_order(ROW)


@pytest.mark.parametrize("change", [{"updated_at": None}, {"updated_at": "soon"}, {"id": None}, {"status_id": []}])
def test_what_cannot_be_read_has_no_fingerprint(change: Any) -> None:
    assert fingerprints.of_order({**ROW, **change}) is None


def test_a_buyer_has_one_if_its_phones_and_emails_are_told() -> None:
    row = {"id": 4, "full_name": "Olena", "phone": ["1"], "email": ["2"], "updated_at": "2026-03-02T09:15:00Z"}
    assert fingerprints.of_buyer(row) == fingerprints.of_buyer({**row, "note": "not in every webhook"}) is not None
    assert fingerprints.of_buyer({**row, "phone": [], "email": ["1", "2"]}) != fingerprints.of_buyer(row)
    assert fingerprints.of_buyer({"id": 4, "full_name": "Olena", "updated_at": "2026-03-02T09:15:00Z"}) is None
