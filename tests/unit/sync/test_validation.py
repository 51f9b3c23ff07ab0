from __future__ import annotations

import json
from decimal import Decimal

import pytest

from connectors.errors import SkipRowError
from connectors.records import Batch, Customer, Order, OrderItem, OrderItems, OrderPayments, Payment, StatusGroup, Stock
from sync.validation import LONGEST_ID, check


@pytest.mark.parametrize(
    "batch",
    [
        Batch(orders=[Order("1", grand_total=Decimal("1e15"))]),
        Batch(orders=[Order("1", grand_total=Decimal("-1e15"))]),
        Batch(orders=[Order("1", payments_total=Decimal("NaN"))]),
        Batch(orders=[Order("1", payments_total=Decimal("-Infinity"))]),
        Batch(order_items=[OrderItems("1", (OrderItem(Decimal("1e99")),))]),
        Batch(order_payments=[OrderPayments("1", (Payment("1", "1", Decimal("1e99"), "paid"),))]),
        Batch(stocks=[Stock("1", Decimal(1), Decimal("Infinity"))]),
        Batch(customers=[Customer("x" * (LONGEST_ID + 1))]),
        Batch(status_groups=[StatusGroup("x" * (LONGEST_ID + 1), "name")]),
        Batch(orders=[Order("1", source_uuid="x" * (LONGEST_ID + 1))]),
    ],
)
def test_what_no_column_can_hold_is_refused(batch: Batch) -> None:
    with pytest.raises(SkipRowError, match="does not fit"):
        check(batch, "{}")


@pytest.mark.parametrize("text", ["a\x00b", "\\\x00", "\ud83d", "\udc00 alone"])
def test_text_that_postgresql_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(SkipRowError, match="does not fit"):
        check(Batch(orders=[Order("1", manager_comment=text)]), json.dumps({"comment": text}))


@pytest.mark.parametrize("text", ["🙂", "Їжак", "\\u0000", "\\\\u0000", "\\ud800", "", "\x01"])
def test_unusual_text_is_let_through(text: str) -> None:
    check(Batch(orders=[Order("1", manager_comment=text)]), json.dumps({"comment": text}))


def test_the_largest_numbers_are_let_through() -> None:
    check(Batch(orders=[Order("x" * LONGEST_ID, grand_total=Decimal("999999999999999.99"))]), "")
