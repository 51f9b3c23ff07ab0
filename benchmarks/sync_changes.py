"""Sync of changes: seconds until the changed orders of one project are in core, against the KeyCRM simulator.

    python -m benchmarks.sync_changes [--orders 10000] [--changes 5000] [--turns 1] [--require 30] [--json]

The account has no rate limit and is pulled whole first. Then so many orders enter another status and are paid, and a
second sync of all the project's streams is measured, in a process of its own. The figure is the middle one of the
turns'. Exit code 1 if it is above --require, or if a change is missing in core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.pull import KEY, PROJECT, Result, apply_project, child
from benchmarks.pull_simulator import fill
from connectors.keycrm.simulator import SimulatorState, create_app
from database import migrate
from database.connection import connect
from database.embedded import EmbeddedServer
from database.encryption import new_key
from demo.http_server import serve


def run(orders: int, changes: int, turns: int = 1, concurrent: int = 10) -> dict[str, Any]:
    """Each turn on a database and an account of its own."""
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o755)
        server = EmbeddedServer(home / "postgres")
        server.start()
        try:
            results = [_turn(server, f"turn_{turn}", orders, changes, concurrent) for turn in range(turns)]
        finally:
            server.stop()
    return {
        "orders": orders,
        "changes": changes,
        "seconds": statistics.median(one["seconds"] for one in results),
        "peak_mib": max(one["peak_mib"] for one in results),
        "complete": all(one["changed"] == one["in_core"] == changes for one in results),
    }


def _turn(server: EmbeddedServer, database: str, orders: int, changes: int, concurrent: int) -> Result:
    server.create_database(database)
    url = server.url(database)
    migrate.upgrade(url)
    environment = {**os.environ, "DATABASE_URL": url, "CRM_ELT_MASTER_KEY": new_key()}
    command = [sys.executable, "-m", "benchmarks.pull_ours", PROJECT]
    state = fill(orders, KEY)
    with serve(create_app(state)) as address:
        asyncio.run(apply_project(url, environment["CRM_ELT_MASTER_KEY"], f"{address}/v1", concurrent))
        child(command, environment)
        change(state, changes)
        result = child(command, environment)
    return {**result, "in_core": asyncio.run(_changed_in_core(url, state))}


def change(state: SimulatorState, changes: int) -> None:
    """So many orders enter another status and are paid once more, in an hour that begins now; the clock goes after."""
    rng = random.Random(changes)
    now = state.clock()
    later = now + timedelta(hours=2)
    state.clock = lambda: later
    statuses = sorted(state.dictionaries["statuses"].rows)
    for number, order_id in enumerate(rng.sample(sorted(state.orders.rows), changes)):
        at = now + timedelta(hours=number / changes)
        others = [status for status in statuses if status != state.orders.rows[order_id].fields["status_id"]]
        state.change_status(order_id, rng.choice(others), at=at, announce=False)
        state.add_payment(order_id, 100, at=at, announce=False)


async def _changed_in_core(database_url: str, state: SimulatorState) -> int:
    """Orders that have two statuses in core, the last of which is the one at the CRM."""
    async with await connect(database_url) as connection:
        cursor = await connection.execute(
            """
            select o.order_id, o.status_id
            from core.orders as o
                join core.order_status_events as e using (project_id, order_id)
            group by o.project_id, o.order_id, o.status_id
            having count(*) = 2
            """
        )
        rows = await cursor.fetchall()
    told = {str(order.id): str(order.fields["status_id"]) for order in state.orders.rows.values()}
    return sum(told[row["order_id"]] == row["status_id"] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Sync of the changed orders of one project.")
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=5_000)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--concurrent", type=int, default=10, help="requests at once")
    parser.add_argument("--require", type=float, help="exit with 1 if it takes more seconds")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not 0 < given.changes <= given.orders:
        parser.error("--changes must be between 1 and --orders")
    result = run(given.orders, given.changes, given.turns, given.concurrent)
    if given.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['changes']:,} changed of {result['orders']:,} orders in {result['seconds']:.1f} s "
            f"(target: at most 30 s), {result['peak_mib']:.0f} MiB"
        )
    if not result["complete"]:
        raise SystemExit("Changes are missing.")
    if given.require is not None and result["seconds"] > given.require:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
