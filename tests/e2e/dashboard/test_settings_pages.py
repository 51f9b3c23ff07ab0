"""The settings in a real browser: hours are edited, the SLA follows the build, and the change is undone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo_windows import Demo, fits, serious_findings
from playwright.sync_api import Page, expect

from dashboard.settings.sections import SECTION_PAGES
from tests.oracle import inputs
from tests.oracle.metrics import Metrics

SHOP = "gift-shop"
Value = dict[str, Any]


def section_value(demo: Demo, page: Page, section: str) -> Value:
    answer = page.request.get(f"/api/settings/{section}?project={SHOP}")
    assert answer.ok
    value: Value = answer.json()["value"]
    return value


def csrf(page: Page) -> dict[str, str]:
    return {"x-csrf-token": page.request.get("/api/session").json()["csrf_token"]}


@contextmanager
def as_it_was(demo: Demo, page: Page, section: str) -> Iterator[None]:
    """Whatever happens, the section ends as it began."""
    before = section_value(demo, page, section)
    try:
        yield
    finally:
        if section_value(demo, page, section) != before:
            address = f"/api/settings/{section}?project={SHOP}"
            assert page.request.put(address, headers=csrf(page), data={"value": before}).ok


def current(demo: Demo) -> dict[str, Value]:
    """Open orders with a limit, by id."""
    found = demo.rows(
        "select now() as read_at, * from marts.orders_current"
        " where project_id = %s and not is_closed and sla_limit_seconds is not null",
        SHOP,
    )
    return {row["order_id"]: row for row in found}


def calm_orders(demo: Demo) -> tuple[Metrics, dict[str, Value]]:
    """The calculation, and the orders that did not change while its events and the marts were read."""
    rows = current(demo)
    metrics = Metrics(inputs.read(demo.database_url)[SHOP])
    later = current(demo)
    calm = [name for name, row in rows.items() if later.get(name, {}).get("last_changed_at") == row["last_changed_at"]]
    return metrics, {name: rows[name] for name in calm if name in metrics.histories}


def test_edited_hours_change_the_sla_after_a_build_and_are_undone(
    demo: Demo, admin: Page, pictures: Path, axe: str
) -> None:
    before, rows = calm_orders(demo)
    group = max(
        {row["last_status_group_id"] for row in rows.values()},
        key=lambda one: sum(row["last_status_group_id"] == one for row in rows.values()),
    )
    admin.goto(f"/settings/{SHOP}/working-hours")
    with as_it_was(demo, admin, "working-hours"):
        calendar = admin.locator("[data-row='calendar.0']")
        calendar.get_by_label("Status group").select_option(group)
        calendar.get_by_label("Preset").select_option("24/7")
        expect(calendar.get_by_label("Wed", exact=True)).to_have_value("00:00-24:00")
        calendar.get_by_label("Sun", exact=True).fill("00:00-12:00, 13:00-9")
        expect(calendar.get_by_text("Write windows such as")).to_be_visible()
        admin.get_by_role("button", name="Save", exact=True).click()
        expect(admin.get_by_role("alert")).to_contain_text("Nothing was saved")
        expect(calendar.locator(".error")).to_contain_text("expected opening hours")
        assert serious_findings(admin, axe) == []
        admin.screenshot(path=pictures / "settings-working-hours-refused.png")

        sunday = calendar.get_by_label("Sun", exact=True)
        expect(sunday).to_have_value("00:00-12:00, 13:00-9")
        sunday.fill("00:00-24:00")
        admin.get_by_role("button", name="Save", exact=True).click()
        expect(admin.get_by_role("status")).to_contain_text("next build")
        assert section_value(demo, admin, "working-hours")["working_hours"]["groups"] == {
            group: {"mon-sun": ["00:00-24:00"]}
        }

        demo.crm_elt("build")
        after, rows = calm_orders(demo)
        changed = {name: row for name, row in rows.items() if row["last_status_group_id"] == group}
        assert changed
        for name, row in changed.items():
            expected = after.current(name, row["read_at"])
            for column in ("stage_working_seconds", "sla_state", "sla_due_at"):
                assert row[column] == expected[column], (name, column)
        old = [before.current(name, row["read_at"]) for name, row in changed.items() if name in before.histories]
        worked = {name: row["stage_working_seconds"] for name, row in changed.items()}
        assert any(
            is_less["stage_working_seconds"] < worked[name]
            for name, is_less in zip([name for name in changed if name in before.histories], old, strict=True)
        )

        row = admin.locator("table.past tr", has_text=f"working hours group {group}").first
        row.get_by_role("button", name="Undo", exact=True).click()
        expect(admin.get_by_role("status")).to_contain_text("Undone: 1 change")
        assert "groups" not in section_value(demo, admin, "working-hours")["working_hours"]
        expect(admin.locator("table.past tbody tr").first).to_contain_text("user:admin")
    demo.crm_elt("build")
    again, rows = calm_orders(demo)
    assert [
        name for name, row in rows.items()
        if row["stage_working_seconds"] != again.current(name, row["read_at"])["stage_working_seconds"]
    ] == []  # fmt: skip


def test_every_section_looks_as_it_should(demo: Demo, admin: Page, pictures: Path, axe: str) -> None:
    pages = {"projects": "/settings", "overview": f"/settings/{SHOP}"}
    pages |= {section: f"/settings/{SHOP}/{section}" for section in SECTION_PAGES}
    for name, address in pages.items():
        admin.goto(address)
        assert fits(admin, "phone"), name
        if name in ("overview", "sla", "working-hours"):
            admin.screenshot(path=pictures / f"settings-{name}-phone.png")
        assert fits(admin, "desktop"), name
        assert serious_findings(admin, axe) == [], name
        admin.screenshot(path=pictures / f"settings-{name}.png")
    admin.emulate_media(color_scheme="dark")
    try:
        for name in ("sla", "working-hours"):
            admin.goto(pages[name])
            assert serious_findings(admin, axe) == [], name
            admin.screenshot(path=pictures / f"settings-{name}-dark.png")
    finally:
        admin.emulate_media(color_scheme="light")


def test_rows_are_added_and_a_change_in_between_is_shown(demo: Demo, admin: Page, pictures: Path) -> None:
    with as_it_was(demo, admin, "urgent"):
        admin.goto(f"/settings/{SHOP}/urgent")
        admin.get_by_role("button", name="Add a row").click()
        rows = admin.locator("[data-list=rule] tr")
        count = rows.count()
        for offset, text in ((2, "NOW"), (1, "SOON")):
            rows.nth(count - offset).get_by_label("Value").fill(text)
        expect(admin.get_by_text("There are changes that are not saved.")).to_be_visible()

        value = section_value(demo, admin, "urgent")
        value["urgent"].append({"match": "sku", "value": "MEANWHILE"})
        done = admin.request.put(f"/api/settings/urgent?project={SHOP}", headers=csrf(admin), data={"value": value})
        assert done.ok
        admin.get_by_role("button", name="Save", exact=True).click()
        alert = admin.get_by_role("alert")
        expect(alert).to_contain_text("somebody changed this section")
        expect(alert).to_contain_text("urgent sku MEANWHILE")
        admin.screenshot(path=pictures / "settings-changed-meanwhile.png")
        admin.get_by_role("button", name="Save", exact=True).click()
        expect(admin.get_by_role("status")).to_contain_text("Saved: 3 changes")
        found = {item["value"] for item in section_value(demo, admin, "urgent")["urgent"]}
        assert {"NOW", "SOON"} <= found
        assert "MEANWHILE" not in found
        admin.get_by_role("button", name=re.compile("Undo all 3 saved together")).first.click()
        expect(admin.get_by_role("status")).to_contain_text("Undone: 3 changes")


def test_a_viewer_reads_and_is_refused_on_every_edit(demo: Demo, viewer: Page, axe: str, pictures: Path) -> None:
    def refused(address: str) -> int:
        return viewer.request.post(address, headers=csrf(viewer), form={"near_threshold": "0.5"}).status

    for section in SECTION_PAGES:
        viewer.goto(f"/settings/print-shop/{section}")
        expect(viewer.get_by_text("an admin may change them")).to_be_visible()
        assert viewer.locator("main").get_by_role("button").count() == 0
        enabled = viewer.locator("form[data-settings] :is(input, select, textarea):enabled").count()
        assert enabled == 0, section
        assert refused(f"/settings/print-shop/{section}") == 403
        put = viewer.request.put(
            f"/api/settings/{section}?project=print-shop", headers=csrf(viewer), data={"value": {}}
        )
        assert put.status == 403
    viewer.screenshot(path=pictures / "settings-viewer.png")
    assert serious_findings(viewer, axe) == []
    assert refused("/settings/undo/1") == 403
    assert viewer.goto(f"/settings/{SHOP}/sla").status == 404  # type: ignore[union-attr]
