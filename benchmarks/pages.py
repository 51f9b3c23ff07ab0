"""Every page of the dashboard with a million orders: time at the server, without network and browser, and bytes.

    python -m benchmarks.pages [--orders 1000000] [--turns 40] [--require] [--json]

On the data of benchmarks.live_orders, of which `pages` is a part too, and of benchmarks.pages_data. The dashboard runs
in this process, as uvicorn runs it; each answer is read whole. Counts are made anew each time, though those who look at
the same within two seconds share them. Exit code 1 with --require if a p95 is above 150 ms or a page is above 200 KB.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import pages_data
from dashboard import users
from dashboard.main import create_app
from dashboard.orders.counting import Counting
from dashboard.settings.sections import SECTION_PAGES
from database.connection import connect
from database.encryption import new_key
from database.environment import Environment
from database.repositories import orders, run_days, webhook_statistics
from database.repositories.orders import Filter, Order, Sort

TARGET_MS = 150.0
TARGET_BYTES = 200_000
MODELS = (
    "+agg_stage_durations +agg_status_durations +agg_cycle_durations +rpt_cancellations +rpt_success"
    " +rpt_sla_compliance +rpt_first_pass +rpt_bottlenecks +rpt_ageing +agg_daily_flow +agg_status_transitions"
    " +agg_variants +integration_statistics +dim_projects +dim_statuses +fct_order_items +fct_order_marketing"
)
"""What the pages read besides orders_current."""
_LOGIN, _PASSWORD = "bench", "a password for an hour 1"


async def measure(url: str, home: Path, turns: int) -> dict[str, dict[str, Any]]:
    """p50 and p95 in ms and bytes of each address."""
    environment = Environment(DATABASE_URL=url, home=home, master_key=new_key())  # type: ignore[call-arg]
    async with await connect(url) as connection:
        await users.add(connection, _LOGIN, _PASSWORD, "admin", None, actor="bench")
        found = await orders.page(connection, Filter(is_closed=False), Sort("created", descending=False), limit=1)
        await run_days.roll_up_all(connection)  # as the relay does
        await webhook_statistics.roll_up_all(connection)
    with psycopg.connect(url, autocommit=True) as plain:
        known = pages_data.known(plain)
    app = create_app(environment)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://bench") as client,
    ):
        app.state.order_counts = Counting(seconds=0)
        answer = await client.post("/login", json={"login": _LOGIN, "password": _PASSWORD})
        answer.raise_for_status()
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        asked = addresses(found.orders[0]) | other_addresses(known)
        figures = {name: await _timed(client, address, turns) for name, address in asked.items()}
        with psycopg.connect(url, autocommit=True) as plain:
            pages_data.hide(plain)
        for name, address in HIDING.items():
            figures[f"{name}, some hidden"] = await _timed(client, address, turns)
        return figures


HIDING = {
    "page: home": "/",
    "page: all orders": "/orders",
    "page: one project": "/orders?project=north",
    "page: one project, the oldest first": "/orders?project=north&sort=created&order=asc",
    "page: over the limit, by due time": "/orders?state=over&sort=due",
}
"""Asked for again while the settings leave orders out."""


def other_addresses(known: dict[str, str]) -> dict[str, str]:
    """All areas but orders."""
    pages = {
        "home": "/", "users": "/users", "a new user": "/users/new", "a user": f"/users/{known['user']}",
        "tokens": "/tokens", "account": "/account", "audit log": "/audit",
        "audit log of a project": "/audit?project=west",
        "stage times": "/analytics", "stage times of a project": "/analytics?project=north",
        "cycles": "/analytics/cycles", "SLA": "/analytics/sla", "flow": "/analytics/flow",
        "flow of a project": "/analytics/flow?project=north", "process map": "/analytics/map?project=north",
        "variants": "/analytics/variants", "variants of a stage": "/analytics/variants?group=3",
        "orders of a transition": f"/analytics/map/orders?project=north&from={known['from']}&to={known['to']}",
        "orders of a variant": f"/analytics/variants/orders?project=north&variant={known['variant']}",
        "settings": "/settings", "settings of a project": "/settings/north",
        **{f"settings: {name}": f"/settings/north/{name}" for name in SECTION_PAGES},
        "integrations": "/integrations", "integration": "/integrations/north",
        "a new project": "/integrations/add/project",
        "log": "/integrations/north/logs", "log, errors": "/integrations/north/logs?level=error",
        "webhooks": "/integrations/north/webhooks", "access": "/integrations/north/access",
        "files": "/integrations/files/files",
        "definition": "/integrations/own/definition",
        "sync": "/sync", "outbox": "/sync/outbox", "links": "/sync/links", "consistency": "/sync/consistency",
        "resyncs": "/sync/resyncs", "dead letters": "/sync/dead-letters",
        "a dead letter": f"/sync/dead-letters/{known['letter']}",
        "conflicts": "/sync/conflicts", "a conflict": f"/sync/conflicts/{known['conflict']}",
    }  # fmt: skip
    return {
        **{f"page: {name}": address for name, address in pages.items()},
        "api: projects": "/api/projects", "api: integrations": "/api/integrations", "api: sync": "/api/sync/status",
    }  # fmt: skip


def addresses(oldest_open: Order) -> dict[str, str]:
    """Of orders: what is asked for, by name."""
    project, number = oldest_open.project_id, quote(oldest_open.order_id, safe="")
    return {
        "page: all orders": "/orders",
        "page: one project": "/orders?project=north",
        "page: over the limit, by due time": "/orders?state=over&sort=due",
        "page: a stage's open orders": "/orders?group=3&closed=no",
        "page: numbers that begin with 123": "/orders?number=123",
        "page: the oldest open order": f"/orders/{project}/{number}",
        "api: all orders, with counts": "/api/orders",
        "api: all orders": "/api/orders?counts=false",
        "api: timeline": f"/api/orders/{number}/timeline?project={project}",
        "api: statuses": "/api/dicts/statuses",
    }


async def _timed(client: httpx.AsyncClient, address: str, turns: int) -> dict[str, Any]:
    times, size = [], 0
    for turn in range(turns + 2):
        started = time.perf_counter()
        answer = await client.get(address, headers={"accept": "text/html"})
        if turn >= 2:  # connections and caches have been used then
            times.append((time.perf_counter() - started) * 1000)
        answer.raise_for_status()
        size = len(answer.content)
    times.sort()
    p50, p95 = times[len(times) // 2], times[min(len(times) - 1, int(0.95 * len(times)))]
    return {"p50": round(p50, 1), "p95": round(p95, 1), "bytes": size}


def is_met(figures: dict[str, dict[str, Any]]) -> bool:
    return all(row["p95"] <= TARGET_MS and row["bytes"] <= TARGET_BYTES for row in figures.values())


def table(figures: dict[str, dict[str, Any]], total: int, turns: int) -> Table:
    made = Table(title=f"Pages with {total:,} orders, ms at the server, {turns} times each")
    made.add_column("address", no_wrap=True)
    for heading in ("p50", "p95", f"p95 / {TARGET_MS:.0f} ms", "KB"):
        made.add_column(heading, justify="right")
    for name, row in figures.items():
        ratio, size = f"{row['p95'] / TARGET_MS:.2f}", f"{row['bytes'] / 1000:.0f}"
        made.add_row(name, f"{row['p50']:.0f}", f"{row['p95']:.0f}", ratio, size)
    return made


def main() -> int:
    from benchmarks import live_orders  # which takes `measure` from here

    parser = argparse.ArgumentParser(description="Pages of the dashboard, at a million orders.")
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--require", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = live_orders.run(options.orders, 0, options.turns, pages_only=True)["pages"]
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        Console(width=140).print(table(figures, options.orders, options.turns))
    return 1 if options.require and not is_met(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
