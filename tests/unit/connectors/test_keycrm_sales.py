"""Which orders of KeyCRM are sales: paid in full, at the last paid payment, and undone when that ends."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.records import Reversal
from tests.unit.connectors.test_keycrm_mapping import CONTEXT, UPDATED, map_order

FIRST = {"id": 1, "amount": 500, "status": "paid", "payment_date": "2026-03-01T10:00:00.000000Z"}
LAST = {"id": 2, "amount": 700.5, "status": "paid", "payment_date": "2026-03-02T08:30:00.000000Z"}
CANCELLED = {"id": 3, "amount": 9, "status": "canceled", "payment_date": "2026-03-02T09:00:00.000000Z"}


def paid(**changes: Any) -> Any:
    return map_order(**{"payment_status": "paid", "payments": [FIRST, LAST, CANCELLED], **changes})


def test_an_order_paid_in_full_is_a_sale_at_its_last_paid_payment() -> None:
    batch = paid()
    (sale,) = batch.transactions
    assert batch.reversals == []
    assert sale.external_id == "KEYCRM-501"
    assert sale.occurred_at == datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    assert sale.amount == Decimal("1200.50")
    assert sale.currency is None  # the order's source has it
    assert sale.order_id == "501"
    assert sale.customer_id == "40"
    assert sale.source_updated_at == UPDATED
    assert not sale.is_medical


def test_an_overpaid_order_is_a_sale_of_its_total() -> None:
    (sale,) = paid(payment_status="overpaid").transactions
    assert sale.amount == Decimal("1200.50")


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_status": "part_paid"},
        {"payment_status": "not_paid", "payments": []},
        {"payments": [CANCELLED]},
        {"status_group_id": 6},
        {"deleted_at": "2026-03-02T09:00:00.000000Z"},
    ],
)
def test_an_order_not_paid_cancelled_or_deleted_is_none_and_undoes_it(changes: dict[str, Any]) -> None:
    batch = paid(**changes)
    assert batch.transactions == []
    assert batch.reversals == [Reversal("KEYCRM-501", UPDATED)]


def test_without_payments_in_the_payload_nothing_is_known_of_the_sale() -> None:
    batch = map_order(payment_status="paid", payments=None)
    assert (batch.transactions, batch.reversals) == ([], [])


def test_an_order_that_is_gone_undoes_its_sale() -> None:
    batch = registry.get("keycrm").map_deletion(CONTEXT, "orders", "501")
    assert batch.reversals == [Reversal("KEYCRM-501")]
    assert batch.orders[0].is_deleted
    assert registry.get("keycrm").map_deletion(CONTEXT, "customers", "40").reversals == []
