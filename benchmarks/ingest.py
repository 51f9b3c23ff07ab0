"""Webhook ingest: durable webhooks per second against an empty route of the same server, and one commit per request.

    python -m benchmarks.ingest [--seconds 10] [--connections 64] [--turns 5] [--require 0.6] [--json]

Starts an embedded PostgreSQL in a temporary folder and two ingest servers (one uvicorn process each; the second with
CRM_ELT_INGEST_GROUP_LIMIT=1), and lets a load generator in a process of its own take turns over the routes. The
empty route is a FastAPI route that answers a constant; a bare ASGI endpoint in the same application, which does without
FastAPI's own work as the landing route does, is shown too, with the landing route's ratio to it. Each ratio is the
middle one of the turns' ratios. Exit code 1 if it is below --require, or if an answered webhook is not in raw.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.ingest_load import BUCKET_SECONDS
from database import migrate
from database.connection import connect
from database.embedded import EmbeddedServer
from database.encryption import Keyring, new_key
from database.environment import Environment
from database.repositories import landing
from sync.settings import apply_settings

_FOLDER = Path(__file__).parent.parent
_PROJECT = "bench"
_TOKEN = "bench-token"
_SETTINGS = f"""
projects:
  - id: {_PROJECT}
    name: Benchmark
    crm: keycrm
    base_url: http://127.0.0.1:9/v1
    timezone: UTC
    credentials: {{api_key: none}}
    webhook: {{auth: token, secret: {_TOKEN}}}
"""
_BODY = (
    '{"event":"order.change_order_status","context":{"id":{NUMBER},"source_uuid":"A-77","global_source_uuid":"900077",'
    '"source_id":3,"client_id":40,"manager_id":2,"status_group_id":4,"status_id":11,'
    '"status_changed_at":"2026-03-02T09:15:00.000000Z","status_on_source":null,"grand_total":1200,"products_total":1200,'
    '"payments_total":0,"total_discount":0,"expenses_sum":0,"payment_status":"not_paid","manager_comment":null,'
    '"client_comment":"Дзвоніть до 18:00","fiscal_result":[],"is_gift":false,"is_expired":false,"has_reserves":true,'
    '"ordered_at":"2026-03-01T08:00:00.000000Z","created_at":"2026-03-01T08:00:05.000000Z",'
    '"updated_at":"2026-03-02T09:15:00.000000Z","closed_at":null}}'
).replace('"id":{NUMBER}', '"id":1{NUMBER}')  # a JSON number may not begin with 0


@dataclass
class Server:
    port: int
    process: subprocess.Popen[bytes]


@dataclass
class Route:
    name: str
    path: str
    server: Server
    is_durable: bool
    rates: list[float] = field(default_factory=list)
    answered: int = 0
    cpu_seconds: float = 0.0
    load_cpu: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests per second, the middle one of the turns."""
        return statistics.median(self.rates)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        left = share * self.buckets.total()
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return (bucket + 1) * BUCKET_SECONDS * 1000
        return 0.0


def run(seconds: float, connections: int, turns: int) -> dict[str, Any]:
    """Measure; the figures of each route, the ratios and the check of raw."""
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder:
        home = Path(folder)
        database = EmbeddedServer(home)
        database.start()
        try:
            database.create_database("crm_elt")
            url = database.url("crm_elt")
            migrate.upgrade(url)
            variables = {
                **os.environ, "DATABASE_URL": url, "CRM_ELT_HOME": str(home), "CRM_ELT_MASTER_KEY": new_key(),
                "CRM_ELT_LOG_FORMAT": "json", "CRM_ELT_LOG_LEVEL": "error",
            }  # fmt: skip
            asyncio.run(_prepare(url, variables["CRM_ELT_MASTER_KEY"], home))
            with (
                _serve({**variables, "CRM_ELT_INGEST_GROUP_LIMIT": "500"}) as grouped,
                _serve({**variables, "CRM_ELT_INGEST_GROUP_LIMIT": "1"}) as single,
            ):
                webhook = f"/webhooks/keycrm/{_PROJECT}?token={_TOKEN}"
                routes = [
                    Route("empty route", f"/empty/keycrm/{_PROJECT}", grouped, False),
                    Route("durable, group commit", webhook, grouped, True),
                    Route("durable, one commit each", webhook, single, True),
                    Route("bare ASGI endpoint", f"/bare/keycrm/{_PROJECT}", grouped, False),
                ]
                first = _take_turns(routes, 0, min(1.0, seconds / 4), connections, 0)
                for route in routes:  # that was the warm-up: its figures do not count, its webhooks do
                    route.rates.clear()
                    route.buckets.clear()
                    route.cpu_seconds = 0.0
                warm = {route.name: route.answered for route in routes}
                for turn in range(turns):
                    first = _take_turns(routes, turn, seconds / turns, connections, first)
            answered = sum(route.answered for route in routes if route.is_durable)
            landed = asyncio.run(_count(url))
            return _summary(routes, warm, connections, seconds, turns, answered, landed)
        finally:
            database.stop("immediate")


