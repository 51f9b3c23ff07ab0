from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from connectors.errors import ConfigError, NotFoundError, PermanentError, RetryError
from database.repositories import requests as rows
from sync import dead_letters, requests, rereads
from sync.normalise import drain
from sync.requests import RETRY_SECONDS, RequestResult, run_due
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def queue(world: World, **values: Any) -> int:
    async with world.pool.connection() as connection:
        return await requests.queue(connection, "shop", **values)


async def run(world: World, **options: Any) -> list[RequestResult]:
    return await run_due(world.pool, world.keyring, lookup=world.lookup, **options)


async def make_due(world: World) -> None:
    await world.execute("update sync.requests set not_before = '-infinity' where state = 'queued'")


async def hook(world: World, order_id: int = 1, status: int = 1, at: float = 0) -> None:
    body = {"id": order_id, "status": status, "changed_at": minute(at), "updated_at": minute(at)}
    await world.webhook(json.dumps(body))
    await drain(world.pool, lookup=world.lookup)


async def test_after_a_webhook_the_order_is_read_and_its_items_are_there(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["Термінове виготовлення"])
    await hook(world)

    [result] = await run(world, single_only=True)

    assert (result.state, result.result["new"]) == ("done", 1)
    assert await world.value("select sku from core.order_items") == "Термінове виготовлення"
    assert await world.value("select count(*) from core.order_status_events") == 1  # the same event, told twice
    [ran] = await world.rows("select kind, state, rows_new from sync.runs")
    assert ran == {"kind": "reread", "state": "success", "rows_new": 1}
    assert await run(world) == []


async def test_what_was_read_is_marked_as_such_in_the_history(world: World) -> None:
    world.crm.put("orders", "1", status=2, changed_at=minute(5), updated_at=minute(5), items=[])
    await hook(world)
    await run(world)
    sources = await world.rows("select status_id, source from core.order_status_events order by event_id")
    assert [(row["status_id"], row["source"]) for row in sources] == [("1", "webhook"), ("2", "reread")]


async def test_a_request_that_may_succeed_later_is_tried_again_and_fails_at_last(world: World) -> None:
    world.crm.put("orders", "1", status=1, updated_at=minute(0), items=[])

    def fail(stream: str, crm_id: str) -> None:
        raise RetryError("The CRM answers 503.", status=503)

    world.crm.before_read = fail
    await queue(world, stream="orders", crm_id="1", origin="webhook")
    waits = []
    for _ in RETRY_SECONDS:
        [result] = await run(world)
        assert (result.state, result.error_word) == ("queued", "retry")
        assert await run(world) == []  # not due yet
        waits.append(await world.value("select round(extract(epoch from not_before - started_at)) from sync.requests"))
        await make_due(world)
    assert waits == list(RETRY_SECONDS)
    [result] = await run(world)
    assert result.state == "failed"
    [letter] = await world.rows("select * from sync.dead_letters")
    assert (letter["source"], letter["stream"], letter["crm_id"], letter["error_word"]) == (
        "request",
        "orders",
        "1",
        "retry",
    )

    world.crm.before_read = None
    retried = await dead_letters.retry(world.pool, world.keyring, lookup=world.lookup)
    assert (retried.resolved, retried.failed) == (1, 0)
    assert await world.value("select count(*) from core.orders") == 1


async def test_the_wait_that_the_crm_asks_for_is_kept(world: World) -> None:
    def fail(stream: str, crm_id: str) -> None:
        raise RetryError("Too many requests.", status=429, retry_after=55)

    world.crm.before_read = fail
    await queue(world, stream="orders", crm_id="1")
    await run(world)
    assert await world.value("select round(extract(epoch from not_before - started_at)) from sync.requests") == 55


async def test_an_order_that_the_crm_no_longer_has_is_marked_deleted_and_replayable(world: World) -> None:
    await hook(world)
    [result] = await run(world)
    assert (result.state, result.result["is_deleted"]) == ("done", True)
    [order] = await world.rows("select is_deleted, status_id from core.orders")
    assert order == {"is_deleted": True, "status_id": "1"}
    assert await world.value("select stream from raw.api_records") == "orders:deleted"

    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(1), items=[])
    await queue(world, stream="orders", crm_id="1")
    await run(world)
    assert await world.value("select is_deleted from core.orders") is False


