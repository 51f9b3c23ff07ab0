"""The pages about integrations, walked through in a real browser on the demo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from demo_windows import Demo, fits, log_in, serious_findings
from playwright.sync_api import Browser, Page, expect

from database.encryption import Keyring, Sealed
from tests.support.waiting import wait_until

CANARY = "canary-91ab-never-to-be-seen"


def secrets_of(demo: Demo, project: str) -> dict[str, str]:
    keyring = Keyring.load(demo.environment())
    return {
        row["name"]: keyring.decrypt(project, row["name"], Sealed(row["key_id"], row["nonce"], row["ciphertext"]))
        for row in demo.rows("select * from config.credentials where project_id = %s", project)
    }


@contextmanager
def kept(demo: Demo, project: str) -> Iterator[dict[str, str]]:
    """A project's credentials, which are afterwards what they were, as is whether it is enabled."""
    rows = demo.rows("select * from config.credentials where project_id = %s", project)
    [state] = demo.rows("select is_enabled, disabled_reason from config.projects where project_id = %s", project)
    try:
        yield secrets_of(demo, project)
    finally:
        for row in rows:
            demo.rows(
                "update config.credentials set key_id = %s, nonce = %s, ciphertext = %s "
                "where project_id = %s and name = %s returning name",
                row["key_id"], row["nonce"], row["ciphertext"], project, row["name"],
            )  # fmt: skip
        demo.rows(
            "update config.projects set is_enabled = %s, disabled_reason = %s where project_id = %s returning 1",
            state["is_enabled"], state["disabled_reason"], project,
        )  # fmt: skip


def look(page: Page, axe: str, pictures: Path, name: str) -> None:
    """Pictures at both widths, and nothing that keeps somebody from using the page."""
    assert serious_findings(page, axe) == [], page.url
    for width in ("phone", "desktop"):
        assert fits(page, width), f"{page.url} scrolls sideways on a {width}"
        page.screenshot(path=pictures / f"integrations-{name}-{width}.png", full_page=True)


def test_every_integration_is_listed_with_how_it_fares(admin: Page, demo: Demo, axe: str, pictures: Path) -> None:
    admin.goto("/integrations")
    look(admin, axe, pictures, "list")
    rows = demo.rows("select project_id, name, crm from config.projects")
    assert {row["crm"] for row in rows} >= {
        "keycrm", "retailcrm", "yclients", "amocrm", "iiko", "onec", "renovatio", "csv", "custom",
    }  # fmt: skip
    for row in rows:
        line = admin.get_by_role("row").filter(has=admin.get_by_role("link", name=row["name"], exact=True))
        expect(line).to_contain_text(row["crm"])
        assert re.search(r"\d\s%", line.inner_text()), line.inner_text()
    # Files are the only way into this project, so that their imports say what was synchronised.
    [imports] = demo.rows(
        "select sum(imported + updated) as n from sync.csv_imports where project_id = 'salon-till' and state = 'done'"
    )
    line = admin.get_by_role("row").filter(has=admin.get_by_role("link", name="Beauty salon (files of its till)"))
    assert line.get_by_role("cell").last.inner_text() == f"{imports['n']:,}"


@pytest.mark.parametrize(
    ("path", "name", "shown"),
    [
        ("print-shop", "overview", "Synchronisations by day"), ("furniture/access", "access", "Grant access in amocrm"),
        ("trattoria/webhooks", "webhooks", "The last payloads"), ("clinic/webhooks", "medical", "Health data"),
        ("coffee-house/logs", "log", "Pulled"), ("farm-shop/definition", "definition", "Definition (YAML or JSON)"),
        ("add/project?crm=yclients", "new", "partner_token"),
    ],
)  # fmt: skip
def test_a_page_is_filled_and_anybody_can_use_it(
    admin: Page, axe: str, pictures: Path, path: str, name: str, shown: str
) -> None:
    admin.goto(f"/integrations/{path}")
    expect(admin.get_by_text(shown).first).to_be_visible()
    look(admin, axe, pictures, name)


def test_a_page_is_readable_in_the_dark_and_in_ukrainian(
    browser: Browser, demo: Demo, axe: str, pictures: Path
) -> None:
    page = log_in(browser, demo, "admin", color_scheme="dark")
    try:
        page.context.add_cookies([{"name": "crm_elt_language", "value": "uk", "url": demo.url}])
        page.goto("/integrations/print-shop")
        expect(page.get_by_role("button", name="Синхронізувати зараз")).to_be_visible()
        look(page, axe, pictures, "overview-dark")
    finally:
        page.context.close()


