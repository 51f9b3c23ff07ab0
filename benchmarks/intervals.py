"""Working-time intervals: the build of intervals and stages against a bare LEAD() over the same events, in one run.

    python -m benchmarks.intervals [--events 1000000] [--turns 3] [--growth 10] [--sample 2000] [--require 3] [--json]

Starts an embedded PostgreSQL in a temporary folder and generates the events there: a tenth as many orders, 10 groups
with calendars of their own (two windows a day, holidays), two zones with DST. The build is dbt's own; its time is that
of the two models with their indexes and statistics, as dbt reports it. Each turn measures LEAD() first and the build
after it, and the ratio is the middle one of the turns. Then a hundredth of the orders gets a new event, and the same
two models are built incrementally; and all models with their tests twice more, the second time with nothing new. With
--growth the history is made that many times as long in a second database: full build, an increment of as many orders as
before, and one of a hundredth. Exit code 1 if the ratio is above --require, or if a working time differs from the one
by joining every window.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import intervals_data
from database import migrate
from database.embedded import EmbeddedServer
from sync.build import build

_MODELS = ("fct_order_status_intervals", "fct_order_stages")
_SELECTION = " ".join(_MODELS)
_ONE_IN = 100
"""Of the orders, one in so many changes before the incremental build."""


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mib: float
    """Of all backends together, without shared memory."""


def run(events: int, turns: int, sample: int, growth: int = 1) -> dict[str, Any]:
    """Measure; the figures of each way, and the ratios."""
    with tempfile.TemporaryDirectory(prefix="crm-elt-bench-") as folder:
        server = EmbeddedServer(Path(folder))
        server.start()
        try:
            figures = _measure(server, Path(folder) / "dbt", events, turns, sample)
            if growth > 1:
                figures["grown"] = _measure_grown(server, Path(folder) / "dbt", events, growth)
            return figures
        finally:
            server.stop("immediate")


def _measure(server: EmbeddedServer, target: Path, events: int, turns: int, sample: int) -> dict[str, Any]:
    url = _prepare(server, "crm_elt")
    with psycopg.connect(url, autocommit=True) as connection:
        rows = intervals_data.fill(connection, events)
        _build(url, target, select=None)  # all models once: tests of one read others
        leads, builds, ratios = [], [], []
        for _ in range(turns):
            leads.append(_lead(server, connection))
            builds.append(_measured_build(server, connection, url, target))
            ratios.append(builds[-1][0].seconds / leads[-1].seconds)
        joined = _timed(server, connection, intervals_data.WINDOWS_JOINED)
        differences = connection.execute(intervals_data.DIFFERENCES.encode()).fetchone()
        assert differences is not None
        pandas = _pandas(connection, sample)
        _build(url, target, select=None, full_refresh=False)  # what else reads the two models is behind them
        changed = intervals_data.change(connection, _ONE_IN)
        increment, _ = _measured_build(server, connection, url, target, full_refresh=False)
        lead = min(leads, key=lambda each: each.seconds)
        best, parts = min(builds, key=lambda each: each[0].seconds)
        _build(url, target, select=None, full_refresh=False)
        began = time.perf_counter()
        _build(url, target, select=None, full_refresh=False)
        nothing_new = time.perf_counter() - began
        ways = [
            _way("bare LEAD()", rows, lead, lead),
            _way("intervals + stages, full build", rows, best, lead),
            _way("working time by joining every window", rows, joined, lead),
            _way(f"incremental build, {changed:,} orders changed", rows, increment, lead),
        ]
        return {
            "events": rows,
            "orders": rows // intervals_data.EVENTS_PER_ORDER,
            "turns": turns,
            "ways": ways,
            "parts": {name: round(value, 2) for name, value in parts.items()},
            "ratio": round(statistics.median(ratios), 2),
            "incremental_ratio": round(increment.seconds / best.seconds, 3),
            "nothing_new_seconds": round(nothing_new, 2),
            "differences": int(differences[0]),
            "pandas": pandas,
        }


def _measure_grown(server: EmbeddedServer, target: Path, events: int, growth: int) -> dict[str, Any]:
    """The same on a history `growth` times as long, once, without the join of every window."""
    url = _prepare(server, "grown")
    with psycopg.connect(url, autocommit=True) as connection:
        rows = intervals_data.fill(connection, events * growth)
        _build(url, target, select=None)
        lead = _lead(server, connection)
        full, _ = _measured_build(server, connection, url, target)
        _build(url, target, select=None, full_refresh=False)
        same = intervals_data.change(connection, _ONE_IN * growth)
        as_many, _ = _measured_build(server, connection, url, target, full_refresh=False)
        _build(url, target, select=None, full_refresh=False)
        changed = intervals_data.change(connection, _ONE_IN)
        increment, _ = _measured_build(server, connection, url, target, full_refresh=False)
    return {
        "events": rows,
        "orders": rows // intervals_data.EVENTS_PER_ORDER,
        "ways": [
            _way("bare LEAD()", rows, lead, lead),
            _way("intervals + stages, full build", rows, full, lead),
            _way(f"incremental build, {same:,} orders changed", rows, as_many, lead),
            _way(f"incremental build, {changed:,} orders changed", rows, increment, lead),
        ],
        "ratio": round(full.seconds / lead.seconds, 2),
        "incremental_ratio": round(increment.seconds / full.seconds, 3),
    }


def _prepare(server: EmbeddedServer, name: str) -> str:
    server.create_database(name)
    url = server.url(name)
    migrate.upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema bench")
    return url


def _lead(server: EmbeddedServer, connection: psycopg.Connection) -> Measured:
    connection.execute("drop table if exists bench.lead")
    connection.execute("checkpoint")
    return _timed(server, connection, intervals_data.LEAD)


def _measured_build(
    server: EmbeddedServer, connection: psycopg.Connection, url: str, target: Path, *, full_refresh: bool = True
) -> tuple[Measured, dict[str, float]]:
    connection.execute("checkpoint")
    with _peak(server) as peak:
        # Alone, as the full build is: beside other models on two cores neither figure would say what these two cost.
        seconds = _build(url, target, full_refresh=full_refresh)
    return Measured(sum(seconds.values()), peak()), seconds


def _build(url: str, target: Path, *, select: str | None = _SELECTION, full_refresh: bool = True) -> dict[str, float]:
    """dbt build of the two models; the seconds of each."""
    result = build(url, select=select, full_refresh=full_refresh, target_folder=target)
    if result.failed:
        raise SystemExit(f"The build failed: {result.failed[0]}")
    entries = json.loads((target / "run_results.json").read_text())["results"]
    names = {entry["unique_id"].rpartition(".")[2]: float(entry["execution_time"]) for entry in entries}
    return {name: names[name] for name in _MODELS}


def _timed(server: EmbeddedServer, connection: psycopg.Connection, script: str) -> Measured:
    with _peak(server) as peak:
        started = time.monotonic()
        intervals_data.run(connection, script)
        seconds = time.monotonic() - started
    return Measured(seconds, peak())


@contextmanager
def _peak(server: EmbeddedServer) -> Iterator[Any]:
    """Samples the private memory of the server's processes while the block runs; gives a function: its peak in MiB."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().splitlines()[0]))
    highest = 0
    done = threading.Event()

    def sample() -> None:
        nonlocal highest
        while not done.wait(0.05):
            total = 0
            for process in postmaster.children():
                try:
                    memory = process.memory_info()
                except psutil.NoSuchProcess:
                    continue
                total += memory.rss - memory.shared
            highest = max(highest, total)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield lambda: round(highest / 2**20, 1)
    finally:
        done.set()
        thread.join()


