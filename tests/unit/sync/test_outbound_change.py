"""What is told to a connector, what is agreed on afterwards, and what a log may show of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from connectors.protocol import PushResult
from database.repositories.mappings import MappingRow
from database.repositories.outbox import OutboxRow
from sync.two_way.objects import CrmObject
from sync.two_way.outbound_change import Outgoing, Surroundings, canonical, plan, shown, synced
from sync.two_way.statuses import KnownStatus, StatusWords
from sync.two_way.vms_state import of_row

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
KEY = UUID("7b6ab4c6-5f0e-4b7e-9a52-0f5f3f7d3f10")
WORDS = StatusWords([KnownStatus("1"), KnownStatus("3")], {"1": "PENDING", "3": "SHIPPED"}, None)


def mapping(entity: str = "order", **values: Any) -> MappingRow:
    given: dict[str, Any] = {
        "mapping_id": 1, "project_id": "shop", "entity_type": entity, "vms_entity_id": 17, "crm_entity_id": None,
        "idempotency_key": KEY, "agreed_vms": {}, "agreed_crm": {}, "ignored": {}, "overwritten": {}, "disputed": [],
        "sync_status": "pending", "error_message": None, "last_synced_at": None,
    }  # fmt: skip
    return MappingRow(**{**given, **values})


def order_row(**values: Any) -> dict[str, Any]:
    given = {
        "id": 17, "number": "N-17", "customer_id": 5, "status": "SHIPPED", "currency": "UAH", "total": Decimal("60.00"),
        "discount": Decimal("1.5"), "shipping_price": Decimal("0.00"), "comment": "  ", "ordered_at": AT,
        "updated_at": AT, "customer_name": "Olena", "customer_phone": "0671112233", "customer_email": None,
        "carrier": "NP", "tracking_number": None, "recipient": None, "phone": "067 111 22 33", "address": None,
        "items": [
            {"article_id": 7, "sku": "A", "name": "Cup", "quantity": "2.500", "price": "10.00", "discount": "0.00"}
        ],
    }  # fmt: skip
    return {**given, **values}


def row(outbox_id: int = 1, **values: Any) -> OutboxRow:
    given: dict[str, Any] = {
        "outbox_id": outbox_id, "entity_type": "order", "vms_entity_id": 17, "lane": "order:17", "operation": "update",
        "fields": ["status"], "changed_at": AT, "attempts": 1, "may_have_been_sent": False,
    }  # fmt: skip
    return OutboxRow(**{**given, **values})


def planned(crm: CrmObject | None = None, rows: tuple[OutboxRow, ...] = (row(),), **values: Any) -> Outgoing:
    link = mapping(**values)
    around = Surroundings(
        WORDS, {5: mapping("customer", crm_entity_id="c5")}, {7: mapping("article", crm_entity_id="a7")}
    )
    found = of_row("order", order_row(), {"shipment": AT}, "UA")
    return plan(rows, link, found, crm, around, "newest", timedelta(seconds=5))


def test_an_order_of_vms_has_the_words_of_both_sides() -> None:
    found = of_row("order", order_row(), {"shipment": AT, "status": AT}, "UA")
    assert found.fields == {
        "customer": 5, "status": "SHIPPED", "discount": "1.50", "shipping_price": "0.00", "comment": None,
        "items": [{"sku": "A", "name": "Cup", "quantity": "2.5", "price": "10.00", "discount": "0.00"}],
        "carrier": "NP", "tracking_number": None, "recipient": None, "phone": "+380671112233", "address": None,
    }  # fmt: skip
    assert sorted(found.changed_at) == ["address", "carrier", "phone", "recipient", "status", "tracking_number"]


def test_a_new_order_is_told_with_exact_numbers_and_ids_of_the_crm() -> None:
    change = planned().change
    assert change.fields == {"customer", "status", "discount", "shipping_price", "items", "carrier", "phone"}
    assert (change.is_new, change.key, change.may_have_been_sent) == (True, str(KEY), False)
    assert (change.data["status"], change.data["discount"], change.data["number"]) == ("3", Decimal("1.5"), "N-17")
    assert change.data["items"] == [
        {
            "sku": "A", "name": "Cup", "quantity": Decimal("2.500"), "price": Decimal("10.00"),
            "discount": Decimal("0.00"), "crm_id": "a7",
        }
    ]  # fmt: skip
    assert change.data["customer"] == {
        "full_name": "Olena", "phone": "+380671112233", "email": None, "crm_id": "c5", "key": str(KEY),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "status", "expected"),
    [
        ((row(),), "synced", False),
        ((row(), row(2, may_have_been_sent=True)), "synced", True),
        ((row(),), "error", True),  # it failed without an answer, maybe
    ],
)
def test_what_may_have_been_sent_is_said(rows: tuple[OutboxRow, ...], status: str, expected: bool) -> None:
    assert planned(rows=rows, sync_status=status).change.may_have_been_sent is expected


def test_once_sent_it_is_agreed_on_in_the_words_of_each_side() -> None:
    crm = CrmObject("order", "o1", {"status": "1"}, {"status": "PENDING"}, changed_at=AT)
    known = {"crm_entity_id": "o1", "agreed_vms": {"status": "PENDING"}, "agreed_crm": {"status": "1"}}
    out = planned(crm, **known)
    result = PushResult("o1", {"phone": "It takes none."}, as_crm={"carrier": "5", "discount": Decimal("1")})
    agreed, ignored = synced(out, mapping(**known), result, AT)
    assert (agreed.vms["status"], agreed.crm["status"]) == ("SHIPPED", "3")
    assert (agreed.vms["customer"], agreed.crm["customer"]) == (5, "c5")
    assert (agreed.vms["carrier"], agreed.crm["carrier"]) == ("NP", "5")
    assert (agreed.vms["discount"], agreed.crm["discount"]) == ("1.50", "1.00")
    assert (agreed.vms["phone"], "phone" in agreed.crm) == ("+380671112233", False)
    assert agreed.overwritten == {"status": {"was": ["1"], "at": AT.isoformat()}}
    assert ignored == {"phone": "It takes none."}


def test_what_the_crm_has_changed_alone_is_left_to_the_inbound_flow() -> None:
    crm = CrmObject("order", "o1", {"comment": "call"}, {"comment": "call"}, changed_at=AT)
    known = {
        "crm_entity_id": "o1",
        "agreed_vms": {**planned().object.fields},
        "agreed_crm": {"comment": None},
    }
    out = planned(crm, **known)
    assert (out.has_something, dict(out.plan.to_vms)) == (False, {"comment": "call"})
    assert (out.agreed.vms["comment"], out.agreed.crm["comment"]) == (None, None)


def test_a_status_without_a_counterpart_is_refused_and_the_rest_is_told() -> None:
    around = Surroundings(StatusWords([KnownStatus("1")], {"1": "PENDING"}, None))
    found = of_row("order", order_row(customer_id=None, items=[]))
    out = plan((row(),), mapping(), found, None, around, "newest", timedelta(0))
    assert "status" not in out.change.fields
    assert out.change.data["status"] is None
    assert list(out.refused) == ["status"]


def test_a_log_shows_no_personal_data() -> None:
    text = str(shown(replace(planned(), own={"phone": "+380671112233", "comment": "Olena calls", "status": "3"},
                             names=frozenset(("phone", "comment", "status")))))  # fmt: skip
    assert "'status': '3'" in text
    assert "1112233" not in text
    assert "Olena" not in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("price", Decimal("10"), "10.00"),
        ("stock", Decimal("3.500"), "3.5"),
        ("paid_at", datetime(2026, 3, 1, 8, 0, 0, 7, tzinfo=UTC), "2026-03-01T08:00:00+00:00"),
        ("comment", " x ", "x"),
        ("comment", None, None),
        ("is_active", True, True),
    ],
)
def test_values_of_a_push_are_kept_in_the_words_of_the_merge(name: str, value: Any, expected: Any) -> None:
    assert canonical(name, value) == expected
