"""The settings' section `dashboard`: which orders the list, its counts, the export and the home cards leave out."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import httpx
import pytest
from dashboard_process import Dashboard

from sync.build import build

SETTINGS = """
    update config.projects set dashboard = '{"hidden_groups": ["6"], "hidden_statuses": ["19"], "closed_days": 30}'
    where project_id = 'print-shop';
    update config.projects set dashboard = '{"closed_days": 0}' where project_id = 'almond';
    insert into core.status_groups (project_id, status_group_id, name)
    select project_id, id, title from config.projects
    cross join (values ('1', 'New'), ('5', 'Completed'), ('6', 'Cancelled')) as named (id, title);
    insert into core.statuses (project_id, status_id, name, status_group_id, is_closing)
    select project_id, id, title, group_id, id = '12' from config.projects cross join (values
        ('1', 'New', '1'), ('19', 'Spam?', '1'), ('12', 'Done', '5'), ('60', 'Cancelled', '6')
    ) as statuses (id, title, group_id);
    insert into config.sla_rules (project_id, profile, status_group_id, limit_seconds)
    values ('print-shop', 'normal', '1', 3600);
"""
EVENTS = [
    ("print-shop", "P1", "1", "2 days"),
    ("print-shop", "P2", "19", "2 days"),
    ("print-shop", "P3", "60", "2 days"),
    ("print-shop", "P4", "1", "13 days"), ("print-shop", "P4", "60", "12 days"), ("print-shop", "P4", "12", "10 days"),
    ("print-shop", "P5", "12", "40 days"),
    ("mug-shop", "M1", "60", "2 days"),
    ("mug-shop", "M2", "12", "400 days"),
    ("almond", "A1", "1", "300 days"),
    ("almond", "A2", "12", "1 minute"),
]  # fmt: skip
UNTOLD = """
    insert into core.orders (project_id, order_id, order_created_at, status_id, closed_at) values
        ('print-shop', 'P6', now() - interval '60 days', '12', now() - interval '5 days'),
        ('print-shop', 'P7', now() - interval '60 days', '12', now() - interval '50 days'),
        ('print-shop', 'P8', now() - interval '60 days', '12', null)
