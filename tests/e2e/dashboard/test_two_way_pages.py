"""The pages of the sync in a browser, with troubles of their own in the demo's print shop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from demo_windows import Demo, fits, serious_findings
from playwright.sync_api import Page, expect

from database.connection import Connection, connect
from database.repositories import dead_letters
from database.repositories.dead_letters import Letter
from tests.support import two_way_trouble
from tests.support.two_way_trouble import Trouble

SHOP = "print-shop"
SECONDS = 20_000
"""Milliseconds that the relay may take on a busy machine."""

T = TypeVar("T")


def do(demo: Demo, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with await connect(demo.database_url) as connection:
            return await work(connection)

    with ThreadPoolExecutor(1) as elsewhere:  # Playwright has a loop in this thread
        return elsewhere.submit(lambda: asyncio.run(run())).result()


@pytest.fixture
def trouble(demo: Demo) -> Iterator[Trouble]:
    do(demo, lambda c: two_way_trouble.take_away(c, SHOP))
    yield do(demo, lambda c: two_way_trouble.make(c, SHOP))
    do(demo, lambda c: two_way_trouble.take_away(c, SHOP))


def letter_about_a_record(demo: Demo) -> int:
    """A letter about a pulled order that can be applied well: what was wrong is right now."""
    (record,) = demo.rows(
        "select record_id, body from raw.api_records where project_id = %s and stream = 'orders'"
        " order by record_id desc limit 1",
        SHOP,
    )
    letter = Letter(
        "api", "skip_row", "The order's sum cannot be read.", raw_id=record["record_id"], stream="orders",
        crm_id="9000009", payload=record["body"],
    )  # fmt: skip
    do(demo, lambda c: dead_letters.open_many(c, SHOP, [letter]))
    (row,) = demo.rows(
        "select dead_letter_id from sync.dead_letters where project_id = %s and crm_id = '9000009'", SHOP
    )
    return int(row["dead_letter_id"])


def keep(page: Page, axe: str, pictures: Path, name: str) -> None:
    """A picture of each width, and what every page has to pass."""
    assert serious_findings(page, axe) == []
    for width in ("phone", "desktop"):
        assert fits(page, width)
        page.screenshot(path=pictures / f"two_way-{name}-{width}.png", full_page=True)


def test_a_letter_is_retried_and_what_becomes_of_it_is_seen_without_reloading(
    admin: Page, demo: Demo, trouble: Trouble, axe: str, pictures: Path
) -> None:
    admin.goto(f"/sync?project={SHOP}")
    keep(admin, axe, pictures, "overview")
    admin.get_by_role("link", name="Dead letters").first.click()
    keep(admin, axe, pictures, "letters")
    admin.get_by_label("Direction").select_option("outbound")
    expect(admin.get_by_role("link", name=str(trouble.inbound_letter), exact=True)).to_have_count(0)
    admin.get_by_role("link", name=str(trouble.outbound_letter), exact=True).click()
    content = admin.locator("main").inner_text()
    assert "PUT /buyer/9000002" in content
    assert "Bondar" not in content
    keep(admin, axe, pictures, "letter")
    number = letter_about_a_record(demo)
    admin.goto(f"/sync/dead-letters/{number}")
    admin.get_by_role("button", name="Retry").click()
    expect(admin.get_by_role("status")).to_contain_text("tried again within seconds")
    expect(admin.locator("#letter")).to_contain_text("Resolved", timeout=SECONDS)
    expect(admin.get_by_role("button", name="Retry")).to_have_count(0)
    (entry,) = demo.rows("select actor, action from config.audit_log where object = %s", f"dead letter {number}")
    assert entry == {"actor": "user:admin", "action": "retried"}
    admin.goto(f"/sync/dead-letters?project={SHOP}&direction=outbound&source=outbox")
    admin.get_by_role("link", name="Discard").click()
    admin.get_by_role("button", name="Discard").click()
    expect(admin.get_by_role("status")).to_contain_text("discarded")


def test_a_conflict_is_decided_field_by_field(
    admin: Page, demo: Demo, trouble: Trouble, axe: str, pictures: Path
) -> None:
    admin.goto(f"/sync/conflicts?project={SHOP}")
    keep(admin, axe, pictures, "conflicts")
    admin.get_by_role("link", name=str(trouble.conflict_id), exact=True).click()
    expect(admin.get_by_role("row", name="Phone")).to_contain_text("+380509998877")
    keep(admin, axe, pictures, "conflict")
    admin.get_by_role("group", name="Note").get_by_label("CRM").check()
    admin.get_by_role("button", name="Decide the chosen fields").click()
    expect(admin.get_by_role("status")).to_contain_text("the other fields are left")
    expect(admin.get_by_role("group", name="Note")).to_have_count(0)
    admin.get_by_role("button", name="All from the CRM").click()
    expect(admin.get_by_role("status")).to_contain_text("is resolved")
    (row,) = demo.rows(
        "select state, resolution, resolved_by from sync.conflicts where conflict_id = %s", trouble.conflict_id
    )
    assert row == {"state": "resolved", "resolution": {"note": "crm", "phone": "crm"}, "resolved_by": "user:admin"}


def test_a_full_resync_is_started_and_cancelled(admin: Page, demo: Demo, axe: str, pictures: Path) -> None:
    admin.goto(f"/sync/resyncs?project={SHOP}")
    card = admin.locator(".resyncs .card")
    admin.once("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Start a full resync").click()
    expect(card.get_by_role("progressbar")).to_be_visible()
    keep(admin, axe, pictures, "resyncs")
    admin.once("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Cancel").click()
    expect(admin.get_by_role("status")).to_contain_text("is cancelled")
    expect(card.get_by_role("button", name="Start a full resync")).to_be_visible()
    rows = demo.rows("select state, requested_by from sync.resyncs where project_id = %s order by resync_id", SHOP)
    assert rows[-1] == {"state": "cancelled", "requested_by": "user:admin"}


def test_a_viewer_sees_all_of_it_in_the_dark_and_changes_nothing(
    viewer: Page, trouble: Trouble, axe: str, pictures: Path
) -> None:
    viewer.emulate_media(color_scheme="dark")
    for name, path in (
        ("viewer-overview", "/sync"), ("viewer-outbox", "/sync/outbox"), ("viewer-links", "/sync/links"),
        ("viewer-consistency", "/sync/consistency"), ("viewer-resyncs", "/sync/resyncs"),
        ("viewer-letter", f"/sync/dead-letters/{trouble.inbound_letter}"),
        ("viewer-conflict", f"/sync/conflicts/{trouble.conflict_id}"),
    ):  # fmt: skip
        viewer.goto(path)
        assert viewer.locator("main form[method=post]").count() == 0
        keep(viewer, axe, pictures, name)
    expect(viewer.get_by_role("row", name="Phone")).to_contain_text("***77")
    viewer.emulate_media(color_scheme="light")
    # What a page does not offer is refused as well.
    token = viewer.locator("body").get_attribute("data-csrf")
    assert token is not None
    for path in (
        f"/sync/conflicts/{trouble.conflict_id}", f"/sync/dead-letters/{trouble.inbound_letter}/retry",
        "/sync/dead-letters/all", "/sync/resyncs", f"/sync/resyncs/{SHOP}/1/cancel", "/sync/objects",
    ):  # fmt: skip
        refused = viewer.request.post(path, headers={"x-csrf-token": token}, form={"all": "vms", "project": SHOP})
        assert refused.status == 403, path
