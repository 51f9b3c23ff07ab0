"""What somebody has to decide in the demo: a conflict and a dead letter; and how far both sides agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.demo_two_way import some_sku, until, warehouse
from commands.failures import CommandError
from commands.output import console, counted
from commands.stack import Stack
from database.repositories import conflicts, dead_letters, resyncs
from sync.two_way import resync
from sync.two_way.consistency import check_project

if TYPE_CHECKING:
    from demo.accounts import KeyCrmAccount

_EMAIL = "oksana.example.com"
"""Without its @: the CRM refuses it."""


async def make(stack: Stack, account: KeyCrmAccount, ingest: str) -> None:
    """Let both sides change a comment, which the settings leave to a person, and let the CRM refuse a customer.

    Raises CommandError if either is not noticed.
    """
    project_id, state = account.project_id, account.seeded.state
    sku = some_sku(account)
    async with warehouse(stack, account, ingest) as ours:

        async def disputed() -> int | None:
            async with ours.pool.connection() as connection:
                found = await conflicts.newest(connection, project_ids=[project_id], entity="order")
            return found[0].conflict_id if found else None

        async def refused() -> int | None:
            async with ours.pool.connection() as connection:
                found = await dead_letters.list_letters(connection, project_id=project_id)
            return found[0]["dead_letter_id"] if found else None

        customer_id = await ours.send("customer", full_name="Ірина Мельник", phone="+380672223344")
        order_id = await ours.send("order", customer_id=customer_id, items=[{"sku": sku, "quantity": 1}])
        crm_id = await until(lambda: ours.crm_id("order", order_id), f"order {order_id} of vms at KeyCRM")
        state.update_order(crm_id, manager_comment="Самовивіз о 17:00")
        await ours.send("order", "update", id=order_id, comment="Доставка кур'єром після обіду")
        conflict_id = await until(disputed, f"the conflict about order {order_id}")
        await ours.send("customer", full_name="Оксана Бондар", phone="+380673334455", email=_EMAIL)
        letter_id = await until(refused, "the dead letter about a customer whose e-mail is wrong")
    console.print(
        f"{project_id}: both sides changed the comment of order {order_id} (conflict {conflict_id}), and KeyCRM "
        f"refused a customer's e-mail (dead letter {letter_id}): both wait for somebody on the dashboard.",
        soft_wrap=True,
    )


async def compare(stack: Stack, compared_id: str, resynced_id: str) -> None:
    """Compare both sides of a project, as every night, and bring another's in step in full."""
    async with stack.pool() as pool:
        found = await check_project(pool, compared_id)
        async with pool.connection() as connection:
            resync_id = await resyncs.enqueue(connection, resynced_id, "cli:demo")
        result = await resync.run_next(pool, stack.keyring, resync_id=resync_id)
        if result is None or result.state != "done":
            raise CommandError(f"The full resync of {resynced_id} failed: see its log.")
    differ = sum(one.found.differing for one in found)
    console.print(
        f"{compared_id}: compared with vms, {counted(differ, 'object')} not in step. {resynced_id}: fully resynced."
    )
