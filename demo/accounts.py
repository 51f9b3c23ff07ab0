"""The demo's CRM accounts: simulators on loopback, seeded with what a business has done in the last two months."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path

from connectors import registry
from connectors.keycrm.simulator import create_app
from demo.crms import DemoCrm
from demo.http_server import serve
from demo.seed import SeededAccount, seed_account

SETTINGS = Path(__file__).parent / "settings.yaml"
"""Of the two KeyCRM projects, which the examples of the documentation are about."""
_FRAGMENTS = Path(__file__).parent / "crms"
_ORDERS = {"print-shop": 900, "gift-shop": 600}


@dataclass(frozen=True)
class KeyCrmAccount:
    project_id: str
    url: str
    api_key: str
    webhook_secret: str
    seeded: SeededAccount

    @property
    def variables(self) -> dict[str, str]:
        """What demo/settings.yaml names as ${...}."""
        prefix = _prefix(self.project_id)
        return {f"{prefix}_URL": self.url, f"{prefix}_KEY": self.api_key, f"{prefix}_HOOK": self.webhook_secret}


@dataclass(frozen=True)
class OtherAccount:
    """An account at another CRM; its settings are demo/crms/CRM.yaml."""

    crm: str
    project_id: str
    url: str
    webhook_secret: str
    made: DemoCrm

    @property
    def variables(self) -> dict[str, str]:
        prefix = _prefix(self.project_id)
        return {f"{prefix}_URL": self.url, f"{prefix}_HOOK": self.webhook_secret, **self.made.variables}

    def settings(self) -> str:
        """Its entry of `projects`, with variables of its own."""
        text = _fragment(self.crm)
        for name in ("URL", "HOOK"):
            text = text.replace(f"${{{name}}}", f"${{{_prefix(self.project_id)}_{name}}}")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return "".join(f"{'  - ' if number == 0 else '    '}{line}\n" for number, line in enumerate(lines))


@dataclass(frozen=True)
class DemoAccounts:
    shops: Sequence[KeyCrmAccount]
    others: Sequence[OtherAccount]

    @property
    def all(self) -> list[KeyCrmAccount | OtherAccount]:
        return [*self.shops, *self.others]

    @property
    def project_ids(self) -> list[str]:
        return [account.project_id for account in self.all]

    @property
    def pulled_ids(self) -> list[str]:
        """Projects that have an API."""
        served = [account.project_id for account in self.others if account.made.app is not None]
        return [*(account.project_id for account in self.shops), *served]

    @property
    def variables(self) -> dict[str, str]:
        """Answers to the settings' ${...}."""
        return {name: value for account in self.all for name, value in account.variables.items()}

    def settings(self) -> str:
        """One settings file for all of them."""
        return SETTINGS.read_text() + "".join(f"\n{account.settings()}" for account in self.others)


@contextlib.contextmanager
def demo_accounts(now: datetime, *, seed: int = 20) -> Iterator[DemoAccounts]:
    """The accounts, served over HTTP inside the block. Same `now` and seed: same orders."""
    with contextlib.ExitStack() as stack:
        shops = []
        for number, (project_id, orders) in enumerate(_ORDERS.items()):
            seeded = seed_account(project_id, now, orders, seed + number)
            address = stack.enter_context(serve(create_app(seeded.state)))
            secret = secrets.token_urlsafe(16)
            shops.append(KeyCrmAccount(project_id, f"{address}/v1", seeded.state.api_key, secret, seeded))
        others = []
        for number, crm in enumerate(other_crms()):
            made: DemoCrm = import_module(f"demo.crms.{crm}").demo_account(now, seed + 100 + number)
            address = "" if made.app is None else stack.enter_context(serve(made.app)) + made.api_path
            others.append(OtherAccount(crm, _project_of(crm), address, secrets.token_urlsafe(16), made))
        yield DemoAccounts(shops, others)


def other_crms() -> list[str]:
    """The CRMs besides KeyCRM that have an account in the demo."""
    return [crm for crm in registry.names() if (_FRAGMENTS / f"{crm}.yaml").exists()]


def _fragment(crm: str) -> str:
    return (_FRAGMENTS / f"{crm}.yaml").read_text()


def _project_of(crm: str) -> str:
    line = next(line for line in _fragment(crm).splitlines() if line.startswith("id:"))
    return line.partition(":")[2].strip()


def _prefix(project_id: str) -> str:
    return project_id.upper().replace("-", "_")
