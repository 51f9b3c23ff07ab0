"""The pages of orders, as an operations manager uses them."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from demo_windows import Demo, fits, serious_findings
from playwright.sync_api import Page, expect

SHOP = "print-shop"
PAGE_BYTES = 200_000


def keys(page: Page) -> list[str]:
    """The orders shown, top down."""
    found: list[str] = page.eval_on_selector_all("tr[data-key]", "rows => rows.map(row => row.dataset.key)")
    return found


def address(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def pictured(page: Page, pictures: Path, name: str) -> None:
    """Both widths, light and dark."""
    assert fits(page, "phone")
    page.screenshot(path=pictures / f"{name}-phone.png", full_page=True)
    assert fits(page, "desktop")
    page.screenshot(path=pictures / f"{name}.png", full_page=True)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.screenshot(path=pictures / f"{name}-dark.png", full_page=True)


def test_orders_are_filtered_sorted_paged_and_opened_by_keys(admin: Page, demo: Demo, axe: str, pictures: Path) -> None:
    answer = admin.goto(f"/orders?project={SHOP}")
    assert answer is not None
    assert len(answer.body()) < PAGE_BYTES / 2
    assert len(keys(admin)) == 50
    expect(admin.locator("#live-sign")).to_have_text("Live")
    admin.get_by_text("?", exact=True).first.click()
    expect(admin.get_by_role("link", name="Definition in the dbt docs").first).to_be_visible()
    admin.keyboard.press("Escape")
    assert serious_findings(admin, axe) == []
    pictured(admin, pictures, "orders")
    assert serious_findings(admin, axe) == []  # dark

    admin.goto(f"/orders?project={SHOP}")
    admin.get_by_role("checkbox", name="over").check()
    admin.wait_for_url(lambda url: "state=over" in url)
    assert address(admin) == {"project": [SHOP], "state": ["over"]}
    assert set(admin.locator("td.sla .state").all_text_contents()) == {"over"}
    assert all(text.startswith("over by ") for text in admin.locator("time[data-due]").all_text_contents())
    admin.get_by_role("link", name="Due").click()
    admin.wait_for_url(lambda url: "sort=due" in url)
    due = admin.eval_on_selector_all("time[data-due]", "times => times.map(time => time.dateTime)")
    assert due == sorted(due)
    assert len(due) > 5
    assert admin.get_by_role("columnheader", name="Due").get_attribute("aria-sort") == "ascending"

    # Closed orders stay as they are: pages of them join without a gap.
    closed = f"/orders?project={SHOP}&closed=yes&sort=created"
    admin.goto(closed)
    first = keys(admin)
    admin.get_by_role("link", name="Next").click()
    admin.wait_for_url(lambda url: "after=" in url)
    second = keys(admin)
    assert len(first) == len(second) == 50
    assert not set(first) & set(second)
    admin.get_by_role("link", name="Previous").click()
    admin.wait_for_url(lambda url: "before=" in url)
    assert keys(admin) == first

    number = first[7].partition("/")[2]
    admin.locator("body").press("/")
    expect(admin.get_by_label("Order number")).to_be_focused()
    admin.keyboard.type(number)
    admin.keyboard.press("Enter")
    admin.wait_for_url(lambda url: f"number={number}" in url)
    listed = admin.url
    shown = keys(admin)
    assert f"{SHOP}/{number}" in shown
    assert all(key.partition("/")[2].startswith(number) for key in shown)
    export = admin.request.get(str(admin.get_by_role("link", name="Export CSV").get_attribute("href")))
    exported = list(csv.DictReader(io.StringIO(export.body().decode("utf-8-sig"), newline="")))
    assert sorted(f"{line['project_id']}/{line['order_id']}" for line in exported) == sorted(shown)
    admin.locator("body").press("j")
    admin.keyboard.press("Enter")
    admin.wait_for_url(f"**/orders/{shown[0]}")
    expect(admin.get_by_role("heading", level=1)).to_have_text(f"Order {shown[0].partition('/')[2]}")
    admin.locator("body").press("Escape")
    admin.wait_for_url(listed)
    admin.goto(f"/orders?project={SHOP}&from=nonsense")
    expect(admin.get_by_role("alert")).to_contain_text("“from”")


def test_the_timeline_shows_each_status_to_scale_and_in_a_table(
    viewer: Page, demo: Demo, axe: str, pictures: Path
) -> None:
    # An order that has come back: closed, reopened, closed again; none of that can change any more.
    [row] = demo.rows(
        """
        select c.order_id, count(*) as events from marts.orders_current as c
        join core.order_status_events as e using (project_id, order_id)
        join core.order_items as i using (project_id, order_id)
        where c.project_id = %s and c.is_closed and i.line_number = 1
        group by c.order_id order by events desc, c.order_id limit 1
        """,
        SHOP,
    )
    answer = viewer.goto(f"/orders/{SHOP}/{row['order_id']}")
    assert answer is not None
    assert len(answer.body()) < PAGE_BYTES / 2
    told = httpx.get(
        f"{demo.url}/api/orders/{row['order_id']}/timeline", params={"project": SHOP}, headers=demo.bearer("viewer")
    ).json()
    assert len(told["intervals"]) == row["events"]
    statuses = viewer.get_by_role("region", name="Every status")
    assert statuses.locator("tbody th").all_text_contents() == [one["status_name"] for one in told["intervals"]]

    # The picture is to scale: each bar begins and ends where its share of the whole time is.
    def instant(one: dict[str, str | None], name: str) -> float:
        return datetime.fromisoformat(str(one[name] or one["entered_at"])).timestamp()

    start = instant(told["intervals"][0], "entered_at")
    span = (instant(told["intervals"][-1], "entered_at") - start) * 1.02
    bars = viewer.eval_on_selector_all(
        "svg.timeline .visit rect", "bars => bars.map(bar => [bar.x.baseVal.value, bar.width.baseVal.value])"
    )
    wanted = sorted(150 + (instant(one, "entered_at") - start) / span * 838 for one in told["intervals"])
    assert sorted(x for x, _ in bars) == pytest.approx(wanted, abs=0.2)
    assert viewer.locator("svg.timeline .off-hours").count() >= 3
    assert viewer.locator("svg.timeline path.worked").count() >= 3

    expect(viewer.get_by_role("region", name="Items")).to_be_visible()
    assert viewer.locator("form.override").count() == 0
    assert serious_findings(viewer, axe) == []
    pictured(viewer, pictures, "order")
    assert serious_findings(viewer, axe) == []
    assert viewer.goto(f"/orders/{SHOP}/no-such-order").status == 404  # type: ignore[union-attr]
    assert viewer.goto("/orders/gift-shop/1").status == 404  # type: ignore[union-attr]


def test_a_webhook_changes_the_row_without_a_reload(admin: Page, demo: Demo) -> None:
    project = demo.rows("select base_url from config.projects where project_id = %s", SHOP)[0]
    shop = re.sub(r"/v1/?$", "", project["base_url"])
    # Open for long: nobody but us moves it on just now.
    [order] = demo.rows(
        "select order_id, last_status_id from marts.orders_current where project_id = %s and not is_closed"
        " and last_status_group_id = '2' order by last_changed_at limit 1",
        SHOP,
    )
    [status] = demo.rows(
        "select status_id, status_name from marts.dim_statuses where project_id = %s and status_group_id = '2'"
        " and status_id <> %s and is_active order by status_id limit 1",
        SHOP, order["last_status_id"],
    )  # fmt: skip
    admin.goto(f"/orders?project={SHOP}&number={order['order_id']}&sort=created&order=asc")
    expect(admin.locator("#live-sign")).to_have_text("Live")
    admin.evaluate("window.sameDocument = true")
    row = admin.locator(f"tr[data-key='{SHOP}/{order['order_id']}']")
    began = datetime.now(UTC)

    def enter(status_id: str) -> None:
        """What a manager does in KeyCRM: the order enters the status, and KeyCRM sends its webhook."""
        httpx.post(
            f"{shop}/_simulator/orders/{order['order_id']}/status", params={"account": SHOP},
            json={"status_id": int(status_id)}, trust_env=False,
        ).raise_for_status()  # fmt: skip

    enter(status["status_id"])
    try:
        expect(row).to_contain_text(status["status_name"], timeout=60_000)
        print(f"The row changed after {(datetime.now(UTC) - began).total_seconds():.2f} s.")
        expect(row).to_have_class(re.compile("changed"))
        assert admin.evaluate("window.sameDocument")
    finally:
        enter(order["last_status_id"])


def test_an_admin_sets_urgency_by_hand_and_a_viewer_cannot(admin: Page, viewer: Page, demo: Demo) -> None:
    [order] = demo.rows(
        "select order_id from marts.orders_current where project_id = %s and is_closed and not is_urgent"
        " and order_id not in (select order_id from config.order_overrides) order by order_id limit 1",
        SHOP,
    )
    path = f"/orders/{SHOP}/{order['order_id']}"
    admin.goto(path)
    admin.get_by_role("radio", name="urgent", exact=True).check()
    admin.get_by_label("Reason").fill(" ")
    admin.evaluate("document.querySelector('form.override').noValidate = true")
    admin.get_by_role("button", name="Set", exact=True).click()
    expect(admin.get_by_role("alert")).to_contain_text("Say in a few words why")
    assert admin.get_by_role("radio", name="urgent", exact=True).is_checked()
    admin.get_by_label("Reason").fill("The customer leaves on Friday")
    admin.get_by_role("button", name="Set", exact=True).click()
    try:
        expect(admin.get_by_role("status").filter(has_text="urgent now")).to_be_visible()
        expect(admin.locator("#urgency")).to_contain_text("The customer leaves on Friday")
        expect(admin.locator(".summary .urgent")).to_have_text("urgent")  # at once, without a build
        [entry] = demo.rows(
            "select actor, action, project_id, before, after from config.audit_log where object = %s"
            " order by audit_id desc limit 1",
            f"order {order['order_id']} urgency",
        )
        assert entry == {
            "actor": "user:admin", "action": "added", "project_id": SHOP, "before": None,
            "after": {"is_urgent": True, "reason": "The customer leaves on Friday"},
        }  # fmt: skip
        viewer.goto(path)
        expect(viewer.locator("#urgency")).to_contain_text("The customer leaves on Friday")
        assert viewer.locator("form.override").count() == 0
        refused = viewer.evaluate(
            """async (path) => (await fetch(path, {method: "POST", body: new URLSearchParams(
                {urgency: "rules", csrf_token: document.body.dataset.csrf})})).status""",
            path,
        )
        assert refused == 403
    finally:
        admin.goto(path)
        admin.get_by_role("button", name="Leave it to the rules").click()
    expect(admin.locator(".summary .urgent")).to_have_count(0)
    assert demo.rows("select 1 from config.order_overrides where order_id = %s", order["order_id"]) == []
