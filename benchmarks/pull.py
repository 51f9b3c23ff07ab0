"""Pull: orders per second from the KeyCRM simulator to core, against dlt's rest_api source on the same PostgreSQL.

    python -m benchmarks.pull [--orders 50000] [--turns 3] [--dlt-python PATH] [--require 5] [--json]

The simulator (no rate limit) and each puller run in processes of their own. Ours lands every order raw, keeps its
cursor, and writes orders, items, payments, events, customers and sales; dlt loads the same pages into its tables. It is
an optional rival (`pip install dlt[postgres]`, in any environment: --dlt-python names its Python); without it there is
no ratio. The ratio is the middle one of the turns'. Exit code 1 if it is below --require, or if a row is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from database import migrate
from database.connection import connect
from database.embedded import EmbeddedServer
from database.encryption import Keyring, new_key
from database.environment import Environment
from sync.settings import apply_settings

_FOLDER = Path(__file__).parent.parent
PROJECT = "bench"
KEY = "bench-key-of-the-simulator"
_SETTINGS = """
projects:
  - id: {project}
    name: Benchmark
    crm: keycrm
    base_url: {url}
    timezone: Europe/Kyiv
    region: UA
    currency: UAH
    credentials: {{api_key: {key}}}
    options: {{rate_limit: {{requests: 1000000, per_seconds: 1}}}}
    sync: {{max_concurrent_requests: {concurrent}}}
"""
Result = dict[str, float]


def run(orders: int, turns: int, dlt_python: str | None, concurrent: int) -> dict[str, Any]:
    """Turns of both pullers, each on a database of its own."""
    ours: list[Result] = []
    rival: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder, simulator(orders) as url:
        home = Path(folder) / "home"
        home.mkdir(mode=0o755)
        server = EmbeddedServer(home / "postgres")
        server.start()
        try:
            for turn in range(turns):
                ours.append(_ours(server, f"ours_{turn}", url, concurrent))
                if dlt_python is not None:
                    rival.append(_dlt(server, f"dlt_{turn}", url, dlt_python))
        finally:
            server.stop()
    result: dict[str, Any] = {"orders": orders, "ours": _summary(ours)}
    if rival:
        result["dlt"] = _summary(rival)
        result["ratio"] = statistics.median(b["seconds"] / a["seconds"] for a, b in zip(ours, rival, strict=True))
    result["complete"] = all(one["rows"] == orders for one in (*ours, *rival))
    return result


@contextmanager
def simulator(orders: int) -> Iterator[str]:
    """The address of a simulator with so many orders."""
    command = [sys.executable, "-m", "benchmarks.pull_simulator", str(orders), KEY]
    with subprocess.Popen(command, cwd=_FOLDER, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _ours(server: EmbeddedServer, database: str, url: str, concurrent: int) -> Result:
    server.create_database(database)
    environment = {**os.environ, "DATABASE_URL": server.url(database), "CRM_ELT_MASTER_KEY": new_key()}
    migrate.upgrade(server.url(database))
    asyncio.run(apply_project(server.url(database), environment["CRM_ELT_MASTER_KEY"], url, concurrent))
    return child([sys.executable, "-m", "benchmarks.pull_ours", PROJECT, "orders"], environment)


async def apply_project(database_url: str, master_key: str, url: str, concurrent: int) -> None:
    keyring = Keyring.load(Environment(master_key=master_key))
    text = _SETTINGS.format(project=PROJECT, url=url, key=KEY, concurrent=concurrent)
    async with await connect(database_url) as connection:
        await apply_settings(connection, keyring, text, source="bench", environ={}, actor="bench")


def _dlt(server: EmbeddedServer, database: str, url: str, python: str) -> Result:
    server.create_database(database)
    return child([python, "-m", "benchmarks.pull_dlt", url, KEY, server.url(database)], os.environ)


def child(command: list[str], environment: Any) -> Result:
    done = subprocess.run(command, cwd=_FOLDER, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[1:3]} failed:\n{done.stderr[-3000:]}")
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _summary(turns: list[Result]) -> Result:
    seconds = statistics.median(one["seconds"] for one in turns)
    return {
        "seconds": seconds,
        "rows_per_second": turns[0]["rows"] / seconds,
        "peak_mib": max(one["peak_mib"] for one in turns),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Pull of orders against dlt's rest_api source.")
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--concurrent", type=int, default=10, help="requests at once, ours")
    parser.add_argument("--dlt-python", help="a Python that has dlt[postgres]; default: this one, if it has")
    parser.add_argument("--require", type=float, help="exit with 1 if the ratio is below")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    python = given.dlt_python or (sys.executable if _has_dlt() else None)
    result = run(given.orders, given.turns, python, given.concurrent)
    if given.json:
        print(json.dumps(result))
    else:
        _print(result)
    if not result["complete"]:
        raise SystemExit("Orders are missing.")
    if given.require is not None and result.get("ratio", 0.0) < given.require:
        raise SystemExit(1)


def _has_dlt() -> bool:
    from importlib.util import find_spec

    return find_spec("dlt") is not None


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"Pull of {result['orders']:,} orders from one simulator")
    for title in ("", "seconds", "orders/s", "peak MiB"):
        table.add_column(title, justify="right" if title else "left")
    for name in ("ours", "dlt"):
        if name in result:
            row = result[name]
            table.add_row(name, f"{row['seconds']:.1f}", f"{row['rows_per_second']:,.0f}", f"{row['peak_mib']:.0f}")
    console = Console()
    console.print(table)
    if "ratio" in result:
        console.print(f"Ratio: {result['ratio']:.2f} times dlt's speed (target: at least 5).")
    else:
        console.print("No ratio: dlt is not installed (pip install 'dlt[postgres]', or --dlt-python PATH).")


if __name__ == "__main__":
    main()
