"""Latency of the two-way sync: a change in vms until its request is at the CRM, and a change at the CRM until it is in
vms, at a steady rate of changes of all kinds.

    python -m benchmarks.latency [--rate 20] [--seconds 30] [--require 1.0] [--json]

Everything runs as in production: PostgreSQL, ingest API and relay are processes of their own, the CRM is the KeyCRM
simulator without a rate limit, whose webhooks go to the ingest API. A change counts from its commit (or from the
simulator's change) to the arrival of the request (or to the write into vms). Exit code 1 if a p95 is above --require,
or if a change has not arrived within a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.latency_stack import PROJECT, Running, running
from connectors.keycrm.simulator_faults import LoggedRequest
from database.connection import Connection, connect

ARRIVAL_SECONDS = 60.0
FIRST_AMOUNT, FIRST_BACK = 10_000, 100_000
"""Sums and quantities from here on tell which change it was: of vms, and of the CRM."""
OUTBOUND = ("order created", "status changed", "payment added", "stock changed")
INBOUND = ("order created", "status changed", "payment added")

Times = dict[str, dict[int, datetime]]
"""Kind -> number of the change -> when."""


def run(rate: float, seconds: float) -> dict[str, Any]:
    changes = max(len(OUTBOUND), round(rate * seconds))
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder, running(Path(folder), 2 * changes) as stack:
        return asyncio.run(_measure(stack, rate, changes))


async def _measure(stack: Running, rate: float, changes: int) -> dict[str, Any]:
    async with await connect(stack.database_url) as connection:
        await _prepare(connection, changes)
        ids = await _linked(connection, changes)
        begun = await _paced(rate, changes, OUTBOUND, lambda kind, n: _change_vms(connection, kind, n, ids[n]))
        arrived = await _until(changes, lambda: _asked(stack))
        result = {"vms to CRM": _summary(begun, arrived)}
        begun = await _paced(rate, changes, INBOUND, lambda kind, n: _change_crm(stack, kind, n, ids[changes + n]))
        arrived = await _until(changes, lambda: _written(connection))
        result["CRM to vms"] = _summary(begun, arrived)
    return {"rate": rate, "changes": changes, **result}


async def _prepare(connection: Connection, changes: int) -> None:
    """Articles for the stock changes, at the CRM before it begins."""
    await connection.execute(
        """
        insert into vms.articles (project_id, sku, name, price, stock)
        select %s, 'bench-' || n, 'Bench ' || n, 100, 1 from generate_series(0, %s) as s (n)
        """,
        [PROJECT, changes],
    )
    until = time.monotonic() + ARRIVAL_SECONDS + changes
    while time.monotonic() < until:
        cursor = await connection.execute(
            """
            select (select count(*) from sync.outbox where state in ('waiting', 'sending')) as outbound,
                (select count(*) from sync.inbound_queue) as inbound
            """
        )
        row = await cursor.fetchone()
        if row is not None and not row["outbound"] and not row["inbound"]:
            return
        await asyncio.sleep(0.1)
    raise SystemExit("The account is not in step before the measurement begins.")


async def _linked(connection: Connection, changes: int) -> list[tuple[int, int]]:
    """(vms id, KeyCRM id) of twice as many orders as there are changes."""
    cursor = await connection.execute(
        """
        select vms_entity_id, crm_entity_id::bigint as crm_id from sync.mappings
        where project_id = %s and entity_type = 'order' and sync_status = 'synced' order by mapping_id limit %s
        """,
        [PROJECT, 2 * changes],
    )
    rows = [(row["vms_entity_id"], row["crm_id"]) for row in await cursor.fetchall()]
    if len(rows) < 2 * changes:
        raise SystemExit(f"Only {len(rows)} of {2 * changes} orders came into vms.")
    return rows


async def _paced(
    rate: float, changes: int, kinds: tuple[str, ...], change: Callable[[str, int], Awaitable[None]]
) -> Times:
    """Make the changes one by one, as many a second, and note when each was made."""
    begun: Times = {kind: {} for kind in kinds}
    start = time.monotonic()
    for number in range(changes):
        await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
        kind = kinds[number % len(kinds)]
        await change(kind, number)
        begun[kind][number] = datetime.now(UTC)
    return begun


async def _change_vms(connection: Connection, kind: str, number: int, order: tuple[int, int]) -> None:
    vms_id, _ = order
    match kind:
        case "order created":
            async with connection.transaction():
                cursor = await connection.execute(
                    """
                    with buyer as (
                        insert into vms.customers (project_id, full_name, phone)
                        values (%(project)s, 'Bench', '+3809900' || lpad(%(number)s::text, 5, '0')) returning id
                    )
                    insert into vms.orders (project_id, customer_id, comment)
                    select %(project)s, id, 'bench ' || %(number)s from buyer
                    returning id
                    """,
                    {"project": PROJECT, "number": number},
                )
                row = await cursor.fetchone()
                assert row is not None
                await connection.execute(
                    "insert into vms.order_items (project_id, order_id, name, price) values (%s, %s, 'Cup', 100)",
                    [PROJECT, row["id"]],
                )
        case "status changed":
            await connection.execute(
                """
                update vms.orders set comment = 'bench ' || %s,
                    status = case status when 'SHIPPED' then 'DELIVERED' else 'SHIPPED' end
                where project_id = %s and id = %s
                """,
                [number, PROJECT, vms_id],
            )
        case "payment added":
            await connection.execute(
                "insert into vms.payments (project_id, order_id, amount, status) values (%s, %s, %s, 'paid')",
                [PROJECT, vms_id, FIRST_AMOUNT + number],
            )
        case _:
            await connection.execute(
                "update vms.articles set stock = %s where project_id = %s and sku = %s",
                [FIRST_AMOUNT + number, PROJECT, f"bench-{number}"],
            )


async def _asked(stack: Running) -> Times:
    """When the simulator got each change first, by what its body says."""
    found: Times = {kind: {} for kind in OUTBOUND}
    for entry in stack.state.requests.find():
        for kind, number in _changes_of(entry):
            found[kind].setdefault(number, entry.at)
    return found


def _changes_of(entry: LoggedRequest) -> list[tuple[str, int]]:
    body = entry.body if isinstance(entry.body, dict) else {}
    if entry.method == "POST" and entry.path.endswith("/payment"):
        return [("payment added", round(body["amount"]) - FIRST_AMOUNT)]
    if entry.method == "PUT" and entry.path == "/offers/stocks":
        numbers = [round(row["quantity"]) - FIRST_AMOUNT for row in body.get("stocks", ())]
        return [("stock changed", number) for number in numbers if number >= 0]
    comment = str(body.get("manager_comment") or "")
    if comment.startswith("bench ") and entry.method in ("POST", "PUT"):
        kind = "order created" if entry.path == "/order" else "status changed"
        return [(kind, int(comment.removeprefix("bench ")))] if entry.path.startswith("/order") else []
    return []


async def _change_crm(stack: Running, kind: str, number: int, order: tuple[int, int]) -> None:
    _, crm_id = order
    state = stack.state
    match kind:
        case "order created":
            buyer = min(state.buyers.rows)
            await asyncio.to_thread(
                lambda: state.add_order(
                    buyer=buyer, manager_comment=f"back {number}",
                    products=[{"name": "Cup", "price": 100, "quantity": 1}],
                )
            )  # fmt: skip
        case "status changed":
            now = state.orders.rows[crm_id].fields["status_id"]
            state.update_order(crm_id, manager_comment=f"back {number}")
            await asyncio.to_thread(state.change_status, crm_id, 12 if now != 12 else 11)
        case _:
            await asyncio.to_thread(state.add_payment, crm_id, FIRST_BACK + number)


async def _written(connection: Connection) -> Times:
    """When vms got each change."""
    found: Times = {kind: {} for kind in INBOUND}
    cursor = await connection.execute(
        "select comment, updated_at, created_at from vms.orders where project_id = %s and comment like 'back %%'",
        [PROJECT],
    )
    for row in await cursor.fetchall():
        number = int(row["comment"].removeprefix("back "))
        kind = INBOUND[number % len(INBOUND)]
        found[kind][number] = row["created_at"] if kind == "order created" else row["updated_at"]
    cursor = await connection.execute(
        "select amount, created_at from vms.payments where project_id = %s and amount >= %s order by id",
        [PROJECT, FIRST_BACK],
    )
    for row in await cursor.fetchall():
        found["payment added"][int(row["amount"]) - FIRST_BACK] = row["created_at"]
    return found


async def _until(changes: int, look: Callable[[], Awaitable[Times]]) -> Times:
    """What has arrived, once all has, or when the time is over."""
    until = time.monotonic() + ARRIVAL_SECONDS
    while True:
        found = await look()
        if sum(map(len, found.values())) >= changes or time.monotonic() > until:
            return found
        await asyncio.sleep(0.2)


def _summary(begun: Mapping[str, Mapping[int, datetime]], arrived: Mapping[str, Mapping[int, datetime]]) -> Any:
    """By kind and for all: changes, missing ones, p50, p95 and the longest, in seconds."""
    rows: dict[str, Any] = {}
    everything: list[float] = []
    for kind, starts in begun.items():
        took = [
            (arrived[kind][number] - at).total_seconds() for number, at in starts.items() if number in arrived[kind]
        ]
        rows[kind] = _figures(took, len(starts) - len(took))
        everything += took
    rows["all"] = _figures(everything, sum(row["missing"] for row in rows.values()))
    return rows


def _figures(took: list[float], missing: int) -> dict[str, Any]:
    ordered = sorted(max(0.0, one) for one in took)
    if not ordered:
        return {"changes": missing, "missing": missing, "p50": None, "p95": None, "max": None}
    return {
        "changes": len(ordered) + missing,
        "missing": missing,
        "p50": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
        "max": ordered[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of the two-way sync.")
    parser.add_argument("--rate", type=float, default=20.0, help="changes a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--require", type=float, help="exit with 1 if a p95 is above so many seconds")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = run(given.rate, given.seconds)
    if given.json:
        print(json.dumps(result))
    else:
        _print(result)
    sides = (result["vms to CRM"]["all"], result["CRM to vms"]["all"])
    if any(side["missing"] for side in sides):
        sys.exit("Changes are missing.")
    if given.require is not None and any(side["p95"] > given.require for side in sides):
        sys.exit(1)


def _print(result: Mapping[str, Any]) -> None:
    table = Table(
        title=f"{result['changes']} changes each way, {result['rate']:g} a second; seconds (target: p95 <= 1)"
    )
    for name in ("way", "change", "changes", "missing", "p50", "p95", "max"):
        table.add_column(name, justify="left" if name in ("way", "change") else "right")
    for way in ("vms to CRM", "CRM to vms"):
        for kind, row in result[way].items():
            cells = ["-" if row[name] is None else f"{row[name]:.3f}" for name in ("p50", "p95", "max")]
            table.add_row(way, kind, str(row["changes"]), str(row["missing"]), *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
