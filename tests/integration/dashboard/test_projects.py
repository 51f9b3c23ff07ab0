"""The first page and `/api/projects`: how each project is, by rows that were written by hand."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from dashboard_process import Dashboard

RUN = """
    insert into sync.runs (project_id, kind, stream, trigger, state, started_at, finished_at, error_word, error_message)
    values (%s, %s, %s, 'schedule', %s, now() - %s::interval, now() - %s::interval, %s, %s)
"""


@pytest.fixture(scope="module")
def shops(dash: Dashboard) -> Dashboard:
    """print-shop works; mug-shop failed and has letters and a conflict; almond is disabled by its settings."""
    for row in (
        ("print-shop", "pull", "orders", "failed", "9 min", "9 min", "retry", "An hour ago it failed."),
        ("print-shop", "pull", "orders", "success", "3 min", "2 min", None, None),
        ("print-shop", "pull", "customers", "success", "4 min", "3 min", None, None),
        ("print-shop", "replay", None, "failed", "1 min", "1 min", "permanent", "A replay is no synchronisation."),
        ("mug-shop", "pull", "orders", "success", "2 h", "2 h", None, None),
        ("mug-shop", "pull", "orders", "failed", "3 min", "3 min", "permanent", "The CRM answers 500."),
    ):
        dash.execute(RUN, *row)
    dash.execute(
        "insert into sync.runs (project_id, kind, stream, trigger) values ('mug-shop', 'pull', 'orders', 'cli')"
    )
    for crm_id in ("1", "2", "3"):
        dash.execute(
            "insert into sync.dead_letters (project_id, source, stream, crm_id, error_word, reason, state)"
            " values ('mug-shop', 'api', 'orders', %s, 'skip_row', 'It has no date.', %s)",
            crm_id, "resolved" if crm_id == "3" else "permanently_failed",
        )  # fmt: skip
    dash.execute(
        "insert into sync.conflicts (project_id, entity_type, vms_entity_id, crm_entity_id, fields)"
        " values ('mug-shop', 'order', 1, '1', '{}')"
    )
    for kind, resolved in (("crm_away", None), ("subscription_gone", "now")):
        dash.execute(
            "insert into sync.alerts (project_id, kind, subject, message, resolved_at)"
            " values ('mug-shop', %s, 'mug-shop', 'It timed out.', %s::timestamptz)",
            kind, resolved,
        )  # fmt: skip
    dash.execute(
        "update config.projects set is_enabled = false, disabled_reason = 'The API key is refused.'"
        " where project_id = 'almond'"
    )
    return dash


def projects(shops: Dashboard, login: str, **query: Any) -> list[dict[str, Any]]:
    answer = httpx.get(f"{shops.url}/api/projects", headers=shops.bearer(login), params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_each_project_says_how_it_is_and_those_that_need_somebody_come_first(shops: Dashboard) -> None:
    almond, mug, print_shop = projects(shops, shops.user())
    assert [project["project_id"] for project in (almond, mug, print_shop)] == ["almond", "mug-shop", "print-shop"]
    assert [project["state"] for project in (almond, mug, print_shop)] == ["stopped", "stopped", "works"]
    assert (print_shop["last_sync_ok"], print_shop["is_syncing"], print_shop["alerts"]) == (True, False, [])
    assert (mug["last_sync_ok"], mug["is_syncing"]) == (False, True)
    assert print_shop["orders"] is None  # nothing was built here
    assert [(alert["kind"], alert["count"], alert["tone"]) for alert in mug["alerts"]] == [
        ("pull_failed", 1, "over"), ("crm_away", 1, "over"), ("conflict", 1, "near"), ("inbound", 2, "near"),
    ]  # fmt: skip
    by_kind = {alert["kind"]: alert for alert in mug["alerts"]}
    assert by_kind["inbound"]["title"] == "2 records could not be applied"
    assert by_kind["conflict"]["title"] == "1 conflict waits for a decision"
    assert by_kind["pull_failed"]["message"] == "The CRM answers 500."
    assert by_kind["inbound"]["page"] == "/sync/dead-letters?project=mug-shop"
    assert [(alert["kind"], alert["message"]) for alert in almond["alerts"]] == [
        ("disabled", "The API key is refused.")
    ]


def test_nobody_sees_the_projects_of_others(shops: Dashboard) -> None:
    login = shops.user(projects=["print-shop"])
    assert [project["project_id"] for project in projects(shops, login)] == ["print-shop"]
    assert projects(shops, shops.user(projects=[])) == []
    with shops.browser(login) as browser:
        for page in (browser.get("/").text, browser.get("/?project=mug-shop").text):
            assert 'data-project="mug-shop"' not in page
            assert 'data-project="print-shop"' in page


def test_the_page_says_it_in_three_languages_and_links_to_what_mends_it(shops: Dashboard) -> None:
    with shops.browser(shops.user()) as browser:
        page = browser.get("/").text
        assert page.index('data-project="mug-shop"') < page.index('data-project="print-shop"')
        assert 'href="/sync/dead-letters?project=mug-shop"' in page
        assert "2 records could not be applied" in page
        assert "The CRM answers 500." in page
        for language, said in (("uk", "2 записи не вдалося застосувати"), ("ru", "2 записи не удалось применить")):
            browser.cookies.set("crm_elt_language", language)
            assert said in browser.get("/").text
            browser.cookies.delete("crm_elt_language")
        one = browser.get("/?project=print-shop").text
        assert 'data-project="mug-shop"' not in one
        assert 'href="/orders?project=print-shop"' in one  # the choice goes on to other pages


def test_the_menu_leads_to_the_dbt_docs_and_admins_to_dagster(shops: Dashboard) -> None:
    dagster, docs = (f'href="{address}"' for address in (
        shops.environment.public_dagster_url, shops.environment.public_docs_url
    ))  # fmt: skip
    with shops.browser(shops.user()) as viewer, shops.browser(shops.user(role="admin")) as admin:
        assert [dagster in browser.get("/account").text for browser in (viewer, admin)] == [False, True]
        assert [docs in browser.get("/account").text for browser in (viewer, admin)] == [True, True]
