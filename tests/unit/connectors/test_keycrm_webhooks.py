"""KeyCRM's webhooks: what is stored, and what it becomes."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import registry
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.keycrm.webhooks import EVENT_NAMES
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Customer, Reread, StatusEvent, Stock

KEYCRM = registry.get("keycrm")
CONTEXT = MappingContext("shop", timezone="Europe/Kyiv", region="UA", currency="UAH")
NOW = datetime(2026, 3, 2, 9, 15, 1, tzinfo=UTC)
ROW: dict[str, Any] = {
    "id": 501, "source_uuid": "A-77", "global_source_uuid": "900077", "source_id": 3, "client_id": 40, "manager_id": 2,
    "status_group_id": 4, "status_id": 11, "status_changed_at": "2026-03-02T09:15:00.000000Z", "status_on_source": None,
    "grand_total": 1200.5, "products_total": 1200, "payments_total": 0, "total_discount": 0, "expenses_sum": 0,
    "payment_status": "not_paid", "manager_comment": None, "client_comment": "Олена 😀",
    "fiscal_result": [], "is_gift": False,
    "is_expired": False, "has_reserves": True, "ordered_at": "2026-03-01T08:00:00.000000Z",
    "created_at": "2026-03-01T08:00:05.000000Z", "updated_at": "2026-03-02T09:15:00.000000Z", "closed_at": None,
}  # fmt: skip
STATUS = "order.change_order_status"


def request(body: bytes, content_type: str = "application/json", **query: str) -> WebhookRequest:
    return WebhookRequest("POST", {"content-type": content_type}, query, body)


def checked(payload: Any) -> str:
    return KEYCRM.check_webhook(request(json.dumps(payload, ensure_ascii=False).encode()), CONTEXT)


def mapped(payload: Any, event_name: str | None = None, at: datetime = NOW) -> Batch:
    return KEYCRM.map_webhook(CONTEXT, event_name, checked(payload), at)


def hints(batch: Batch) -> list[tuple[str, str]]:
    """What is to be read again; what it looks like already is of no matter here."""
    return [(reread.stream, reread.crm_id) for reread in batch.rereads]


def of_row(**changes: Any) -> Batch:
    return mapped({"event": STATUS, "context": {**ROW, **changes}})


def reasons(batch: Batch) -> list[str]:
    return [problem.reason for problem in batch.problems]


def test_a_status_change_is_a_partial_order_an_event_and_a_reread() -> None:
    batch = of_row()
    assert not batch.problems
    [order] = batch.orders
    assert not order.is_complete
    assert (order.order_id, order.status_id, order.status_group_id, order.customer_id) == ("501", "11", "4", "40")
    assert order.grand_total == Decimal("1200.50")
    assert order.customer_comment == "Олена 😀"
    assert batch.status_events == [
        StatusEvent(
            "501",
            "11",
            datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
            status_group_id="4",
            order_created_at=datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC),
            payload={"event": STATUS, "context": ROW},
        )
    ]
    assert hints(batch) == [("orders", "501")]
    assert batch.order_items == []
    assert batch.order_payments == []
    json.dumps(batch.status_events[0].payload)


def test_a_fingerprint_is_made_only_where_echoes_are_looked_for() -> None:
    body = checked({"event": STATUS, "context": ROW})
    looking, not_looking = (
        KEYCRM.map_webhook(replace(CONTEXT, looks_for_echoes=looks), None, body, NOW) for looks in (True, False)
    )
    assert looking.rereads[0].fingerprint is not None
    assert not_looking.rereads == [Reread("orders", looking.rereads[0].crm_id)]
    assert (not_looking.orders, not_looking.status_events) == (looking.orders, looking.status_events)


def test_a_change_of_payment_is_the_same_and_tells_the_same_event_once_more() -> None:
    payment = mapped({"event": "order.change_payment_status", "context": {**ROW, "payment_status": "paid"}})
    assert payment.orders[0].payment_status == "paid"
    assert payment.status_events[0].status_changed_at == of_row().status_events[0].status_changed_at
    assert hints(payment) == [("orders", "501")]


def test_ids_may_be_int_or_text() -> None:
    as_text = of_row(id="501", status_id="11", status_group_id="4", client_id="40", source_id="3", manager_id="2")
    assert as_text.orders == of_row().orders


def test_a_lead_becomes_nothing() -> None:
    assert mapped({"event": "lead.change_lead_status", "context": {"id": 5, "status_id": 1}}) == Batch()


def test_the_stock_array_becomes_stocks() -> None:
    batch = mapped(
        [
            {"offer_id": 130, "sku": "a-1", "in_stock": 16, "in_reserve": 3},
            {"offer_id": "131", "in_stock": "2.5", "in_reserve": 0},
        ]
    )
    assert batch.stocks == [
        Stock("130", Decimal(16), Decimal(3), "a-1"),
        Stock("131", Decimal("2.5"), Decimal(0)),
    ]
    assert mapped([]) == Batch()


def test_a_bad_row_of_the_stock_array_leaves_the_others_alone() -> None:
    batch = mapped(
        [7, {"offer_id": [], "in_stock": 1, "in_reserve": 0}, {"in_stock": 1},
         {"offer_id": 2, "in_stock": [], "in_reserve": 0},
         {"offer_id": 3, "in_stock": 1}, {"offer_id": 4, "in_stock": 1, "in_reserve": 0}]
    )  # fmt: skip
    assert batch.stocks == [Stock("4", Decimal(1), Decimal(0))]
    assert reasons(batch) == [
        "[0]: expected an object, got number",
        "[1].offer_id: expected an id, got list",
        "[2].offer_id: missing",
        "[3].in_stock: expected a number, got list",
        "[4].in_reserve: missing",
    ]
    assert {problem.stream for problem in batch.problems} == {"stocks"}


def test_an_event_of_the_future_is_a_problem_and_a_reread_and_nothing_is_applied() -> None:
    ahead = (NOW + timedelta(minutes=6)).isoformat()
    for changes in (
        {"status_changed_at": ahead},
        {"updated_at": ahead},
        {"status_changed_at": None, "updated_at": ahead},
    ):
        batch = of_row(**changes)
        assert batch.orders == []
        assert batch.status_events == []
        assert hints(batch) == [("orders", "501")]
        [problem] = batch.problems
        assert problem.reason.endswith("lies in the future")
        assert (problem.stream, problem.crm_id) == ("orders", "501")


def test_clocks_may_differ_by_five_minutes() -> None:
    batch = of_row(status_changed_at=(NOW + timedelta(minutes=5)).isoformat())
    assert batch.status_events
    assert not batch.problems


def test_an_event_without_status_changed_at_is_approximate() -> None:
    [event] = of_row(status_changed_at=None).status_events
    assert event.is_approximate
    assert event.status_changed_at == datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


def test_an_event_without_any_usable_time_is_a_problem_and_a_reread() -> None:
    batch = of_row(status_changed_at=None, updated_at=None)
    assert batch.status_events == []
    assert reasons(batch) == ["context.status_changed_at: the event has no usable time"]
    assert hints(batch) == [("orders", "501")]
    for wrong in ("soon", 17, [], {}, True):
        batch = of_row(status_changed_at=wrong, updated_at=None)
        assert batch.status_events == []
        assert reasons(batch)[0].startswith("context.status_changed_at: expected a time, got ")
        assert batch.rereads


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status_id": []}, "context.status_id: expected an id, got list"),
        ({"status_id": None}, "context.status_id: missing"),
        ({"status_group_id": {}}, "context.status_group_id: expected an id, got object"),
        ({"grand_total": "lots"}, "context.grand_total: expected an amount, got 'lots'"),
        ({"client_comment": {}}, "context.client_comment: expected a text, got object"),
        ({"manager_id": 1.5}, "context.manager_id: expected an id, got number"),
    ],
)
def test_a_wrong_type_names_its_path(changes: dict[str, Any], reason: str) -> None:
    batch = of_row(**changes)
    assert reasons(batch) == [reason]
    assert hints(batch) == [("orders", "501")]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "event: missing"),
        ({"event": STATUS}, "context: missing"),
        ({"event": 7, "context": ROW}, "event: expected a text, got number"),
        ({"event": STATUS, "context": [ROW]}, "context: expected an object, got list"),
        ({"event": STATUS, "context": None}, "context: expected an object, got null"),
        ({"event": STATUS, "context": {}}, "context.id: missing"),
        ({"event": STATUS, "context": {**ROW, "id": [1]}}, "context.id: expected an id, got list"),
        ({"event": STATUS, "context": {**ROW, "id": True}}, "context.id: expected an id, got boolean"),
        ({"event": "planet.moved", "context": ROW}, "event: unknown event 'planet.moved'"),
    ],
)
def test_a_payload_of_the_wrong_shape_is_skipped_with_its_path(payload: Any, reason: str) -> None:
    with pytest.raises(SkipRowError, match=reason.replace("[", r"\[")):
        mapped(payload)


@pytest.mark.parametrize("name", ["order-created", "order-updated", "order-status-changed"])
def test_the_routes_by_event_take_the_bare_order_or_the_envelope(name: str) -> None:
    for payload in (ROW, {"context": ROW}, {"event": STATUS, "context": ROW}):
        batch = mapped(payload, name)
        assert batch.orders == of_row().orders
        assert hints(batch) == [("orders", "501")]


@pytest.mark.parametrize("name", ["payment-created", "payment-updated"])
def test_a_payment_rereads_its_order(name: str) -> None:
    payment = {"id": 88, "destination_id": 501, "amount": 500, "status": "paid"}
    for payload in (payment, {"event": "payment.created", "context": payment}, {"id": 88, "order_id": "501"}):
        batch = mapped(payload, name)
        assert hints(batch) == [("orders", "501")]
        assert batch.order_payments == []
    assert mapped(ROW, name).orders == of_row().orders
    with pytest.raises(SkipRowError, match="destination_id: missing"):
        mapped({"id": 88}, name)
    with pytest.raises(SkipRowError, match="destination_id: expected an id, got object"):
        mapped({"id": 88, "destination_id": {"id": 1}}, name)


@pytest.mark.parametrize("name", ["buyer-created", "buyer-updated"])
def test_a_buyer_is_read_again_and_mapped_if_it_is_whole(name: str) -> None:
    buyer = {"id": 40, "full_name": "Олена", "phone": ["0501234567"], "email": [], "updated_at": "2026-03-02T09:00:00Z"}
    batch = mapped(buyer, name)
    assert hints(batch) == [("customers", "40")]
    [customer] = batch.customers
    assert isinstance(customer, Customer)
    assert customer.phone_e164 == "+380501234567"
    assert not customer.is_complete
    assert mapped({"id": 40}, name) == Batch(rereads=[Reread("customers", "40")])
    future = mapped({**buyer, "updated_at": "2027-01-01T00:00:00Z"}, name)
    assert future.customers == []
    assert len(future.problems) == 1


# ---------------------------------------------------------------------------------------------------- what is stored


def test_json_is_stored_as_it_came() -> None:
    body = '{ "event":"x",\n "context":{"price":1200.10,"big":123456789012345678901,"name":"\\u041e😀"}}'
    assert KEYCRM.check_webhook(request(body.encode()), CONTEXT) == body
    assert KEYCRM.check_webhook(request(b"\xef\xbb\xbf" + body.encode()), CONTEXT) == body
    assert KEYCRM.check_webhook(request(body.encode(), "text/plain"), CONTEXT) == body
    assert KEYCRM.check_webhook(WebhookRequest("POST", {}, {}, body.encode()), CONTEXT) == body


def test_a_form_and_a_get_are_stored_as_json() -> None:
    whole = {"event": STATUS, "context": ROW}
    as_json = {"event": STATUS, "context": json.dumps(ROW, ensure_ascii=False)}
    in_brackets = {
        "event": STATUS,
        **{f"context[{name}]": "" if value is None else value for name, value in ROW.items()},
    }
    in_brackets |= {
        "context[fiscal_result]": "",
        "context[is_gift]": 0,
        "context[is_expired]": 0,
        "context[has_reserves]": 1,
    }
    form = "application/x-www-form-urlencoded; charset=UTF-8"
    for fields in (as_json, in_brackets):
        posted = KEYCRM.check_webhook(request(urlencode(fields).encode(), form, token="t"), CONTEXT)
        got = KEYCRM.check_webhook(
            WebhookRequest("GET", {}, {**{k: str(v) for k, v in fields.items()}, "token": "t", "project": "p"}, b""),
            CONTEXT,
        )
        assert json.loads(posted) == json.loads(got)
        assert '"t"' not in posted
        batch = KEYCRM.map_webhook(CONTEXT, None, posted, NOW)
        assert not batch.problems
        assert batch.orders == mapped(whole).orders
        assert batch.status_events[0].status_changed_at == mapped(whole).status_events[0].status_changed_at


def test_lists_in_brackets_are_lists() -> None:
    body = KEYCRM.check_webhook(
        WebhookRequest("GET", {}, {"event": "x", "context[a][0]": "p", "context[a][1]": "q"}, b""), CONTEXT
    )
    assert json.loads(body) == {"event": "x", "context": {"a": ["p", "q"]}}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (request(b""), "empty"),
        (request(b"  "), "empty"),
        (WebhookRequest("GET", {}, {"token": "t"}, b""), "empty"),
        (request(b"{"), "not JSON"),
        (request(b'{"a":1} x'), "not JSON"),
        (request(b"\xff"), "not UTF-8"),
        (request(b'{"a":"\x00"}'), "NUL"),
        (request(b'{"a":"\\u0000"}'), "NUL"),
        (request(b'{"a\\u0000":1}'), "NUL"),
        (request(b'"x"'), "got text"),
        (request(b"7"), "got number"),
        (request(b"null"), "got null"),
        (request(b"[" * 5000 + b"]" * 5000), "nested"),
        (request(b"[" * 500 + b"]" * 500), "deep"),
        (request(b'{"a":1e400}'), "number"),
        (request(b"event=x&context=%7B", "application/x-www-form-urlencoded"), "context is not JSON"),
        (request(b"%ff=%ff", "application/x-www-form-urlencoded"), "not UTF-8"),
        (request(b"a[b=1", "application/x-www-form-urlencoded"), "cannot be read"),
        (request(b"a=1&a[b]=2", "application/x-www-form-urlencoded"), "twice"),
        (request(b"a[b]=1&a=2", "application/x-www-form-urlencoded"), "twice"),
        (request(b"a" + b"[b]" * 20 + b"=1", "application/x-www-form-urlencoded"), "nested"),
        (request(b"&".join(b"a%d=1" % i for i in range(3000)), "application/x-www-form-urlencoded"), "more than 2000"),
        (request(b"a=%00", "application/x-www-form-urlencoded"), "NUL"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(given: WebhookRequest, reason: str) -> None:
    with pytest.raises(WebhookUnreadableError, match=reason):
        KEYCRM.check_webhook(given, CONTEXT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([None, *EVENT_NAMES, "?"])


def survive(given: WebhookRequest, name: str | None) -> None:
    try:
        body = KEYCRM.check_webhook(given, CONTEXT)
    except WebhookUnreadableError:
        return
    try:
        batch = KEYCRM.map_webhook(CONTEXT, name, body, NOW)
    except SkipRowError:
        return
    assert batch == KEYCRM.map_webhook(CONTEXT, name, body, NOW)
    for event in batch.status_events:
        json.dumps(event.payload, allow_nan=False)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(list(ROW)), JSON), NAMES)
def test_any_value_in_any_field_raises_nothing_undocumented(changes: dict[str, Any], name: str | None) -> None:
    survive(request(json.dumps({"event": STATUS, "context": {**ROW, **changes}}).encode()), name)
    survive(request(json.dumps({**ROW, **changes}).encode()), name)


@given(JSON, NAMES)
def test_any_json_raises_nothing_undocumented(value: Any, name: str | None) -> None:
    survive(request(json.dumps(value).encode()), name)
    survive(request(json.dumps({"event": STATUS, "context": value}).encode()), name)
    survive(request(json.dumps([value]).encode()), name)


@given(st.binary(max_size=60), st.sampled_from(["", "application/json", "application/x-www-form-urlencoded"]), NAMES)
def test_any_bytes_raise_nothing_undocumented(body: bytes, content_type: str, name: str | None) -> None:
    survive(request(body, content_type), name)


@given(
    st.dictionaries(st.text(alphabet="ab[]0{}=&\x00", max_size=12), st.text(alphabet='{}[]"a1,:\x00', max_size=12)),
    NAMES,
)
def test_any_query_raises_nothing_undocumented(query: dict[str, str], name: str | None) -> None:
    survive(WebhookRequest("GET", {}, query, b""), name)
    survive(request(urlencode(query).encode(), "application/x-www-form-urlencoded"), name)


@given(st.text(max_size=60), NAMES)
def test_any_stored_text_maps_or_is_skipped(body: str, name: str | None) -> None:
    with suppress(SkipRowError):
        KEYCRM.map_webhook(CONTEXT, name, body, NOW)
