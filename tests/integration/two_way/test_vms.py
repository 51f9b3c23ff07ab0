"""Schema vms: what follows by itself, and the outbox that a transaction fills."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.support.world import World

pytestmark = pytest.mark.anyio


async def order(world: World, **values: Any) -> int:
    names = ", ".join(["project_id", *values])
    marks = ", ".join(["%s"] * (len(values) + 1))
    found = await world.value(
        f"insert into vms.orders ({names}) values ({marks}) returning id", "shop", *values.values()
    )
    return int(found)


async def waiting(world: World) -> list[tuple[str, int, str, list[str]]]:
    rows = await world.rows("select * from sync.outbox order by outbox_id")
    return [(row["entity_type"], row["vms_entity_id"], row["operation"], row["fields"]) for row in rows]


async def test_the_least_insert_works_and_the_rest_follows(world: World) -> None:
    order_id = await order(world)
    await world.execute("insert into vms.articles (project_id, sku, name, price) values ('shop', 'A-1', 'Cup', 120.50)")
    await world.execute(
        "insert into vms.order_items (project_id, order_id, sku, quantity) values ('shop', %s, 'A-1', 2)", order_id
    )
    await world.execute(
        "insert into vms.order_items (project_id, order_id, name, price) values ('shop', %s, 'Wrap', 9)", order_id
    )
    await world.execute("update vms.orders set discount = 10, shipping_price = 60 where id = %s", order_id)
    await world.execute(
        "insert into vms.payments (project_id, order_id, amount, status) values ('shop', %s, 100, 'paid')", order_id
    )
    (found,) = await world.rows("select * from vms.orders")
    assert (found["number"], found["status"], found["currency"]) == (str(order_id), "PENDING", "UAH")
    assert found["total"] == Decimal("300.00")  # 2 x 120.50 + 9 - 10 + 60
    assert found["payment_status"] == "part_paid"
    await world.execute(
        "insert into vms.payments (project_id, order_id, amount, status) values ('shop', %s, 200, 'paid')", order_id
    )
    assert await world.value("select payment_status from vms.orders") == "paid"
    lines = await world.rows("select name, price, article_id is null as is_one_off from vms.order_items order by id")
    assert [tuple(line.values()) for line in lines] == [
        ("Cup", Decimal("120.50"), False),
        ("Wrap", Decimal("9.00"), True),
    ]


async def test_each_change_is_in_the_outbox_with_what_changed(world: World) -> None:
    order_id = await order(world)
    await world.execute("insert into vms.order_items (project_id, order_id, name) values ('shop', %s, 'Cup')", order_id)
    await world.execute("update vms.orders set status = 'SHIPPED', comment = 'by noon' where id = %s", order_id)
    await world.execute("update vms.orders set status = 'SHIPPED' where id = %s", order_id)
    await world.execute(
        "insert into vms.shipments (project_id, order_id, tracking_number) values ('shop', %s, 'TTN')", order_id
    )
    await world.execute("delete from vms.order_items")
    assert [(kind, operation, fields) for kind, _, operation, fields in await waiting(world)] == [
        ("order", "create", ["customer", "status", "discount", "shipping_price", "comment", "ordered_at"]),
        ("order", "update", ["items"]),
        ("order", "update", ["status", "comment"]),
        ("order", "update", ["shipment"]),
        ("order", "update", ["items"]),
    ]


async def test_what_is_rolled_back_is_in_no_outbox_and_what_the_sync_writes_is_not_either(world: World) -> None:
    async with world.pool.connection() as connection:
        transaction = connection.transaction()
        with pytest.raises(psycopg.errors.CheckViolation):
            await _write_and_fail(connection, transaction)
        async with connection.transaction():
            await connection.execute("select set_config('crm_elt.origin', 'crm', true)")
            await connection.execute("insert into vms.customers (project_id, full_name) values ('shop', 'Ihor')")
        assert await waiting(world) == []
        await connection.execute("insert into vms.customers (project_id, full_name) values ('shop', 'Iryna')")
    assert [row[0] for row in await waiting(world)] == ["customer"]


async def _write_and_fail(connection: Any, transaction: Any) -> None:
    async with transaction:
        await connection.execute("insert into vms.customers (project_id, full_name) values ('shop', 'Olena')")
        await connection.execute("insert into vms.orders (project_id, discount) values ('shop', -1)")
