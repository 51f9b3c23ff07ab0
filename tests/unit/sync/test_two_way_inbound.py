"""The pure parts of the inbound flow: the CRM's side of an order, and what makes stored lines the wanted ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.protocol import Vocabulary
from database.repositories.crm_objects import ArticleRow, CustomerRow, LineRow, OrderRow, PaymentRow
from sync.two_way import crm_state
from sync.two_way.crm_state import Words
from sync.two_way.inbound_rows import line_changes
from sync.two_way.statuses import StatusWords

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
WORDS = Words(
    StatusWords((), {}, Vocabulary({"new": "PENDING"})), {"canceled": "cancelled"}, {"3": "nova-post"}, {"1": "card"}
)
ORDER = OrderRow(
    order_id="17", source_uuid="0B7C2A8E-0000-4000-8000-000000000001", status_id="new", status_group_id=None,
    status_changed_at=AT, customer_id="7", total_discount=Decimal("25.00"), shipping_price=None,
    grand_total=Decimal(100), currency="UAH", payment_status=None, manager_comment="  ", delivery_service_id="3",
    tracking_code="TTN", shipping_region=None, shipping_city="Київ", shipping_address="вул. Київська 1",
    recipient_name=None, recipient_phone_e164=None, is_deleted=False, has_items=True, ordered_at=AT,
    order_created_at=AT, source_updated_at=AT, items_updated_at=AT, known_at=AT,
)  # fmt: skip
LINES = [
    LineRow("17", "A", "Cup", Decimal("2.000"), Decimal(50), Decimal(45), Decimal(10), AT),
    LineRow("17", None, "Wrap", Decimal(1), None, Decimal(5), None, AT),
    LineRow("17", "B", None, Decimal("1.5"), Decimal(10), Decimal(8), None, AT),
]


def test_an_order_is_told_in_the_words_of_both_sides() -> None:
    found = crm_state.order(ORDER, LINES, WORDS, {"7": 70})
    assert (found.fields["status"], found.as_vms["status"]) == ("new", "PENDING")
    assert (found.fields["customer"], found.as_vms["customer"]) == ("7", 70)
    assert (found.fields["carrier"], found.as_vms["carrier"]) == ("3", "nova-post")
    assert found.as_vms["discount"] == "12.00"  # 25 less the lines' own 10 and (10 - 8) x 1.5
    assert (found.as_vms["shipping_price"], found.as_vms["comment"]) == ("0.00", None)
    assert found.as_vms["address"] == "Київ, вул. Київська 1"
    named = replace(ORDER, shipping_address="м. КИЇВ, вул. Нова 2", shipping_region="Київська обл.")
    address = crm_state.order(named, [], WORDS, {}).as_vms["address"]
    assert address == "Київська обл., м. КИЇВ, вул. Нова 2"
    assert found.as_vms["items"] == [
        {"sku": None, "name": "Wrap", "quantity": "1", "price": "5.00", "discount": "0.00"},
        {"sku": "A", "name": "Cup", "quantity": "2", "price": "50.00", "discount": "10.00"},
        {"sku": "B", "name": "B", "quantity": "1.5", "price": "10.00", "discount": "3.00"},
    ]
    assert found.link == "0b7c2a8e-0000-4000-8000-000000000001"
    assert found.field_changed_at == {"status": AT}


def test_what_only_a_whole_record_tells_is_left_out_while_core_is_behind() -> None:
    behind = replace(ORDER, source_updated_at=AT + timedelta(seconds=1))
    assert crm_state.order(behind, LINES, WORDS, {"7": 70}).fields == {"status": "new", "customer": "7"}
    assert crm_state.order(replace(ORDER, has_items=False), [], WORDS, {}).as_vms == {"status": "PENDING"}
    timeless = replace(ORDER, source_updated_at=None, items_updated_at=None)  # RetailCRM's orders have no such time
    assert "items" in crm_state.order(timeless, LINES, WORDS, {}).fields


def test_a_field_that_we_wrote_after_core_heard_of_the_object_is_left_out() -> None:
    found = crm_state.order(ORDER, LINES, WORDS, {"7": 70})
    later, earlier = AT + timedelta(seconds=1), AT - timedelta(seconds=1)
    known = crm_state.without_overtaken(found, AT, {"comment": later, "status": earlier})
    assert found.fields.keys() - known.fields.keys() == {"comment"}
    assert found.as_vms.keys() - known.as_vms.keys() == {"comment"}
    assert (known.changed_at, known.link, known.details) == (found.changed_at, found.link, found.details)


def test_a_status_without_a_counterpart_and_a_deleted_order() -> None:
    strange = crm_state.order(replace(ORDER, status_id="strange"), LINES, WORDS, {})
    assert strange.fields["status"] == "strange"
    assert "status" not in strange.as_vms
    deleted = crm_state.order(replace(ORDER, is_deleted=True), LINES, WORDS, {})
    assert (deleted.fields["status"], deleted.as_vms["status"], deleted.is_deleted) == (None, "CANCELLED", True)


def test_a_customer_known_from_orders_alone_does_not_tell_what_it_lacks() -> None:
    row = CustomerRow("7", "Anna", None, ["12345"], None, None, False, None, AT, AT)
    assert crm_state.customer(row).as_vms == {"full_name": "Anna", "phone": "12345"}
    whole = crm_state.customer(replace(row, source_created_at=AT))
    assert whole.as_vms == {"full_name": "Anna", "phone": "12345", "email": None, "note": None}


def test_of_an_article_only_what_is_known_is_told() -> None:
    stock = ArticleRow("31", None, "A", None, None, None, None, Decimal("4.500"), None, False, AT, AT)
    assert crm_state.article(stock).as_vms == {"sku": "A", "stock": "4.5"}
    whole = replace(stock, product_id="3", name="Cup", price=Decimal(5), is_archived=True)
    assert crm_state.article(whole).as_vms == {
        "sku": "A", "stock": "4.5", "name": "Cup", "price": "5.00", "barcode": None, "is_active": False,
    }  # fmt: skip
    assert crm_state.article(replace(stock, sku=None)).details["is_whole"] is False


def test_a_payment_in_the_words_of_vms() -> None:
    row = PaymentRow(
        "1", "17", "1", Decimal(10), "UAH", "canceled", "0b7c2a8e-0000-4000-8000-000000000001", None,
        AT.replace(microsecond=9), False, AT, AT,
    )  # fmt: skip
    found = crm_state.payment(row, WORDS)
    assert found.as_vms == {
        "amount": "10.00", "paid_at": "2026-03-01T08:00:00+00:00", "method": "card", "status": "cancelled",
    }  # fmt: skip
    assert found.link == "0b7c2a8e-0000-4000-8000-000000000001"
    other = crm_state.payment(replace(row, payment_method_id="9", status="?", description="by hand"), WORDS)
    assert ("method" in other.as_vms, "status" in other.as_vms, other.link) == (False, False, None)
    assert crm_state.payment(replace(row, payment_method_id="bank-card"), WORDS).as_vms["method"] == "bank-card"
    assert crm_state.payment(replace(row, is_deleted=True, status="paid"), WORDS).as_vms["status"] == "cancelled"


line = st.fixed_dictionaries(
    {
        "sku": st.none() | st.sampled_from(["A", "B"]), "name": st.sampled_from(["Cup", "Wrap"]),
        "quantity": st.sampled_from(["1", "2.5"]), "price": st.sampled_from(["1.00", "2.00"]),
        "discount": st.sampled_from(["0.00", "1.00"]),
    }
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(line, max_size=6), st.lists(line, max_size=6))
def test_the_changes_make_the_stored_lines_the_wanted_ones_and_touch_no_more_than_needed(
    before: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    numbers = ("quantity", "price", "discount")
    stored = [
        {"id": number, **row, **{name: Decimal(row[name]) for name in numbers}} for number, row in enumerate(before)
    ]
    changes = line_changes(stored, wanted)
    rows: dict[int, dict[str, Any]] = dict(enumerate(before))
    for number in changes.gone:
        del rows[number]
    for change in changes.changed:
        assert change.keys() > {"id"}
        assert "sku" not in change
        rows[change["id"]] = {**rows[change["id"]], **{name: value for name, value in change.items() if name != "id"}}

    def as_set(found: list[dict[str, Any]]) -> list[str]:
        return sorted(repr(sorted(row.items())) for row in found)

    assert as_set([*rows.values(), *changes.added]) == as_set(wanted)
    if as_set(before) == as_set(wanted):
        assert (changes.added, changes.changed, changes.gone) == ([], [], [])
