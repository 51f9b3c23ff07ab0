"""The feed of sales over HTTP: whole, in order, for those who may read it."""

from __future__ import annotations

import psycopg
import pytest
from ingest_process import Ingest, apply

LOYALTY, CLINIC = "loyalty-secret-of-24-characters", "clinic-secret-of-24-characters-too"
SUBSCRIPTIONS = f"""
subscriptions:
  - {{id: loyalty, secret: {LOYALTY}, projects: [print-shop]}}
  - {{id: everything, secret: {CLINIC}, medical: true}}
"""


@pytest.fixture(scope="module")
def feed(ingest: Ingest) -> Ingest:
    """Five sales: of two projects, one of them health data."""
    apply(ingest.environment, SUBSCRIPTIONS)
    url = ingest.environment.database_url
    assert url is not None
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(1, 6):
            connection.execute(
                """
                insert into core.transaction_changes
                    (project_id, external_id, crm, occurred_at, amount, currency, is_medical, state)
                values (%s, %s, 'keycrm', '2026-03-01T10:00:00Z', %s, 'UAH', %s, 'active')
                """,
                ["print-shop" if number != 4 else "another", f"KEYCRM-{number}", number * 10, number == 5],
            )
    return ingest


def names(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [change["external_id"] for change in answer["changes"]]


def ask(ingest: Ingest, query: str = "", secret: str = LOYALTY) -> dict[str, list[dict[str, str]]]:
    answer = ingest.client.get(f"/api/transactions/changes{query}", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, str]]] = answer.json()
    return found


def test_pages_by_cursor_are_the_whole_feed_of_the_subscriptions_projects(feed: Ingest) -> None:
    whole = ask(feed)
    assert names(whole) == ["KEYCRM-1", "KEYCRM-2", "KEYCRM-3"]
    assert whole["changes"][0]["amount"] == "10.00"
    paged, cursor, rounds = [], "0", 0
    while True:
        page = ask(feed, f"?after={cursor}&limit=2")
        paged += names(page)
        cursor, rounds = str(page["cursor"]), rounds + 1
        if not page["has_more"]:
            break
    assert (paged, rounds) == (names(whole), 2)
    assert ask(feed, f"?after={cursor}") == {"changes": [], "cursor": cursor, "has_more": False}


def test_health_data_and_all_projects_are_for_who_was_given_them(feed: Ingest) -> None:
    assert names(ask(feed, secret=CLINIC)) == [f"KEYCRM-{number}" for number in range(1, 6)]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {LOYALTY}"}])
def test_without_a_secret_nothing_is_told(feed: Ingest, headers: dict[str, str]) -> None:
    answer = feed.client.get("/api/transactions/changes", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authentic"
    assert "KEYCRM" not in answer.text


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?limit=0", "?limit=1001", f"?after={'9' * 30}", "?after="])
def test_an_unreadable_cursor_or_limit_is_told(feed: Ingest, query: str) -> None:
    answer = feed.client.get(f"/api/transactions/changes{query}", headers={"Authorization": f"Bearer {LOYALTY}"})
    assert answer.status_code == 400
    assert "expected" in answer.json()["detail"]
