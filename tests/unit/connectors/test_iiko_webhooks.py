"""iiko's webhooks: what is applied at once, what is only a hint, what is nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.iiko.webhooks import OTHER_EVENTS
from connectors.protocol import MappingContext, WebhookAuth, WebhookRequest
from connectors.records import Batch, Place, Reread, Reversal
from tests.unit.connectors.test_iiko_mapping import ORDER_ID, ORGANIZATION, TERMINAL, delivery

IIKO = registry.get("iiko")
CONTEXT = MappingContext("cafe", region="RU", places={TERMINAL: Place(TERMINAL, timezone="Europe/Moscow")})
RECEIVED = datetime(2025, 11, 17, 11, 55, 42, tzinfo=UTC)


def event(info: Any, name: Any = "DeliveryOrderUpdate") -> dict[str, Any]:
    return {
        "eventType": name,
        "eventTime": "2025-11-17 11:55:41.120",
        "organizationId": ORGANIZATION,
        "correlationId": "11110000-0000-4000-8000-000000000001",
        "eventInfo": info,
    }


def mapped(*events: Any, received_at: datetime = RECEIVED) -> Batch:
    return IIKO.map_webhook(CONTEXT, None, json.dumps(list(events)), received_at)


def request(body: bytes, **headers: str) -> WebhookRequest:
    return WebhookRequest("POST", headers, {}, body)


def test_an_update_with_the_whole_order_is_a_sale_at_once_and_is_read_again() -> None:
    batch = mapped(event(delivery()))
    [sale] = batch.transactions
    assert (sale.amount, sale.occurred_at) == (Decimal("1719.90"), datetime(2025, 11, 17, 11, 55, 40, tzinfo=UTC))
    assert batch.rereads == [Reread("orders", ORDER_ID)]
    assert not batch.problems


def test_an_update_that_tells_the_status_alone_is_a_hint() -> None:
    info = {"id": ORDER_ID, "timestamp": 1763380540000, "creationStatus": "Success", "order": {"status": "Closed"}}
    assert mapped(event(info)) == Batch(rereads=[Reread("orders", ORDER_ID)])


def test_a_sale_whose_phone_is_to_be_asked_for_waits_for_the_reading() -> None:
    batch = mapped(event(delivery(phone=None)))
    assert not batch.transactions
    assert batch.rereads == [Reread("orders", ORDER_ID)]


def test_a_cancellation_undoes_the_sale_at_once() -> None:
    info = {"id": ORDER_ID, "timestamp": 1763380540000, "creationStatus": "Success", "order": {"status": "Cancelled"}}
    batch = mapped(event(info))
    assert batch.reversals == [Reversal(f"IIKO-{ORDER_ID}", datetime(2025, 11, 17, 11, 55, 40, tzinfo=UTC))]


def test_a_tables_order_is_taken_like_a_delivery() -> None:
    assert len(mapped(event(delivery(tableIds=["t1"]), "TableOrderUpdate")).transactions) == 1


@pytest.mark.parametrize("name", OTHER_EVENTS)
def test_events_that_say_nothing_of_a_sale_are_nothing(name: str) -> None:
    assert mapped(event({"anything": 1}, name)) == Batch()


def test_a_version_of_the_future_is_not_applied_and_is_read_again() -> None:
    received_at = datetime(2025, 11, 17, 11, 55, 40, tzinfo=UTC)
    assert len(mapped(event(delivery()), received_at=received_at - timedelta(minutes=5)).transactions) == 1
    batch = mapped(event(delivery()), received_at=received_at - timedelta(minutes=5, seconds=1))
    assert not batch.transactions
    assert batch.rereads == [Reread("orders", ORDER_ID)]
    [problem] = batch.problems
    assert problem.reason == "[0].eventInfo.timestamp: 2025-11-17T11:55:40+00:00 lies in the future"


def test_one_event_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    batch = mapped(event(None), event(delivery()), "x", event({"timestamp": 1}))
    assert len(batch.transactions) == 1
    assert [problem.reason for problem in batch.problems] == [
        "[0].eventInfo: missing",
        "[2]: expected an object, got text",
        "[3].eventInfo.id: missing",
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('[{"eventType":"MoonLanding"}]', "[0].eventType: unknown event 'MoonLanding'"),
        ('[{"eventType":7,"eventInfo":{}}]', "[0].eventType: unknown event '7'"),
        ('[{"eventType":[],"eventInfo":{}}]', "[0].eventType: expected a text, got list"),
        ('{"eventType":"TableOrderUpdate","eventInfo":[1]}', "[0].eventInfo: expected an object, got list"),
        ("nonsense", "the webhook is not JSON"),
    ],
)
def test_a_webhook_of_which_nothing_can_be_read_raises_skip_row(body: str, reason: str) -> None:
    with pytest.raises(SkipRowError) as caught:
        IIKO.map_webhook(CONTEXT, None, body, RECEIVED)
    assert reason in caught.value.message


def test_a_single_event_is_taken_like_a_list_of_one() -> None:
    text = IIKO.check_webhook(request(b"\xef\xbb\xbf" + json.dumps(event(delivery())).encode()), CONTEXT)
    assert len(IIKO.map_webhook(CONTEXT, None, text, RECEIVED).transactions) == 1


def test_what_jsonb_cannot_hold_is_unreadable() -> None:
    for body in (b'[{"a":"\\u0000"}]', b"[" * 102 + b"]" * 102, b'[{"a":1e400}]'):
        with pytest.raises(WebhookUnreadableError):
            IIKO.check_webhook(request(body), CONTEXT)


@pytest.mark.parametrize("value", ["Bearer s3cr3t-of-cafe", "s3cr3t-of-cafe", "bearer  s3cr3t-of-cafe"])
def test_the_auth_token_is_accepted_with_and_without_the_word_bearer(value: str) -> None:
    IIKO.verify_webhook(WebhookAuth("bearer", "s3cr3t-of-cafe"), request(b"[]", authorization=value))
