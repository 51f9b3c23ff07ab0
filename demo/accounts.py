"""The demo's CRM accounts: simulators on loopback, seeded with orders and their past."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.keycrm.simulator import create_app
from demo.http_server import serve
from demo.seed import SeededAccount, seed_account

SETTINGS = Path(__file__).parent / "settings.yaml"
_ORDERS = {"print-shop": 900, "gift-shop": 600}


@dataclass(frozen=True)
class DemoAccount:
    project_id: str
    url: str
    api_key: str
    webhook_secret: str
    seeded: SeededAccount

    @property
    def variables(self) -> dict[str, str]:
        """What demo/settings.yaml names as ${...}."""
        prefix = self.project_id.upper().replace("-", "_")
        return {
            f"{prefix}_URL": self.url,
            f"{prefix}_KEY": self.api_key,
            f"{prefix}_HOOK": self.webhook_secret,
        }


@contextlib.contextmanager
def demo_accounts(now: datetime, *, seed: int = 20) -> Iterator[Sequence[DemoAccount]]:
    """The accounts, served over HTTP inside the block. Same `now` and seed: same orders."""
    with contextlib.ExitStack() as stack:
        accounts = []
        for number, (project_id, orders) in enumerate(_ORDERS.items()):
            seeded = seed_account(project_id, now, orders, seed + number)
            address = stack.enter_context(serve(create_app(seeded.state)))
            secret = secrets.token_urlsafe(16)
            accounts.append(DemoAccount(project_id, f"{address}/v1", seeded.state.api_key, secret, seeded))
        yield accounts
