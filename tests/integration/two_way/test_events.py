"""What a drain has changed is published in its transaction: once for each object, and nothing that stayed as it was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from database.repositories import stream_events
from database.repositories.stream_events import NewEvent
from sync import relay
from sync.normalise import drain
from sync.pull import pull_project
from sync.replay import replay_project
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio

HAPPENED = "2026-03-01T08:0{}:00Z"


def hook(order_id: str, status: int, at: int, **values: Any) -> str:
    row = {"id": order_id, "status": status, "changed_at": minute(at), "updated_at": minute(at), "quiet": True}
    return json.dumps({**row, **values})


async def new_events(world: World) -> list[dict[str, Any]]:
    """Since the last call."""
    rows = await world.rows(
        "delete from sync.stream_events returning event_id, project_id, kind, entity_id, vms_entity_id, origin, payload"
    )
    return sorted(rows, key=lambda row: row["event_id"])


async def read_everything(world: World) -> None:
    await pull_project(world.pool, world.keyring, "shop", lookup=world.lookup)
    await drain(world.pool, "shop", lookup=world.lookup)


async def test_a_webhook_becomes_an_event_with_what_the_order_is_now(world: World) -> None:
    await world.execute(
        "insert into sync.mappings (project_id, entity_type, vms_entity_id, crm_entity_id)"
        " values ('shop', 'order', 99, '7')"
    )
    await world.execute("insert into core.statuses (project_id, status_id, name) values ('shop', '4', 'In delivery')")
    await world.webhook(hook("7", 4, 3, group=2, total="1200.5", comment="Call +380501234567"))
    await drain(world.pool, "shop", lookup=world.lookup)
    [event] = await new_events(world)
    assert event.pop("event_id") > 0
    assert event == {
        "project_id": "shop", "kind": "order", "entity_id": "7", "vms_entity_id": 99, "origin": "crm",
        "payload": {
            "order_id": "7", "status_id": "4", "status_name": "In delivery", "status_group_id": "2",
            "customer_id": None, "payment_status": None, "grand_total": "1200.50", "payments_total": None,
            "currency": "UAH", "is_deleted": False, "order_created_at": None, "changed_at": HAPPENED.format(3),
        },
    }  # fmt: skip


async def test_several_webhooks_of_an_order_are_one_event_and_a_repetition_is_none(world: World) -> None:
    await world.webhook(hook("7", 1, 1), hook("7", 2, 2), hook("8", 1, 1))
    await drain(world.pool, "shop", lookup=world.lookup)
    events = await new_events(world)
    assert [(event["entity_id"], event["payload"]["status_id"]) for event in events] == [("8", "1"), ("7", "2")]
    await world.webhook(hook("7", 2, 2), hook("7", 1, 1))
    await drain(world.pool, "shop", lookup=world.lookup)
    assert await new_events(world) == []


async def test_payments_buyers_and_stocks_are_told_when_they_change_and_without_personal_data(world: World) -> None:
    world.crm.put("statuses", "1", name="New", group=1)
    world.crm.put("customers", "3", name="Олена Петренко", phones=["+380501234567"], updated_at=minute(1))
    world.crm.put("stocks", "5", sku="CUP", quantity="12.5", updated_at=minute(1))
    world.crm.put("orders", "7", status=1, total=20, customer="3", payments=["p1", "p2"], updated_at=minute(1))
    await read_everything(world)
    events = await new_events(world)
    # By transaction: customers come with orders, whatever the order of the streams.
    assert sorted({(event["kind"], event["entity_id"]) for event in events}) == [
        ("buyer", "3"), ("order", "7"), ("payment", "p1"), ("payment", "p2"), ("stock", "5"),
    ]  # fmt: skip
    told = {event["entity_id"]: event["payload"] for event in events}
    assert told["p1"] == {
        "payment_id": "p1", "order_id": "7", "amount": "10.00", "currency": "UAH", "status": "paid", "paid_at": None,
        "is_deleted": False, "changed_at": None,
    }  # fmt: skip
    assert told["3"] == {"customer_id": "3", "is_deleted": False, "changed_at": HAPPENED.format(1)}
    assert (told["5"]["sku"], told["5"]["in_stock"], told["5"]["price"]) == ("CUP", "12.500", "1.00")
    assert "380501234567" not in json.dumps(events, default=str)
    assert "Олена" not in json.dumps(events, default=str, ensure_ascii=False)

    await read_everything(world)
    assert await new_events(world) == []  # the CRM told the same again

    world.crm.put("orders", "7", status=1, total=20, customer="3", payments=["p2"], updated_at=minute(2))
    await read_everything(world)
    changed = {(event["kind"], event["entity_id"]): event["payload"] for event in await new_events(world)}
    assert set(changed) == {("order", "7"), ("payment", "p1")}
    assert changed["payment", "p1"]["is_deleted"] is True


async def test_what_is_rolled_back_is_not_told(world: World) -> None:
    await world.execute(
        "create function core.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'no' using errcode = '57014'; end $$"
    )
    await world.execute(
        "create constraint trigger refuse after insert on core.orders deferrable initially deferred"
        " for each row execute function core.refuse()"
    )
    await world.webhook(hook("7", 1, 1))
    with pytest.raises(Exception, match="no"):
        await drain(world.pool, "shop", lookup=world.lookup)
    assert await new_events(world) == []


async def test_the_relay_forgets_events_after_two_days_but_never_the_newest(world: World) -> None:
    for age in (72, 49, 47):
        async with world.pool.connection() as connection, connection.transaction():
            await stream_events.publish(connection, [NewEvent("shop", "order", f"{age} hours", "crm", {})])
        await world.execute(
            "update sync.stream_events set happened_at = now() - %s * interval '1 hour' where entity_id = %s",
            age,
            f"{age} hours",
        )

    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(world.url, world.keyring, stop=stop, lookup=world.lookup))

    async def is_one_left() -> bool:
        return await world.value("select count(*) from sync.stream_events") == 1

    async with asyncio.timeout(20):
        while not await is_one_left():  # noqa: ASYNC110 - the relay tells nobody
            await asyncio.sleep(0.02)
    stop.set()
    await running
    assert await world.value("select entity_id from sync.stream_events") == "47 hours"

    await world.execute("update sync.stream_events set happened_at = now() - interval '90 hours'")
    async with world.pool.connection() as connection:
        assert await stream_events.purge(connection) == 0


async def test_a_replay_tells_nothing_anew(world: World) -> None:
    await world.webhook(hook("7", 1, 1), hook("8", 2, 2))
    await drain(world.pool, "shop", lookup=world.lookup)
    assert len(await new_events(world)) == 2
    await replay_project(world.pool, "shop", lookup=world.lookup)
    assert await world.value("select count(*) from core.orders") == 2
    assert await new_events(world) == []