async def test_an_object_that_never_was_fails_with_a_clear_answer(world: World) -> None:
    await queue(world, stream="orders", crm_id="404")
    [result] = await run(world)
    assert (result.state, result.error_word) == ("failed", "permanent")
    assert result.error_message == "orders 404 does not exist."
    with pytest.raises(NotFoundError):
        await requests.read_now(world.pool, world.keyring, "shop", "orders", "404", lookup=world.lookup)
    with pytest.raises(PermanentError, match="cannot read one"):
        await requests.read_now(world.pool, world.keyring, "shop", "statuses", "1", lookup=world.lookup)
    # Both readings that the CRM refused count in the statistics.
    failed = await world.rows("select kind, state, error_word, rows_failed from sync.runs")
    assert failed == [{"kind": "reread", "state": "failed", "error_word": "permanent", "rows_failed": 1}] * 2


async def test_reading_one_object_now_tells_what_changed(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    row = await requests.read_now(world.pool, world.keyring, "shop", "orders", "1", lookup=world.lookup)
    assert (row["new"], row["unchanged"], row["events"]) == (1, 0, 1)
    row = await requests.read_now(world.pool, world.keyring, "shop", "orders", "1", lookup=world.lookup)
    assert (row["new"], row["unchanged"], row["events"]) == (0, 1, 0)
    assert await world.value("select count(*) from raw.api_records") == 1


async def test_a_request_counts_only_what_it_brought_itself(world: World) -> None:
    others = [json.dumps({"id": number, "status": 1, "changed_at": minute(0)}) for number in range(2, 7)]
    order = {"status": 1, "changed_at": minute(0), "updated_at": minute(0), "items": []}

    world.crm.put("orders", "1", **order)
    await world.webhook(*others, '{"trouble": "skip"}')
    [result] = await run(world, request_id=await queue(world, stream="orders", crm_id="1"))
    assert await world.value("select count(*) from sync.dead_letters") == 1
    assert result.result == {"new": 1, "changed": 0, "unchanged": 0, "events": 1, "failed": 0}

    world.crm.put("orders", "1", **order, trouble="skip")
    [result] = await run(world, request_id=await queue(world, stream="orders", crm_id="1"))
    assert result.result == {"new": 0, "changed": 1, "unchanged": 0, "events": 0, "failed": 1}

    world.crm.put("orders", "7", **order)
    world.crm.put("orders", "8", **order, trouble="skip")
    await world.webhook('{"trouble": "bug"}')
    [result] = await run(world, request_id=await queue(world, stream="orders", full=True))
    assert result.result["applied"] == {"rows": 2, "failed": 1}
    assert await world.value("select count(*) from sync.dead_letters where state = 'open'") == 4


async def test_what_the_relay_applies_meanwhile_is_counted_for_the_request_that_brought_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def relay_is_faster(*arguments: Any, **options: Any) -> Any:
        await drain(*arguments, **options)
        return await drain(*arguments, **options)

    monkeypatch.setattr(rereads, "drain", relay_is_faster)
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=[])
    row = await requests.read_now(world.pool, world.keyring, "shop", "orders", "1", lookup=world.lookup)
    assert (row["new"], row["events"], row["failed"]) == (1, 1, 0)


async def test_a_webhook_that_was_not_true_is_put_right_by_the_reread(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), total=10, items=[])
    await queue(world, stream="orders", crm_id="1")
    await run(world)
    await world.webhook(json.dumps({"id": 1, "total": 99, "updated_at": minute(0.5)}))
    await drain(world.pool, lookup=world.lookup)
    assert await world.value("select grand_total from core.orders") == 99
    await world.webhook(json.dumps({"id": 1, "updated_at": minute(1)}))
    await drain(world.pool, lookup=world.lookup)
    world.crm.records["orders"]["1"]["updated_at"] = minute(1)
    await run(world)
    assert await world.value("select grand_total from core.orders") == 10


async def test_wrong_credentials_stop_the_project_and_keep_its_rereads_for_later(world: World) -> None:
    def refuse(stream: str, crm_id: str) -> None:
        raise ConfigError("The key is refused.", status=401)

    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    world.crm.before_read = refuse
    await hook(world)
    [result] = await run(world)
    assert (result.state, result.error_word) == ("queued", "config")
    assert not await world.value("select is_enabled from config.projects")
    await make_due(world)
    assert await run(world) == []

    manual = await queue(world, stream="customers", crm_id="1")
    [told] = await run(world)  # a person is told
    assert (told.request_id, told.state, told.error_word) == (manual, "failed", "config")

    world.crm.before_read = None
    await world.execute("update config.projects set is_enabled = true")
    [result] = await run(world)
    assert result.state == "done"
    assert await world.value("select sku from core.order_items") == "a"


