"""What is KeyCRM's own, over real HTTP against the simulator. What all connectors share is in tests/conformance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from fastapi import FastAPI, Request

from connectors import registry
from connectors.errors import ConfigError, NotFoundError, RetryError
from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.protocol import Account, MappingContext, WebhookRequest
from connectors.records import Batch, Stock
from tests.conformance.suite import SECRET, Clock, pull, session
from tests.conformance.test_keycrm import SimulatedKeyCrm
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
KEYCRM = registry.get("keycrm")
CONTEXT = MappingContext("shop", region="UA")


@pytest.fixture
def crm() -> Iterator[SimulatedKeyCrm]:
    clock = Clock()
    state = SimulatorState(api_key=SECRET, clock=clock, rate_limit=0)
    with serve(create_app(state)) as url:
        yield SimulatedKeyCrm(state, clock, f"{url}/v1")


async def test_an_order_comes_through_with_all_that_belongs_to_it(crm: SimulatedKeyCrm) -> None:
    buyer = crm.state.add_buyer("Марія", phones=["0671234567"], emails=["m@example.com"])
    order = crm.state.add_order(
        buyer=buyer,
        products=[
            {"sku": "cup", "price": 200.5, "quantity": 2, "discount_percent": 10},
            {"name": "Друк", "price": 50, "quantity": 1},
        ],
        payments=[{"amount": 100.1, "status": "paid"}, {"amount": 5, "status": "not_paid"}],
        marketing={"utm_source": "fb"},
        shipping={"tracking_code": "20450", "shipping_address_city": "Львів"},
        manager_comment="https://shop.ua/?fbclid=IwAR",
        announce=False,
    )
    async with session(crm.account()) as line:
        record = await KEYCRM.read(line.http, crm.account(), "orders", str(order.id))
    batch = KEYCRM.map_record(CONTEXT, "orders", record.crm_id, record.body)
    assert not batch.problems
    [mapped], [items], [payments] = batch.orders, batch.order_items, batch.order_payments
    assert mapped.is_complete
    assert mapped.tracking_code == "20450"
    assert mapped.grand_total == Decimal("410.90")
    assert [(item.sku, item.quantity, item.price_sold) for item in items.items] == [
        ("cup", Decimal(2), Decimal("180.45")),
        (None, Decimal(1), Decimal("50.00")),
    ]
    assert items.items[0].offer_id is not None
    assert items.items[0].product_id is not None
    assert [(payment.amount, payment.status) for payment in payments.payments] == [
        (Decimal("100.10"), "paid"),
        (Decimal("5.00"), "not_paid"),
    ]
    assert (batch.order_marketing[0].utm_source, batch.order_marketing[0].fbclid) == ("fb", "IwAR")
    assert batch.customers[0].phone_e164 == "+380671234567"
    assert batch.status_events[0].status_changed_at == crm.clock.now
    assert not batch.status_events[0].is_approximate


async def test_where_the_api_leaves_status_changed_at_out_events_are_approximate(crm: SimulatedKeyCrm) -> None:
    crm.seed(2)
    crm.state.has_status_changed_at = False
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    for record in records:
        [event] = KEYCRM.map_record(CONTEXT, "orders", record.crm_id, record.body).status_events
        assert event.is_approximate


async def test_only_orders_of_the_source_are_pulled(crm: SimulatedKeyCrm) -> None:
    source = crm.state.add_source("Second", currency_code="EUR")
    crm.seed(2)
    order = crm.state.add_order(source_id=source.id, products=[], announce=False)
    account = crm.account(options={"source_id": source.id})
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    assert [record.crm_id for record in records] == [str(order.id)]


async def test_every_stream_but_the_dictionaries_reads_one_object(crm: SimulatedKeyCrm) -> None:
    crm.seed(1)
    async with session(crm.account()) as line:
        for stream in KEYCRM.capabilities.streams:
            if not stream.can_read_one:
                continue
            [listed, *_], _ = await pull(crm, line.http, stream=stream.name)
            record = await KEYCRM.read(line.http, crm.account(), stream.name, listed.crm_id)
            assert (record.crm_id, record.stream) == (listed.crm_id, stream.name)
            assert KEYCRM.map_record(CONTEXT, stream.name, record.crm_id, record.body) == KEYCRM.map_record(
                CONTEXT, stream.name, listed.crm_id, listed.body
            )


async def test_an_offer_that_is_not_there_is_not_taken_for_the_first_one_of_all(crm: SimulatedKeyCrm) -> None:
    async with session(crm.account()) as line:
        for stream in ("offers", "stocks"):
            with pytest.raises(NotFoundError):
                await KEYCRM.read(line.http, crm.account(), stream, "424242")


async def test_names_of_groups_come_with_the_statuses(crm: SimulatedKeyCrm) -> None:
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http, stream="statuses")
    groups = {
        (group.status_group_id, group.name)
        for record in records
        for group in KEYCRM.map_record(CONTEXT, "statuses", record.crm_id, record.body).status_groups
    }
    assert groups <= {
        ("1", "New"),
        ("2", "Approval"),
        ("3", "Production"),
        ("4", "Delivery"),
        ("5", "Completed"),
        ("6", "Cancelled"),
    }
    assert len(groups) >= 5


async def test_the_accounts_own_limit_is_kept_to(crm: SimulatedKeyCrm) -> None:
    expected = crm.seed(12)
    crm.state.throttle.requests, crm.state.throttle.seconds = 1, 40.0
    elapsed = 0.0
    crm.state.throttle.clock = lambda: elapsed

    async def sleep(seconds: float) -> None:
        nonlocal elapsed
        elapsed += seconds
        slept.append(seconds)

    slept: list[float] = []
    async with session(crm.account(), sleep=sleep, max_concurrent=1) as line:
        records, _ = await pull(crm, line.http)
    assert {record.crm_id for record in records} == set(expected)
    assert slept == [40.0, 40.0]


async def test_an_empty_address_and_a_strange_key_are_config_errors(crm: SimulatedKeyCrm) -> None:
    for key in (" ", "ключ", "a\nb"):
        account = crm.account(credentials={"api_key": key})
        async with session(account) as line:
            with pytest.raises(ConfigError, match="api_key"):
                await pull(crm, line.http, account=account)
            assert not (await KEYCRM.check_health(line.http, account)).ok


async def test_health_of_an_address_that_is_not_keycrms_says_so(crm: SimulatedKeyCrm) -> None:
    other = FastAPI()

    @other.get("/v1/users")
    async def users() -> dict[str, str]:
        return {"hello": "world"}

    with serve(other) as url:
        for path in ("/v1", "/v2"):
            account = crm.account(base_url=url + path)
            async with session(account) as line:
                health = await KEYCRM.check_health(line.http, account)
            assert not health.ok
            assert "base_url" in health.message


async def test_an_object_that_is_another_one_is_not_taken(crm: SimulatedKeyCrm) -> None:
    other = FastAPI()

    @other.get("/v1/order/{order_id}")
    async def order(order_id: int) -> dict[str, Any]:
        return {"id": order_id + 1}

    with serve(other) as url:
        account = crm.account(base_url=f"{url}/v1")
        async with session(account) as line:
            with pytest.raises(RetryError, match="something else"):
                await KEYCRM.read(line.http, account, "orders", "5")


@pytest.mark.parametrize("encoding", ["json", "form", "form with JSON", "get", "get with JSON"])
def test_what_the_simulator_sends_is_read_in_each_encoding(encoding: str) -> None:
    clock = Clock()
    state = SimulatorState(clock=clock)
    state.has_pipelines = True
    received: list[Any] = []
    done = threading.Event()
    receiver = FastAPI()

    @receiver.post("/hook")
    async def hook(request: Request) -> dict[str, str]:
        received.append(msgspec.json.decode(await request.body()))
        done.set()
        return {}

    with serve(receiver) as url:
        state.webhooks.add_target(f"{url}/hook")
        order = state.add_order(products=[{"name": "Чашка", "price": 200.5, "quantity": 2}])
        clock.advance(minutes=1)
        state.change_status(order.id, max(state.dictionaries["statuses"].rows))
        state.add_payment(order.id, 401)
        state.webhooks.deliver_pending()
    assert done.is_set()
    assert [payload["event"] for payload in received] == [
        "order.change_order_status",
        "order.change_order_status",
        "order.change_payment_status",
    ]
    for payload in received:
        request = _encoded(payload, encoding)
        batch = KEYCRM.map_webhook(CONTEXT, None, KEYCRM.check_webhook(request, CONTEXT), clock.now)
        assert not batch.problems
        [reread] = batch.rereads
        assert (reread.stream, reread.crm_id) == ("orders", str(order.id))
        assert batch.status_events[0].status_id == str(payload["context"]["status_id"])
        assert batch.orders[0].grand_total == Decimal(401)


def test_the_stock_webhook_and_the_leads_of_the_simulator_are_read() -> None:
    state = SimulatorState(clock=Clock())
    state.webhooks.add_target("http://127.0.0.1:1/never")
    state.catalog.add_product("Чашка", price=200, sku="cup")
    [offer] = list(state.catalog.offers)
    state.catalog.set_stock(offer.id, 9, 2)
    delivery = state.webhooks.deliveries("stock")[-1]
    batch = _mapped(delivery.payload, state.clock())
    assert batch.stocks == [Stock(str(offer.id), Decimal(9), Decimal(2), "cup")]
    assert not batch.problems
    lead = {"event": "lead.change_lead_status", "context": {"id": 1, "status_id": 2}}
    assert _mapped(lead, state.clock()) == Batch()


def _mapped(payload: Any, at: datetime) -> Batch:
    request = WebhookRequest("POST", {}, {}, msgspec.json.encode(payload))
    return KEYCRM.map_webhook(CONTEXT, None, KEYCRM.check_webhook(request, CONTEXT), at + timedelta(seconds=1))


def _encoded(payload: dict[str, Any], encoding: str) -> WebhookRequest:
    """The payload as KeyCRM might send it; how it encodes a GET is not documented."""
    if encoding == "json":
        return WebhookRequest("POST", {"content-type": "application/json"}, {}, msgspec.json.encode(payload))
    if encoding.endswith("JSON"):
        fields = {"event": payload["event"], "context": msgspec.json.encode(payload["context"]).decode()}
    else:
        fields = {"event": payload["event"]}
        for name, value in payload["context"].items():
            if not isinstance(value, list | dict):
                text = int(value) if isinstance(value, bool) else value
                fields[f"context[{name}]"] = "" if text is None else str(text)
    query = urlencode(fields)
    if encoding.startswith("form"):
        return WebhookRequest("POST", {"content-type": "application/x-www-form-urlencoded"}, {}, query.encode())
    return WebhookRequest("GET", {}, dict(parse_qsl(query, keep_blank_values=True)), b"")


def test_an_account_repr_has_no_key() -> None:
    account = Account("p", "keycrm", "https://x", {"api_key": SECRET}, CONTEXT)
    assert SECRET not in repr(account)
