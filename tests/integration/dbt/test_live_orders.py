"""Orders between two builds: computed as they are read, folded into the order table, and served in pages."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from database.connection import Connection, Pool, connect, open_pool
from database.embedded import EmbeddedServer
from database.encryption import Keyring
from database.repositories import order_counts, orders, waiting_orders
from database.repositories.orders import CursorError, Filter, Sort
from database.repositories.shown_orders import Hiding
from sync import relay
from sync.live import fold_waiting
from tests.integration.dbt.conftest import Warehouse
from tests.oracle import inputs, random_projects
from tests.oracle.expected import in_short, row_differences
from tests.oracle.metrics import Metrics
from tests.support import marts_snapshot

pytestmark = pytest.mark.anyio

SEEDS = range(700, 740)
_CHANGE = """
insert into core.order_status_events
    (project_id, order_id, status_id, status_changed_at, order_created_at, source, dedup_key)
select project_id, order_id, (abs(hashtext(order_id || %(mark)s)) %% 12 + 1)::text, clock_timestamp(), order_created_at,
    'webhook', order_id || '/' || %(mark)s
from (
    select distinct on (project_id, order_id) project_id, order_id, order_created_at from core.order_status_events
) as known
where abs(hashtext(project_id || order_id || %(mark)s)) %% %(of)s = 0
"""


@pytest.fixture(scope="module")
def template(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """Built once; each test has a copy of it."""
    warehouse = make_warehouse()
    random_projects.fill(warehouse.url, SEEDS)
    assert warehouse.build().failed == ()
    return warehouse


@pytest.fixture
def copies(server: EmbeddedServer, template: Warehouse) -> Iterator[Callable[[], Warehouse]]:
    names: list[str] = []

    def copy() -> Warehouse:
        source = template.url.rpartition("/")[2]
        names.append(f"{source}_copy_{len(names)}")
        server.create_database(names[-1], template=source)
        return Warehouse(server.url(names[-1]), template.folder)

    yield copy
    for name in names:
        server.drop_database(name)


@pytest.fixture
def warehouse(copies: Callable[[], Warehouse]) -> Warehouse:
    return copies()


@pytest.fixture
async def pool(warehouse: Warehouse) -> AsyncIterator[Pool]:
    async with open_pool(warehouse.url) as pool:
        yield pool


@pytest.fixture
async def connection(warehouse: Warehouse) -> AsyncIterator[Connection]:
    async with await connect(warehouse.url) as connection:
        yield connection


def change(warehouse: Warehouse, mark: str, of: int = 2) -> None:
    """Events, deletions, urgency for some of the orders: the same for the same mark."""
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(_CHANGE, {"mark": mark, "of": of})
        some = f"abs(hashtext(project_id || order_id || '{mark}')) % {6 * of}"
        connection.execute(f"delete from core.order_status_events where {some} = 1".encode())
        connection.execute(f"update core.orders set is_deleted = true where {some} = 2".encode())
        connection.execute(
            "insert into config.order_overrides (project_id, order_id, is_urgent) "
            f"select project_id, order_id, true from core.orders where {some} = 3 on conflict do nothing".encode()
        )  # fmt: skip


def waiting(warehouse: Warehouse) -> int:
    return int(warehouse.rows("select count(*) as count from sync.changed_orders")[0]["count"])


def differences(warehouse: Warehouse) -> dict[str, Any]:
    """Of orders_current from the calculation in plain Python, at the instant it is read."""
    rows = warehouse.rows("select now() as read_at, * from marts.orders_current where started_at is not null")
    now: datetime = rows[0]["read_at"]
    expected = {
        (name, order_id): metrics.current(order_id, now)
        for name, metrics in ((name, Metrics(project)) for name, project in inputs.read(warehouse.url).items())
        for order_id in metrics.histories
        if not metrics.project.orders.get(order_id, {}).get("is_deleted")
    }
    for row in rows:
        del row["read_at"]
    return in_short(row_differences(("project_id", "order_id"), rows, expected))


async def test_waiting_and_folded_orders_are_as_calculated(warehouse: Warehouse, pool: Pool) -> None:
    change(warehouse, "first")
    many = waiting(warehouse)
    assert many > 60
    assert differences(warehouse) == {}
    assert await fold_waiting(pool) == many
    assert waiting(warehouse) == 0
    assert differences(warehouse) == {}
    assert await fold_waiting(pool) == 0


async def test_an_order_that_changes_again_after_it_was_folded_waits_again(warehouse: Warehouse, pool: Pool) -> None:
    change(warehouse, "first")
    await fold_waiting(pool)
    change(warehouse, "second")
    assert waiting(warehouse) > 60
    assert differences(warehouse) == {}
    await fold_waiting(pool)
    assert differences(warehouse) == {}


async def test_folding_and_then_building_equals_building_alone(copies: Callable[[], Warehouse]) -> None:
    alone, folded = copies(), copies()
    for warehouse in (alone, folded):
        change(warehouse, "first", of=3)
    async with open_pool(folded.url) as pool:
        await fold_waiting(pool)
        change(folded, "second", of=4)
        change(alone, "second", of=4)
        await fold_waiting(pool)
    # Clocks differ between the two: the same instants for both.
    copy = "select project_id, dedup_key, status_changed_at, ingested_at from core.order_status_events"
    times = {(row["project_id"], row["dedup_key"]): row for row in alone.rows(copy)}
    with psycopg.connect(folded.url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "update core.order_status_events set status_changed_at = %s, ingested_at = %s "
            "where project_id = %s and dedup_key = %s and status_changed_at <> %s",
            [
                (row["status_changed_at"], row["ingested_at"], *key, row["status_changed_at"])
                for key, row in times.items()
            ],
        )
    async with open_pool(folded.url) as pool:
        await fold_waiting(pool)
    for warehouse in (alone, folded):
        assert warehouse.build().failed == ()
    at = datetime.fromisoformat("2026-06-01T10:00:00+00:00")
    taken = marts_snapshot.take(folded.url, at).differences(marts_snapshot.take(alone.url, at))
    assert {name: found for name, found in taken.items() if "stg" not in name} == {}
    assert folded.rows("select * from sync.order_changes_folded") == []


async def test_a_folding_that_is_killed_loses_nothing(warehouse: Warehouse, connection: Connection) -> None:
    change(warehouse, "first")
    before = waiting(warehouse)
    folding = await connect(warehouse.url)
    await folding.execute("begin")
    assert await waiting_orders.fold(folding)
    pid = folding.info.backend_pid
    await connection.execute("select pg_terminate_backend(%s)", [pid])
    with pytest.raises(psycopg.OperationalError):
        await folding.execute("commit")
    assert waiting(warehouse) == before
    assert differences(warehouse) == {}


async def test_what_is_written_while_it_is_folded_waits_on(warehouse: Warehouse) -> None:
    change(warehouse, "first", of=1)
    async with await connect(warehouse.url) as folding:
        async with folding.transaction():
            while await waiting_orders.fold(folding):
                pass
            change(warehouse, "second", of=1)  # commits before the folding does
        assert waiting(warehouse) > 60
        assert differences(warehouse) == {}


async def test_no_folding_beside_a_build_of_the_order_table(warehouse: Warehouse, connection: Connection) -> None:
    change(warehouse, "first")
    async with await connect(warehouse.url) as build, build.transaction():
        await build.execute("select pg_advisory_xact_lock(hashtextextended('crm_elt.orders_latest', 0))")
        assert await waiting_orders.fold(connection) is None
    assert await waiting_orders.fold(connection)


async def test_before_the_first_build_there_is_nothing_to_fold(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        assert await fold_waiting(pool) == 0


async def test_the_relay_folds_what_waits(warehouse: Warehouse, connection: Connection, keyring: Keyring) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(warehouse.url, keyring, stop=stop, instance="test"))
    try:
        for mark in ("first", "second"):
            change(warehouse, mark, of=4)
            async with asyncio.timeout(30):
                while waiting(warehouse):
                    assert not task.done()
                    await asyncio.sleep(0.05)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)
    assert warehouse.rows("select count(*) > 0 as found from sync.order_changes_folded") == [{"found": True}]
    assert differences(warehouse) == {}


async def test_orders_are_right_while_builds_and_foldings_go_on(warehouse: Warehouse, pool: Pool) -> None:
    change(warehouse, "before")
    results: list[Any] = []
    build = threading.Thread(target=lambda: results.append(warehouse.build(select="+orders_current")))
    build.start()
    turn = 0
    while build.is_alive():
        turn += 1
        change(warehouse, f"turn {turn}", of=25)
        await fold_waiting(pool)
        await asyncio.to_thread(build.join, 0.2)
    assert turn > 5
    assert differences(warehouse) == {}
    await fold_waiting(pool)
    assert differences(warehouse) == {}
    assert [failure.name for failure in results[0].failed if "agree_with" in failure.name] == []


# Pages


def random_filter(
    chance: random.Random, rows: list[dict[str, Any]], now: datetime
) -> tuple[Filter, Callable[[dict[str, Any]], bool]]:
    """A filter, and the same as a predicate of a row of the view."""
    values: dict[str, Any] = {}
    tests: list[Callable[[dict[str, Any]], bool]] = []
    like = chance.choice(rows)  # mostly of an order that is there

    def choose(probability: float) -> bool:
        return chance.random() < probability

    if choose(0.4):
        projects = {chance.choice(rows)["project_id"] for _ in range(chance.choice([1, 2, 8]))} | {like["project_id"]}
        values["projects"] = [*projects, "unheard-of", like["project_id"]]
        tests.append(lambda row: row["project_id"] in projects)
    for name, column in (("group", "last_status_group_id"), ("status", "last_status_id")):
        if choose(0.15) and like[column] is not None:
            values[name] = like[column]
            tests.append(lambda row, column=column: row[column] == like[column])
    if choose(0.4):
        states = frozenset(state for state in ("ok", "near", "over") if choose(0.5))
        values["states"] = states
        tests.append(lambda row: row["sla_state"] in states)
    for name in ("is_urgent", "is_closed"):
        if choose(0.15):
            values[name] = like[name]
            tests.append(lambda row, name=name: row[name] == like[name])
    for name, column in (("created", "order_created_at"), ("changed", "last_changed_at")):
        if choose(0.2) and like[column] is not None:
            since, until = like[column] - timedelta(days=chance.choice([0, 30])), like[column] + timedelta(days=30)
            if choose(0.7):
                values[f"{name}_from"] = since
                tests.append(lambda row, column=column, since=since: row[column] is not None and row[column] >= since)
            if choose(0.7):
                values[f"{name}_to"] = until
                tests.append(lambda row, column=column, until=until: row[column] is not None and row[column] < until)
    if choose(0.1):
        values["order_id"] = like["order_id"]
        tests.append(lambda row: row["order_id"] == like["order_id"])
    if choose(0.15):
        prefix = chance.choice([like["order_id"][:1], "%", "_", "\\", ""])
        values["order_prefix"] = prefix
        tests.append(lambda row: row["order_id"].startswith(prefix))
    if choose(0.5):
        values["hiding"], hides = random_hiding(chance, rows, now)
        tests.append(lambda row: not hides(row))
    return Filter(**values), lambda row: all(test(row) for test in tests)


def random_hiding(
    chance: random.Random, rows: list[dict[str, Any]], now: datetime
) -> tuple[tuple[Hiding, ...], Callable[[dict[str, Any]], bool]]:
    """What up to three projects hide, and the same as a predicate of a row of the view."""
    rules: dict[str, Hiding] = {}
    for _ in range(chance.choice([1, 1, 2, 3])):
        like = chance.choice(rows)
        groups, statuses = (
            frozenset({like[column]} - {None}) if chance.random() < 0.5 else frozenset()
            for column in ("last_status_group_id", "last_status_id")
        )
        days = chance.choice([None, 0, 30, (now - like["closed_at"]).days if like["closed_at"] else 400])
        rules[like["project_id"]] = Hiding((like["project_id"],), groups, statuses, days)

    def hides(row: dict[str, Any]) -> bool:
        rule = rules.get(row["project_id"])
        if rule is None:
            return False
        if row["last_status_group_id"] in rule.groups or row["last_status_id"] in rule.statuses:
            return True
        if rule.closed_days is None or not row["is_closed"]:
            return False
        since = now - timedelta(days=rule.closed_days)
        return rule.closed_days == 0 or row["closed_at"] is None or bool(row["closed_at"] < since)

    return tuple(rules.values()), hides


SORTS = [Sort(by, descending) for by in ("changed", "created", "due") for descending in (True, False)]
_COLUMNS = {"changed": "last_changed_at", "created": "order_created_at", "due": "sla_due_at"}


def ordered(rows: list[dict[str, Any]], sort: Sort) -> list[dict[str, Any]]:
    """Unknown instants are long ago, or for due times never."""

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        instant = row[_COLUMNS[sort.by]]
        known = 0 if instant is not None else 1 if sort.by == "due" else -1
        return known, instant.timestamp() if instant else 0.0, instant.microsecond if instant else 0, row["order_id"]

    return sorted(rows, key=lambda row: (*key(row), row["project_id"]), reverse=sort.descending)


@pytest.mark.parametrize("state", ["built", "waiting", "folded"])
async def test_pages_are_slices_of_the_whole_view(warehouse: Warehouse, connection: Connection, state: str) -> None:
    if state != "built":
        change(warehouse, "first", of=3)
    if state == "folded":
        while await waiting_orders.fold(connection):
            pass
    chance = random.Random(5)
    for _ in range(40):
        # One transaction has one now(), for the view and for the pages.
        async with connection.transaction():
            rows = await (await connection.execute("select now() as now, * from marts.orders_current")).fetchall()
            now = {row.pop("now") for row in rows}.pop()
            assert len(rows) > 100
            wanted, predicate = random_filter(chance, rows, now)
            sort = chance.choice(SORTS)
            expected = ordered([row for row in rows if predicate(row)], sort)
            without_hiding = replace(wanted, hiding=())
            size = chance.choice([1, 3, 10, 500])
            found: list[dict[str, Any]] = []
            cursor, last = None, None
            for _ in range(8 if size < 500 else 1):
                page = await orders.page(connection, wanted, sort, cursor=cursor, limit=size)
                found += [as_row(order) for order in page.orders]
                last, cursor = page, page.next
                if cursor is None:
                    break
            assert found == expected[: len(found)], (wanted, sort, size)
            assert cursor is not None or len(found) == len(expected)
            if last is not None and last.previous is not None:
                back = await orders.page(connection, wanted, sort, cursor=last.previous, limit=size)
                begin = len(found) - len(last.orders)
                assert [as_row(order) for order in back.orders] == expected[max(0, begin - size) : begin]
                assert (back.previous is None) == (begin <= size)
            states = [row["sla_state"] for row in expected]
            assert await order_counts.counts(connection, wanted) == order_counts.Counts(
                len(expected), *(states.count(each) for each in ("ok", "near", "over")),
                hidden=(await order_counts.counts(connection, without_hiding)).orders - len(expected),
            )  # fmt: skip


def as_row(order: orders.Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in orders.Order.__slots__}


async def test_equal_instants_are_paged_by_number_and_project(warehouse: Warehouse, connection: Connection) -> None:
    await connection.execute("update core.orders set order_created_at = '2025-01-01 00:00Z', is_deleted = false")
    for _ in range(2):  # waiting, then folded
        seen, cursor = [], None
        while True:
            page = await orders.page(connection, Filter(), Sort("created"), cursor=cursor, limit=7)
            seen += [(order.project_id, order.order_id) for order in page.orders]
            if (cursor := page.next) is None:
                break
        count = (await order_counts.counts(connection, Filter())).orders
        assert len(seen) == len(set(seen)) == count
        while await waiting_orders.fold(connection):
            pass


@pytest.mark.parametrize("cursor", ["", "?", "bm90aGluZw", "WyJjaGFuZ2VkIix0cnVlLCJub3ciLCIxIiwicCIsZmFsc2Vd", "ä"])
async def test_what_is_no_cursor_is_refused(connection: Connection, cursor: str) -> None:
    # The fourth is well-formed, with "now" for an instant, which PostgreSQL would take.
    with pytest.raises(CursorError, match="not one that was given"):
        await orders.page(connection, Filter(), cursor=cursor)


async def test_a_cursor_of_another_sorting_is_refused(connection: Connection) -> None:
    page = await orders.page(connection, Filter(), limit=2)
    with pytest.raises(CursorError, match="another sorting"):
        await orders.page(connection, Filter(), Sort("due"), cursor=page.next)


async def test_the_state_filters_of_the_view_itself_are_right(warehouse: Warehouse) -> None:
    change(warehouse, "first", of=6)
    rows = warehouse.rows("select project_id, order_id, sla_state from marts.orders_current")
    assert {row["sla_state"] for row in rows} == {"ok", "near", "over", None}
    for state in ("ok", "near", "over"):
        found = warehouse.rows(f"select project_id, order_id from marts.orders_current where sla_state = '{state}'")
        assert len(found) == sum(row["sla_state"] == state for row in rows)
