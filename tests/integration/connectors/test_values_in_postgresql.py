"""What connectors make of values is what PostgreSQL makes of them, and what it can store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import psycopg
import pytest

from connectors import registry
from connectors.protocol import MappingContext
from connectors.values.money import parse_money
from connectors.values.plain import plain_json
from connectors.values.times import localise

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    ["Europe/Kyiv", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Almaty", "Africa/Casablanca"],
)
def test_wall_clock_times_are_read_as_postgresql_reads_them(database_url: str, name: str) -> None:
    # Every quarter of an hour of a year: all that DST skips and repeats is among them.
    start = datetime(2025, 1, 1)
    moments = [start + timedelta(minutes=15 * step) for step in range(4 * 24 * 370)]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select m at time zone %s from unnest(%s::timestamp[]) m", [name, moments]).fetchall()
    zone = ZoneInfo(name)
    assert [row[0].astimezone(UTC) for row in rows] == [localise(moment, zone) for moment in moments]


def test_the_largest_amount_fits_and_the_next_one_is_refused(database_url: str) -> None:
    largest = parse_money("999999999999999.99")
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select %s::numeric(18, 2)", [largest]).fetchone()
    assert row == (largest,)
    with pytest.raises(ValueError, match="too large"):
        parse_money("1000000000000000.00")


def test_whatever_a_webhook_brings_can_be_stored_as_jsonb(database_url: str) -> None:
    keycrm = registry.get("keycrm")
    context = {
        "id": 501,
        "status_id": 11,
        "status_changed_at": NOW.isoformat(),
        "big": 10**30,
        "fraction": 0.1,
        "text": "Ї😀",
    }
    body = json.dumps({"event": "order.change_order_status", "context": {**context, "nested": [[[{}]]]}})
    [event] = keycrm.map_webhook(MappingContext("p"), None, body, NOW).status_events
    odd = plain_json({"nul\x00": "a\x00b", "huge": Decimal("1e400"), "deep": json.loads("[" * 300 + "]" * 300)})
    with psycopg.connect(database_url) as connection:
        for value in (event.payload, odd):
            row = connection.execute("select %s::jsonb", [json.dumps(value, ensure_ascii=False)]).fetchone()
            assert row is not None
            assert row[0]


def test_the_longest_ids_and_texts_that_are_let_through_fit_into_an_index(database_url: str) -> None:
    row = {"id": "ї" * 100, "source_uuid": "😀" * 500, "status_id": "ї" * 100, "status_group_id": "ї" * 100,
           "updated_at": NOW.isoformat()}  # fmt: skip
    [order] = registry.get("keycrm").map_record(MappingContext("p"), "orders", "x", json.dumps(row)).orders
    project = "p" * 63
    key = f"{project}:{order.order_id}:{NOW.isoformat()}:{order.status_id}:{order.status_group_id}"
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into core.orders (project_id, order_id, source_uuid) values (%s, %s, %s)",
            [project, order.order_id, order.source_uuid],
        )
        connection.execute(
            """insert into core.order_status_events
            (project_id, order_id, status_id, status_group_id, status_changed_at, source, dedup_key)
            values (%s, %s, %s, %s, %s, 'webhook', %s)""",
            [project, order.order_id, order.status_id, order.status_group_id, NOW, key],
        )
