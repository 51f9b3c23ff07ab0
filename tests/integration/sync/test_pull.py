from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import psycopg
import pytest

from connectors.errors import ConfigError, ConnectorError, PermanentError, RetryError, UnreachableError
from connectors.protocol import Window
from database.repositories import locks, queue, raw, runs
from sync import landings
from sync.pull import PullProgress, PullResult, pull_project
from tests.support.toy_crm import minute, record
from tests.support.world import World

pytestmark = pytest.mark.anyio


def fill(world: World, orders: int = 120) -> None:
    for number in range(1, orders + 1):
        world.crm.put(
            "orders",
            str(number),
            status=number % 5,
            changed_at=minute(number),
            updated_at=minute(number),
            items=["a", "b"],
            payments=[f"p{number}"],
            customer=number % 7 + 1,
            customer_name=f"Олена {number % 7}",
        )
    for number in range(1, 8):
        world.crm.put("customers", str(number), name=f"Олена {number}", updated_at=minute(number))
    world.crm.put("statuses", "1", name="New", group=1)
    world.crm.put("sources", "2", name="Shop", currency="EUR")


async def pull(world: World, project_id: str = "shop", **options: Any) -> PullResult:
    return await pull_project(world.pool, world.keyring, project_id, lookup=world.lookup, **options)


async def test_a_pull_brings_dictionaries_first_and_everything_to_core(world: World) -> None:
    fill(world)
    result = await pull(world)
    assert [stream.stream for stream in result.streams] == ["statuses", "sources", "orders", "customers", "stocks"]
    counts = await world.counts()
    assert counts["core.orders"] == 120
    assert counts["core.order_status_events"] == 120
    assert counts["core.order_items"] == 240
    assert counts["core.payments"] == 120
    assert counts["core.customers"] == 7
    assert counts["core.statuses"] == counts["core.sources"] == 1
    orders = result.streams[2].as_row()
    assert (orders["state"], orders["seen"], orders["new"], orders["unchanged"]) == ("success", 120, 120, 0)
    assert {row["state"] for row in await world.rows("select state from sync.runs")} == {"success"}
    assert await world.value("select distinct currency from core.orders") == "UAH"
    assert await world.value("select count(*) from sync.integration_logs where level = 'info'") == 5


@pytest.mark.parametrize("options", [{}, {"full": True}], ids=["only new", "full"])
async def test_pulling_twice_adds_no_row_anywhere(world: World, options: dict[str, Any]) -> None:
    fill(world)
    await pull(world)
    before, core = await world.counts(), await world.snapshot()
    result = await pull(world, **options)
    assert await world.counts() == before
    assert await world.snapshot() == core
    assert sum(stream.counts.new + stream.counts.changed for stream in result.streams) == 0
    assert result.applied.rows == 0
    assert result.streams[2].counts.unchanged == (120 if options else 0)


async def test_only_changed_records_are_landed(world: World) -> None:
    fill(world)
    await pull(world)
    world.crm.records["orders"]["5"] |= {"status": 9, "changed_at": minute(500), "updated_at": minute(500)}
    world.crm.put("orders", "new", status=1, changed_at=minute(501), updated_at=minute(501))
    result = await pull(world, streams=["orders"])
    counts = result.streams[0].counts
    assert (counts.seen, counts.new, counts.changed) == (2, 1, 1)
    assert await world.value("select count(*) from raw.api_records where stream = 'orders'") == 122
    assert await world.value("select count(*) from core.order_status_events") == 122


async def test_a_pull_that_fails_half_way_goes_on_where_it_stopped(world: World) -> None:
    fill(world)

    def fail(stream: str, page: int) -> None:
        if stream == "orders" and page == 2:
            raise RetryError("The CRM answers 503.", status=503)

    world.crm.before_page = fail
    with pytest.raises(RetryError):
        await pull(world, streams=["orders"])
    assert await world.value("select count(*) from core.orders") == 100  # what had come is landed and applied
    [run] = await world.rows("select * from sync.runs")
    assert (run["state"], run["error_word"], run["rows_seen"]) == ("failed", "retry", 100)
    log = await world.rows("select level, error_word from sync.integration_logs")
    assert log == [{"level": "warning", "error_word": "retry"}]

    world.crm.before_page = None
    world.crm.pages.clear()
    result = await pull(world, streams=["orders"])
    assert (result.streams[0].counts.seen, result.streams[0].counts.new) == (20, 20)
    assert await world.value("select count(*) from core.orders") == 120