"""
SHOWN = {"P1", "P4", "P6", "M1", "M2", "A1"}
HIDDEN = {"P2", "P3", "P5", "P7", "P8", "A2"}


def tell(dash: Dashboard, project: str, order: str, status: str, ago: str) -> None:
    dash.execute(
        "insert into core.order_status_events"
        " (project_id, order_id, status_id, status_changed_at, order_created_at, source, dedup_key)"
        " values (%s, %s, %s, now() - %s::interval, now() - interval '500 days', 'webhook', %s)",
        project, order, status, ago, f"{order}/{status}/{ago}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def shops(dash: Dashboard, tmp_path_factory: pytest.TempPathFactory) -> Dashboard:
    for statement in SETTINGS.split(";\n"):
        dash.execute(statement)
    for event in EVENTS:
        tell(dash, *event)
    dash.execute(UNTOLD)
    models = "+orders_current +agg_stage_durations +dim_statuses"
    assert build(dash.database_url, select=models, target_folder=tmp_path_factory.mktemp("dbt")).models > 0
    return dash


@pytest.fixture(scope="module")
def viewer(shops: Dashboard) -> httpx.Client:
    return httpx.Client(base_url=shops.url, headers=shops.bearer(shops.user()), timeout=30)


def read(client: httpx.Client, **query: Any) -> tuple[set[str], dict[str, int]]:
    answer = client.get("/api/orders", params=query)
    assert answer.status_code == 200, answer.text
    return {order["order_id"] for order in answer.json()["items"]}, answer.json()["counts"]


def test_the_list_leaves_out_what_the_settings_hide_and_counts_it(viewer: httpx.Client) -> None:
    found, counts = read(viewer)
    assert found == SHOWN
    assert counts == {"orders": 6, "ok": 0, "near": 0, "over": 1, "hidden": 6}
    for sort in ("created", "due"):
        assert read(viewer, sort=sort, order="asc")[0] == SHOWN
    assert read(viewer, project="print-shop") == (
        {"P1", "P4", "P6"}, {"orders": 3, "ok": 0, "near": 0, "over": 1, "hidden": 5}
    )  # fmt: skip
    assert read(viewer, project="mug-shop")[1]["hidden"] == 0


def test_pages_of_the_list_follow_on_one_another(viewer: httpx.Client) -> None:
    seen: list[str] = []
    after = None
    while True:
        answer = viewer.get("/api/orders", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [order["order_id"] for order in answer["items"]]
        if (after := answer["next"]) is None:
            break
    assert (len(seen), set(seen)) == (6, SHOWN)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "19"}, {"P2"}),
        ({"group": "6"}, {"P3", "M1"}),
        ({"status": "12", "project": "almond"}, {"A2"}),
        ({"number": "P"}, {"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"}),
        ({"closed": "yes"}, {"P4", "P5", "P6", "P7", "P8", "M2", "A2"}),
        ({"closed": "no"}, {"P1", "M1", "A1"}),
        ({"state": "over"}, {"P1"}),
        ({"hidden": "yes"}, SHOWN | HIDDEN),
        ({"hidden": "yes", "state": "over"}, {"P1", "P2"}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_is_asked_for_is_shown(viewer: httpx.Client, query: dict[str, str], found: set[str]) -> None:
    shown, counts = read(viewer, **query)
    assert shown == found
    assert counts["orders"] == len(found)


def test_the_export_is_the_list(viewer: httpx.Client) -> None:
    def numbers(**query: str) -> set[str]:
        text = viewer.get("/api/orders/export.csv", params=query).content.decode("utf-8-sig")
        return {row["order_id"] for row in csv.DictReader(io.StringIO(text))}

    assert numbers() == SHOWN
    assert numbers(hidden="yes") == SHOWN | HIDDEN


def test_the_page_says_how_many_and_leads_admins_to_the_settings(shops: Dashboard) -> None:
    with shops.browser(shops.user(role="admin")) as browser:
        page = browser.get("/orders?project=print-shop&sort=created").text
        assert "The settings leave 5 more orders out." in page
        assert 'href="/orders?project=print-shop&amp;sort=created&amp;hidden=yes"' in page
        assert 'href="/settings/print-shop/dashboard"' in page
        assert re.search(r'href="/api/orders/export.csv\?project=print-shop"', page)
        [averages] = re.findall(r'<section class="stage-times".*?</section>', page, re.DOTALL)
        assert "<dt>New</dt>" in averages
        assert "Cancelled" not in averages
        both = browser.get("/orders").text
        assert "The settings leave 6 more orders out." in both
        assert 'href="/settings">Orders shown' in both
        every = browser.get("/orders?project=print-shop&hidden=yes").text
        assert "Orders that the settings leave out are shown too." in every
        assert 'name="hidden" value="yes"' in every  # the form keeps it
        assert "/orders/print-shop/P5" in every
        assert "hidden=yes" in re.findall(r'href="(/api/orders/export.csv[^"]*)"', every)[0]
        browser.cookies.set("crm_elt_language", "uk")
        assert "Ще 5 замовлень приховано налаштуваннями." in browser.get("/orders?project=print-shop").text
    with shops.browser(shops.user(projects=["print-shop"])) as browser:
        page = browser.get("/orders").text
        assert "The settings leave 5 more orders out." in page
        assert "/settings/print-shop/dashboard" not in page
        assert "The settings leave" not in browser.get("/orders?group=6").text


def test_home_cards_count_what_the_list_shows(shops: Dashboard, viewer: httpx.Client) -> None:
    projects = {project["project_id"]: project["orders"] for project in viewer.get("/api/projects").json()["items"]}
    assert {name: (orders["open"], orders["over"]) for name, orders in projects.items()} == {
        "print-shop": (1, 1), "mug-shop": (1, 0), "almond": (1, 0),
    }  # fmt: skip
    for name, orders in projects.items():
        assert read(viewer, project=name, closed="no")[1]["orders"] == orders["open"]


def test_orders_that_the_last_build_does_not_know_follow_the_same_rule(shops: Dashboard, viewer: httpx.Client) -> None:
    """The last of the module: P1 is cancelled, P2 goes on, P9 is new."""
    for order, status in (("P1", "60"), ("P2", "1"), ("P9", "19")):
        tell(shops, "print-shop", order, status, "1 second")
    found, counts = read(viewer, urgent="no")  # of which nobody has asked just now: counts are shared for a moment
    assert found == SHOWN - {"P1"} | {"P2"}
    assert (counts["orders"], counts["hidden"]) == (6, 7)
    assert viewer.get("/api/projects", params={"project": "print-shop"}).json()["items"][0]["orders"]["open"] == 1
