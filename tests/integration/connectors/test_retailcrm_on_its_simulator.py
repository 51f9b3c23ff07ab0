"""What is RetailCRM's own, over real HTTP against the simulator. What all connectors share is in tests/conformance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI, Request

from connectors.errors import ConfigError, NotFoundError, RetryError
from connectors.protocol import Cursor, RawRecord, WebhookRequest, Window
from connectors.records import Batch, Order, Reread, StatusEvent
from connectors.retailcrm import connector as RETAILCRM  # noqa: N812 - a constant here
from connectors.retailcrm.simulator import SimulatorState, Trigger, create_app
from connectors.retailcrm.webhooks import DEFAULT_TEMPLATE
from tests.conformance.suite import SECRET, Clock, Line, pull, session
from tests.conformance.test_retailcrm import SimulatedRetailCrm
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def crm() -> Iterator[SimulatedRetailCrm]:
    clock = Clock()
    state = SimulatorState(api_key=SECRET, clock=clock, rate_limit=0)
    with serve(create_app(state)) as url:
        yield SimulatedRetailCrm(state, clock, url)


def mapped(crm: SimulatedRetailCrm, records: list[RawRecord]) -> list[Batch]:
    return [
        RETAILCRM.map_record(crm.account().context, record.stream, record.crm_id, record.body) for record in records
    ]


async def changes(
    crm: SimulatedRetailCrm, line: Line, cursor: Cursor | None = None, stream: str = "orders", **options: Any
) -> tuple[list[RawRecord], Cursor | None]:
    return await pull(crm, line.http, cursor, account=crm.account(options=options), stream=stream)


# ------------------------------------------------------------------------------------------------------------ history


async def test_histories_are_read_by_id_and_never_with_a_page(crm: SimulatedRetailCrm) -> None:
    crm.seed(45)
    async with session(crm.account()) as line:
        await changes(crm, line)
    asked = [request.params for request in crm.state.requests.find(path="/orders/history")]
    assert [params.get("filter[sinceId]") for params in asked] == [None, "720", "740"]
    assert all("page" not in params for params in asked)


async def test_whole_objects_are_asked_for_by_their_ids_once_for_all_their_changes(crm: SimulatedRetailCrm) -> None:
    ids = crm.seed(30)
    for crm_id in ids:
        crm.touch(crm_id)
    async with session(crm.account()) as line:
        records, _ = await changes(crm, line)
    assert sorted(record.crm_id for record in records) == sorted(ids)
    asked = crm.state.requests.find(path="/orders")
    assert sum(request.query.count("filter[ids][]=") for request in asked) == 30
    assert all("page" not in request.params for request in asked)


async def test_a_change_that_is_committed_late_under_a_lower_id_is_found_by_the_next_pull(
    crm: SimulatedRetailCrm,
) -> None:
    [first, second] = crm.seed(2)
    crm.clock.advance(hours=1)
    async with session(crm.account()) as line:
        _, cursor = await changes(crm, line)
        crm.touch(first)
        crm.state.order_history.uncommitted.add(703)
        crm.touch(second)
        records, cursor = await changes(crm, line, cursor)
        assert [record.crm_id for record in records] == [second]
        crm.clock.advance(minutes=1)
        crm.state.order_history.uncommitted.clear()
        records, cursor = await changes(crm, line, cursor)
        assert first in [record.crm_id for record in records]
        crm.clock.advance(hours=1)
        _, settled = await changes(crm, line, cursor)
        assert await changes(crm, line, settled) == ([], settled)


async def test_a_deleted_order_is_told_once_and_takes_its_sale_with_it(crm: SimulatedRetailCrm) -> None:
    [crm_id] = crm.seed(1)
    crm.state.add_payment(int(crm_id), 401)
    async with session(crm.account()) as line:
        _, cursor = await changes(crm, line)
        crm.clock.advance(minutes=10)
        crm.remove(crm_id)
        records, _ = await changes(crm, line, cursor)
    [batch] = mapped(crm, records)
    assert batch.orders == [Order(crm_id, is_deleted=True, is_complete=False)]
    assert [reversal.external_id for reversal in batch.reversals] == [f"RETAILCRM-{crm_id}"]


async def test_what_its_history_calls_deleted_and_the_api_still_has_is_alive(crm: SimulatedRetailCrm) -> None:
    [crm_id] = crm.seed(1)
    order = dict(crm.state.orders[int(crm_id)])
    crm.remove(crm_id)
    crm.state.orders[int(crm_id)] = order  # out of the bin again
    async with session(crm.account()) as line:
        records, _ = await changes(crm, line)
    assert [batch.orders[0].is_deleted for batch in mapped(crm, records)] == [False]


async def test_a_merged_customer_is_gone_and_the_other_one_is_read(crm: SimulatedRetailCrm) -> None:
    one, two = crm.state.add_customer("Анна"), crm.state.add_customer("Аня", phones=["+79161234567"])
    crm.clock.advance(hours=1)
    async with session(crm.account()) as line:
        _, cursor = await changes(crm, line, stream="customers")
        crm.state.delete_customer(one["id"], combined_to=two["id"])
        records, _ = await changes(crm, line, cursor, "customers")
    customers = {batch.customers[0].customer_id: batch.customers[0].is_deleted for batch in mapped(crm, records)}
    assert customers == {str(one["id"]): True, str(two["id"]): False}


async def test_a_customers_sums_are_no_change_of_the_customer(crm: SimulatedRetailCrm) -> None:
    async with session(crm.account()) as line:
        [before], _ = await changes(crm, line, stream="customers")
        crm.seed(2)
        after = await RETAILCRM.read(line.http, crm.account(), "customers", before.crm_id)
    assert '"ordersCount":2' in after.body
    assert after.content_hash == before.content_hash


# ------------------------------------------------------------------------------------------------------------- status


async def test_the_history_gives_each_status_with_its_time_in_utc(crm: SimulatedRetailCrm) -> None:
    [crm_id] = crm.seed(1)
    for status in ("client-confirmed", "assembling", "complete"):
        crm.clock.advance(hours=2)
        crm.state.change_status(int(crm_id), status)
    crm.touch(crm_id)
    async with session(crm.account()) as line:
        records, _ = await changes(crm, line, stream="order_history")
    created = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    events = [event for batch in mapped(crm, records) for event in batch.status_events]
    assert events == [
        StatusEvent(crm_id, "new", created, order_created_at=created, is_history=True),
        StatusEvent(crm_id, "client-confirmed", created + timedelta(hours=2, minutes=1), is_history=True),
        StatusEvent(crm_id, "assembling", created + timedelta(hours=4, minutes=1), is_history=True),
        StatusEvent(crm_id, "complete", created + timedelta(hours=6, minutes=1), is_history=True),
    ]


async def test_past_days_of_the_history_can_be_read_again_each_entry_once(crm: SimulatedRetailCrm) -> None:
    midnight = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)  # of March 2nd in Moscow
    times = [midnight + timedelta(hours=hours) for hours in (-1, 0, 23, 24, 47.9997)]
    for number, at in enumerate(times):
        order = crm.state.add_order(at=at, externalId=f"A-{number}")
        assert order["id"] == number + 1
    found = []
    async with session(crm.account()) as line:
        for day in range(-1, 2):
            window = Window(midnight + timedelta(days=day), midnight + timedelta(days=day + 1))
            records, cursor = await pull(crm, line.http, stream="order_history", window=window)
            assert cursor is None
            found.append([batch.status_events[0].order_id for batch in mapped(crm, records)])
    assert found == [["1"], ["2", "3"], ["4", "5"]]


async def test_an_order_knows_the_group_of_its_status_also_of_one_that_is_new(crm: SimulatedRetailCrm) -> None:
    [crm_id] = crm.seed(1)
    crm.state.add_payment(int(crm_id), 401)
    async with session(crm.account()) as line:
        record = await RETAILCRM.read(line.http, crm.account(), "orders", crm_id)
        assert mapped(crm, [record])[0].orders[0].status_group_id == "new"
        crm.state.add_status("too-late", "Поздно", "cancel")
        crm.state.change_status(int(crm_id), "too-late")
        record = await RETAILCRM.read(line.http, crm.account(), "orders", crm_id)
        [batch] = mapped(crm, [record])
    assert batch.orders[0].status_group_id == "cancel"
    assert batch.transactions == []
    assert len(batch.reversals) == 1


# ------------------------------------------------------------------------------------------------------------ filters


async def test_only_the_chosen_site_is_pulled_listed_and_backfilled(crm: SimulatedRetailCrm) -> None:
    crm.state.add_site("second", "Второй")
    [other] = crm.seed(1)
    order = crm.state.add_order(site="second")
    crm.clock.advance(minutes=1)
    own, account = str(order["id"]), crm.account(options={"site": "second"})
    window = Window(crm.clock.now - timedelta(days=1), crm.clock.now)
    async with session(account) as line:
        for stream in ("orders", "order_history"):
            for chosen in (None, window):
                records, _ = await pull(crm, line.http, account=account, stream=stream, window=chosen)
                ids = {batch.status_events[0].order_id for batch in mapped(crm, records)}
                assert ids == {own}
        assert [ids async for ids in RETAILCRM.list_ids(line.http, account, "orders")] == [[own]]
        crm.clock.advance(hours=1)
        _, cursor = await changes(crm, line, site="second")
        crm.remove(other)
        records, _ = await changes(crm, line, cursor, site="second")
        assert records == []


async def test_an_order_that_leaves_the_chosen_statuses_is_told_and_then_left_alone(crm: SimulatedRetailCrm) -> None:
    [one, two] = crm.seed(2)
    crm.clock.advance(hours=1)
    chosen = {"statuses": ["new", "assembling"]}
    async with session(crm.account()) as line:
        records, cursor = await changes(crm, line, **chosen)
        assert {record.crm_id for record in records} == {one, two}
        crm.state.change_status(int(one), "complete")
        crm.clock.advance(hours=1)
        records, cursor = await changes(crm, line, cursor, **chosen)
        assert [batch.orders[0].status_id for batch in mapped(crm, records)] == ["complete"]
        crm.touch(one)
        crm.touch(two)
        records, _ = await changes(crm, line, cursor, **chosen)
        assert [record.crm_id for record in records] == [two]
        history, _ = await changes(crm, line, stream="order_history", **chosen)
        assert len(history) == 3


async def test_with_other_filters_the_history_is_read_from_its_start(crm: SimulatedRetailCrm) -> None:
    known = crm.seed(2)
    crm.clock.advance(hours=1)
    async with session(crm.account()) as line:
        _, cursor = await changes(crm, line)
        records, _ = await changes(crm, line, cursor, statuses=["new"])
    assert sorted(record.crm_id for record in records) == sorted(known)


async def test_since_is_told_to_the_history_in_the_accounts_own_time(crm: SimulatedRetailCrm) -> None:
    account = crm.account(since=datetime(2026, 3, 1, 22, 30, tzinfo=UTC))
    async with session(account) as line:
        await pull(crm, line.http, account=account)
    [request] = crm.state.requests.find(path="/orders/history")
    assert request.params["filter[startDate]"] == "2026-03-02 01:30:00"


async def test_without_the_right_to_read_the_settings_the_projects_zone_is_used(crm: SimulatedRetailCrm) -> None:
    crm.state.may_read_settings = False
    account = crm.account(since=datetime(2026, 3, 1, 22, 30, tzinfo=UTC))
    async with session(account) as line:
        await pull(crm, line.http, account=account)
        with pytest.raises(ConfigError):
            await pull(crm, line.http, stream="places")
    [request] = crm.state.requests.find(path="/orders/history")
    assert request.params["filter[startDate]"] == "2026-03-02 01:30:00"


# --------------------------------------------------------------------------------------------------- lists of all


async def test_every_id_is_listed(crm: SimulatedRetailCrm) -> None:
    known = crm.seed(205)
    crm.remove(known[7])
    async with session(crm.account()) as line:
        pages = [page async for page in RETAILCRM.list_ids(line.http, crm.account(), "orders")]
    assert sorted(crm_id for page in pages for crm_id in page) == sorted(set(known) - {known[7]})


async def test_a_deletion_while_ids_are_listed_hides_none_not_even_if_a_new_order_covers_it_up(
    crm: SimulatedRetailCrm,
) -> None:
    known = crm.seed(205)
    found: set[str] = set()
    count = 0
    async with session(crm.account()) as line:
        async for page in RETAILCRM.list_ids(line.http, crm.account(), "orders"):
            found.update(page)
            count += 1
            if count == 1:
                for doomed in known[-3:]:
                    crm.remove(doomed)
                    crm.state.orders = {10_000 + int(doomed): _order(crm, int(doomed)), **crm.state.orders}
    assert set(known[:-3]) <= found


def _order(crm: SimulatedRetailCrm, number: int) -> dict[str, Any]:
    return {**next(iter(crm.state.orders.values())), "id": 10_000 + number}


async def test_lists_that_lose_rows_all_the_time_are_given_up(crm: SimulatedRetailCrm) -> None:
    crm.seed(230)

    async def list_and_delete(line: Line) -> None:
        async for _ in RETAILCRM.list_ids(line.http, crm.account(), "orders"):
            crm.remove(str(max(crm.state.orders)))

    async with session(crm.account()) as line:
        with pytest.raises(RetryError, match="loses rows faster"):
            await list_and_delete(line)


# ------------------------------------------------------------------------------------------------------- single reads


async def test_an_order_is_read_by_the_shops_number_too(crm: SimulatedRetailCrm) -> None:
    order = crm.state.add_order(externalId="A/9 ї")
    async with session(crm.account()) as line:
        record = await RETAILCRM.read(line.http, crm.account(), "orders", "externalId:A/9 ї")
        assert record.crm_id == str(order["id"])
        for missing in ("externalId:A-10", "externalId:", "externalId:..", "externalId:" + "9" * 200):
            with pytest.raises(NotFoundError):
                await RETAILCRM.read(line.http, crm.account(), "orders", missing)


async def test_an_id_of_the_shop_is_not_taken_for_one_of_retailcrm(crm: SimulatedRetailCrm) -> None:
    first = crm.state.add_order(externalId="2")
    crm.state.add_order(externalId="1")
    async with session(crm.account()) as line:
        record = await RETAILCRM.read(line.http, crm.account(), "orders", "1")
    assert mapped(crm, [record])[0].orders[0].source_uuid == first["externalId"]


# ----------------------------------------------------------------------------------------------------------- the vendor


async def test_the_accounts_own_limit_is_kept_to_without_a_hint_how_long(crm: SimulatedRetailCrm) -> None:
    expected = crm.seed(41)
    elapsed, slept = 0.0, []
    crm.state.throttle.requests, crm.state.throttle.seconds = 2, 0.2
    crm.state.throttle.clock = lambda: elapsed

    async def sleep(seconds: float) -> None:
        nonlocal elapsed
        elapsed += seconds
        slept.append(seconds)

    async with session(crm.account(), sleep=sleep) as line:
        records, _ = await changes(crm, line)
        assert sorted(record.crm_id for record in records) == sorted(expected)
        assert line.limiter.blocked == slept
    assert len(slept) == 3  # 3 of the history, 3 of the orders, the statuses: 7 requests, 2 at a time


async def test_health_tells_the_account_and_what_the_key_lacks(crm: SimulatedRetailCrm) -> None:
    async with session(crm.account()) as line:
        good = await RETAILCRM.check_health(line.http, crm.account())
        assert (good.ok, good.message) == (True, "RetailCRM accepts the key; the account is demo.retailcrm.ru")
        crm.state.selected_sites = ["shop"]
        account = crm.account(options={"site": "second"})
        assert "site second" in (await RETAILCRM.check_health(line.http, account)).message
        crm.state.scopes.remove("customer_read")
        bad = await RETAILCRM.check_health(line.http, crm.account())
        assert (bad.ok, "customer_read" in bad.message) == (False, True)
        wrong = crm.account(credentials={"api_key": "another-key"})
        assert "api_key" in (await RETAILCRM.check_health(line.http, wrong)).message


async def test_strange_keys_are_config_errors(crm: SimulatedRetailCrm) -> None:
    for key in (" ", "ключ", "a\nb"):
        account = crm.account(credentials={"api_key": key})
        async with session(account) as line:
            with pytest.raises(ConfigError, match="api_key"):
                await pull(crm, line.http, account=account)
            assert not (await RETAILCRM.check_health(line.http, account)).ok


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"success": False, "errorMsg": "Something"}, RetryError),
        ({"hello": "world"}, RetryError),
        ({"success": True}, RetryError),
        ({"success": True, "history": [{"id": 5, "order": {"id": 31}}] * 20}, RetryError),
    ],
    ids=["200 without success", "another server", "no history", "sinceId is ignored"],
)
async def test_an_answer_that_is_not_what_was_asked_for_is_an_error(
    crm: SimulatedRetailCrm, answer: dict[str, Any], error: type[Exception]
) -> None:
    other = FastAPI()

    @other.get("/api/v5/orders/history")
    async def history() -> dict[str, Any]:
        return answer

    @other.get("/api/v5/orders")
    async def orders() -> dict[str, Any]:
        return {"success": True, "orders": []}

    with serve(other) as url:
        account = crm.account(base_url=url)
        async with session(account, retry_attempts=0) as line:
            with pytest.raises(error):
                await pull(crm, line.http, account=account)


async def test_objects_that_were_not_asked_for_are_not_taken(crm: SimulatedRetailCrm) -> None:
    other = FastAPI()

    @other.get("/api/v5/orders/history")
    async def history() -> dict[str, Any]:
        return {"success": True, "history": [{"id": 5, "order": {"id": 31}}]}

    @other.get("/api/v5/orders")
    async def orders() -> dict[str, Any]:
        return {"success": True, "orders": [{"id": 32}]}

    with serve(other) as url:
        account = crm.account(base_url=url)
        async with session(account) as line:
            with pytest.raises(RetryError, match="not asked for"):
                await pull(crm, line.http, account=account)


# ----------------------------------------------------------------------------------------------------------- triggers


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_a_trigger_sends_is_understood(method: str) -> None:
    state = SimulatorState(clock=Clock())
    received: list[WebhookRequest] = []
    done = threading.Event()
    receiver = FastAPI()

    @receiver.api_route("/hook", methods=["GET", "POST"])
    async def hook(request: Request) -> dict[str, str]:
        received.append(
            WebhookRequest(request.method, dict(request.headers), dict(request.query_params), await request.body())
        )
        done.set()
        return {}

    with serve(receiver) as url:
        state.triggers.triggers.append(Trigger(f"{url}/hook?token=t", DEFAULT_TEMPLATE, method=method))
        order = state.add_order(externalId="A-9")
        state.change_status(order["id"], "complete")
        assert [delivery.status for delivery in state.triggers.deliver_pending()] == [200, 200]
    assert done.is_set()
    context = SimulatedRetailCrm(state, Clock(), url).account().context
    for request in received:
        body = RETAILCRM.check_webhook(request, context)
        [reread] = RETAILCRM.map_webhook(context, None, body, Clock().now).rereads
        assert reread == Reread("orders", str(order["id"]), reread.fingerprint)


def test_a_trigger_without_a_condition_tells_of_every_change_and_only_of_a_status_with_a_fingerprint() -> None:
    state = SimulatorState(clock=Clock())
    always = Trigger("http://127.0.0.1:1/never", DEFAULT_TEMPLATE, is_conditional=False)
    state.triggers.triggers += [always, Trigger("http://127.0.0.1:1/never", DEFAULT_TEMPLATE)]
    order = state.add_order()
    state.update_order(order["id"], managerComment="x")
    payment = state.add_payment(order["id"], 5, status="not-paid")
    state.change_payment(payment["id"], status="paid")
    state.change_status(order["id"], "complete")
    state.delete_order(order["id"])
    told = [(delivery.trigger is always, delivery.values["status_changed"]) for delivery in state.triggers.deliveries]
    both, one, gone = [(True, "1"), (False, "1")], [(True, "")], [(True, ""), (False, "")]
    assert told == [*both, *one * 3, *both, *gone]


# ---------------------------------------------------------------------------------------------------------- catalogue


async def test_the_catalogue_is_read_where_the_settings_say_whose_stock_or_price(crm: SimulatedRetailCrm) -> None:
    names = {stream.name for stream in RETAILCRM.capabilities.given({}).streams}
    assert names.isdisjoint({"offers", "stocks"})
    options = {"store": "main"}
    assert {stream.name for stream in RETAILCRM.capabilities.given(options).streams} == names | {"offers", "stocks"}
    for number in range(251):
        crm.state.store.add_product("Чашка", 200.5, article=f"cup-{number}", quantity=number)
    account = crm.account(options=options)
    async with session(account) as line:
        offers, _ = await pull(crm, line.http, account=account, stream="offers")
        stocks, _ = await pull(crm, line.http, account=account, stream="stocks")
        one = await RETAILCRM.read(line.http, account, "stocks", "1251")
        with pytest.raises(NotFoundError):
            await RETAILCRM.read(line.http, account, "offers", "7")
    assert (len(offers), len(stocks)) == (251, 251)
    assert crm.state.requests.count("GET", "/store/offers") == 3
    batches = mapped(crm, offers)
    assert (batches[0].offers[0].sku, batches[0].offers[0].price) == ("cup-0", Decimal("200.50"))
    assert mapped(crm, [one])[0].stocks[0].in_stock == 250


async def test_a_stock_is_no_change_of_the_offer(crm: SimulatedRetailCrm) -> None:
    offer = crm.state.store.add_product("Чашка", 200.5, article="cup", quantity=5)
    account = crm.account(options={"store": "main"})
    async with session(account) as line:
        before = await RETAILCRM.read(line.http, account, "offers", str(offer["id"]))
        crm.state.store.set_stocks(offer, [{"code": "main", "available": 4}])
        after = await RETAILCRM.read(line.http, account, "offers", str(offer["id"]))
    assert '"quantity":4' in after.body
    assert after.content_hash == before.content_hash
