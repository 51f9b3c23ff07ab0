"""Replay: raw -> core of many events, against a plain COPY of the same rows into identical tables.

    python -m benchmarks.replay [--events 1000000] [--require 0.1] [--json]

Starts an embedded PostgreSQL in a temporary folder and lands two projects raw: orders of KeyCRM, each one API record
and four webhooks of its status, each of these an event. The smaller project has a fifth of the events. Each is replayed
by a process of its own, whose peak memory must not grow with the rows. Then all that core holds of the larger one is
copied (COPY) into tables with the same columns, constraints and indexes, without core's triggers. The ratio is the
replay's speed to COPY's. Exit code 1 if it is below --require, if an event is missing, or if the memory is above
512 MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks import replay_data
from database import migrate
from database.connection import connect
from database.embedded import EmbeddedServer
from database.encryption import Keyring, new_key
from database.environment import Environment
from sync.settings import apply_settings

MEMORY_MIB = 512
_FOLDER = Path(__file__).parent.parent
_SMALLER = 5
_CHUNK = 1 << 20
_SETTINGS = """
projects:
  - {id: smaller, name: Smaller, crm: keycrm, base_url: "http://127.0.0.1:9/v1", timezone: Europe/Kyiv, region: UA,
     currency: UAH, credentials: {api_key: none}}
  - {id: larger, name: Larger, crm: keycrm, base_url: "http://127.0.0.1:9/v1", timezone: Europe/Kyiv, region: UA,
     currency: UAH, credentials: {api_key: none}}
"""


def run(events: int) -> dict[str, Any]:
    """Replay both projects and copy the larger one; the figures of each."""
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o755)
        server = EmbeddedServer(home)
        server.start()
        try:
            server.create_database("crm_elt")
            url = server.url("crm_elt")
            migrate.upgrade(url)
            asyncio.run(_apply(url))
            with psycopg.connect(url, autocommit=True) as connection:
                landed = {
                    "smaller": replay_data.land(connection, "smaller", events // _SMALLER),
                    "larger": replay_data.land(connection, "larger", events),
                }
                replays = {project: _replay(connection, url, project) for project in landed}
                copy = _copy(connection, "larger", Path(folder))
        finally:
            server.stop("immediate")
    larger = replays["larger"]
    return {
        "events": landed["larger"],
        "replays": replays,
        "copy": copy,
        "ratio": round(copy["seconds"] / larger["seconds"], 4),
        "memory_growth": round(larger["peak_mib"] / replays["smaller"]["peak_mib"], 3),
        "missing": sum(landed[project] - int(replays[project]["events"]) for project in landed),
    }


async def _apply(url: str) -> None:
    keyring = Keyring.load(Environment(master_key=new_key()))
    async with await connect(url) as connection:
        await apply_settings(connection, keyring, _SETTINGS, source="bench", environ={}, actor="bench")


def _replay(connection: psycopg.Connection, url: str, project_id: str) -> dict[str, float]:
    connection.execute("checkpoint")  # of what was written before, so that it is not paid for here
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay_ours", project_id],
        cwd=_FOLDER, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"The replay failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def _copy(connection: psycopg.Connection, project_id: str, folder: Path) -> dict[str, float]:
    """Seconds of COPY alone, of all tables in one transaction, from files."""
    found = replay_data.tables(connection, project_id)
    connection.execute("create schema bench")
    for table, columns in found.items():
        name = sql.Identifier(table)
        connection.execute(sql.SQL("create table bench.{} (like core.{} including all)").format(name, name))
        read = sql.SQL("copy (select {} from core.{} where project_id = {}) to stdout").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), name, sql.Literal(project_id)
        )
        with (folder / table).open("wb") as file, connection.cursor().copy(read) as copy:
            for data in copy:
                file.write(data)
    connection.execute("checkpoint")
    rows = 0
    started = time.perf_counter()
    with connection.transaction(), connection.cursor() as cursor:
        for table, columns in found.items():
            write = sql.SQL("copy bench.{} ({}) from stdin").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with (folder / table).open("rb") as file, cursor.copy(write) as copy:
                while data := file.read(_CHUNK):
                    copy.write(data)
            rows += cursor.rowcount
    return {"seconds": time.perf_counter() - started, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay of raw events against a plain COPY of what core holds then.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--require", type=float, help="exit with 1 if the ratio is below")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = run(given.events)
    if given.json:
        print(json.dumps(result))
    else:
        _print(result)
    peak = max(one["peak_mib"] for one in result["replays"].values())
    if result["missing"] or peak > MEMORY_MIB:
        return 1
    return 1 if given.require is not None and result["ratio"] < given.require else 0


def _print(result: dict[str, Any]) -> None:
    core_rows = result["copy"]["rows"]
    table = Table(title=f"Replay of {result['events']:,} events: {core_rows:,} rows of core")
    for title in ("", "events", "seconds", "events/s", "core rows/s", "peak MiB"):
        table.add_column(title, justify="right" if title else "left")
    for project in ("smaller", "larger"):
        one = result["replays"][project]
        rate = one["events"] / one["seconds"]
        core_rate = f"{core_rows / one['seconds']:,.0f}" if project == "larger" else ""
        table.add_row(
            f"replay, {project}", f"{one['events']:,.0f}", f"{one['seconds']:.1f}", f"{rate:,.0f}", core_rate,
            f"{one['peak_mib']:.0f}",
        )  # fmt: skip
    seconds = result["copy"]["seconds"]
    table.add_row(
        "plain COPY", f"{result['events']:,}", f"{seconds:.1f}", f"{result['events'] / seconds:,.0f}",
        f"{core_rows / seconds:,.0f}", "",
    )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(
        f"Ratio {result['ratio']:.3f} (replay to COPY). Missing events: {result['missing']}. Memory of the larger to "
        f"the smaller: {result['memory_growth']:.2f} times (target: flat, at most {MEMORY_MIB} MiB).",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main())
