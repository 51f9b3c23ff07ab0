"""Finished changes and old writes are forgotten in time; what failed, waits, or is needed still is not."""

from __future__ import annotations

import asyncio

import pytest

from database.environment import Environment
from database.repositories import ledger
from sync import relay, retention
from sync.retention import Forgotten, Keep, forget_two_way
from tests.support.relaying import until
from tests.support.vms_changes import insert, send, states
from tests.support.world import World

pytestmark = pytest.mark.anyio

KEEP = Keep(outbox_days=14, ledger_days=30)


async def add_outbox(world: World, state: str, days: float) -> None:
    """A row that was changed, and finished if it is, so many days ago."""
    await world.execute(
        """
        insert into sync.outbox (
            project_id, entity_type, vms_entity_id, lane, operation, state, changed_at, finished_at, claimed_by
        )
        select 'shop', 'order', 1, 'order:1', 'update', s, at, case when s in ('sent', 'skipped', 'failed') then at end,
            case when s = 'sending' then 'somebody' end
        from (select %s as s, clock_timestamp() - %s * interval '1 day' as at) as r
        """,
        state,
        days,
    )


async def add_write(world: World, side: str, entity: str, entity_id: str, days: float) -> None:
    await world.execute(
        """
        insert into sync.write_ledger (
            project_id, side, entity_type, entity_id, operation, fields, fields_hash, written_at
        )
        values ('shop', %s, %s, %s, 'update', '{note}', '', clock_timestamp() - %s * interval '1 day')
        """,
        side, entity, entity_id, days,
    )  # fmt: skip


async def test_changes_that_are_done_with_are_forgotten_and_those_that_failed_or_wait_never(shop: World) -> None:
    for state in ("sent", "skipped"):
        await add_outbox(shop, state, 14.1)
        await add_outbox(shop, state, 13.9)
    for state in ("failed", "waiting", "sending"):
        await add_outbox(shop, state, 400)
    assert (await forget_two_way(shop.pool, KEEP)).outbox == 2
    assert await states(shop) == ["sent", "skipped", "failed", "waiting", "sending"]
    assert (await forget_two_way(shop.pool, KEEP)).outbox == 0


async def test_a_dead_letter_and_its_change_outlast_everything(shop: World) -> None:
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "refuse"
    await send(shop)
    await shop.execute("update sync.outbox set finished_at = now() - interval '10 years'")
    await shop.execute("update sync.dead_letters set last_failed_at = now() - interval '10 years'")
    assert await forget_two_way(shop.pool, Keep(outbox_days=1, ledger_days=1)) == Forgotten(0, 0, 0)
    assert await states(shop) == ["failed"]
    assert await shop.value("select count(*) from sync.dead_letters") == 1


CORE = {
    "order": "insert into core.orders (project_id, order_id, updated_at) values ('shop', %s, %s)",
    "customer": "insert into core.customers (project_id, customer_id, updated_at) values ('shop', %s, %s)",
    "article": "insert into core.offers (project_id, offer_id, updated_at) values ('shop', %s, %s)",
    "payment": (
        "insert into core.payments (project_id, payment_id, order_id, amount, status, updated_at)"
        " values ('shop', %s, '1', 5, 'paid', %s)"
    ),
}
"""What core knows of an object, and since when."""


@pytest.mark.parametrize("entity", CORE)
async def test_a_write_is_forgotten_once_it_is_old_and_core_has_heard_of_it(shop: World, entity: str) -> None:
    now = await shop.value("select now()")
    for crm_id, days in (("heard", 31), ("unheard", 31), ("recent", 29), ("unknown", 31)):
        await add_write(shop, "crm", entity, crm_id, days)
        await add_write(shop, "vms", entity, f"7{days}", days)
    for crm_id, heard_days_ago in (("heard", 30.9), ("unheard", 31.1), ("recent", 28)):
        at = await shop.value("select %s::timestamptz - %s * interval '1 day'", now, heard_days_ago)
        await shop.execute(CORE[entity], crm_id, at)
    assert (await forget_two_way(shop.pool, KEEP)).ledger == 5
    left = await shop.rows("select side, entity_id from sync.write_ledger order by 1, 2")
    assert [tuple(row.values()) for row in left] == [("crm", "recent"), ("crm", "unheard"), ("vms", "729")]
    async with shop.pool.connection() as connection:
        written = await ledger.written_at(connection, "shop", "crm", entity, ["unheard"])
    assert written["unheard"].keys() == {"note"}


async def test_it_goes_on_in_portions_until_nothing_is_left_or_it_is_told_to_stop(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    for number in range(7):
        await add_outbox(shop, "sent", 20 + number)
        await add_write(shop, "vms", "order", str(number), 40)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    assert await forget_two_way(shop.pool, KEEP, stop=stop) == Forgotten(events=0, outbox=4, ledger=0)
    assert await shop.value("select max(now() - finished_at) < interval '23 days' from sync.outbox")  # oldest first
    assert await forget_two_way(shop.pool, KEEP) == Forgotten(events=0, outbox=3, ledger=7)
    assert await states(shop) == []


async def test_the_relay_forgets_by_the_settings_of_its_environment(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_ELT_KEEP_OUTBOX_DAYS", "3")
    monkeypatch.setenv("CRM_ELT_KEEP_LEDGER_DAYS", "5.5")
    keep = Keep.of(Environment())
    assert (keep.outbox_days, keep.ledger_days) == (3, 5.5)
    await add_outbox(shop, "sent", 4)
    await add_outbox(shop, "sent", 2)
    for days in (4, 6):
        await add_write(shop, "vms", "order", "1", days)

    async def is_forgotten() -> bool:
        return bool(
            await shop.value("select (select count(*) from sync.outbox) + (select count(*) from sync.write_ledger) = 2")
        )

    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(shop.url, shop.keyring, stop=stop, lookup=shop.lookup, keep=keep))
    try:
        await until(is_forgotten, task)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)
    assert await shop.value("select count(*) from sync.outbox where finished_at > now() - interval '3 days'") == 1
