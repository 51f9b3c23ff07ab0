"""What is amoCRM's own, over real HTTP against the simulator. What all connectors share is in tests/conformance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI

from connectors import registry
from connectors.amocrm.simulator import custom_field
from connectors.errors import ConfigError, NotFoundError, RetryError
from connectors.protocol import MappingContext, ReconcilingConnector
from connectors.records import Batch, Place, Reread, Reversal
from tests.conformance.suite import latest, pull, session
from tests.conformance.test_amocrm import SimulatedAmoCrm, SimulatedOAuthAmoCrm, simulated
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
AMOCRM = registry.get("amocrm")
CONTEXT = MappingContext("shop", timezone="Europe/Moscow", region="RU", currency="RUB")
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def crm() -> Iterator[SimulatedAmoCrm]:
    with simulated() as crm:
        yield crm


@pytest.fixture
def oauth() -> Iterator[SimulatedOAuthAmoCrm]:
    with simulated(SimulatedOAuthAmoCrm) as crm:
        assert isinstance(crm, SimulatedOAuthAmoCrm)
        yield crm


async def mapped(crm: SimulatedAmoCrm, lead: int, **options: Any) -> Batch:
    account = crm.account(options=options)
    async with session(account) as line:
        record = await AMOCRM.read(line.http, account, "orders", str(lead))
    return AMOCRM.map_record(replace(CONTEXT, options=options), "orders", record.crm_id, record.body)


# ------------------------------------------------------------------------------------------------- history and sales


async def test_a_leads_history_starts_where_it_was_created_and_ends_with_its_sale(crm: SimulatedAmoCrm) -> None:
    state = crm.state
    [pipeline] = state.pipelines
    first, second, _ = state.stages(pipeline)
    contact = state.add_contact("Иван Сидоров", phones=["8 (999) 000-00-02"], emails=["ivan@example.com"])
    created_at = crm.clock.now
    lead = state.add_lead("Кухня", price=289.5, contacts=[contact, crm._contact])
    crm.clock.advance(minutes=10)
    state.move_lead(lead, second)
    crm.clock.advance(minutes=10)
    state.update("leads", lead, name="Кухня, белая")
    crm.clock.advance(minutes=10)
    state.move_lead(lead, 142)
    batch = await mapped(crm, lead)
    assert not batch.problems
    assert [
        (event.status_id, event.status_changed_at - created_at, event.is_history) for event in batch.status_events
    ] == [
        (f"{pipeline}/{first}", timedelta(0), True),
        (f"{pipeline}/{second}", timedelta(minutes=10), True),
        (f"{pipeline}/142", timedelta(minutes=30), True),
    ]
    assert {event.status_group_id for event in batch.status_events} == {str(pipeline)}
    [sale], [order] = batch.transactions, batch.orders
    assert (sale.external_id, sale.amount, sale.occurred_at) == (
        f"AMO-{lead}",
        Decimal("289.50"),
        created_at + timedelta(minutes=30),
    )
    assert (sale.phone_e164, sale.email, sale.description) == ("+79990000002", "ivan@example.com", "Кухня, белая")
    assert (order.customer_id, order.closed_at, order.is_complete) == (str(contact), sale.occurred_at, True)
    assert batch.customers[0].full_name == "Иван Сидоров"


async def test_a_lead_that_never_moved_stands_where_it_was_created(crm: SimulatedAmoCrm) -> None:
    [lead] = crm.seed(1)
    batch = await mapped(crm, int(lead))
    [event] = batch.status_events
    assert event.status_changed_at == batch.orders[0].order_created_at
    assert (event.is_history, event.is_approximate) == (True, False)
    crm.clock.advance(hours=1)
    crm.touch(lead)
    crm.clock.advance(minutes=1)
    # Changed a minute ago, and the log has nothing: it may be behind. Minutes later it is not.
    assert [event.is_approximate for event in (await mapped(crm, int(lead))).status_events] == [True]
    crm.clock.advance(minutes=5)
    assert (await mapped(crm, int(lead))).status_events == [event]


async def test_a_lead_whose_log_is_behind_has_its_stage_at_its_last_change(crm: SimulatedAmoCrm) -> None:
    [pipeline] = crm.state.pipelines
    first, second, _ = crm.state.stages(pipeline)
    [lead] = crm.seed(1)
    crm.state.move_lead(int(lead), second)
    moved_at = crm.clock.now
    crm.state.switches.log_delay = timedelta(seconds=30)
    late = await mapped(crm, int(lead))
    assert [(e.status_id, e.is_approximate) for e in late.status_events] == [(f"{pipeline}/{second}", True)]
    assert late.status_events[0].status_changed_at == moved_at
    crm.clock.advance(seconds=31)
    known = await mapped(crm, int(lead))
    assert [e.status_id for e in known.status_events] == [f"{pipeline}/{first}", f"{pipeline}/{second}"]
    # The same instant and stage: one event in the end.
    assert known.status_events[1].status_changed_at == moved_at


async def test_a_log_that_ignores_its_filter_is_not_read_to_its_end(crm: SimulatedAmoCrm) -> None:
    crm.seed(150)
    crm.state.switches.has_log_filters = False
    lead = crm.state.add_lead("Сделка", contacts=[crm._contact])
    crm.clock.advance(minutes=1)
    crm.state.move_lead(lead, 143)
    batch = await mapped(crm, lead)
    assert crm.state.requests.count(path="/api/v4/events") == 2  # the first page, and once more to be sure
    assert [event.is_approximate for event in batch.status_events] == [True]
    assert not batch.problems


async def test_won_counts_in_every_pipeline_lost_in_none(crm: SimulatedAmoCrm) -> None:
    second = crm.state.add_pipeline("Сервис", ("Принято",))
    won = crm.state.add_lead("Ремонт", price=100, pipeline_id=second, status_id=142)
    lost = crm.state.add_lead("Отказ", price=100, pipeline_id=second, status_id=143)
    assert [sale.external_id for sale in (await mapped(crm, won)).transactions] == [f"AMO-{won}"]
    batch = await mapped(crm, lost)
    assert batch.transactions == []
    assert [reversal.external_id for reversal in batch.reversals] == [f"AMO-{lost}"]


async def test_a_paid_stage_of_the_settings_is_a_sale_at_the_time_it_was_entered(crm: SimulatedAmoCrm) -> None:
    [pipeline] = crm.state.pipelines
    _, paid, other = crm.state.stages(pipeline)
    lead = crm.state.add_lead("Аванс", price=50)
    crm.clock.advance(minutes=5)
    crm.state.move_lead(lead, paid)
    entered_at = crm.clock.now
    crm.clock.advance(minutes=5)
    crm.state.update("leads", lead, name="Аванс 2")
    for name in (paid, f"{pipeline}/{paid}"):
        [sale] = (await mapped(crm, lead, paid_statuses=[name])).transactions
        assert sale.occurred_at == entered_at
    assert (await mapped(crm, lead)).transactions == []
    crm.clock.advance(minutes=5)
    crm.state.move_lead(lead, other)
    batch = await mapped(crm, lead, paid_statuses=[paid])
    assert batch.reversals == [Reversal(f"AMO-{lead}", crm.clock.now)]


async def test_custom_fields_go_where_the_project_says(crm: SimulatedAmoCrm) -> None:
    midnight = int(datetime(2026, 3, 3, 21, tzinfo=UTC).timestamp())  # of 4 March in Moscow
    lead = crm.state.add_lead(
        "Стол",
        price=10,
        fields=[
            custom_field(500, "Промокод", "ВЕСНА"),
            custom_field(501, "Комментарий", "до обеда"),
            custom_field(502, "Дата доставки", midnight, kind="date"),
            custom_field(503, "Метка", "yandex", code="UTM_SOURCE"),
        ],
    )
    fields = {"promocode": 500, "manager_comment": "комментарий", "shipping_date": "Дата доставки"}
    batch = await mapped(crm, lead, fields=fields)
    [order] = batch.orders
    assert (order.promocode, order.manager_comment) == ("ВЕСНА", "до обеда")
    assert str(order.shipping_date) == "2026-03-04"
    assert batch.order_marketing[0].utm_source == "yandex"
    assert not batch.problems


# ------------------------------------------------------------------------------------------------------- dictionaries


async def test_stages_are_named_by_pipeline_and_the_account_tells_zone_and_currency(crm: SimulatedAmoCrm) -> None:
    second = crm.state.add_pipeline("Сервис", ("Принято",))
    crm.state.timezone, crm.state.currency = "Asia/Almaty", "KZT"
    async with session(crm.account()) as line:
        pipelines, _ = await pull(crm, line.http, stream="statuses")
        [account], _ = await pull(crm, line.http, stream="account")
    statuses = [
        status
        for record in pipelines
        for status in AMOCRM.map_record(CONTEXT, "statuses", record.crm_id, record.body).statuses
    ]
    won = [status.status_id for status in statuses if status.alias == "won"]
    assert won == [f"{pipeline}/142" for pipeline in crm.state.pipelines]
    assert {status.status_group_id for status in statuses} == {str(pipeline) for pipeline in crm.state.pipelines}
    assert len({status.status_id for status in statuses}) == len(statuses)
    assert all(status.is_closing == status.status_id.endswith(("/142", "/143")) for status in statuses)
    assert str(second) in {status.status_group_id for status in statuses}
    places = AMOCRM.map_record(CONTEXT, "account", account.crm_id, account.body).places
    assert places == [Place("", "Демо", "Asia/Almaty", "KZT"), Place("31", "Демо", "Asia/Almaty", "KZT")]


async def test_contacts_come_with_all_their_phones(crm: SimulatedAmoCrm) -> None:
    contact = crm.state.add_contact("Пётр", phones=["без номера", "+7 999 000-00-03"], emails=["p@example.com"])
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http, stream="customers")
        record = await AMOCRM.read(line.http, crm.account(), "customers", str(contact))
    assert latest(records)[str(contact)].content_hash == record.content_hash
    [customer] = AMOCRM.map_record(CONTEXT, "customers", record.crm_id, record.body).customers
    assert (customer.phone_e164, customer.phones) == ("+79990000003", ("без номера", "+79990000003"))
    assert (customer.email, customer.full_name, customer.is_complete) == ("p@example.com", "Пётр", True)


# ---------------------------------------------------------------------------------------------------- deleted objects


async def test_deletions_are_read_from_the_log_and_restorations_read_again(crm: SimulatedAmoCrm) -> None:
    gone, back = (int(lead) for lead in crm.seed(2))
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http, stream="deletions")
        crm.clock.advance(minutes=1)
        for lead in (gone, back):
            crm.state.delete("leads", lead)
        deleted_at = crm.clock.now
        crm.state.delete("contacts", crm._contact)
        crm.clock.advance(minutes=1)
        crm.state.restore("leads", back)
        records, cursor = await pull(crm, line.http, cursor, stream="deletions")
        again, _ = await pull(crm, line.http, cursor, stream="deletions")
    batches = [AMOCRM.map_record(CONTEXT, "deletions", record.crm_id, record.body) for record in records]
    orders = {order.order_id: order for batch in batches for order in batch.orders}
    assert set(orders) == {str(gone), str(back)}
    assert all(order.is_deleted and order.source_updated_at == deleted_at for order in orders.values())
    assert {reversal.external_id for batch in batches for reversal in batch.reversals} == {f"AMO-{gone}", f"AMO-{back}"}
    assert [batch.customers[0].customer_id for batch in batches if batch.customers] == [str(crm._contact)]
    assert [batch.rereads for batch in batches if batch.rereads] == [[Reread("orders", str(back))]]
    assert {record.content_hash for record in again} <= {record.content_hash for record in records}


async def test_ids_are_listed_for_reconciliation(crm: SimulatedAmoCrm) -> None:
    second = crm.state.add_pipeline("Сервис", ("Принято",))
    mine = crm.seed(7)
    other = crm.state.add_lead("Чужая", pipeline_id=second)
    crm.remove(mine[0])
    assert isinstance(AMOCRM, ReconcilingConnector)
    [pipeline, _] = crm.state.pipelines
    for has_filters in (True, False):
        crm.state.switches.has_filters = has_filters
        async with session(crm.account()) as line:
            everything = [one async for ids in AMOCRM.list_ids(line.http, crm.account(), "orders") for one in ids]
            account = crm.account(options={"pipeline_ids": [pipeline]})
            chosen = [one async for ids in AMOCRM.list_ids(line.http, account, "orders") for one in ids]
        assert sorted(everything) == sorted([*mine[1:], str(other)])
        assert sorted(chosen) == sorted(mine[1:])


async def test_only_the_pipelines_of_the_settings_are_read(crm: SimulatedAmoCrm) -> None:
    second = crm.state.add_pipeline("Сервис", ("Принято",))
    crm.seed(2)
    wanted = crm.state.add_lead("Ремонт", pipeline_id=second)
    other = next(lead for lead in crm.state.leads if lead != wanted)
    account = crm.account(options={"pipeline_ids": [second]})
    for has_filters in (True, False):
        crm.state.switches.has_filters = has_filters
        async with session(account) as line:
            records, _ = await pull(crm, line.http, account=account)
            with pytest.raises(NotFoundError, match="pipeline_ids"):
                await AMOCRM.read(line.http, account, "orders", str(other))
        assert [record.crm_id for record in records] == [str(wanted)]


# ----------------------------------------------------------------------------------------------------------- refusals


async def test_a_blocked_account_is_stopped_at_once(crm: SimulatedAmoCrm) -> None:
    crm.seed(12)

    def block(page: int) -> None:
        crm.state.switches.is_blocked = True

    async with session(crm.account()) as line:
        with pytest.raises(ConfigError, match="support") as caught:
            await pull(crm, line.http, between=block)
    assert caught.value.status == 403
    assert line.slept == []
    assert crm.state.requests.count(status=403) == 1


async def test_too_many_requests_without_a_word_on_how_long_are_waited_for(crm: SimulatedAmoCrm) -> None:
    expected = crm.seed(2)
    crm.state.switches.tells_retry_after = False
    crm.fail("too_many")
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert {record.crm_id for record in records} == set(expected)
    assert line.slept == [5.0]


async def test_a_wait_of_minutes_is_left_to_the_next_run(crm: SimulatedAmoCrm) -> None:
    crm.seed(2)
    crm.fail("too_many", seconds=300)
    async with session(crm.account()) as line:
        with pytest.raises(RetryError) as caught:
            await pull(crm, line.http)
    assert caught.value.retry_after == 300
    assert line.slept == []


async def test_seven_requests_a_second_are_kept_to_without_being_refused(crm: SimulatedAmoCrm) -> None:
    assert AMOCRM.capabilities.rate_limit == (7, 1.0)
    crm.seed(30)
    crm.state.throttle.requests = 7
    elapsed = 0.0
    crm.state.throttle.clock = lambda: elapsed

    class Limiter:
        def __init__(self) -> None:
            self.waiting = 7

        async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
            nonlocal elapsed
            if self.waiting == 0:
                elapsed, self.waiting = elapsed + limit[1], limit[0]
            self.waiting -= 1

        async def block(self, account_key: str, seconds: float) -> None:
            raise AssertionError("the API refused a request")

    async with session(crm.account(), limiter=Limiter(), limit=AMOCRM.capabilities.rate_limit) as line:
        records, _ = await pull(crm, line.http)
    assert len(records) == 30
    assert crm.state.refused == 0


async def test_pages_shrink_where_the_api_fails_on_large_ones(crm: SimulatedAmoCrm) -> None:
    expected = crm.seed(130)
    crm.state.switches.most_per_page = 60
    for has_filters in (True, False):
        crm.state.switches.has_filters = has_filters
        account = crm.account(batch_size=250)
        async with session(account) as line:
            records, _ = await pull(crm, line.http, account=account)
        assert sorted(record.crm_id for record in records) == sorted(expected)


async def test_an_account_that_ignores_filters_is_noticed_and_told(crm: SimulatedAmoCrm) -> None:
    crm.seed(30)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        assert "filters" not in (await AMOCRM.check_health(line.http, crm.account())).message
        crm.clock.advance(hours=1)
        added = crm.add()
        crm.state.switches.has_filters = False
        records, _ = await pull(crm, line.http, cursor)
        health = await AMOCRM.check_health(line.http, crm.account())
    assert health.ok
    assert "filters are switched off" in health.message
    assert added in {record.crm_id for record in records}
    assert len(records) < 30  # what was not asked for is not handed on


async def test_health_of_an_address_that_is_not_amocrms_says_so(crm: SimulatedAmoCrm) -> None:
    other = FastAPI()

    @other.get("/api/v4/account")
    async def account() -> dict[str, str]:
        return {"hello": "world"}

    with serve(other) as url:
        for base in (url, f"{url}/api/v4"):
            tried = crm.account(base_url=base)
            async with session(tried) as line:
                health = await AMOCRM.check_health(line.http, tried)
            assert not health.ok
            assert "base_url" in health.message


async def test_a_twentieth_of_all_calls_may_fail_and_every_row_is_right(crm: SimulatedAmoCrm) -> None:
    [pipeline] = crm.state.pipelines
    expected = crm.seed(120)
    for number, lead in enumerate(expected):
        if number % 3 == 0:
            crm.state.move_lead(int(lead), 142 if number % 2 else crm.state.stages(pipeline)[1])
    async with session(crm.account()) as line:
        undisturbed, _ = await pull(crm, line.http)
    for fault in ("too_many", "server_error", "drop", "truncated", "duplicate_page"):
        crm.state.faults.add(fault, "/api/v4", times=None, probability=0.01)  # type: ignore[arg-type]
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sum(fault.strikes for fault in crm.state.faults.active()) > 3
    known = latest(undisturbed)
    assert sorted(known) == sorted(expected)
    assert {record.crm_id for record in records} == set(expected)
    assert all(record.content_hash == known[record.crm_id].content_hash for record in records)
