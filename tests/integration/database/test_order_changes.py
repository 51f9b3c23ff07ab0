"""Triggers of migration 0006: what is written of orders is logged for the marts, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

EVENTS = (
    "insert into core.order_status_events (project_id, order_id, status_id, status_changed_at, source, dedup_key)"
    " values "
)
LOG = "select project_id, order_id from sync.order_changes order by 1, 2"


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """With a project, an order with an event and an item, and an empty log."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "insert into config.projects (project_id, name, crm, timezone) values ('p', 'P', 'keycrm', 'UTC');"
            "insert into core.orders (project_id, order_id, status_id) values ('p', '1', '10'), ('p', '2', '10');"
            f"{EVENTS} ('p', '1', '10', '2025-06-02 10:00+00', 'pull', 'p/1');"
            "insert into core.order_items (project_id, order_id, line_number, quantity, sku)"
            " values ('p', '1', 1, 1, 'a');"
            "insert into config.order_overrides (project_id, order_id, is_urgent) values ('p', '1', true);"
            "delete from sync.order_changes"
        )
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "insert into core.orders (project_id, order_id, status_id) values ('p', '3', '10')",
        "update core.orders set status_id = '11' where order_id = '1'",
        "update core.orders set is_deleted = true where order_id = '1'",
        "update core.orders set closed_at = now() where order_id = '1'",
        "update core.orders set order_created_at = now() where order_id = '1'",
        "delete from core.orders where order_id = '2'",
        EVENTS + "('p', '9', '10', now(), 'webhook', 'p/9'), ('p', '9', '11', now(), 'webhook', 'p/9/11')",
        "update core.order_status_events set status_group_id = '2'",
        "delete from core.order_status_events",
        "update core.order_items set sku = 'b'",
        "delete from core.order_items",
        "insert into config.order_overrides (project_id, order_id, sla_profile) values ('p', '2', 'vip')",
        "update config.order_overrides set is_urgent = false",
        "delete from config.order_overrides",
    ],
)
def test_a_change_of_an_order_is_logged_once_per_statement(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())
    ((project, order),) = connection.execute(LOG).fetchall()
    assert project == "p"
    assert f"'{order}'" in statement or order == "1"


@pytest.mark.parametrize(
    "statement",
    [
        "update core.orders set grand_total = 5, manager_id = '7', updated_at = now()",
        "update core.orders set status_id = status_id, is_deleted = is_deleted",
        "update core.orders set status_id = '11' where order_id = 'unknown'",
        "insert into core.orders (project_id, order_id, status_id) values ('p', '1', '99') on conflict do nothing",
        EVENTS + "('p', '1', '10', '2025-06-02 10:00+00', 'reread', 'p/1') on conflict do nothing",
        "delete from core.order_items where order_id = 'unknown'",
        "insert into core.customers (project_id, customer_id) values ('p', '5')",
    ],
)
def test_what_the_marts_do_not_read_is_not_logged(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())
    assert connection.execute(LOG).fetchall() == []


def test_an_order_that_gets_another_number_is_logged_by_both(connection: psycopg.Connection[Any]) -> None:
    connection.execute("update core.order_status_events set order_id = '7'")
    assert connection.execute(LOG).fetchall() == [("p", "1"), ("p", "7")]


def test_what_is_rolled_back_is_not_logged(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("update core.orders set status_id = '11'")
        assert len(connection.execute(LOG).fetchall()) == 2
    assert connection.execute(LOG).fetchall() == []


@pytest.mark.parametrize("table", ["core.orders", "core.order_status_events", "core.order_items"])
def test_a_table_that_is_emptied_means_every_order_of_every_project(
    connection: psycopg.Connection[Any], table: str
) -> None:
    connection.execute(f"truncate {table}".encode())
    assert connection.execute(LOG).fetchall() == [("p", None)]
