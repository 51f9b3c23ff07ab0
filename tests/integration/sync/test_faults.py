"""Every CRM with an API, syncing again and again while one call in twenty goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from connectors.errors import RetryError
from connectors.http import HttpSession
from connectors.keycrm.simulator_faults import Faults
from database.repositories import credentials
from database.repositories.rate_limits import PostgresRateLimiter
from sync import gateway
from sync import pull as pull_flow
from sync.gateway import ProjectAccount
from sync.pull import pull_project
from tests.support.busy_accounts import BusyAccount, busy_accounts
from tests.support.world import World

pytestmark = pytest.mark.anyio

SYNCS = 40
"""Of each CRM at least; the first one brings the account as it is."""
CALLS = 150
"""That many at least, too: some CRMs need but one or two for a sync."""
MOST_FAILED = 5
DICTIONARIES_EVERY = 5
TIMEOUT = 2.0
SHARES = {"too_many": 0.011, "server_error": 0.011, "truncated": 0.011, "timeout": 0.005, "duplicate_page": 0.017}
"""Of all calls; of duplicated pages, of the calls for a second page or a later one."""


class BriefLimiter(PostgresRateLimiter):
    async def block(self, account_key: str, seconds: float) -> None:
        await super().block(account_key, seconds / 100)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits between attempts; and a call is given up after two seconds."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    def brief(opening: Callable[..., Awaitable[ProjectAccount]]) -> Callable[..., Awaitable[ProjectAccount]]:
        async def open_account(*arguments: Any) -> ProjectAccount:
            return replace(await opening(*arguments), timeout=TIMEOUT)

        return open_account

    monkeypatch.setattr(gateway, "HttpSession", partial(HttpSession, sleep=note))
    monkeypatch.setattr(gateway, "PostgresRateLimiter", BriefLimiter)
    monkeypatch.setattr(pull_flow, "open_account", brief(gateway.open_account))
    return waits


@dataclass
class Tally:
    syncs: int = 0
    failed: int = 0


async def add_project(world: World, account: BusyAccount[Any]) -> None:
    await world.add_project(account.name, key="", **account.project)
    async with world.pool.connection() as connection, connection.transaction():
        secrets = dict(account.crm.account().credentials)
        await credentials.store(connection, world.keyring, account.name, secrets)


async def live_through(world: World, account: BusyAccount[Any]) -> Tally:
    """The syncs of one account, with changes in between. A sync that failed is made again, and counts as failed."""
    tally = Tally()
    account.happen(new=20, changes=0)
    number = 0
    while number < SYNCS or account.state.requests.total < CALLS:
        if number > 0:
            account.crm.clock.advance(minutes=5)
            account.happen(new=1, changes=4)
        number += 1
        streams = account.often if number % DICTIONARIES_EVERY else None
        account.crm.clock.advance(minutes=5)
        while True:
            tally.syncs += 1
            try:
                await pull_project(world.pool, world.keyring, account.name, streams=streams)
            except RetryError:
                tally.failed += 1
                if tally.failed == MOST_FAILED:
                    raise
            else:
                break
    return tally


async def sales(world: World, project_id: str) -> dict[str, Decimal | None]:
    rows = await world.rows("select * from core.transactions where project_id = %s", project_id)
    return {row["external_id"]: row["amount"] if row["state"] == "active" else None for row in rows}


async def orders(world: World, project_id: str) -> dict[str, tuple[str, str | None, bool]]:
    rows = await world.rows("select * from core.orders where project_id = %s", project_id)
    return {row["order_id"]: (row["status_id"], row["manager_comment"] or None, row["is_deleted"]) for row in rows}


async def history(world: World, project_id: str) -> dict[str, list[str]]:
    rows = await world.rows(
        "select order_id, status_id from core.order_status_events where project_id = %s"
        " order by status_changed_at, event_id",
        project_id,
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["order_id"], []).append(row["status_id"])
    return found


async def test_a_twentieth_of_all_calls_may_fail_and_each_crm_ends_with_exactly_the_right_rows(
    world: World, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    turn = asyncio.Semaphore(4)
    with busy_accounts(seed=20_260_302) as accounts:
        for account in accounts.values():
            await add_project(world, account)
            for kind, share in SHARES.items():
                account.state.faults.add(kind, times=None, probability=share, seconds=5)

        async def run(account: BusyAccount[Any]) -> Tally:
            async with turn:
                return await live_through(world, account)

        tallies = dict(zip(accounts, await asyncio.gather(*map(run, accounts.values())), strict=True))
    struck: dict[str, int] = dict.fromkeys(SHARES, 0)
    calls = 0
    lines = []
    for name, account in accounts.items():
        faults: Faults = account.state.faults
        mine = {fault.kind: fault.strikes for fault in faults.active()}
        for kind, strikes in mine.items():
            struck[kind] += strikes
        calls += account.state.requests.total
        tally = tallies[name]
        lines.append(
            f"{name:10} {tally.syncs - tally.failed}/{tally.syncs} syncs, {account.state.requests.total} calls, {mine}"
        )
    syncs, failed = (sum(getattr(tally, what) for tally in tallies.values()) for what in ("syncs", "failed"))
    share = 1 - failed / syncs
    lines.append(f"{share:.2%} of {syncs} syncs succeeded; {sum(struck.values()) / calls:.2%} of {calls} calls failed")
    with capsys.disabled():
        print("", *lines, sep="\n")

    for name, account in accounts.items():
        assert await sales(world, name) == account.sales(), name
        assert await orders(world, name) == account.orders(), name
        assert await history(world, name) == account.history(), name
        assert any(fault.strikes for fault in account.state.faults.active()), name
        assert {None in account.sales().values(), bool(account.orders())} == {account.can_undo, account.has_orders}
    assert await world.rows("select project_id, reason from sync.dead_letters") == []
    assert share >= 0.99
    assert min(struck.values()) > 0
    assert 0.035 <= sum(struck.values()) / calls <= 0.065
    assert slept
