"""The README's first steps with an account of one's own: settings, doctor, up; here the account is a simulated one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from database.embedded import EmbeddedServer
from database.ports import free_port
from tests.support.http_server import serve
from tests.support.serving import serving
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
SECRET = "a-long-random-word"
SETTINGS = """
projects:
  - id: print-shop
    name: Print shop
    crm: keycrm
    base_url: {url}/v1
    timezone: Europe/Kyiv
    credentials: {{api_key: "${{PRINT_SHOP_KEY}}"}}
    webhook: {{auth: token, secret: "${{PRINT_SHOP_HOOK}}"}}
    sla: [{{group_id: 1, limit: "08:00", urgent_limit: "04:00"}}]
    urgent: [{{match: sku, value: "Термінове виготовлення"}}]
"""


class Stack:
    """A home, a settings file, and the command line on them."""

    def __init__(self, home: Path, url: str, api_key: str) -> None:
        self.home = home
        self.ports = {name: free_port() for name in ("INGEST", "DASHBOARD", "DAGSTER", "DOCS")}
        self.settings = home / "settings.yaml"
        self.settings.write_text(SETTINGS.format(url=url), encoding="utf-8")
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            **{f"CRM_ELT_{name}_PORT": str(port) for name, port in self.ports.items()},
            "CRM_ELT_HOME": str(home / "state"),
            "PRINT_SHOP_KEY": api_key,
            "PRINT_SHOP_HOOK": SECRET,
        }

    def run(self, *words: str) -> Any:
        """The JSON that the command prints; it must succeed."""
        result = subprocess.run(
            [sys.executable, "-m", "cli", *words, "--json"],
            cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads(result.stdout)

    def up(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "up"],
            cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(EmbeddedServer(self.home / "state").url()) as connection:
            return connection.execute(text).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def state() -> SimulatorState:
    state = SimulatorState(api_key="key-of-the-account", rate_limit=0)
    state.add_order(products=[{"name": "Mug", "sku": "mug-1", "price": 200, "quantity": 2}])
    return state


@pytest.fixture
def stack(state: SimulatorState, tmp_path: Path) -> Iterator[Stack]:
    with serve(create_app(state)) as url:
        stack = Stack(tmp_path, url, state.api_key)
        yield stack
        EmbeddedServer(tmp_path / "state").stop("immediate")


def test_first_steps_with_an_account_of_ones_own(stack: Stack, state: SimulatorState) -> None:
    assert stack.run("apply", str(stack.settings))["applied"] is True
    checks = {check["name"]: check["state"] for check in stack.run("doctor")}
    assert checks["project print-shop"] == "ok"
    assert "failed" not in checks.values()

    with serving(stack.up()) as up:
        up.wait_until_it_serves(240)

        # A new order is announced without its items: the relay lands it, reads it whole, and the urgent item is there.
        state.webhooks.add_target(f"http://127.0.0.1:{stack.ports['INGEST']}/webhooks/keycrm/print-shop?token={SECRET}")
        urgent = state.add_order(
            products=[{"name": "Банер", "sku": "Термінове виготовлення", "price": 900, "quantity": 1}],
            at=datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2),
        )
        (delivery,) = state.webhooks.deliver_pending()
        assert delivery.is_delivered
        wait_until(
            lambda: stack.query(f"select from core.order_items where order_id = '{urgent.id}'"),
            20,
            "items of the order",
        )
        assert stack.run("sync", "print-shop")
        result = stack.run("build")
        assert result["failed"] == []
        orders = "select order_id, is_urgent, sla_limit_seconds, sla_state from marts.orders_current order by 1"
        assert [(row[0], row[1], int(row[2]), row[3]) for row in stack.query(orders)] == sorted(
            [("1", False, 8 * 3600, "ok"), (str(urgent.id), True, 4 * 3600, "ok")]
        )
        assert {check["name"]: check["state"] for check in stack.run("doctor")}["relay"] == "ok"

        assert up.stop(signal.SIGTERM) == 0
    assert "Stopped." in up.output
    assert not EmbeddedServer(stack.home / "state").is_running()
