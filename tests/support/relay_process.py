"""`python -m tests.support.relay_process URL`: a relay with a toy CRM, to be killed. Its CRM has every order."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import defaultdict
from typing import Any

from database.encryption import Keyring
from database.environment import Environment
from sync import normalise, relay
from tests.support.toy_crm import ToyCrm


async def main(url: str) -> None:
    normalise.BATCH_ROWS = 50  # many short transactions to be killed in
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    crm = ToyCrm()
    crm.records["orders"] = defaultdict(dict)
    connectors: dict[str, Any] = {"toy": crm}
    await relay.run(url, Keyring.load(Environment()), stop=stop, lookup=connectors.__getitem__)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
