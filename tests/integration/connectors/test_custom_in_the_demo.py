"""The demo's farm shop: its settings are valid, and its account pulls into orders and sales."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI, Request

from database.connection import open_pool
from database.encryption import Keyring
from demo.crms import custom
from sync.pull import pull_project
from sync.settings import apply_settings
from sync.trials import try_project
from tests.support.http_server import serve
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
FRAGMENT = Path(custom.__file__).with_suffix(".yaml")


async def _rows(pool: Any, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return [tuple(row.values()) for row in await (await connection.execute(query)).fetchall()]


async def _pulled(database_url: str, keyring: Keyring, crm: custom.DemoCrm) -> dict[str, Any]:
    with serve(crm.app) as url:
        text = yaml.safe_dump({"projects": [yaml.safe_load(FRAGMENT.read_text(encoding="utf-8"))]})
        environ = {"URL": url + crm.api_path, "HOOK": "hook-secret-1", **crm.variables}
        async with open_pool(database_url, max_size=8) as pool:
            async with pool.connection() as connection:
                await apply_settings(connection, keyring, text, source="demo", environ=environ, actor="test")
            assert (await try_project(pool, keyring, "farm-shop", actor="test")).is_enabled_now
            result = await pull_project(pool, keyring, "farm-shop")
            return {
                "failed": sum(stream.counts.failed for stream in result.streams) + result.applied.failed,
                "orders": await _rows(pool, "select status_id, count(*) from core.orders group by 1"),
                "sales": await _rows(pool, "select state, count(*), min(currency) from core.transactions group by 1"),
                "customers": await _rows(
                    pool, "select count(*) as all_of_them, count(phone_e164) as with_phone from core.customers"
                ),
            }


@pytest.mark.anyio
async def test_two_months_of_the_farm_shop_are_orders_and_sales(database_url: str, keyring: Keyring) -> None:
    found = await _pulled(database_url, keyring, custom.demo_account(NOW, 20))
    assert found["failed"] == 0
    orders = dict(found["orders"])
    assert 60 <= sum(orders.values()) <= 180
    assert orders["done"] > orders["cancelled"] > 0
    sales = {state: (count, currency) for state, count, currency in found["sales"]}
    # What was given back was never seen as a sale here, so nothing is reversed by the first pull.
    assert sales["active"][0] <= orders["done"]
    assert sales["active"][0] > 0.8 * orders["done"]
    assert sales["active"][1] == "UAH"
    assert found["customers"] == [(6, 6)]


def test_the_same_seed_gives_the_same_account() -> None:
    first, second = (custom.demo_account(NOW, 7) for _ in range(2))
    assert first.app._orchard.rows == second.app._orchard.rows  # type: ignore[attr-defined]
    assert custom.demo_account(NOW, 8).app._orchard.rows != first.app._orchard.rows  # type: ignore[attr-defined]


def test_something_happens_and_the_webhooks_target_is_told() -> None:
    got: list[dict[str, Any]] = []
    receiver = FastAPI()

    @receiver.post("/hook")
    async def hook(request: Request) -> dict[str, str]:
        got.append(await request.json())
        return {}

    crm = custom.demo_account(NOW, 20)
    assert crm.connect is not None
    assert crm.change is not None
    with serve(receiver) as url:
        crm.connect(f"{url}/hook")
        for _ in range(20):
            crm.change()
        wait_until(lambda: len(got) >= 20)
    assert {payload["event"] for payload in got} <= {"order.changed", "sale.changed"}
    assert all(("order" in payload) or ("sale" in payload) for payload in got)