def _take_turns(routes: list[Route], turn: int, seconds: float, connections: int, first: int) -> int:
    # Each turn begins with another route, so that none always runs after the same one.
    for route in routes[turn % len(routes) :] + routes[: turn % len(routes)]:
        process = psutil.Process(route.server.process.pid)
        before = process.cpu_times()
        result = subprocess.run(
            [
                sys.executable, "-m", "benchmarks.ingest_load", "--port", str(route.server.port), "--path", route.path,
                "--body", _BODY, "--connections", str(connections), "--seconds", str(seconds), "--first", str(first),
            ],
            cwd=_FOLDER, capture_output=True, text=True, check=True, timeout=seconds + 60,
        )  # fmt: skip
        after = process.cpu_times()
        first += connections * 10**7
        figures = json.loads(result.stdout)
        if figures["failed"]:
            raise SystemExit(f"{route.name}: {figures['failed']} requests failed, first: {figures['first_failure']}")
        route.rates.append(figures["answered"] / figures["seconds"])
        route.answered += figures["answered"]
        route.cpu_seconds += after.user + after.system - before.user - before.system
        route.load_cpu = max(route.load_cpu, figures["cpu"])
        route.buckets.update({int(bucket): count for bucket, count in figures["buckets"].items()})
    return first


def _summary(
    routes: list[Route],
    warm: dict[str, int],
    connections: int,
    seconds: float,
    turns: int,
    answered: int,
    landed: landing.Landed,
) -> dict[str, Any]:
    empty = routes[0]
    rows = [
        {
            "route": route.name,
            "requests_per_second": round(route.rate),
            "p50_ms": round(route.percentile(0.5), 2),
            "p99_ms": round(route.percentile(0.99), 2),
            "server_cpu_us": round(1e6 * route.cpu_seconds / max(1, route.answered - warm[route.name]), 1),
            "ratio_to_empty": _ratio(route, empty),
        }
        for route in routes
    ]
    return {
        "connections": connections,
        "seconds_each": seconds,
        "turns": turns,
        "load_generator": "benchmarks.ingest_load (raw sockets, own process)",
        "load_generator_cpu": round(max(route.load_cpu for route in routes), 2),
        "routes": rows,
        "ratio": rows[1]["ratio_to_empty"],
        "ratio_to_bare": _ratio(routes[1], routes[3]),
        "answered": answered,
        "in_raw": landed.rows,
        "distinct_in_raw": landed.different,
        "missing": max(0, answered - landed.different),
    }


def _ratio(route: Route, other: Route) -> float:
    return round(statistics.median(a / b for a, b in zip(route.rates, other.rates, strict=True)), 3)


@contextmanager
def _serve(variables: dict[str, str]) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [
            sys.executable, "-m", "uvicorn", "benchmarks.ingest_server:app", "--port", str(port),
            "--log-level", "warning", "--loop", "uvloop", "--http", "httptools",
        ],
        cwd=_FOLDER, env=variables,
    )  # fmt: skip
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health/ready", process)
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("The ingest server did not start.")


async def _prepare(url: str, key: str, home: Path) -> None:
    keyring = Keyring.load(Environment(DATABASE_URL=url, master_key=key, home=home))  # type: ignore[call-arg]
    async with await connect(url) as connection:
        await apply_settings(connection, keyring, _SETTINGS, source="benchmark", environ={}, actor="benchmark")


async def _count(url: str) -> landing.Landed:
    async with await connect(url) as connection:
        return await landing.count_landed(connection, _PROJECT)


def _print(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Webhook ingest, {figures['connections']} connections, {figures['seconds_each']:g} s each")
    table.add_column("route", no_wrap=True)
    for heading in ("requests/s", "p50 ms", "p99 ms", "CPU us", "ratio"):
        table.add_column(heading, justify="right")
    for row in figures["routes"]:
        table.add_row(
            row["route"], f"{row['requests_per_second']:,}", f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}",
            f"{row['server_cpu_us']:.0f}", f"{row['ratio_to_empty']:.2f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"Ratio {figures['ratio']:.3f} (durable, group commit, to the empty route; middle of {figures['turns']}), "
        f"{figures['ratio_to_bare']:.3f} to the bare endpoint. "
        f"Answered {figures['answered']:,}, missing in raw {figures['missing']}. "
        f"Load: {figures['load_generator']}, at most {figures['load_generator_cpu']:.0%} of a core.",
        highlight=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Durable webhooks per second against an empty route.")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each route, over all turns")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--require", type=float, help="exit with 1 if the ratio is below")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options.seconds, options.connections, options.turns)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures, Console())
    if figures["missing"]:
        return 1
    return 1 if options.require is not None and figures["ratio"] < options.require else 0


if __name__ == "__main__":
    sys.exit(main())