async def test_a_killed_pull_is_marked_abandoned_and_the_next_one_resumes(world: World) -> None:
    fill(world)
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        reached.set()
        await never.wait()

    world.crm.before_page = lambda stream, page: hang() if page == 2 else None
    task = asyncio.create_task(pull(world, streams=["orders"]))
    await asyncio.wait_for(reached.wait(), 20)
    async with asyncio.timeout(20):  # what was read is landed within a second, though the next page never comes
        while await world.value("select count(*) from raw.api_records") < 100:  # noqa: ASYNC110 - the database's
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await world.value("select state from sync.runs") == "running"
    assert await world.value("select count(*) from core.orders") in (0, 100)  # applied beside the pull, or not yet

    world.crm.before_page = None
    result = await pull(world, streams=["orders"])
    assert result.streams[0].counts.seen == 20
    states = [row["state"] for row in await world.rows("select state from sync.runs order by run_id")]
    assert states == ["abandoned", "success"]
    assert await world.value("select count(*) from core.orders") == 120
    assert await world.value("select count(*) from raw.api_records") == 120


async def test_what_has_landed_is_applied_while_the_pull_goes_on(world: World) -> None:
    fill(world)

    async def wait_for_core() -> None:
        async with asyncio.timeout(20):
            while await world.value("select count(*) from core.orders") < 100:  # noqa: ASYNC110 - the database's
                await asyncio.sleep(0.02)

    # The third page comes only once the first two are in core.
    world.crm.before_page = lambda stream, page: wait_for_core() if stream == "orders" and page == 2 else None
    result = await pull(world, streams=["orders"])
    assert result.applied.rows == 120
    assert await world.value("select count(*) from core.orders") == 120
    assert await world.value("select count(*) from sync.raw_queue") == 0


async def test_what_somebody_else_is_applying_is_left_to_them_until_the_end(world: World) -> None:
    fill(world)
    async with world.pool.connection() as other, other.transaction():
        await locks.wait_transaction(other, queue.lock_name("shop"))
        task = asyncio.create_task(pull(world, streams=["orders"]))
        async with asyncio.timeout(20):
            while not await world.value("select count(*) from sync.runs where state = 'success'"):  # noqa: ASYNC110 - the database's
                await asyncio.sleep(0.02)
        assert await world.value("select count(*) from raw.api_records") == 120
        assert await world.value("select count(*) from core.orders") == 0
        assert not task.done()
    assert (await asyncio.wait_for(task, 20)).applied.rows == 120
    assert await world.value("select count(*) from core.orders") == 120


async def test_an_error_while_applying_ends_the_pull_once_all_has_landed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)

    async def fail(*arguments: Any, **options: Any) -> None:
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(landings, "drain", fail)
        with pytest.raises(psycopg.OperationalError):
            await pull(world, streams=["orders"])
    assert await world.value("select count(*) from raw.api_records") == 120
    assert (await pull(world, streams=["orders"])).applied.rows == 120
    assert await world.value("select count(*) from core.orders") == 120


async def test_rows_at_hand_are_those_that_the_database_has(world: World) -> None:
    fill(world, orders=3)
    world.crm.records["orders"]["2"] |= {"customer_name": 'Ў \u2028 \U0001f600 \\ "quoted"'}
    records = [record("orders", row) for row in world.crm.records["orders"].values()]
    async with world.pool.connection() as connection, connection.transaction():
        for given in (records[:1], records):
            run_id = await runs.insert(connection, "shop", kind="pull", stream="orders", trigger="test")
            landed = await raw.land_api_records(connection, "shop", "toy", "orders", run_id, given)
        assert (landed.new, landed.unchanged, len(landed.record_ids)) == (2, 1, 2)
        entries = await queue.take(connection, "shop", 100)
        read = [
            row
            async for rows in raw.read_entries(connection, "shop", entries[1:], max_rows=10, max_characters=10**6)
            for row in rows
        ]
    assert [row.crm_id for row in read] == ["2", "3"]
    assert raw.rows_of(landed, "toy", "orders", records, origin="pull") == read


async def test_a_running_run_is_not_taken_for_a_dead_one(world: World) -> None:
    async with locks.own_connection(world.pool) as holder:
        run_id = await runs.start(holder, "shop", kind="pull", stream="orders", trigger="cli")
        async with world.pool.connection() as connection:
            assert await runs.abandon_dead(connection, "shop") == []
    async with world.pool.connection() as connection, asyncio.timeout(10):
        while not (dead := await runs.abandon_dead(connection, "shop")):  # noqa: ASYNC110 - the database's
            await asyncio.sleep(0.01)
    assert dead == [run_id]


