"""`python -m tests.support.outbound_process URL`: a relay whose toy CRM is a server elsewhere, to be killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Any

from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, PushResult
from database.encryption import Keyring
from database.environment import Environment
from database.repositories import outbox
from sync import relay
from sync.two_way.outbound_change import plain
from tests.support.toy_crm import ToyCrm


class RemoteToyCrm(ToyCrm):
    async def push(
        self, http: HttpSession, account: Account, changes: Sequence[Change]
    ) -> Sequence[PushResult | ConnectorError]:
        body = [{name: plain(getattr(change, name)) for name in Change.__dataclass_fields__} for change in changes]
        answer = await http.request_json("POST", "/push", json=body, idempotent=False)
        return [PushResult(**row) for row in answer]


async def main(url: str) -> None:
    outbox.SETTLE_SECONDS = 0.1  # the CRM has done what it was asked before its client is killed
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connectors: dict[str, Any] = {"toy": RemoteToyCrm()}
    await relay.run(url, Keyring.load(Environment()), stop=stop, lookup=connectors.__getitem__)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