async def test_a_request_for_a_project_pulls_it(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    request_id = await queue(world, full=True, requested_by="olena")
    assert await queue(world, full=True) == request_id  # one waits already
    assert await run(world, single_only=True) == []
    [result] = await run(world)
    assert result.state == "done"
    assert [row["stream"] for row in result.result["streams"]][2] == "orders"
    async with world.pool.connection() as connection:
        stored = await rows.get(connection, request_id)
    assert stored is not None
    assert (stored["state"], stored["requested_by"]) == ("done", "olena")
    assert stored["result"]["applied"]["rows"] == 1


async def test_a_request_of_one_stream_is_repeated_after_an_outage(world: World) -> None:
    def fail(stream: str, page: int) -> None:
        raise RetryError("The CRM answers 503.")

    world.crm.before_page = fail
    request_id = await queue(world, stream="orders")
    [result] = await run(world, request_id=request_id)
    assert result.state == "queued"
    world.crm.before_page = None
    await make_due(world)
    [result] = await run(world, request_id=request_id)
    assert (result.state, result.request_id) == ("done", request_id)


async def test_only_what_waits_long_enough_is_taken_by_the_safety_net(world: World) -> None:
    await queue(world, stream="orders", crm_id="1")
    assert await run(world, single_only=True, older_than=60) == []
    await world.execute("update sync.requests set requested_at = requested_at - interval '61 s'")
    assert len(await run(world, single_only=True, older_than=60)) == 1


async def test_a_request_whose_worker_died_is_taken_over_and_a_living_one_is_left(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    await queue(world, stream="orders", crm_id="1")
    started, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        await never.wait()

    world.crm.before_read = lambda stream, crm_id: hang()
    worker = asyncio.create_task(run(world))
    await asyncio.wait_for(started.wait(), 20)
    assert await run(world) == []
    assert await world.value("select state from sync.requests") == "running"

    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    world.crm.before_read = None
    [result] = await run(world)
    assert result.state == "done"
    assert await world.value("select attempts from sync.requests") == 2


async def test_a_dead_request_gives_way_to_a_newer_one_for_the_same(world: World) -> None:
    await queue(world, stream="orders", crm_id="1")
    await world.execute("update sync.requests set state = 'running'")
    await queue(world, stream="orders", crm_id="1")
    async with world.pool.connection() as connection:
        assert await rows.requeue_dead(connection) == 1
    states = await world.rows("select state from sync.requests order by request_id")
    assert [row["state"] for row in states] == ["cancelled", "queued"]


async def test_two_workers_never_run_the_same_request(world: World) -> None:
    for number in range(30):
        world.crm.put("orders", str(number), status=1, changed_at=minute(0), updated_at=minute(0), items=[])
        await queue(world, stream="orders", crm_id=str(number))
    results = await asyncio.wait_for(asyncio.gather(run(world), run(world)), 60)
    assert sum(map(len, results)) == 30
    assert sorted(world.crm.reads) == sorted(("orders", str(number)) for number in range(30))
    assert await world.value("select count(*) from core.orders where has_items") == 30


async def test_an_object_that_is_being_read_is_read_again_only_after_that(world: World) -> None:
    """Else the older answer might come last, and stay."""
    order = {"status": 1, "changed_at": minute(0), "updated_at": minute(0)}
    world.crm.put("orders", "1", **order, items=["a"])
    world.crm.put("orders", "2", **order, items=["a"])
    for crm_id in ("1", "2"):
        await queue(world, stream="orders", crm_id=crm_id, origin="webhook")
    started, go_on = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        await go_on.wait()

    world.crm.before_read = lambda stream, crm_id: hang()
    worker = asyncio.create_task(run(world, limit=1))
    await asyncio.wait_for(started.wait(), 20)
    await queue(world, stream="orders", crm_id="1", origin="webhook")
    world.crm.before_read = None
    async with world.pool.connection() as connection:
        other = await rows.claim(connection)
        assert other is not None
        assert other.crm_id == "2"
        assert await rows.claim_more(connection, other, 10) == []
        await rows.postpone(connection, other, 0)
        await rows.release(connection, other)
    go_on.set()
    await worker
    assert sorted(result.crm_id or "" for result in await run(world)) == ["1", "2"]


async def test_a_bug_while_reading_fails_that_request_alone(world: World) -> None:
    def explode(stream: str, crm_id: str) -> None:
        if crm_id == "1":
            raise ZeroDivisionError

    world.crm.put("orders", "2", status=1, changed_at=minute(0), updated_at=minute(0), items=[])
    world.crm.before_read = explode
    for crm_id in ("1", "2"):
        await queue(world, stream="orders", crm_id=crm_id)
    assert [result.state for result in await run(world)] == ["failed", "done"]
    assert await world.value("select reason from sync.dead_letters") == "Unexpected error: ZeroDivisionError"


async def test_letters_of_raw_rows_are_retried_and_discarded(world: World) -> None:
    good = json.dumps({"id": 1, "status": 1, "changed_at": minute(0)})
    [mended, hopeless] = await world.webhook('{"trouble": "skip"}', '{"trouble": "bug"}')
    await drain(world.pool, lookup=world.lookup)
    await world.execute("update raw.webhook_events set body = %s where event_id = %s", good, mended)

    result = await dead_letters.retry(world.pool, world.keyring, lookup=world.lookup)

    assert (result.resolved, result.failed) == (1, 1)
    [letter] = await dead_letters.list_letters(world.pool)
    assert (letter["raw_id"], letter["attempts"]) == (hopeless, 2)
    assert await world.value("select count(*) from core.order_status_events") == 1
    assert await dead_letters.discard(world.pool, ids=[letter["dead_letter_id"]], by="olena") == 1
    assert await dead_letters.list_letters(world.pool) == []
    [gone] = await dead_letters.list_letters(world.pool, state="discarded")
    assert gone["closed_by"] == "olena"


async def test_the_backlog_counts_what_is_due(world: World) -> None:
    await queue(world, stream="orders", crm_id="1")
    await queue(world)
    async with world.pool.connection() as connection:
        assert (await rows.backlog(connection)).count == 2
        assert (await rows.backlog(connection, single_only=True)).count == 1
        assert (await rows.backlog(connection)).oldest_seconds >= 0
        assert len(await rows.list_newest(connection, ["shop"])) == 2


async def together(world: World, limit: int = 20) -> dict[str, RequestResult]:
    """What became of the requests that are due for objects of one stream, run at once; by the object's id."""
    async with world.pool.connection() as connection:
        first = await rows.claim(connection, single_only=True)
        assert first is not None
        claimed = [first, *await rows.claim_more(connection, first, limit - 1)]
        results = await requests.run_together(world.pool, world.keyring, connection, claimed, lookup=world.lookup)
        locks = await world.value("select count(*) from pg_locks where locktype = 'advisory'")
    assert locks == 0
    return {str(result.crm_id): result for result in results}


async def test_objects_that_wait_are_read_together_each_with_its_own_end(world: World) -> None:
    order = {"status": 1, "changed_at": minute(0), "updated_at": minute(0), "items": []}
    for crm_id in ("1", "2"):
        world.crm.put("orders", crm_id, **order)
    world.crm.put("orders", "3", **order, trouble="skip")
    for crm_id in ("1", "2", "3", "404"):
        await queue(world, stream="orders", crm_id=crm_id, origin="webhook")
    await queue(world, stream="customers", crm_id="9", origin="webhook")
    mine = await queue(world, stream="orders", crm_id="1")  # a person's, for the same: it is the one that waits
    results = await together(world)
    assert {crm_id: result.state for crm_id, result in results.items()} == {
        "1": "done", "2": "done", "3": "done", "404": "failed",
    }  # fmt: skip
    assert (results["1"].result["events"], results["1"].result["failed"], results["3"].result["failed"]) == (1, 0, 1)
    assert results["1"].request_id == mine
    assert results["404"].error_word == "permanent"
    assert await world.value("select count(*) from core.orders") == 2
    assert await world.value("select count(*) from sync.runs where kind = 'reread' and rows_seen = 3") == 1
    waiting = await world.rows("select stream from sync.requests where state = 'queued'")
    assert [row["stream"] for row in waiting] == ["customers"]


async def test_a_bug_with_one_object_does_not_stop_those_read_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = {"status": 1, "changed_at": minute(0), "updated_at": minute(0), "items": []}
    for crm_id in ("1", "2", "3"):
        world.crm.put("orders", crm_id, **order)
        await queue(world, stream="orders", crm_id=crm_id, origin="webhook")
    read = world.crm.read

    async def buggy(http: Any, account: Any, stream: str, crm_id: str) -> Any:
        if crm_id == "2":
            raise ZeroDivisionError
        return await read(http, account, stream, crm_id)

    monkeypatch.setattr(world.crm, "read", buggy)
    results = await together(world)
    assert {crm_id: result.state for crm_id, result in results.items()} == {"1": "done", "2": "failed", "3": "done"}
    assert await world.value("select count(*) from core.orders") == 2


async def test_a_wrong_key_puts_off_all_that_were_read_together_and_disables_the_project_once(world: World) -> None:
    for crm_id in ("1", "2"):
        await queue(world, stream="orders", crm_id=crm_id, origin="webhook")

    def refuse(stream: str, crm_id: str) -> None:
        raise ConfigError("wrong key")

    world.crm.before_read = refuse
    results = await together(world)
    assert {result.state for result in results.values()} == {"queued"}
    assert await world.value("select disabled_reason from config.projects") == "wrong key"