def test_a_broken_credential_is_told_and_shown_nowhere_and_a_right_one_works(admin: Page, demo: Demo) -> None:
    headers = demo.bearer()
    seen: list[str] = []
    with kept(demo, "home-textile") as secrets:
        admin.goto("/integrations/home-textile/access")
        admin.get_by_label("Reason").fill("we try the keys")
        admin.get_by_role("button", name="Disable").click()  # so that nobody pulls with a wrong key meanwhile
        expect(admin.get_by_text("This project is disabled: we try the keys.")).to_be_visible()
        for value, said in ((CANARY, "The test failed"), (secrets["api_key"], "The connection works")):
            admin.goto("/integrations/home-textile/access")
            admin.get_by_label("api_key").fill(value)
            admin.get_by_role("button", name="Save credentials").click()
            expect(admin.get_by_text("Saved: api_key.")).to_be_visible()
            seen.append(admin.content())
            admin.goto("/integrations/home-textile")
            admin.get_by_role("button", name="Test connection").click()
            expect(admin.locator(".flash").first).to_contain_text(said)
            seen.append(admin.content())
            paths = ("", "/access", "/webhooks", "/logs")
            seen += [admin.request.get(f"/integrations/home-textile{path}").text() for path in paths]
            for path in ("", "/credentials", "/logs", "/statistics", "/webhooks", "/webhooks/payloads"):
                address = f"{demo.url}/api/integrations/home-textile{path}"
                seen.append(httpx.get(address, headers=headers, timeout=30).raise_for_status().text)
        admin.goto("/integrations/home-textile/access")
        admin.get_by_role("button", name="Enable").click()
        expect(admin.get_by_text("Home textile is enabled.")).to_be_visible()
        audited = demo.rows(
            "select object, before, after from config.audit_log where project_id = 'home-textile' "
            "order by audit_id desc limit 6"
        )
    seen.append(str(audited))
    tried = ["connection", "credential api_key"]  # the newest first
    assert [row["object"] for row in audited] == ["project", *tried, *tried, "project"]
    assert [row["after"] for row in audited if row["object"] == "connection"] == [{"ok": True}, {"ok": False}]
    for secret in (CANARY, *secrets.values()):
        assert not [text for text in seen if secret in text]


def test_a_sync_shows_how_far_it_is_and_what_it_brought(admin: Page, pictures: Path) -> None:
    admin.goto("/integrations/coffee-house")
    admin.get_by_role("button", name="Sync now").click()
    admin.wait_for_url("**/syncs/*")
    expect(admin.get_by_role("status")).to_contain_text(
        re.compile(r"\d+ transactions? synchronised\. \d+ records? read"), timeout=150_000
    )
    expect(admin.get_by_role("table", name="What was read")).to_contain_text("succeeded")
    admin.screenshot(path=pictures / "integrations-synchronised.png", full_page=True)


def test_a_file_with_errors_is_uploaded_without_scripts_and_its_rows_are_named(
    browser: Browser, demo: Demo, axe: str, pictures: Path
) -> None:
    content = (
        "date;phone;amount;description\n01.03.2026;+79161112233;100,50;Test of uploads\n"
        "02.03.2026;+79161112244;-;No amount\n03.03.2026;12;20;No phone\n"
    )
    page = log_in(browser, demo, "admin", java_script_enabled=False)
    reports = []
    try:
        for _ in range(2):
            page.goto("/integrations/salon-till/files")
            page.get_by_label("CSV file, at most 10 MB").set_input_files(
                {"name": "errors.csv", "mimeType": "text/csv", "buffer": content.encode()}
            )
            page.get_by_role("button", name="Upload").click()
            expect(page.get_by_role("heading", name="errors.csv done")).to_be_visible()
            table = page.get_by_role("table", name="Rows with errors")
            assert table.get_by_role("rowheader").all_inner_texts() == ["3", "4"]
            assert "amount" in table.get_by_role("cell").first.inner_text()
            assert "phone" in table.get_by_role("cell").last.inner_text()
            reports.append(int(page.url.rpartition("/")[2]))
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the report").click()
        text = download.value.path().read_text(encoding="utf-8-sig")
        assert [line.split(";")[0] for line in text.splitlines()] == ["row", "3", "4"]
        page.screenshot(path=pictures / "integrations-report.png", full_page=True)
    finally:
        page.context.close()
    rows = demo.rows(
        "select imported + updated + duplicates as known, imported, errors from sync.csv_imports "
        "where upload_id = any(%s) order by upload_id",
        reports,
    )
    assert [(row["known"], row["errors"]) for row in rows] == [(1, 2), (1, 2)]
    assert rows[1]["imported"] == 0  # the second time it is known
    [sales] = demo.rows(
        "select count(*) as n from core.transactions "
        "where project_id = 'salon-till' and description = 'Test of uploads'"
    )
    assert sales["n"] <= 1


