"""The demo's warehouse: an order that VMS makes goes to the CRM, and what happens there comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from commands.failures import CommandError
from commands.output import console
from commands.stack import Stack
from database.repositories import mappings, vms

if TYPE_CHECKING:
    from demo.accounts import KeyCrmAccount

_SECONDS = 60.0
_SHIPPED = "transferred_to_delivery"
"""Alias of the account's status that its settings call SHIPPED."""
T = TypeVar("T")


async def show(stack: Stack, account: KeyCrmAccount, ingest: str) -> None:
    """Make an order as VMS does, over HTTP, follow it to KeyCRM, and follow its next status back.

    Raises CommandError if either takes too long.
    """
    project_id, state = account.project_id, account.seeded.state
    sku = next(offer.fields["sku"] for offer in state.catalog.offers if offer.fields["sku"])
    shipped = next(row.fields for row in state.dictionaries["statuses"] if row.fields["alias"] == _SHIPPED)
    async with stack.pool() as pool, httpx.AsyncClient(timeout=30, trust_env=False) as client:

        async def send(entity: str, **data: Any) -> int:
            answer = await client.post(
                f"{ingest}/webhooks/vms/{project_id}",
                params={"token": account.webhook_secret},
                json={"entity": entity, "op": "create", "data": data},
            )
            if answer.status_code != 200:
                raise CommandError(f"The ingest API refused a change of VMS: {answer.text[:300]}")
            return int(answer.json()["id"])

        async def at_crm() -> int | None:
            async with pool.connection() as connection:
                known = await mappings.by_vms_id(connection, project_id, "order", [order_id])
            crm_id = known[order_id].crm_entity_id if order_id in known else None
            return int(crm_id) if crm_id is not None and int(crm_id) in state.orders.rows else None

        async def in_vms() -> str | None:
            async with pool.connection() as connection:
                (row,) = await vms.load(connection, project_id, "order", [order_id])
            return None if row["status"] == "PENDING" else str(row["status"])

        async def article() -> bool | None:
            async with pool.connection() as connection:
                return await vms.has_article(connection, project_id, sku) or None

        await _until(article, f"the article {sku} in vms")
        customer_id = await send("customer", full_name="Олена Коваль", phone="+380671112233")
        begun = time.monotonic()
        order_id = await send("order", customer_id=customer_id, items=[{"sku": sku, "quantity": 2}])
        crm_id = await _until(at_crm, f"order {order_id} of vms at KeyCRM")
        there = time.monotonic() - begun
        begun = time.monotonic()
        await asyncio.to_thread(state.change_status, crm_id, shipped["id"])
        await asyncio.to_thread(state.webhooks.wait_idle, _SECONDS)
        status = await _until(in_vms, f"the status of KeyCRM's order {crm_id} in vms")
        back = time.monotonic() - begun
    console.print(
        f"{project_id}: order {order_id}, made in vms, was at KeyCRM as {crm_id} after {there:.1f} s; "
        f"its status {shipped['name']} there was {status} in vms after {back:.1f} s.",
        soft_wrap=True,
    )


async def _until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    until = time.monotonic() + _SECONDS
    while (found := await look()) is None:
        if time.monotonic() > until:
            raise CommandError(f"Not within {_SECONDS:.0f} s: {what}. See the logs and `crm-elt dead-letters list`.")
        await asyncio.sleep(0.05)
    return found
