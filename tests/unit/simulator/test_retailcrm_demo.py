"""The demo's RetailCRM account is believable, the same each time, and alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from connectors import registry
from demo.crms import DemoCrm
from demo.crms.retailcrm import API_KEY, demo_account
from sync.settings.reading import parse
from tests.support.http_server import serve

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SETTINGS = Path(__file__).parents[3] / "demo" / "crms" / "retailcrm.yaml"


@contextmanager
def talking_to(account: DemoCrm) -> Iterator[httpx.Client]:
    with serve(account.app) as url, httpx.Client(base_url=url, headers={"X-API-KEY": API_KEY}, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with talking_to(demo_account(NOW, 1)) as http:
        yield http


def everything(client: httpx.Client, path: str, key: str) -> list[Any]:
    rows: list[Any] = []
    page = 1
    while found := client.get(f"/api/v5{path}?limit=100&page={page}").json()[key]:
        rows += found
        page += 1
    return rows


def test_about_two_months_of_orders_are_there(client: httpx.Client) -> None:
    orders = everything(client, "/orders", "orders")
    assert 110 <= len(orders) <= 120
    days = {order["createdAt"][:10] for order in orders}
    assert min(days) <= "2026-01-05"
    assert max(days) <= "2026-03-02"
    statuses = {order["status"] for order in orders}
    assert {"complete", "no-call"} <= statuses
    assert {order["site"] for order in orders} == {"shop", "wholesale"}


def test_some_are_paid_some_paid_back_and_one_is_deleted(client: httpx.Client) -> None:
    orders = everything(client, "/orders", "orders")
    paid = [order for order in orders if "fullPaidAt" in order]
    assert 0.5 < len(paid) / len(orders) < 0.95
    assert all(order["prepaySum"] == order["totalSumm"] for order in paid)
    payments = [payment for order in orders if order["payments"] for payment in order["payments"].values()]
    assert "returned" in {payment["status"] for payment in payments}
    history = everything(client, "/orders/history", "history")
    assert sum(entry.get("deleted", False) for entry in history) == 1


def test_the_history_ascends_in_id_and_time_and_says_nothing_of_the_future(client: httpx.Client) -> None:
    history = everything(client, "/orders/history", "history")
    times = [entry["createdAt"] for entry in history]
    assert [entry["id"] for entry in history] == list(range(701, 701 + len(history)))
    assert times[:-1] == sorted(times[:-1])
    assert max(times) <= "2026-03-02 14:00:00"  # nine o'clock UTC, in Almaty


def test_the_same_seed_gives_the_same_account() -> None:
    def orders(seed: int) -> Any:
        with talking_to(demo_account(NOW, seed)) as http:
            return http.get("/api/v5/orders?limit=100").json()

    assert orders(7) == orders(7)
    assert orders(7) != orders(8)


def test_something_happens_at_each_change_and_the_trigger_tells() -> None:
    account = demo_account(NOW, 1)
    assert account.change is not None
    assert account.connect is not None
    account.connect("http://127.0.0.1:1/never?token=t")
    with talking_to(account) as http:
        before = len(everything(http, "/orders/history", "history"))
        for _ in range(5):
            account.change()
        assert len(everything(http, "/orders/history", "history")) == before + 5


def test_the_settings_are_valid() -> None:
    values = {"URL": "http://127.0.0.1:9", "HOOK": "hook-secret-0123456789", "RETAILCRM_KEY": API_KEY}
    text = yaml.safe_dump({"projects": [yaml.safe_load(SETTINGS.read_text())]}, allow_unicode=True)
    known = {name: registry.get(name).capabilities for name in registry.names()}
    [project] = parse(text, source="retailcrm.yaml", environ=values, known=known)
    assert (project.id, project.crm) == ("home-textile", "retailcrm")
    assert project.options["webhook_template"]["order_id"] == "{{ order.getId() }}"