def _way(name: str, rows: int, measured: Measured, lead: Measured) -> dict[str, Any]:
    return {
        "way": name,
        "seconds": round(measured.seconds, 2),
        "rows_per_second": round(rows / measured.seconds),
        "ratio_to_lead": round(measured.seconds / lead.seconds, 2),
        "peak_mib": measured.peak_mib,
    }


def _pandas(connection: psycopg.Connection, sample: int) -> dict[str, Any] | str:
    """The same working time by pandas and businesstimedelta, on a sample; a sentence where they are not installed."""
    missing = [name for name in ("pandas", "businesstimedelta") if importlib.util.find_spec(name) is None]
    if missing:
        return f"Not compared with pandas: {' and '.join(missing)} are not installed (they are the extra `bench`)."
    return importlib.import_module("benchmarks.intervals_pandas").measure(connection, sample)  # type: ignore[no-any-return]


def _print(figures: dict[str, Any], console: Console) -> None:
    console.print(_table(figures, f"best of {figures['turns']}"))
    parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in figures["parts"].items())
    console.print(
        f"Ratio {figures['ratio']:.2f} (full build to LEAD(), middle of {figures['turns']}): {parts}. "
        f"Incremental to full build: {figures['incremental_ratio']:.3f}. "
        f"All models and tests with nothing new: {figures['nothing_new_seconds']:.1f} s (target 15). "
        f"Working times that differ from the join of every window: {figures['differences']}.",
        highlight=False,
    )
    compared = figures["pandas"]
    if isinstance(compared, str):
        console.print(compared, highlight=False)
    else:
        console.print(
            f"pandas with businesstimedelta: {compared['rows']:,} intervals in {compared['seconds']:.2f} s, "
            f"{compared['rows_per_second']:,} rows/s.",
            highlight=False,
        )
    if grown := figures.get("grown"):
        console.print(_table(grown, "once"))
        console.print(
            f"Ratio {grown['ratio']:.2f} (full build to LEAD()); incremental to full build: "
            f"{grown['incremental_ratio']:.3f}.",
            highlight=False,
        )


def _table(figures: dict[str, Any], how: str) -> Table:
    table = Table(title=f"{figures['events']:,} events of {figures['orders']:,} orders, {how}")
    table.add_column("way", no_wrap=True)
    for heading in ("seconds", "rows/s", "ratio", "peak MiB"):
        table.add_column(heading, justify="right")
    for row in figures["ways"]:
        table.add_row(
            row["way"], f"{row['seconds']:.2f}", f"{row['rows_per_second']:,}", f"{row['ratio_to_lead']:.2f}",
            f"{row['peak_mib']:,.0f}",
        )  # fmt: skip
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description="Intervals and stages against a bare LEAD() over the same events.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--growth", type=int, default=10, help="of the history in a second measurement; 1: none")
    parser.add_argument("--sample", type=int, default=2_000, help="intervals for pandas")
    parser.add_argument("--require", type=float, help="exit with 1 if the ratio is above")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options.events, options.turns, options.sample, options.growth)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures, Console())
    if figures["differences"]:
        return 1
    return 1 if options.require is not None and figures["ratio"] > options.require else 0


if __name__ == "__main__":
    sys.exit(main())
