"""Sales: how they come into core, are undone, and are told of in the order of commits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.records import Batch, Place
from database.repositories import raw, transactions
from sync.normalise import drain
from sync.pull import pull_project
from sync.replay import replay_project
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def pull(world: World) -> None:
    await pull_project(world.pool, world.keyring, "shop", lookup=world.lookup)


def order(world: World, name: str, at: float, **values: Any) -> None:
    world.crm.put("orders", name, updated_at=minute(at), **values)


async def states(world: World) -> dict[str, str]:
    rows = await world.rows("select external_id, state from core.transactions order by external_id")
    return {row["external_id"]: row["state"] for row in rows}


async def told(world: World) -> list[tuple[Any, ...]]:
    rows = await world.rows("select external_id, state, amount from core.transaction_changes order by position")
    return [(row["external_id"], row["state"], str(row["amount"])) for row in rows]


async def test_a_paid_order_is_a_sale_and_an_unpaid_one_undoes_it(world: World) -> None:
    order(world, "1", 1, paid_at=minute(1), total="120.50")
    order(world, "2", 1, paid_at=None, total="9")
    await pull(world)
    (row,) = await world.rows("select * from core.transactions")
    assert (row["external_id"], row["crm"], row["state"], row["currency"]) == ("TOY-1", "toy", "active", "UAH")
    assert row["occurred_at"].isoformat() == minute(1)
    order(world, "1", 2, paid_at=None, total="120.50")
    await pull(world)
    assert await states(world) == {"TOY-1": "reversed"}
    order(world, "1", 3, paid_at=minute(3), total="130")
    await pull(world)
    assert await told(world) == [
        ("TOY-1", "active", "120.50"),
        ("TOY-1", "reversed", "120.50"),
        ("TOY-1", "active", "130.00"),
    ]


async def test_an_older_record_that_comes_late_changes_nothing(world: World) -> None:
    order(world, "1", 5, paid_at=None, total="10")
    order(world, "2", 5, paid_at=minute(5), total="10")
    await pull(world)
    order(world, "2", 4, paid_at=None, total="10")
    await pull(world)
    assert await states(world) == {"TOY-2": "active"}


async def test_an_order_that_is_gone_takes_its_sale_with_it(world: World) -> None:
    order(world, "1", 1, paid_at=minute(1), total="10")
    await pull(world)
    body = '{"id": "1"}'
    async with world.pool.connection() as connection, connection.transaction():
        await raw.land_tombstone(connection, "shop", "toy", "orders", "1", None, body)
    await drain(world.pool, "shop", lookup=world.lookup)
    assert await states(world) == {"TOY-1": "reversed"}


async def test_pulling_and_replaying_again_tell_nothing_new(world: World) -> None:
    order(world, "1", 1, paid_at=minute(1), total="10")
    order(world, "2", 1, paid_at=minute(1), total="20")
    await pull(world)
    order(world, "2", 2, paid_at=None, total="20")
    await pull(world)
    before, snapshot = await told(world), await states(world)
    await pull(world)
    await replay_project(world.pool, "shop", lookup=world.lookup)
    assert await told(world) == before
    assert await states(world) == snapshot


async def test_what_raw_no_longer_yields_stays_as_reversed(world: World) -> None:
    order(world, "1", 1, paid_at=minute(1), total="10")
    await pull(world)
    await world.execute("delete from raw.api_records where stream = 'orders'")
    await replay_project(world.pool, "shop", lookup=world.lookup)
    assert await states(world) == {"TOY-1": "reversed"}
    assert (await told(world))[-1] == ("TOY-1", "reversed", "10.00")


async def test_a_reader_by_position_never_misses_a_version_that_commits_late(world: World) -> None:
    """Two projects write at once; whoever commits second must have the higher positions."""
    await world.add_project("other")
    for project in ("shop", "other"):
        await world.execute(
            """
            insert into core.transactions (project_id, external_id, crm, occurred_at, amount, source)
            values (%s, 'A', 'toy', now(), 1, 'pull')
            """,
            project,
        )
    entered, release = asyncio.Event(), asyncio.Event()

    async def write(project: str, *, slowly: bool) -> None:
        async with world.pool.connection() as connection, connection.transaction():
            if not slowly:
                await entered.wait()
            await transactions.note_changes(connection, project, ["A"])
            if slowly:
                entered.set()
                await release.wait()

    async def read_then_release() -> list[str]:
        await entered.wait()
        seen = [row["project_id"] for row in await world.rows("select project_id from core.transaction_changes")]
        release.set()
        return seen

    _, _, early = await asyncio.gather(write("shop", slowly=True), write("other", slowly=False), read_then_release())
    assert early == []  # the second waits for the first, so nothing is seen out of order
    rows = await world.rows("select project_id from core.transaction_changes order by position")
    assert [row["project_id"] for row in rows] == ["shop", "other"]


async def test_a_place_sets_the_zone_of_the_records_after_it(world: World) -> None:
    zones: list[str] = []
    mapped = world.crm.map_record

    def map_record(context: Any, stream: str, crm_id: str, body: str) -> Batch:
        if stream == "sources":
            return Batch(places=[Place("", name="Salon", timezone="Asia/Tomsk", currency="RUB")])
        zones.append(context.timezone_of())
        return mapped(context, stream, crm_id, body)

    world.crm.map_record = map_record  # type: ignore[method-assign]
    world.crm.put("sources", "1", name="x")
    order(world, "1", 1, paid_at=minute(1), total="10")
    await pull(world)
    assert zones == ["Asia/Tomsk"]
    order(world, "2", 2, paid_at=minute(1), total="10")
    await pull(world)
    assert zones[1:] == ["Asia/Tomsk"]
