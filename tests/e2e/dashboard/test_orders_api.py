"""The JSON routes of orders on the demo's data, against an independent calculation."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from demo_windows import Demo

from tests.oracle import inputs
from tests.oracle.metrics import Interval, Metrics

SHOP = "print-shop"


@pytest.fixture(scope="module")
def api(demo: Demo) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=demo.url, headers=demo.bearer(), timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def metrics(demo: Demo) -> Metrics:
    return Metrics(inputs.read(demo.database_url)[SHOP])


def seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def pages(api: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """All orders of a filter, page after page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = api.get("/api/orders", params={**query, **({"after": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def test_timelines_agree_with_the_calendars_walked_day_by_day(api: httpx.Client, metrics: Metrics) -> None:
    histories = metrics.histories
    closed = [name for name, history in histories.items() if history[-1].is_closing]
    still_open = [name for name, history in histories.items() if not history[-1].is_closing]
    most = sorted(closed, key=lambda name: -len(histories[name]))[:3] + sorted(still_open, key=int)[:3]
    for order_id in most:
        told = api.get(f"/api/orders/{order_id}/timeline", params={"project": SHOP}).json()
        history = histories[order_id]
        if len(told["intervals"]) > len(history):
            continue  # it has moved on since the events were read
        now = datetime.fromisoformat(told["read_at"])
        for one, wanted in zip(told["intervals"], history, strict=True):
            assert one["entered_at"] == wanted.entered_at.isoformat().replace("+00:00", "Z")
            assert (one["status_id"], one["status_group_id"]) == (wanted.event.status_id, wanted.group_id)
            assert one["working_seconds"] == pytest.approx(seconds(worked(metrics, wanted, now)), abs=1e-5)
            assert one["is_open"] == (wanted.left_at is None and not wanted.is_closing)
        for stage in told["stages"]:
            expected = metrics.stages[order_id, stage["status_group_id"]]
            total = sum((worked(metrics, each, now) for each in expected.intervals), timedelta(0))
            assert stage["working_seconds"] == pytest.approx(total.total_seconds(), abs=1e-5)
            assert (stage["visits"], stage["sla_limit_seconds"]) == (expected.visits, expected.limit)
            assert stage["sla_state"] == metrics.state(total, expected.limit)
        current = metrics.current(order_id, now)
        assert told["order"]["sla_state"] == current["sla_state"]
        if current["sla_due_at"] is not None:
            assert datetime.fromisoformat(told["order"]["sla_due_at"]) == current["sla_due_at"]
        [stage] = [stage for stage in told["stages"] if stage["is_current"]]
        if told["order"]["sla_state"] == "over":
            assert stage["used_up_at"] == told["order"]["sla_due_at"]


def worked(metrics: Metrics, interval: Interval, now: datetime) -> timedelta:
    if interval.working is not None:
        return interval.working
    if now <= interval.entered_at:
        return timedelta(0)
    return metrics.calendar(interval.group_id).worked(interval.entered_at, now)


def test_the_export_has_all_orders_of_its_filter_as_the_api_gives_them(api: httpx.Client, metrics: Metrics) -> None:
    # Closed long ago: nothing of them changes while this runs.
    last = max(history[-1].entered_at for history in metrics.histories.values()) - timedelta(days=5)
    query = {"project": SHOP, "closed": "yes", "by": "changed", "to": last.isoformat()}
    rows = pages(api, **query, sort="created", limit=200)
    expected = {
        order_id
        for order_id, history in metrics.histories.items()
        if history[-1].is_closing and history[-1].entered_at < last
        and not metrics.project.orders.get(order_id, {}).get("is_deleted")
    }  # fmt: skip
    assert {row["order_id"] for row in rows} == expected
    assert len(rows) > 400
    answer = api.get("/api/orders/export.csv", params=query)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="orders-')
    assert answer.content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [line["order_id"] for line in lines] == [row["order_id"] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert line.keys() == row.keys()
        for name, value in row.items():
            if isinstance(value, float):
                assert float(line[name]) == value
            else:
                assert line[name] == ({None: "", True: "true", False: "false"}.get(value, str(value)))


def test_counts_are_those_of_the_filter(api: httpx.Client, metrics: Metrics) -> None:
    day = min(history[0].entered_at for history in metrics.histories.values()) + timedelta(days=30)
    query = {"project": SHOP, "closed": "yes", "to": day.isoformat()}
    first = api.get("/api/orders", params={**query, "limit": 1}).json()
    assert first["counts"]["orders"] == len(pages(api, **query, limit=500)) > 0
    assert (first["counts"]["ok"], first["counts"]["near"], first["counts"]["over"]) == (0, 0, 0)
    later = api.get("/api/orders", params={**query, "limit": 1, "after": first["next"]}).json()
    assert later["counts"] is None
    assert later["previous"] is not None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"state": "late"}, "state"), ({"from": "soon"}, "from"), ({"limit": "0"}, "limit"),
        ({"colour": "red"}, "colour"), ({"after": "x"}, "after"), ({"urgent": "maybe"}, "urgent"),
        ({"number": "a\0"}, "number"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_read_is_refused_by_name(api: httpx.Client, query: dict[str, str], name: str) -> None:
    answer = api.get("/api/orders", params=query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert name in answer.json()["detail"]
    if name not in ("after", "limit"):
        assert api.get("/api/orders/export.csv", params=query).status_code == 400


def test_statuses_are_sent_again_only_when_they_have_changed(api: httpx.Client, demo: Demo) -> None:
    answer = api.get("/api/dicts/statuses", params={"project": SHOP})
    rows = demo.rows("select status_id, name from core.statuses where project_id = %s", SHOP)
    assert {(one["status_id"], one["status_name"]) for one in answer.json()["items"]} == {
        (row["status_id"], row["name"]) for row in rows
    }
    assert {one["project_id"] for one in answer.json()["groups"]} == {SHOP}
    known = answer.headers["etag"]
    for header in (known, f'"other", W/{known}', "*"):
        again = api.get("/api/dicts/statuses", params={"project": SHOP}, headers={"if-none-match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", known)
    other = api.get("/api/dicts/statuses", headers={"if-none-match": known})
    assert other.status_code == 200
    assert len({one["project_id"] for one in other.json()["items"]}) > 1


def test_urgency_is_set_and_removed_by_admins_alone(api: httpx.Client, demo: Demo, metrics: Metrics) -> None:
    order_id = next(name for name, history in metrics.histories.items() if history[-1].is_closing)
    path = f"/api/orders/{order_id}/override"
    body = {"is_urgent": True, "reason": " A test "}
    with httpx.Client(base_url=demo.url, headers=demo.bearer("viewer"), timeout=30) as viewer:
        assert viewer.put(path, json={**body, "project_id": SHOP}).status_code == 403
        assert viewer.delete(path, params={"project": SHOP}).status_code == 403
        assert viewer.get(f"/api/orders/{order_id}/timeline", params={"project": "gift-shop"}).status_code == 404
    assert "project" in api.put(path, json=body).json()["detail"]
    assert api.put(path, json={**body, "project_id": SHOP, "reason": " "}).status_code == 400
    assert api.put("/api/orders/no-such/override", json=body, params={"project": SHOP}).status_code == 404
    made = api.put(path, json=body, params={"project": SHOP})
    try:
        assert (made.status_code, made.json()["is_urgent"], made.json()["reason"]) == (200, True, "A test")
        listed = api.get("/api/orders", params={"project": SHOP, "number": order_id, "urgent": "yes", "limit": 500})
        assert order_id in {row["order_id"] for row in listed.json()["items"]}
        told = api.get(f"/api/orders/{order_id}/timeline", params={"project": SHOP}).json()
        assert (told["order"]["is_urgent"], told["override"]["updated_by"]) == (True, "user:admin")
        again = api.put(path, json=body, params={"project": SHOP})
        assert again.json()["updated_at"] == made.json()["updated_at"]
    finally:
        assert api.delete(path, params={"project": SHOP}).json()["is_urgent"] is None
    told = api.get(f"/api/orders/{order_id}/timeline", params={"project": SHOP}).json()
    assert told["override"]["is_urgent"] is None
    assert told["order"]["is_urgent"] == metrics.is_urgent(order_id)


def test_an_order_of_a_clinic_would_show_nothing_of_its_patients(api: httpx.Client, demo: Demo) -> None:
    """No CRM of health data reports orders: one is put there by hand, and taken away again."""
    [clinic] = demo.rows("select project_id from config.projects where crm = 'renovatio'")
    key = (clinic["project_id"], "visit-1")
    tables = ("core.payments", "core.order_marketing", "core.order_items", "core.orders")
    demo.rows("insert into core.orders (project_id, order_id, grand_total) values (%s, %s, 98765.43) returning 1", *key)
    try:
        demo.rows(
            "insert into core.order_items (project_id, order_id, line_number, name, quantity)"
            " values (%s, %s, 1, 'Private examination', 1) returning 1", *key,
        )  # fmt: skip
        demo.rows(
            "insert into core.payments (project_id, payment_id, order_id, amount, status)"
            " values (%s, 'payment-of-a-visit', %s, 98765.43, 'paid') returning 1", *key,
        )  # fmt: skip
        demo.rows(
            "insert into core.order_marketing (project_id, order_id, utm_source, source)"
            " values (%s, %s, 'private-source', 'api') returning 1", *key,
        )  # fmt: skip
        answer = api.get(f"/api/orders/{key[1]}/timeline", params={"project": key[0]})
        told = answer.json()
        assert told["is_medical"]
        assert (told["items"], told["payments"], told["marketing"]) == ([], [], None)
        page = api.get(f"/orders/{key[0]}/{key[1]}", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "health data" in page.text
        for text in (answer.text, page.text):
            assert not any(
                word in text for word in ("Private examination", "98765", "private-source", "payment-of-a-visit")
            )
    finally:
        for table in tables:
            demo.rows(f"delete from {table} where project_id = %s and order_id = %s returning 1", *key)
