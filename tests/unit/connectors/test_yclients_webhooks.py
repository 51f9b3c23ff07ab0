"""YCLIENTS' webhooks, as they come."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Place, Reread, Reversal
from tests.unit.connectors.test_yclients_mapping import RECORD

YCLIENTS = registry.get("yclients")
CONTEXT = MappingContext(
    "salon", options={"company_id": 77}, places={"77": Place("77", timezone="Europe/Moscow", currency="RUB")}
)
RECEIVED = datetime(2026, 3, 2, 10, 12, 5, tzinfo=UTC)


def event(resource: str, crm_id: Any, status: str = "update", data: Any = None, company: Any = 77) -> dict[str, Any]:
    return {"company_id": company, "resource": resource, "resource_id": crm_id, "status": status, "data": data}


def mapped(payload: Any, received_at: datetime = RECEIVED) -> Batch:
    return YCLIENTS.map_webhook(CONTEXT, None, json.dumps(payload, ensure_ascii=False), received_at)


def whole(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(RECORD), **changes}


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_record_is_applied_at_once_and_read_again(is_wrapped: bool) -> None:
    payload = event("record", 501, data=whole(paid_full=True))
    batch = mapped([payload] if is_wrapped else payload)
    assert batch.rereads == [Reread("records", "501")]
    [sale] = batch.transactions
    assert (sale.external_id, sale.amount, sale.occurred_at) == (
        "YCLIENTS-501",
        Decimal("2150.50"),
        datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
    )
    assert not batch.problems


def test_a_record_that_is_unpaid_again_is_reversed_at_once() -> None:
    batch = mapped(event("record", 501, data=whole(paid_full=False)))
    assert batch.reversals == [Reversal("YCLIENTS-501", datetime(2026, 3, 2, 10, 12, tzinfo=UTC))]


@pytest.mark.parametrize(
    "data", [None, [], {}, {"id": 501}, {"id": 501, "last_change_date": "2026-03-02T13:12:00+0300"}]
)
def test_a_deleted_record_is_reversed_whatever_comes_with_it(data: Any) -> None:
    batch = mapped(event("record", 501, "delete", data))
    assert batch.reversals == [Reversal("YCLIENTS-501")]
    assert batch.rereads == [Reread("records", "501")]
    assert not batch.problems


@pytest.mark.parametrize("left_out", ["paid_full", "deleted", "date", "services", "last_change_date"])
def test_a_part_of_a_record_is_but_a_hint(left_out: str) -> None:
    data = whole()
    del data[left_out]
    assert mapped(event("record", 501, data=data)) == Batch(rereads=[Reread("records", "501")])


def test_data_of_another_record_are_not_applied() -> None:
    assert mapped(event("record", 502, data=whole())) == Batch(rereads=[Reread("records", "502")])


def test_a_record_of_the_future_is_not_applied_but_read_again() -> None:
    early = mapped(event("record", 501, data=whole()), RECEIVED - timedelta(minutes=6))
    assert early.rereads == [Reread("records", "501")]
    assert not early.transactions
    assert "lies in the future" in early.problems[0].reason
    assert mapped(event("record", 501, data=whole()), RECEIVED - timedelta(minutes=4)).transactions


def test_clients_and_companies_are_read_again() -> None:
    assert mapped(event("client", 31, "create", {"id": 31})) == Batch(rereads=[Reread("customers", "31")])
    deleted = mapped(event("client", 31, "delete"))
    assert deleted.customers[0].is_deleted
    assert deleted.rereads == [Reread("customers", "31")]
    for resource in ("company", "salon"):
        assert mapped(event(resource, 77)) == Batch(rereads=[Reread("places", "77")])


def test_a_payment_has_its_record_read_again() -> None:
    record, payment = Reread("records", "501"), Reread("transactions", "48")
    assert mapped(event("finances_operation", 48, "create", {"id": 48, "record_id": 501})).rereads == [payment, record]
    assert mapped(event("finances_operation", 48, "create", {"record": {"id": 501}})).rereads == [payment, record]
    assert mapped(event("finances_operation", 48, "delete", {"record_id": "501"})).rereads == [record]
    assert mapped(event("finances_operation", 48, "create", {"record_id": 0, "record": None})).rereads == [payment]


@pytest.mark.parametrize("resource", ["staff", "service", "good", "goods_operations_sale", "schedule", "loyalty_card"])
def test_what_is_no_part_of_the_model_is_kept_and_does_nothing(resource: str) -> None:
    assert mapped(event(resource, 5, data=[])) == Batch()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (event("record", 501, company=78), "company 78, this project is company 77"),
        (event("record", 501, company="78"), "register each company's own address"),
        (event("record", 501, "move"), "unknown status"),
        (event("spaceship", 501), "unknown resource"),
        (event("record", None), "resource_id: missing"),
        (event("", 501), "resource: missing"),
        ([event("record", 1), event("record", 2)], "a list of one"),
        (7, "expected an object"),
    ],
)
def test_what_cannot_be_read_is_skipped_with_its_reason(payload: Any, reason: str) -> None:
    with pytest.raises(SkipRowError, match=reason):
        mapped(payload)


def test_the_text_is_stored_as_it_came() -> None:
    body = json.dumps([event("record", 501, data={"comment": "Ждём 😀"})], ensure_ascii=False)
    request = WebhookRequest("POST", {}, {}, b"\xef\xbb\xbf" + body.encode())
    assert YCLIENTS.check_webhook(request, CONTEXT) == body


def test_what_jsonb_cannot_hold_is_refused() -> None:
    for body in (b'{"a": "\\u0000"}', b'{"a": 1e999999}'):
        with pytest.raises(WebhookUnreadableError):
            YCLIENTS.check_webhook(WebhookRequest("POST", {}, {}, body), CONTEXT)