async def test_a_second_pull_of_the_same_stream_says_so_and_does_nothing(world: World) -> None:
    fill(world)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        entered.set()
        await go_on.wait()

    world.crm.before_page = lambda stream, page: hold() if page == 0 else None
    first = asyncio.create_task(pull(world, streams=["orders"]))
    await asyncio.wait_for(entered.wait(), 20)
    second = await asyncio.wait_for(pull(world, streams=["orders"]), 20)
    go_on.set()
    await asyncio.wait_for(first, 20)
    assert [stream.state for stream in second.streams] == ["busy"]
    assert await world.value("select count(*) from sync.runs") == 1
    assert await world.value("select count(*) from core.orders") == 120


async def test_a_window_pulls_its_time_alone_and_leaves_the_cursor(world: World) -> None:
    fill(world)
    await pull(world, streams=["orders"])
    before = await world.rows("select * from sync.cursors")
    world.crm.put("orders", "late", status=1, changed_at=minute(11.5), updated_at=minute(11.5))
    window = Window(datetime.fromisoformat(minute(10)), datetime.fromisoformat(minute(20)))
    result = await pull(world, streams=["orders"], window=window, trigger="backfill")
    assert (result.streams[0].counts.seen, result.streams[0].counts.new) == (11, 1)
    assert await world.rows("select * from sync.cursors") == before
    assert await world.value("select kind from sync.runs order by run_id desc limit 1") == "backfill"
    assert await world.value("select count(*) from core.orders where order_id = 'late'") == 1


async def test_since_goes_to_the_connector_and_leaves_the_cursor(world: World) -> None:
    fill(world)
    await pull(world, streams=["orders"])
    before = await world.rows("select * from sync.cursors")
    since = datetime.fromisoformat(minute(100))
    await pull(world, streams=["orders"], since=since)
    assert world.crm.since[-1] == since
    assert world.crm.pages[-1] == ("orders", None)
    assert await world.rows("select * from sync.cursors") == before


async def test_settings_switch_streams_off_and_give_the_start(world: World) -> None:
    await world.add_project("quiet", sync={"customers": False, "products": False, "since": "2026-01-01"})
    fill(world)
    result = await pull(world, "quiet")
    assert [stream.stream for stream in result.streams] == ["statuses", "sources", "orders"]
    assert world.crm.since[-1] == datetime.fromisoformat("2026-01-01T00:00:00+02:00")  # the project's own midnight


async def test_wrong_credentials_disable_the_project_and_leave_the_others_alone(world: World) -> None:
    fill(world)
    await world.add_project("other")

    def refuse(stream: str, page: int) -> None:
        raise ConfigError("The API key is refused: set a new one.", status=401)

    world.crm.before_page = refuse
    with pytest.raises(ConfigError):
        await pull(world)
    world.crm.before_page = None
    await pull(world, "other")

    projects = await world.rows("select project_id, is_enabled, disabled_reason from config.projects order by 1")
    assert [(row["project_id"], row["is_enabled"]) for row in projects] == [("other", True), ("shop", False)]
    assert projects[1]["disabled_reason"] == "The API key is refused: set a new one."
    assert await world.value("select count(*) from sync.runs where project_id = 'shop'") == 1  # stopped at the first
    assert await world.value("select count(*) from core.orders where project_id = 'other'") == 120
    log = await world.rows("select * from sync.integration_logs where project_id = 'shop' and error_word = 'config'")
    assert any("disabled" in row["message"] for row in log)
    with pytest.raises(ConfigError, match="project enable shop"):
        await pull(world)


async def test_a_missing_credential_disables_the_project(world: World) -> None:
    await world.add_project("bare", key="")
    with pytest.raises(ConfigError, match="lacks the credential key"):
        await pull(world, "bare")
    assert not await world.value("select is_enabled from config.projects where project_id = 'bare'")


@pytest.mark.parametrize("error", [RetryError("503"), PermanentError("Leads are not enabled.")])
async def test_a_failing_stream_does_not_stop_the_next_one(world: World, error: ConnectorError) -> None:
    fill(world)

    def fail(stream: str, page: int) -> None:
        if stream == "orders":
            raise error

    world.crm.before_page = fail
    with pytest.raises(type(error)):
        await pull(world)
    states = await world.rows("select stream, state, error_word from sync.runs order by run_id")
    assert [(row["stream"], row["state"]) for row in states] == [
        ("statuses", "success"),
        ("sources", "success"),
        ("orders", "failed"),
        ("customers", "success"),
        ("stocks", "success"),
    ]
    assert states[2]["error_word"] == error.word
    assert await world.value("select is_enabled from config.projects")
    assert await world.value("select count(*) from core.customers") == 7


