"""The demo's warehouse: an order that VMS makes goes to the CRM, and what happens there comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from commands.failures import CommandError
from commands.output import console
from commands.stack import Stack
from database.connection import Pool
from database.repositories import mappings, vms

if TYPE_CHECKING:
    from demo.accounts import KeyCrmAccount

_SECONDS = 60.0
_SHIPPED = "transferred_to_delivery"
"""Alias of the account's status that its settings call SHIPPED."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Warehouse:
    """VMS of one account: it tells of its changes over HTTP."""

    pool: Pool
    account: KeyCrmAccount
    address: str
    client: httpx.AsyncClient

    async def send(self, entity: str, op: str = "create", **data: Any) -> int:
        """Its id there. Raises CommandError if the change is refused."""
        answer = await self.client.post(
            self.address,
            params={"token": self.account.webhook_secret},
            json={"entity": entity, "op": op, "data": data},
        )
        if answer.status_code != 200:
            raise CommandError(f"The ingest API refused a change of VMS: {answer.text[:300]}")
        return int(answer.json()["id"])

    async def crm_id(self, entity: str, vms_id: int) -> int | None:
        """Of the object at the CRM, if it is there."""
        async with self.pool.connection() as connection:
            known = await mappings.by_vms_id(connection, self.account.project_id, entity, [vms_id])
        crm_id = known[vms_id].crm_entity_id if vms_id in known else None
        return None if crm_id is None else int(crm_id)


@asynccontextmanager
async def warehouse(stack: Stack, account: KeyCrmAccount, ingest: str) -> AsyncIterator[Warehouse]:
    async with stack.pool() as pool, httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield Warehouse(pool, account, f"{ingest}/webhooks/vms/{account.project_id}", client)


async def show(stack: Stack, account: KeyCrmAccount, ingest: str) -> None:
    """Make an order as VMS does, over HTTP, follow it to KeyCRM, and follow its next status back.

    Raises CommandError if either takes too long.
    """
    project_id, state = account.project_id, account.seeded.state
    sku = some_sku(account)
    shipped = next(row.fields for row in state.dictionaries["statuses"] if row.fields["alias"] == _SHIPPED)
    async with warehouse(stack, account, ingest) as ours:

        async def at_crm() -> int | None:
            crm_id = await ours.crm_id("order", order_id)
            return crm_id if crm_id in state.orders.rows else None

        async def in_vms() -> str | None:
            async with ours.pool.connection() as connection:
                (row,) = await vms.load(connection, project_id, "order", [order_id])
            return None if row["status"] == "PENDING" else str(row["status"])

        async def article() -> bool | None:
            async with ours.pool.connection() as connection:
                return await vms.has_article(connection, project_id, sku) or None

        await until(article, f"the article {sku} in vms")
        customer_id = await ours.send("customer", full_name="Олена Коваль", phone="+380671112233")
        begun = time.monotonic()
        order_id = await ours.send("order", customer_id=customer_id, items=[{"sku": sku, "quantity": 2}])
        crm_id = await until(at_crm, f"order {order_id} of vms at KeyCRM")
        there = time.monotonic() - begun
        begun = time.monotonic()
        await asyncio.to_thread(state.change_status, crm_id, shipped["id"])
        await asyncio.to_thread(state.webhooks.wait_idle, _SECONDS)
        status = await until(in_vms, f"the status of KeyCRM's order {crm_id} in vms")
        back = time.monotonic() - begun
    console.print(
        f"{project_id}: order {order_id}, made in vms, was at KeyCRM as {crm_id} after {there:.1f} s; "
        f"its status {shipped['name']} there was {status} in vms after {back:.1f} s.",
        soft_wrap=True,
    )


def some_sku(account: KeyCrmAccount) -> str:
    """Of the first article that has one."""
    return next(str(offer.fields["sku"]) for offer in account.seeded.state.catalog.offers if offer.fields["sku"])


async def until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What `look` finds. Raises CommandError if that takes longer than a minute."""
    until = time.monotonic() + _SECONDS
    while (found := await look()) is None:
        if time.monotonic() > until:
            raise CommandError(f"Not within {_SECONDS:.0f} s: {what}. See the logs and `crm-elt dead-letters list`.")
        await asyncio.sleep(0.05)
    return found
