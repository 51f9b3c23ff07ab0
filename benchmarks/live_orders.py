"""The first page of orders by each filter: how long it takes with a million orders, and while some wait to be shown.

    python -m benchmarks.live_orders [--orders 1000000] [--waiting 1000] [--turns 40] [--require] [--json]

Starts an embedded PostgreSQL in a temporary folder, generates orders there (a fifth of them open), builds the marts,
and reads the first page (50 orders) of each filter many times on one pooled connection: after the build, with orders
waiting that were written since, and after these were folded into the order table; then the dashboard's pages of them
(benchmarks.pages). Exit code 1 with --require if the slowest p95 after the build or after folding is above the target,
or a page misses its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import live_orders_data, pages, pages_data
from database import migrate
from database.connection import Pool, open_pool
from database.embedded import EmbeddedServer
from database.repositories import order_counts, orders
from database.repositories.orders import Filter, Sort, State
from sync.build import build
from sync.live import fold_waiting

TARGET_MS = 100.0
_MODELS = f"+orders_current {pages.MODELS}"


def filters(now: datetime) -> dict[str, tuple[Filter, Sort]]:
    """What is read, by name; newest change first unless it says otherwise."""
    newest, due = Sort(), Sort("due", descending=False)
    over, near, ok = (frozenset[State]([state]) for state in orders.STATES)
    day = timedelta(days=1)
    return {
        "all": (Filter(), newest),
        "all, by creation": (Filter(), Sort("created")),
        "all, by due time": (Filter(), due),
        "one project": (Filter(projects=["north"]), newest),
        "two projects": (Filter(projects=["tiny", "west"]), newest),
        "group": (Filter(group="3"), newest),
        "status": (Filter(status="5"), newest),
        "ok": (Filter(states=ok), newest),
        "near": (Filter(states=near), newest),
        "over": (Filter(states=over), newest),
        "ok, by due time": (Filter(states=ok), due),
        "near, by due time": (Filter(states=near), due),
        "over, by due time": (Filter(states=over), due),
        "urgent": (Filter(is_urgent=True), newest),
        "open": (Filter(is_closed=False), newest),
        "closed": (Filter(is_closed=True), newest),
        "created in a month": (Filter(created_from=now - 400 * day, created_to=now - 370 * day), newest),
        "changed on a day": (Filter(changed_from=now - 200 * day, changed_to=now - 199 * day), newest),
        "number": (Filter(order_id="777"), newest),
        "number begins with 1": (Filter(order_prefix="1"), newest),
        "number begins with 123": (Filter(order_prefix="123"), newest),
        "project, over, group": (Filter(projects=["north"], states=over, group="5"), newest),
        "project, open, urgent": (Filter(projects=["north"], is_closed=False, is_urgent=True), newest),
        "urgent, over, by due time": (Filter(states=over, is_urgent=True), due),
        "group, open, by creation": (Filter(group="6", is_closed=False), Sort("created")),
        "closed group, open: none": (Filter(group="8", is_closed=False), newest),
    }


def run(total: int, waiting: int, turns: int, *, pages_only: bool = False) -> dict[str, Any]:
    """Measure; for each filter the p50 and p95 in milliseconds of each phase, and `pages`."""
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder:
        server = EmbeddedServer(Path(folder))
        server.start()
        try:
            server.create_database("crm_elt")
            url = server.url("crm_elt")
            migrate.upgrade(url)
            with psycopg.connect(url, autocommit=True) as connection:
                live_orders_data.fill(connection, total)
                pages_data.fill(connection, total)
                started = time.monotonic()
                _build(url, Path(folder) / "dbt")
                built = time.monotonic() - started
                connection.execute("vacuum (analyze) intermediate.int_orders__latest")  # as autovacuum does in minutes
            figures = {} if pages_only else asyncio.run(_measure(url, total, waiting, turns))
            figures["pages"] = asyncio.run(pages.measure(url, Path(folder), turns))
        finally:
            server.stop("immediate")
    return {"orders": total, "waiting": waiting, "turns": turns, "build_seconds": round(built, 1), **figures}


def _build(url: str, folder: Path) -> None:
    result = build(url, select=_MODELS, target_folder=folder)
    # Tests of tables that are not built here cannot run; whatever is missing for a page shows when it is read.
    if result.models == 0:
        raise SystemExit(f"The build failed: {result.failed[0] if result.failed else 'it built nothing'}")


async def _measure(url: str, total: int, waiting: int, turns: int) -> dict[str, Any]:
    async with open_pool(url, max_size=1) as pool:
        await _pages(pool, 2)  # a connection and caches that have been used
        built = await _pages(pool, turns)
        counted = await _timed_count(pool)
        await asyncio.to_thread(_change, url, total, waiting)
        live = await _pages(pool, max(3, turns // 4))
        started = time.monotonic()
        folded = await fold_waiting(pool)
        fold_seconds = time.monotonic() - started
        after = await _pages(pool, turns)
    phases = {"built": built, "waiting": live, "folded": after}
    return {
        "rows": {name: {phase: found[name] for phase, found in phases.items()} for name in built},
        "count_ms": counted,
        "folded": folded,
        "fold_seconds": round(fold_seconds, 2),
        "slowest_p95": {phase: max(each["p95"] for each in found.values()) for phase, found in phases.items()},
    }


def _change(url: str, total: int, waiting: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        live_orders_data.change(connection, total, waiting)


async def _pages(pool: Pool, turns: int) -> dict[str, dict[str, Any]]:
    figures = {}
    for name, (wanted, sort) in filters(datetime.now(UTC)).items():
        times, shown = [], 0
        for _ in range(turns):
            started = time.perf_counter()
            async with pool.connection() as connection:
                page = await orders.page(connection, wanted, sort)
            times.append((time.perf_counter() - started) * 1000)
            shown = len(page.orders)
        times.sort()
        figures[name] = {
            "orders": shown,
            "p50": round(times[len(times) // 2], 1),
            "p95": round(times[min(len(times) - 1, int(0.95 * len(times)))], 1),
        }
    return figures


async def _timed_count(pool: Pool) -> dict[str, float]:
    found = {}
    for name, wanted in {
        "all": Filter(),
        "one project": Filter(projects=["north"]),
        "group": Filter(group="3"),
    }.items():
        started = time.perf_counter()
        async with pool.connection() as connection:
            await order_counts.counts(connection, wanted)
        found[name] = round((time.perf_counter() - started) * 1000, 1)
    return found


def _print(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"First page of {figures['orders']:,} orders, ms, {figures['turns']} times each")
    table.add_column("filter", no_wrap=True)
    for heading in ("p50", "p95", "p95 / 100 ms", "waiting p50", "p95", "folded p50", "p95"):
        table.add_column(heading, justify="right")
    for name, row in figures["rows"].items():
        table.add_row(
            name, f"{row['built']['p50']:.1f}", f"{row['built']['p95']:.1f}", f"{row['built']['p95'] / TARGET_MS:.2f}",
            f"{row['waiting']['p50']:.0f}", f"{row['waiting']['p95']:.0f}",
            f"{row['folded']['p50']:.1f}", f"{row['folded']['p95']:.1f}",
        )  # fmt: skip
    console.print(table)
    counts = ", ".join(f"{name} {ms:.0f} ms" for name, ms in figures["count_ms"].items())
    console.print(
        f"Slowest p95: {figures['slowest_p95']['built']:.0f} ms after the build, "
        f"{figures['slowest_p95']['waiting']:.0f} ms with {figures['waiting']:,} orders waiting, "
        f"{figures['slowest_p95']['folded']:.0f} ms after folding (target {TARGET_MS:.0f}). "
        f"Folding {figures['folded']:,} orders: {figures['fold_seconds']:.2f} s. Counts: {counts}. "
        f"Build: {figures['build_seconds']:.0f} s.",
        highlight=False,
    )
    console.print(pages.table(figures["pages"], figures["orders"], figures["turns"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="The first page of orders by each filter, at a million orders.")
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=1_000)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--require", action="store_true", help="exit with 1 if a p95 is above the target")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options.orders, options.waiting, options.turns)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures, Console(width=140))
    slowest = max(figures["slowest_p95"]["built"], figures["slowest_p95"]["folded"])
    return 1 if options.require and (slowest > TARGET_MS or not pages.is_met(figures["pages"])) else 0


if __name__ == "__main__":
    sys.exit(main())
