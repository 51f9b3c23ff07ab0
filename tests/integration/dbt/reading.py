"""The view of running orders, read at instants of a test's choice: its own text, with the instant for `now()`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.integration.dbt.conftest import Warehouse
from tests.oracle import random_projects
from tests.oracle.changes import offset_changes
from tests.oracle.metrics import Metrics

_BESIDE = (timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1))


def instants(metrics: Metrics, order: dict[str, Any]) -> Iterator[datetime]:
    """Where the state of an open order may turn, or its clock stop: crossings, its entry, edges of windows, changes of
    the zone's offset, and a microsecond beside each.
    """
    chance = random.Random(order["order_id"])
    group = metrics.histories[order["order_id"]][-1].group_id
    around = [order["last_changed_at"]]
    around += [order[name] for name in ("sla_near_at", "sla_due_at", "sla_over_at") if order[name] is not None]
    around += random_projects.moments(metrics.project, metrics.calendar(group), chance, 4)
    changes = [at for at in offset_changes(metrics.project.time_zone) if at > around[0] - timedelta(days=30)]
    around += chance.sample(changes, min(len(changes), 2))
    last = datetime.now(UTC) + timedelta(days=4 * 366)  # well within the calendars
    for at in around:
        if at < last:
            yield from (at + shift for shift in _BESIDE)


def orders_at(warehouse: Warehouse, calls: list[tuple[str, str, datetime]]) -> list[dict[str, Any]]:
    """State and seconds of each (project, order), as if the view were read at the instant given with it."""
    with psycopg.connect(warehouse.url, row_factory=dict_row, options="-c timezone=UTC") as connection:
        query = "select pg_get_viewdef('intermediate.int_orders__running'::regclass) as text"
        text = str((connection.execute(query).fetchone() or {})["text"]).rstrip(";")
        assert "now()" in text
        connection.execute("create temporary table calls (place int, project_id text, order_id text, at timestamptz)")
        with connection.cursor().copy("copy calls from stdin") as copy:
            for place, call in enumerate(calls):
                copy.write_row((place, *call))
        connection.execute("analyze calls")
        return connection.execute(
            "select found.sla_state, found.stage_working_seconds "
            f"from calls cross join lateral ({text.replace('now()', 'calls.at')}) as found "
            "where found.project_id = calls.project_id and found.order_id = calls.order_id order by place".encode()
        ).fetchall()