def test_the_sandbox_says_which_field_of_a_definition_is_wrong(
    admin: Page, demo: Demo, axe: str, pictures: Path
) -> None:
    [before] = demo.rows("select options, is_enabled from config.projects where project_id = 'farm-shop'")
    admin.goto("/integrations/farm-shop/definition")
    definition = admin.get_by_label("Definition (YAML or JSON)")
    definition.fill(definition.input_value().replace("$.sum", "$.no_such_field"))
    admin.get_by_label("A sample answer of the vendor").fill(
        '{"data": [{"id": 5, "at": "2026-03-01T10:00:00Z", "sum": "12.50", "title": " Сидр ", "void": false}]}'
    )
    admin.get_by_label("It is a list of").select_option("transactions")
    admin.get_by_role("button", name="Try").click()
    outcome = admin.get_by_role("table", name="transactions: record 1")
    expect(admin.get_by_role("heading", name="What becomes of the sample not passed")).to_be_visible()
    expect(outcome.get_by_role("row", name="amount")).to_contain_text("failed")
    expect(outcome.get_by_role("row", name="description")).to_contain_text("Сидр")
    look(admin, axe, pictures, "sandbox")
    definition = admin.get_by_label("Definition (YAML or JSON)")
    definition.fill(definition.input_value().replace("$.no_such_field", "$.sum"))
    admin.get_by_role("button", name="Try").click()
    expect(admin.get_by_role("heading", name="What becomes of the sample passed")).to_be_visible()
    expect(outcome.get_by_role("row", name="amount")).to_contain_text("12.50")
    definition.fill("entities: {leads: {}}")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_role("alert")).to_contain_text("unknown entity")
    assert demo.rows("select options, is_enabled from config.projects where project_id = 'farm-shop'") == [before]


def figures(page: Page) -> dict[str, int]:
    """The counts on the page about webhooks."""
    page.goto("/integrations/gift-shop/webhooks")
    texts = page.locator("#webhook-figures .figure").all_inner_texts()
    found = {text.split("\n")[0].strip(): text.split("\n")[-1].replace(",", "") for text in texts}
    return {name: int(value) for name, value in found.items() if value.isdecimal()}


def test_webhooks_are_counted_as_they_come_and_their_payloads_are_masked(admin: Page, demo: Demo) -> None:
    before = figures(admin)
    [last] = demo.rows(
        "select body from raw.webhook_events where project_id = 'gift-shop' and crm = 'keycrm' "
        "order by event_id desc limit 1"
    )
    address = f"{demo.ingest_url}/webhooks/keycrm/gift-shop"
    headers = {"content-type": "application/json"}
    token = secrets_of(demo, "gift-shop")["webhook.secret"]
    sent = httpx.post(address, params={"token": token}, content=last["body"].encode(), headers=headers, timeout=30)
    assert sent.status_code == 200
    assert httpx.post(address, params={"token": "wrong"}, content=b"{}", headers=headers, timeout=30).status_code == 401
    wait_until(lambda: figures(admin)["Refused"] == before["Refused"] + 1, seconds=20)
    after = figures(admin)
    assert after["Received"] > before["Received"]
    assert after["Duplicate"] == before["Duplicate"] + 1
    expect(admin.get_by_text("not_authentic")).to_be_visible()
    expect(admin.locator("#address")).to_have_text(f"{address}?token=…")
    shown = admin.content()
    assert token not in shown
    for phone in re.findall(r"\+380\d{9}|\+48\d{9}", last["body"]):
        assert phone not in shown


def test_a_viewer_reads_and_is_refused_whatever_changes_something(viewer: Page) -> None:
    viewer.goto("/integrations")
    assert viewer.locator("tbody tr").count() == 1
    for path in ("", "/access", "/webhooks", "/logs"):
        viewer.goto(f"/integrations/print-shop{path}")
        main = viewer.get_by_role("main")
        assert main.locator("form[method=post]").count() == 0
    proof = {"csrf_token": viewer.locator("body").get_attribute("data-csrf") or ""}
    for path in ("test", "syncs", "state", "access/credentials", "webhooks/secret"):
        answer = viewer.request.post(f"/integrations/print-shop/{path}", form={**proof, "enabled": "false"})
        assert answer.status == 403, path
    assert viewer.request.get("/integrations/gift-shop").status == 404
