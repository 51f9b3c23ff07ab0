"""The stack that `benchmarks.latency` measures: database, KeyCRM simulator, ingest API and relay, as in production."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_values import utc_now
from database import migrate
from database.connection import connect
from database.embedded import EmbeddedServer
from database.encryption import Keyring, new_key
from database.environment import Environment
from database.ports import free_port
from demo.http_server import serve
from sync.settings import apply_settings

PROJECT = "bench"
KEY = "bench-key-of-the-simulator"
TOKEN = "bench-token-of-the-webhooks"
_FOLDER = Path(__file__).parent.parent
_START_SECONDS = 60.0
_SETTINGS = f"""
projects:
  - id: {PROJECT}
    name: Benchmark
    crm: keycrm
    base_url: URL
    timezone: Europe/Kyiv
    region: UA
    currency: UAH
    credentials: {{api_key: {KEY}}}
    webhook: {{auth: token, secret: {TOKEN}}}
    options: {{source_id: 1, warehouse_id: 1, rate_limit: {{requests: 1000000, per_seconds: 1}}}}
    status_map: {{"1": PENDING, "3": CONFIRMED, "5": PROCESSING, "11": SHIPPED, "12": DELIVERED, "19": CANCELLED}}
    vms: {{}}
"""


@dataclass(frozen=True)
class Running:
    database_url: str
    state: SimulatorState


@contextmanager
def running(folder: Path, orders: int) -> Iterator[Running]:
    """All of it, with an account of so many orders that are in vms already."""
    state = SimulatorState(api_key=KEY, clock=utc_now, rate_limit=0)
    for number in range(orders):
        buyer = state.add_buyer(f"Покупець {number}", phones=[f"+38050{number:07}"])
        lines = [{"name": "Чашка", "price": 200.5, "quantity": 2}]  # one-offs: there is no article to know
        state.add_order(buyer=buyer, status_id=1, products=lines, announce=False)
    with ExitStack() as stack:
        home = folder / "home"
        home.mkdir(mode=0o755)
        server = EmbeddedServer(home / "postgres")
        server.start()
        stack.callback(server.stop)
        server.create_database(PROJECT)
        url = server.url(PROJECT)
        migrate.upgrade(url)
        environment = {**os.environ, "DATABASE_URL": url, "CRM_ELT_MASTER_KEY": new_key(), "CRM_ELT_HOME": str(home)}
        address = stack.enter_context(serve(create_app(state)))
        asyncio.run(_apply(url, environment["CRM_ELT_MASTER_KEY"], f"{address}/v1"))
        port = free_port()
        log = stack.enter_context((folder / "log.txt").open("w"))

        def start(*command: str) -> None:
            process = subprocess.Popen([sys.executable, *command], cwd=_FOLDER, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)

        subprocess.run(
            [sys.executable, "-m", "cli", "sync", PROJECT, "--json"],
            cwd=_FOLDER, env=environment, stdout=log, stderr=log, check=True,
        )  # fmt: skip
        start("-m", "uvicorn", "ingest_api.main:app", "--no-access-log", "--port", str(port))
        start("-m", "cli", "relay")
        ingest = f"http://127.0.0.1:{port}"
        _wait_for_answer(f"{ingest}/health/ready")
        state.webhooks.add_target(f"{ingest}/webhooks/keycrm/{PROJECT}?token={TOKEN}")
        state.webhooks.start()
        stack.callback(state.webhooks.stop)
        yield Running(url, state)


async def _apply(url: str, master_key: str, address: str) -> None:
    keyring = Keyring.load(Environment(master_key=master_key))
    async with await connect(url) as connection:
        await apply_settings(
            connection, keyring, _SETTINGS.replace("URL", address), source="bench", environ={}, actor="bench"
        )


def _wait_for_answer(url: str) -> None:
    until = time.monotonic() + _START_SECONDS
    with httpx.Client(trust_env=False) as client:
        while True:
            try:
                status = client.get(url).status_code
                if status == 200:
                    return
                said = f"it answers {status}"
            except httpx.HTTPError as error:
                said = str(error)
            if time.monotonic() > until:
                raise SystemExit(f"{url} is not ready within {_START_SECONDS:.0f} s: {said}")
            time.sleep(0.1)
