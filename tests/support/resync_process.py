"""`python -m tests.support.resync_process URL STAGE DONE`: a resync with a toy CRM that waits there to be killed."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from database.connection import open_pool
from database.encryption import Keyring
from database.environment import Environment
from sync import pull
from sync.two_way import comparison, resync
from tests.support.toy_crm import ToyCrm, minute

ORDERS = 60


def toy() -> ToyCrm:
    """What the CRM has; pages are small, because the project's batch_size is."""
    crm = ToyCrm()
    for number in range(ORDERS):
        crm.put("orders", f"{number:03}", status="1", total=10, updated_at=minute(number), items=["A"])
    return crm


async def main(url: str, stage: str, done: int) -> None:
    comparison.PORTION = 5
    pull.FLUSH_RECORDS = 10
    crm = toy()
    connectors: dict[str, Any] = {"toy": crm}

    def tell(state: resync.ResyncProgress) -> None:
        if state.stage == stage and state.done >= done:
            sys.stdout.write("reached\n")
            sys.stdout.flush()
            sys.stdin.readline()

    async with open_pool(url) as pool:
        await resync.run_next(pool, Keyring.load(Environment()), lookup=connectors.__getitem__, progress=tell)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
