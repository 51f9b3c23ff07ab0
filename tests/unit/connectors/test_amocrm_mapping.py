"""amoCRM's records, against values worked out by hand from its documentation's examples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import registry
from connectors.amocrm import custom_fields
from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import Batch, Place

AMOCRM = registry.get("amocrm")
CONTEXT = MappingContext(
    "deals", region="RU", places={"": Place("", "Demo", "Europe/Moscow", "RUB"), "31": Place("31", "Demo")}
)
CREATED, MOVED, WON = 1_759_570_000, 1_759_572_000, 1_759_575_600


def lead(**changes: Any) -> dict[str, Any]:
    """The lead of the documentation, won, with its log as the connector stores it."""
    return {
        "id": 4821, "name": "Deal", "price": 289, "price_with_minor_units": 289.5, "responsible_user_id": 7,
        "status_id": 142, "pipeline_id": 11, "created_at": CREATED, "updated_at": WON, "closed_at": WON,
        "is_deleted": False, "account_id": 31, "custom_fields_values": None,
        "_embedded": {
            "contacts": [{"id": 98, "is_main": False}, {"id": 99, "is_main": True}],
            "main_contact": {
                "id": 99, "name": "Anna",
                "custom_fields_values": [
                    {"field_id": 771, "field_name": "Phone", "field_code": "PHONE",
                     "values": [{"value": "8 999 000 00 01", "enum_code": "WORK"}]}
                ],
            },
            "events": [
                {"id": "01a", "created_at": MOVED, "value_before": [{"lead_status": {"id": 21, "pipeline_id": 10}}],
                 "value_after": [{"lead_status": {"id": 22, "pipeline_id": 11}}]},
                {"id": "01b", "created_at": WON, "value_before": [{"lead_status": {"id": 22, "pipeline_id": 11}}],
                 "value_after": [{"lead_status": {"id": 142, "pipeline_id": 11}}]},
            ],
        },
        **changes,
    }  # fmt: skip


def mapped(row: dict[str, Any], stream: str = "orders", **options: Any) -> Batch:
    context = MappingContext("deals", region="RU", places=CONTEXT.places, options=options)
    return AMOCRM.map_record(context, stream, str(row.get("id")), json.dumps(row))


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_the_documentations_lead_becomes_an_order_a_history_and_a_sale() -> None:
    batch = mapped(lead())
    assert not batch.problems
    [order], [sale], [buyer] = batch.orders, batch.transactions, batch.customers
    assert (order.order_id, order.status_id, order.status_group_id, order.customer_id) == ("4821", "11/142", "11", "99")
    assert (order.grand_total, order.currency, order.manager_id) == (Decimal("289.50"), "RUB", "7")
    assert order.closed_at == datetime(2025, 10, 4, 11, 0, tzinfo=UTC)
    assert [(e.status_id, e.status_group_id, e.status_changed_at) for e in batch.status_events] == [
        ("10/21", "10", at(CREATED)),
        ("11/22", "11", at(MOVED)),
        ("11/142", "11", at(WON)),
    ]
    assert (sale.external_id, sale.amount, sale.currency, sale.occurred_at) == (
        "AMO-4821", Decimal("289.50"), "RUB", at(WON),
    )  # fmt: skip
    assert (sale.phone_e164, sale.customer_id, buyer.is_complete) == ("+79990000001", "99", False)


@pytest.mark.parametrize(
    ("given", "amount"),
    [
        ({"price_with_minor_units": 100.5, "price": 100}, "100.50"),
        ({"price_with_minor_units": None, "price": 289}, "289.00"),
        ({"price_with_minor_units": 28950, "price": 289}, "28950.00"),  # major units, whatever the other field says
        ({"price_with_minor_units": 0, "price": 0}, "0.00"),
    ],
)
def test_the_amount_has_its_fraction_where_there_is_one(given: dict[str, Any], amount: str) -> None:
    [sale] = mapped(lead(**given)).transactions
    assert str(sale.amount) == amount


@pytest.mark.parametrize(
    ("changes", "paid", "is_sold"),
    [
        ({"status_id": 142, "pipeline_id": 999}, [], True),
        ({"status_id": 143}, [], False),
        ({"status_id": 22}, [], False),
        ({"status_id": 22}, [22], True),
        ({"status_id": 22}, ["11/22"], True),
        ({"status_id": 22}, ["12/22"], False),
        ({"status_id": 142, "is_deleted": True}, [], False),
    ],
)
def test_what_is_a_sale(changes: dict[str, Any], paid: list[Any], is_sold: bool) -> None:
    batch = mapped(lead(**changes), paid_statuses=paid)
    assert [sale.external_id for sale in batch.transactions] == (["AMO-4821"] if is_sold else [])
    assert [reversal.external_id for reversal in batch.reversals] == ([] if is_sold else ["AMO-4821"])


def test_without_a_log_the_present_stage_counts_from_the_last_change() -> None:
    row = lead()
    del row["_embedded"]["events"]
    [event] = mapped(row).status_events
    assert (event.status_id, event.status_changed_at, event.is_approximate) == ("11/142", at(WON), True)


def test_a_log_that_is_behind_keeps_what_it_knows_and_adds_the_present() -> None:
    row = lead()
    row["_embedded"]["events"].pop()
    events = mapped(row).status_events
    assert [(e.status_id, e.is_approximate) for e in events] == [("10/21", False), ("11/22", False), ("11/142", True)]


def test_the_accounts_zone_decides_on_the_day_of_a_date_field() -> None:
    field = {"field_id": 5, "field_name": "Due", "values": [{"value": 1_772_571_600}]}  # 3 March 21:00 UTC
    [order] = mapped(lead(custom_fields_values=[field]), fields={"shipping_date": 5}).orders
    assert str(order.shipping_date) == "2026-03-04"


def test_wrong_types_are_problems_and_not_exceptions() -> None:
    batch = mapped(
        lead(price_with_minor_units="a lot", created_at="yesterday", custom_fields_values=[7, {"values": 1}])
    )
    assert {problem.reason.partition(":")[0] for problem in batch.problems} == {
        "price_with_minor_units", "created_at", "custom_fields_values[0]", "custom_fields_values[1].values",
    }  # fmt: skip
    assert batch.orders[0].grand_total == Decimal("289.00")


def test_a_record_without_an_id_is_skipped_whole() -> None:
    for stream in ("orders", "customers", "statuses", "account", "deletions"):
        for body in ("{}", "[]", "{", '{"id": null}'):
            with pytest.raises(SkipRowError):
                AMOCRM.map_record(CONTEXT, stream, "1", body)


def test_a_won_lead_without_a_time_is_a_problem() -> None:
    row = lead(closed_at=None)
    row["_embedded"]["events"] = []
    row["created_at"] = row["updated_at"] = None
    batch = mapped(row)
    assert batch.transactions == []
    assert [problem.reason for problem in batch.problems] == ["closed_at: missing"]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"fields": {"colour": 5}}, "fields.colour"),
        ({"fields": {"promocode": [5]}}, "fields.promocode"),
        ({"pipeline_ids": ["sales"]}, "pipeline_ids.0"),
        ({"paid_statuses": [21, "11/22/33"]}, "paid_statuses.1"),
    ],
)
def test_options_that_are_wrong_are_told_with_their_place(options: dict[str, Any], where: str) -> None:
    assert [path for path, _ in custom_fields.check_options(options)] == [where]


def test_good_options_pass() -> None:
    good = {"fields": {"promocode": 500, "note": "Note"}, "pipeline_ids": [11, "12"], "paid_statuses": [21, "12/33"]}
    assert custom_fields.check_options(good) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*lead(), "values", "id"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(["orders", "customers", "statuses", "account", "deletions"]), st.sampled_from([*lead()]), JSON)
def test_any_value_in_any_field_raises_nothing_undocumented(stream: str, name: str, value: Any) -> None:
    try:
        AMOCRM.map_record(CONTEXT, stream, "1", json.dumps(lead(**{name: value})))
    except SkipRowError:
        assert name == "id"
