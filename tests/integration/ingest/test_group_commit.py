"""Group commit against a real PostgreSQL: poison, failures, limits, shutdown."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from ingest_process import rows

from database.connection import Connection, connect
from database.repositories import landing
from database.repositories.landing import RejectedRow, WebhookRow
from ingest_api.landing import (
    DatabaseAwayError,
    GroupCommit,
    ProjectBusyError,
    QueueFullError,
    RowRefusedError,
)
from ingest_api.metrics import Metrics

pytestmark = pytest.mark.anyio


def webhook(body: str, *, project: str = "p", address: str = "10.0.0.1", headers: str = "{}") -> WebhookRow:
    digest = hashlib.sha256(body.encode("utf-8", "replace")).digest()
    return WebhookRow(project, "keycrm", "", "application/json", digest, headers, "{}", address, body)


@asynccontextmanager
async def group_commit(
    connect_: Callable[[], Awaitable[Connection]], **settings: Any
) -> Any:  # an asynchronous context manager of (GroupCommit, Metrics)
    metrics = Metrics()
    values = {"group_limit": 500, "queue_limit": 10_000, "wait_seconds": 10.0, **settings}
    commit = GroupCommit(connect_, metrics=metrics, **values)
    commit.start()
    try:
        yield commit, metrics
    finally:
        await commit.close()


def sample(metrics: Metrics, name: str) -> float:
    value = metrics.registry.get_sample_value(f"crm_elt_ingest_{name}")
    assert value is not None
    return value


async def test_rows_that_wait_together_share_a_commit_and_get_their_own_ids(database_url: str) -> None:
    async with group_commit(lambda: connect(database_url)) as (commit, metrics):
        answers = [commit.submit(webhook(f'{{"n":{n}}}', project=f"p{n % 3}"), 10) for n in range(1000)]
        ids = await asyncio.gather(*answers)
    stored = rows(database_url, "select event_id, body, project_id from raw.webhook_events")
    assert {row["event_id"]: row["body"] for row in stored} == {number: f'{{"n":{n}}}' for n, number in enumerate(ids)}
    assert sample(metrics, "group_size_count") <= 4
    assert sample(metrics, "group_size_sum") == 1000
    queued = rows(database_url, "select project_id, unnest(raw_ids) as event_id from sync.raw_queue")
    assert sorted((row["project_id"], row["event_id"]) for row in queued) == sorted(
        (row["project_id"], row["event_id"]) for row in stored
    )


@pytest.mark.parametrize(
    "poison",
    [
        webhook("a\x00b"),
        webhook("\ud800"),
        webhook("{}", address="10.0.0.999"),
        webhook("{}", headers='{"a":"\\u0000"}'),
    ],
    ids=["nul", "surrogate", "address", "nul in headers"],
)
async def test_a_row_that_the_database_refuses_is_kept_aside_and_the_others_land(
    database_url: str, poison: WebhookRow
) -> None:
    async with group_commit(lambda: connect(database_url)) as (commit, _):
        answers = [commit.submit(webhook(f'{{"n":{n}}}'), 10) for n in range(100)]
        bad = commit.submit(poison, 10)
        answers += [commit.submit(webhook(f'{{"n":{n}}}'), 10) for n in range(100, 200)]
        ids = await asyncio.gather(*answers)
        with pytest.raises(RowRefusedError):
            await bad
    stored = rows(database_url, "select event_id, body from raw.webhook_events")
    assert {row["event_id"]: row["body"] for row in stored} == {number: f'{{"n":{n}}}' for n, number in enumerate(ids)}
    (kept,) = rows(database_url, "select project_id, reason, body from raw.rejected")
    assert kept["body"] == poison.body.encode("utf-8", "surrogatepass")
    assert kept["reason"].startswith("The database refuses it: ")


async def test_a_rejected_row_with_unusable_headers_is_kept_without_them(database_url: str) -> None:
    async with group_commit(lambda: connect(database_url)) as (commit, _):
        row = RejectedRow("p", "keycrm", "no JSON", "text/plain", '{"a":"\\u0000"}', "nowhere", b"\x00\xff")
        number = await commit.submit(row, 2)
    assert rows(database_url, "select rejected_id, body, headers, reason from raw.rejected") == [
        {"rejected_id": number, "body": b"\x00\xff", "headers": {}, "reason": "no JSON"}
    ]


async def test_a_commit_is_durable_even_if_the_role_says_otherwise(database_url: str) -> None:
    async with await connect(database_url) as connection:
        await connection.execute("set synchronous_commit = off")
        await landing.prepare_connection(connection)
        cursor = await connection.execute("show synchronous_commit")
        assert await cursor.fetchone() == {"synchronous_commit": "on"}


async def test_a_killed_connection_costs_nobody_an_answer(database_url: str) -> None:
    async with group_commit(lambda: connect(database_url, application="victim")) as (commit, _):
        await commit.submit(webhook("{}"), 2)
        for n in range(5):
            assert rows(
                database_url, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'"
            )
            assert await commit.submit(webhook(f'{{"n":{n}}}'), 2) > 0
    assert len(rows(database_url, "select 1 from raw.webhook_events")) == 6


async def test_nothing_is_answered_while_the_database_is_away_and_then_what_waited_lands() -> None:
    opened = asyncio.Event()
    attempts = 0

    async def connect_later() -> Connection:
        nonlocal attempts
        attempts += 1
        if attempts >= 3:
            opened.set()
        raise psycopg.OperationalError("connection refused")

    async with group_commit(connect_later, wait_seconds=0.3) as (commit, _):
        answer = commit.submit(webhook("{}"), 2)
        await asyncio.wait_for(opened.wait(), 10)
        assert not answer.done() or isinstance(answer.exception(), DatabaseAwayError)
        with pytest.raises(DatabaseAwayError):
            await asyncio.wait_for(answer, 10)
        assert commit.waiting == 0


async def test_a_statement_that_hangs_is_given_up_and_the_next_ones_land(database_url: str) -> None:
    async with (
        await connect(database_url) as blocker,
        group_commit(lambda: connect(database_url), wait_seconds=0.5) as (commit, _),
    ):
        async with blocker.transaction():
            await blocker.execute("lock table raw.webhook_events in access exclusive mode")
            with pytest.raises(DatabaseAwayError):
                await asyncio.wait_for(commit.submit(webhook('{"n":1}'), 8), 10)
        while True:  # until the writer has come back
            try:
                await asyncio.wait_for(commit.submit(webhook('{"n":2}'), 8), 10)
                break
            except DatabaseAwayError:
                continue
    assert rows(database_url, "select 1 from raw.webhook_events where body = '{\"n\":2}'")


async def test_the_queue_is_bounded_in_rows_in_bytes_and_by_project() -> None:
    async def never() -> Connection:
        await asyncio.Event().wait()
        raise AssertionError

    async with group_commit(never, queue_limit=10, group_limit=1, wait_seconds=0.2, writers=1) as (commit, _):
        waiting = [commit.submit(webhook("{}", project="loud"), 2) for _ in range(5)]
        with pytest.raises(ProjectBusyError):
            commit.submit(webhook("{}", project="loud"), 2)
        waiting += [commit.submit(webhook("{}", project=f"quiet{n}"), 2) for n in range(5)]
        with pytest.raises(QueueFullError):
            commit.submit(webhook("{}", project="late"), 2)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, DatabaseAwayError) for result in results)
        large = commit.submit(webhook("{}", project="large"), 63 * 1024 * 1024)
        with pytest.raises(QueueFullError):
            commit.submit(webhook("{}", project="larger"), 2 * 1024 * 1024)
        with pytest.raises(DatabaseAwayError):
            await large


async def test_what_waits_at_shutdown_is_landed_and_nothing_more_is_taken(database_url: str) -> None:
    metrics = Metrics()
    commit = GroupCommit(
        lambda: connect(database_url), group_limit=10, queue_limit=1000, wait_seconds=10, metrics=metrics
    )
    commit.start()
    answers = [commit.submit(webhook(f'{{"n":{n}}}'), 8) for n in range(300)]
    await commit.close()
    assert len({answer.result() for answer in answers}) == 300
    with pytest.raises(DatabaseAwayError):
        commit.submit(webhook("{}"), 2)
    assert len(rows(database_url, "select 1 from raw.webhook_events")) == 300


async def test_large_bodies_are_spread_over_several_statements(database_url: str) -> None:
    body = '"' + "x" * 1_000_000 + '"'
    async with group_commit(lambda: connect(database_url)) as (commit, metrics):
        await asyncio.gather(*[commit.submit(webhook(body), len(body)) for _ in range(12)])
    assert sample(metrics, "group_size_count") >= 3