async def test_where_nobody_answers_the_other_streams_are_not_tried(world: World) -> None:
    def refuse(stream: str, page: int) -> None:
        if stream == "orders":
            raise UnreachableError("nobody answers")

    world.crm.before_page = refuse
    fill(world)
    with pytest.raises(UnreachableError):
        await pull(world)
    assert [stream for stream, _ in world.crm.pages] == ["statuses", "sources", "orders"]
    states = await world.rows("select stream, state from sync.runs order by run_id")
    assert [(row["stream"], row["state"]) for row in states] == [
        ("statuses", "success"),
        ("sources", "success"),
        ("orders", "failed"),
    ]


async def test_a_bug_in_a_connector_fails_the_run_visibly(world: World) -> None:
    def explode(stream: str, page: int) -> None:
        raise ZeroDivisionError

    world.crm.before_page = explode
    with pytest.raises(ZeroDivisionError):
        await pull(world, streams=["orders"])
    [run] = await world.rows("select * from sync.runs")
    assert (run["state"], run["error_message"]) == ("failed", "Unexpected error: ZeroDivisionError")


async def test_an_unknown_stream_or_project_is_said_and_disables_nothing(world: World) -> None:
    with pytest.raises(ConfigError, match="no stream 'cards'"):
        await pull(world, streams=["cards"])
    with pytest.raises(ConfigError, match="no project 'nobody'"):
        await pull(world, "nobody")
    window = Window(datetime.fromisoformat(minute(0)), datetime.fromisoformat(minute(1)))
    with pytest.raises(ConfigError, match="for a period"):
        await pull(world, streams=["stocks"], window=window)
    assert await world.value("select is_enabled from config.projects")


async def test_two_versions_of_a_record_on_one_page_are_both_landed(world: World) -> None:
    first = {"id": "1", "status": 1, "changed_at": minute(1), "updated_at": minute(1)}
    second = {**first, "status": 2, "changed_at": minute(2), "updated_at": minute(2)}
    world.crm.records["orders"] = {"a": first, "b": second, "c": dict(second)}
    result = await pull(world, streams=["orders"])
    assert (result.streams[0].counts.new, result.streams[0].counts.changed, result.streams[0].counts.unchanged) == (
        1,
        1,
        1,
    )
    assert await world.value("select count(*) from core.order_status_events") == 2
    assert await world.value("select status_id from core.orders") == "2"


async def test_rows_that_are_no_records_become_dead_letters(world: World) -> None:
    fill(world, 3)
    world.crm.problems = ["Row 4 has no id."]
    result = await pull(world, streams=["orders"])
    assert result.streams[0].counts.failed == 1
    [letter] = await world.rows("select * from sync.dead_letters")
    assert (letter["source"], letter["stream"], letter["reason"]) == ("api", "orders", "Row 4 has no id.")


async def test_orders_that_were_never_read_whole_are_asked_for(world: World) -> None:
    await world.webhook(
        json.dumps({"id": 77, "status": 1, "changed_at": minute(1), "updated_at": minute(1), "quiet": True})
    )
    fill(world, 3)
    await pull(world, streams=["orders"])
    requests = await world.rows("select crm_id, origin from sync.requests")
    assert requests == [{"crm_id": "77", "origin": "pull"}]
    await pull(world, streams=["orders"])
    assert await world.value("select count(*) from sync.requests") == 1


async def test_progress_is_told_with_the_total(world: World) -> None:
    fill(world)
    told: list[PullProgress] = []
    await pull(world, streams=["orders"], progress=told.append)
    assert told[-1] == PullProgress("orders", 120, 120)


async def test_a_body_with_every_kind_of_text_is_kept_as_it_came(world: World) -> None:
    comment = "Їжак 🦔 \u00a0\u200d\U0001f468\u200d\U0001f469 \\u0000 'quote' \"double\" {brace} \\ %s"
    world.crm.put("orders", "1", status=1, changed_at=minute(1), updated_at=minute(1), comment=comment)
    await pull(world, streams=["orders"])
    assert await world.value("select manager_comment from core.orders") == comment
    body = await world.value("select body from raw.api_records")
    assert json.loads(body)["comment"] == comment
