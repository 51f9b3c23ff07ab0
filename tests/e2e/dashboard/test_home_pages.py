"""Logging in, the first page and the admin's pages in a real browser."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from demo_windows import Demo, fits, serious_findings
from playwright.sync_api import Browser, Page, expect


def test_the_login_page_says_what_is_wrong_in_the_chosen_language(
    browser: Browser, demo: Demo, axe: str, pictures: Path
) -> None:
    context = browser.new_context(base_url=demo.url, locale="en-GB")
    try:
        page = context.new_page()
        page.goto("/audit")  # nobody is logged in: to the login and, after it, back
        expect(page).to_have_url(re.compile("/login"))
        page.get_by_label("Login").fill("viewer")
        page.get_by_label("Password").fill("wrong password")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text("The login or the password is wrong.")
        page.get_by_label("Language").select_option("uk")  # at once, without a button
        expect(page.get_by_role("heading", name="Вхід")).to_be_visible()
        assert serious_findings(page, axe) == []
        assert fits(page, "phone")
        page.screenshot(path=pictures / "login-phone-uk.png")
        assert fits(page, "desktop")
        page.goto("/login?next=%2Faudit")
        page.get_by_label("Логін").fill("viewer")
        page.get_by_label("Пароль").fill(demo.passwords["viewer"])
        page.get_by_role("button", name="Вхід").click()
        expect(page.get_by_role("heading", name="Журнал змін")).to_be_visible()
        assert page.url.endswith("/audit")
    finally:
        context.close()


def test_the_first_page_shows_every_project_with_its_orders(admin: Page, demo: Demo, axe: str, pictures: Path) -> None:
    admin.goto("/")
    cards = admin.locator("[data-project]")
    names = demo.rows("select project_id, name from config.projects order by project_id")
    assert sorted(str(card.get_attribute("data-project")) for card in cards.all()) == [
        row["project_id"] for row in names
    ]
    # What the marts say, by another way than the page's; orders may move on meanwhile.
    shop = admin.locator('[data-project="print-shop"]')
    facts = """
        select count(*) filter (where not is_closed) as open, count(*) filter (where sla_state = 'over') as over,
            count(sla_state) as limited
        from marts.orders_current where project_id = 'print-shop'
    """
    for _ in range(3):
        [before] = demo.rows(facts)
        admin.reload()
        shown = (shop.locator("[data-open-orders]").inner_text(), shop.locator("dd small").last.inner_text())
        [after] = demo.rows(facts)
        if before == after:
            break
    assert before["open"] > 20
    assert shown == (str(after["open"]), f"{after['over']} of {after['limited']}")

    assert serious_findings(admin, axe) == []
    assert fits(admin, "desktop")
    admin.screenshot(path=pictures / "home-desktop-light.png", full_page=True)
    assert fits(admin, "phone")
    admin.screenshot(path=pictures / "home-phone-light.png", full_page=True)
    assert fits(admin, "desktop")

    admin.locator("details.picker summary").click()
    admin.locator("details.picker").get_by_role("link", name="Print shop").click()
    expect(cards).to_have_count(1)
    assert "project=print-shop" in admin.url
    orders = admin.get_by_role("navigation", name="Areas").get_by_role("link", name="Orders")
    expect(orders).to_have_attribute("href", "/orders?project=print-shop")
    admin.keyboard.press("g")
    admin.keyboard.press("o")  # the choice goes on to the next page
    admin.wait_for_url("**/orders?project=print-shop")
    admin.goto("/")
    admin.keyboard.press("?")
    expect(admin.get_by_role("dialog", name="Keyboard")).to_be_visible()
    admin.keyboard.press("Escape")


def test_language_and_theme_are_kept(admin: Page, axe: str, pictures: Path) -> None:
    admin.goto("/")
    try:
        admin.locator("header details.menu summary").click()
        admin.locator("header").get_by_label("Theme").select_option("dark")
        expect(admin.locator("html")).to_have_attribute("data-theme", "dark")
        admin.locator("header details.menu summary").click()
        admin.locator("header").get_by_label("Language").select_option("uk")
        expect(admin.get_by_role("heading", name="Головна")).to_be_visible()
        admin.goto("/audit")
        expect(admin.get_by_role("heading", name="Журнал змін")).to_be_visible()
        assert serious_findings(admin, axe) == []
        admin.screenshot(path=pictures / "audit-desktop-dark-uk.png", full_page=True)
        admin.goto("/")
        assert serious_findings(admin, axe) == []
        admin.screenshot(path=pictures / "home-desktop-dark-uk.png", full_page=True)
    finally:
        admin.context.clear_cookies(name="crm_elt_language")
        admin.context.clear_cookies(name="crm_elt_theme")


def test_an_admin_adds_a_user_makes_a_token_and_finds_both_in_the_audit_log(
    admin: Page, axe: str, pictures: Path
) -> None:
    for path in ("/users", "/users/new", "/account", "/tokens"):
        admin.goto(path)
        assert serious_findings(admin, axe) == [], path
        assert fits(admin, "phone"), path
        admin.screenshot(path=pictures / f"{path.strip('/').replace('/', '-')}-phone.png", full_page=True)
        assert fits(admin, "desktop"), path
        admin.screenshot(path=pictures / f"{path.strip('/').replace('/', '-')}-desktop.png", full_page=True)

    name = f"test-{secrets.token_hex(4)}"
    admin.goto("/users/new")
    admin.get_by_label("Login").fill("test browser")
    admin.get_by_label("Password").fill("correct horse 1")
    admin.get_by_label("Gift shop").check()
    admin.get_by_role("button", name="Add the user").click()
    expect(admin.get_by_role("alert")).to_have_text("A login is an e-mail address or a name without blanks.")
    expect(admin.get_by_label("Gift shop")).to_be_checked()
    admin.get_by_label("Login").fill(name)
    admin.get_by_label("Password").fill("correct horse 1")
    admin.get_by_role("button", name="Add the user").click()
    expect(admin.get_by_role("status")).to_contain_text(f"{name} may log in now")
    admin.get_by_role("link", name=name).click()
    admin.on("dialog", lambda dialog: dialog.accept())
    admin.get_by_role("button", name="Disable").click()
    expect(admin.get_by_role("status")).to_contain_text("is kept out")
    assert fits(admin, "phone")
    assert serious_findings(admin, axe) == []

    admin.set_viewport_size({"width": 1440, "height": 900})
    admin.goto("/tokens")
    admin.get_by_label("Name").fill(name)
    admin.get_by_role("button", name="Make the token").click()
    token = admin.locator("[data-token]").inner_text()
    assert token.startswith("crm_")
    answer = admin.request.get("/api/session", headers={"authorization": f"Bearer {token}"})
    assert answer.json()["login"] == f"token:{name}"
    admin.goto("/tokens")
    expect(admin.get_by_text(token)).to_have_count(0)
    admin.get_by_role("row", name=name).get_by_role("button", name="Revoke").click()
    expect(admin.get_by_role("status")).to_contain_text("is refused from now on")

    admin.goto("/audit?actor=user%3Aadmin")
    rows = admin.locator("table.audit tbody tr")
    expect(rows.filter(has_text=f"revoked token {name}").first).to_be_visible()
    expect(rows.filter(has_text=f"disabled user {name}").first).to_be_visible()
    added = rows.filter(has_text=f"added user {name}").first
    expect(added.locator("ins").first).to_have_text("viewer")
    assert fits(admin, "phone")
    admin.screenshot(path=pictures / "audit-phone.png", full_page=True)


def test_a_viewer_sees_one_project_and_no_admins_page(viewer: Page, axe: str, pictures: Path) -> None:
    viewer.goto("/")
    expect(viewer.locator("[data-project]")).to_have_count(1)
    expect(viewer.locator("header .who")).to_have_text("viewer")
    expect(viewer.get_by_role("navigation", name="Areas").get_by_role("link", name="Users")).to_have_count(0)
    answer = viewer.goto("/users")
    assert answer is not None
    assert answer.status == 403
    expect(viewer.get_by_role("heading", name="Not allowed")).to_be_visible()
    expect(viewer.get_by_role("alert")).to_have_text("Only an admin may do this.")
    assert serious_findings(viewer, axe) == []
    viewer.screenshot(path=pictures / "refused-desktop.png")
    answer = viewer.goto("/nowhere")
    assert answer is not None
    assert answer.status == 404
    viewer.get_by_role("link", name="To the first page").click()
    expect(viewer.get_by_role("heading", name="Home")).to_be_visible()
    viewer.goto("/audit")
    projects = viewer.locator("table.audit tbody tr td:nth-child(3)")
    assert set(projects.all_inner_texts()) == {"Print shop"}
