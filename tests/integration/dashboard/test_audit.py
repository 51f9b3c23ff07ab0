"""The audit log: who sees what of it, filters, paging."""

from __future__ import annotations

import httpx
import pytest
from dashboard_process import Dashboard

ENTRIES = [
    ("2026-03-01T10:00:00Z", "user:ann", "changed", "print-shop", "sla group 2 normal", '"08:00"', '"06:00"'),
    (
        "2026-03-02T10:00:00Z",
        "user:bob",
        "removed",
        "almond",
        "status_map",
        '{"new": "PENDING", "old": "SHIPPED"}',
        None,
    ),
    ("2026-03-03T10:00:00Z", "user:ann", "added", None, "user eve", None, '{"role": "viewer"}'),
    ("2026-03-04T10:00:00Z", "token:nightly", "changed", "print-shop", "near_threshold", "0.8", "0.9"),
]


@pytest.fixture(scope="module")
def log(dash: Dashboard) -> Dashboard:
    dash.user(role="admin")  # users' own entries are not in the way of what follows
    dash.execute("delete from config.audit_log")
    for entry in ENTRIES:
        dash.execute(
            "insert into config.audit_log (at, actor, action, project_id, object, before, after)"
            " values (%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)",
            *entry,
        )
    return dash


def objects(log: Dashboard, headers: dict[str, str], **query: str | int) -> list[str]:
    answer = httpx.get(f"{log.url}/api/audit", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return [item["object"] for item in answer.json()["items"] if item["actor"] != "test"]


def test_each_sees_what_belongs_to_their_projects(log: Dashboard) -> None:
    admin = log.bearer(log.user(role="admin"))
    assert objects(log, admin) == ["near_threshold", "user eve", "status_map", "sla group 2 normal"]
    assert objects(log, admin, project="almond") == ["status_map"]
    assert objects(log, log.bearer(log.user(projects=["print-shop"]))) == ["near_threshold", "sla group 2 normal"]
    assert objects(log, log.bearer(log.user())) == ["near_threshold", "status_map", "sla group 2 normal"]
    assert objects(log, log.bearer(log.user(projects=[]))) == []


def test_filters_narrow_it(log: Dashboard) -> None:
    admin = log.bearer(log.user(role="admin"))
    assert objects(log, admin, actor="user:ann") == ["user eve", "sla group 2 normal"]
    assert objects(log, admin, action="changed") == ["near_threshold", "sla group 2 normal"]
    period = {"from": "2026-03-02T10:00:00Z", "to": "2026-03-04T10:00:00Z"}
    assert objects(log, admin, **period) == ["user eve", "status_map"]


def test_pages_follow_each_other_without_a_gap(log: Dashboard) -> None:
    headers = log.bearer(log.user(projects=["print-shop", "almond"]))
    found, after = [], ""
    for _ in range(3):
        query = {"limit": "1"} | ({"after": after} if after else {})
        answer = httpx.get(f"{log.url}/api/audit", headers=headers, params=query).json()
        found += [item["object"] for item in answer["items"]]
        after = answer["next"]
    assert found == ["near_threshold", "status_map", "sla group 2 normal"]
    assert after is None
    for bad in ("x", "-1", "9" * 30, "١"):
        answer = httpx.get(f"{log.url}/api/audit", headers=headers, params={"after": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_an_entry_says_what_differs(log: Dashboard) -> None:
    headers = log.bearer(log.user(projects=["almond"]))
    [item] = httpx.get(f"{log.url}/api/audit", headers=headers).json()["items"]
    assert item["before"] == {"new": "PENDING", "old": "SHIPPED"}
    assert item["differences"] == [
        {"path": "new", "before": "PENDING", "after": None},
        {"path": "old", "before": "SHIPPED", "after": None},
    ]


def test_the_page_shows_and_filters_them_in_the_address(log: Dashboard) -> None:
    with log.browser(log.user(projects=["print-shop"])) as browser:
        page = browser.get("/audit").text
        assert "sla group 2 normal" in page
        assert "<del>08:00</del>" in page
        assert "<ins>06:00</ins>" in page
        assert "status_map" not in page
        assert "near_threshold" not in browser.get("/audit?actor=user%3Aann").text
        assert "Nothing like that was changed" in browser.get("/audit?from=2027-01-01").text
        assert 'aria-invalid="true"' in browser.get("/audit?from=yesterday").text
        until = browser.get("/audit?to=2026-03-01").text  # that day is in it
        assert ("sla group 2 normal" in until, "near_threshold" in until) == (True, False)
        browser.cookies.set("crm_elt_language", "uk")
        assert "Журнал змін" in browser.get("/audit").text
