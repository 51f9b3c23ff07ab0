"""Two projects at simulated KeyCRM accounts, with an order on each of some days."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.keycrm.simulator import SimulatorState
from database.connection import connect
from database.encryption import Keyring
from sync.settings import apply_settings

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 5
ORDERS_A_DAY = 3


def account(api_key: str) -> SimulatorState:
    """Three orders on each of five days; the first of a day goes one status further."""
    state = SimulatorState(api_key=api_key, rate_limit=0)
    for number in range(DAYS):
        for hour in range(ORDERS_A_DAY):
            at = FIRST_DAY + timedelta(days=number, hours=8 + hour)
            order = state.add_order(
                products=[{"name": "Mug", "price": 200, "quantity": 2}], at=at, ordered_at=at, announce=False
            )
            if hour == 0:
                state.change_status(order.id, 2, at=at + timedelta(hours=3), announce=False)
    return state


def day(number: int) -> str:
    return (FIRST_DAY + timedelta(days=number)).strftime("%Y-%m-%d")


def orders_of(state: SimulatorState, number: int) -> set[str]:
    """Ids of the orders of a day, as text."""
    return {str(order.id) for order in state.orders.rows.values() if order.fields["ordered_at"][:10] == day(number)}


def settings(base_url: str, keys: dict[str, str]) -> str:
    """Settings of projects, id -> API key."""
    return "projects:\n" + "".join(
        f"""
  - id: {project_id}
    name: {project_id}
    crm: keycrm
    base_url: {base_url}/v1
    timezone: Europe/Kyiv
    region: UA
    credentials: {{api_key: {key}}}
    sync: {{retry_attempts: 0, since: 2026-01-01}}
    options: {{rate_limit: {{requests: 6000, per_seconds: 60}}}}
    working_hours: {{default: {{mon-fri: ["09:00-18:00"]}}}}
"""
        for project_id, key in keys.items()
    )


def apply(database_url: str, keyring: Keyring, text: str) -> None:
    async def call() -> None:
        async with await connect(database_url) as connection:
            await apply_settings(connection, keyring, text, source="test", environ={}, actor="test")

    asyncio.run(call())


def select(database_url: str, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    async def call() -> list[dict[str, Any]]:
        async with await connect(database_url) as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall()

    return asyncio.run(call())


def core_orders(database_url: str, project_id: str) -> set[str]:
    rows = select(database_url, "select order_id from core.orders where project_id = %s", [project_id])
    return {row["order_id"] for row in rows}
