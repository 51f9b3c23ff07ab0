"""The settings' pages and API: every section edited, refused, raced, undone, exported; and who may not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dashboard_process import Dashboard

from dashboard import script_tokens
from dashboard.settings.sections import SECTION_PAGES
from database.encryption import Keyring
from database.repositories import credentials, settings
from sync.settings import apply_settings
from sync.settings.shown import Shown, shown_of

PROJECT = "print-shop"
SECTIONS = tuple(SECTION_PAGES)

START = f"""
projects:
  - id: {PROJECT}
    name: Print shop
    crm: keycrm
    timezone: Europe/Kyiv
    credentials: {{api_key: key-of-the-print-shop}}
    webhook: {{auth: token, secret: hook-of-the-print-shop}}
    near_threshold: 0.75
    sla:
      - {{group_id: 2, limit: "08:00", urgent_limit: "04:00"}}
      - {{group_id: 2, limit: "02:00", profile: vip}}
    cycles: [{{id: full, title: Full cycle, start_group: 1, end_group: 4, default: true}}]
    urgent: [{{match: sku, value: EXPRESS}}]
    working_hours: {{default: {{mon-fri: ["09:00-18:00"]}}, exceptions: [{{date: 2026-12-25}}]}}
    status_map: {{new: PENDING}}
"""


@pytest.fixture
def shop(dash: Dashboard) -> Iterator[Dashboard]:
    """The project as START says, whatever the test before has made of it."""
    keyring = Keyring.load(dash.environment)
    dash.do(lambda c: apply_settings(c, keyring, START, source="start", environ={}, actor="start"))
    return dash


@pytest.fixture(scope="module")
def admin(dash: Dashboard) -> Iterator[httpx.Client]:
    with dash.browser(dash.user(role="admin")) as browser:
        yield browser


@pytest.fixture(scope="module")
def program(dash: Dashboard) -> dict[str, str]:
    """Headers of another admin's program."""
    return dash.bearer(dash.user(role="admin"))


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the section's form if nothing was typed."""
    found = re.search(r"<form[^>]*data-settings.*?</form>", page, re.DOTALL)
    assert found is not None
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", found[0]):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        kind = attributes.get("type")
        if kind in ("checkbox", "radio") and " checked" not in tag:
            continue
        fields[attributes["name"]] = html.unescape(attributes.get("value", ""))
    for name, body in re.findall(r'<select[^>]*?name="([^"]*)"[^>]*>(.*?)</select>', found[0], re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', body) or re.search(r'<option value="([^"]*)"', body)
        fields[name] = html.unescape(chosen[1]) if chosen else ""
    for name, body in re.findall(r'<textarea[^>]*?name="([^"]*)"[^>]*>(.*?)</textarea>', found[0], re.DOTALL):
        fields[name] = html.unescape(body)
    return fields


def opened(browser: httpx.Client, section: str) -> dict[str, str]:
    page = browser.get(f"/settings/{PROJECT}/{section}")
    assert page.status_code == 200, page.text
    return form_of(page.text)


def save(browser: httpx.Client, section: str, fields: dict[str, str]) -> httpx.Response:
    return browser.post(f"/settings/{PROJECT}/{section}", data=fields, headers={"accept": "text/html"})


def edit(browser: httpx.Client, section: str, **changes: str | None) -> httpx.Response:
    """Open the section, type (names with `__` for `.`; None unticks a box), save."""
    fields = opened(browser, section)
    for name, value in changes.items():
        fields.pop(name.replace("__", "."), None)
        if value is not None:
            fields[name.replace("__", ".")] = value
    return save(browser, section, fields)


def audited(dash: Dashboard, count: int) -> list[tuple[str, str, Any, Any]]:
    """The newest entries, the oldest of them first."""
    rows = dash.rows("select * from config.audit_log order by audit_id desc limit %s", count)
    return [(row["actor"], row["object"], row["before"], row["after"]) for row in reversed(rows)]


def newest_id(dash: Dashboard, name: str) -> int:
    [row] = dash.rows("select max(audit_id) as id from config.audit_log where object = %s", name)
    return int(row["id"])


@pytest.mark.parametrize("section", SECTIONS)
def test_saving_a_section_as_it_was_opened_changes_nothing(shop: Dashboard, admin: httpx.Client, section: str) -> None:
    before = shop.rows("select max(audit_id) as id from config.audit_log")
    answer = save(admin, section, opened(admin, section))
    if section == "two-way":
        assert shop.rows("select vms from config.projects where project_id = %s", PROJECT) == [{"vms": {}}]
    assert (answer.status_code, answer.headers["location"]) == (303, f"/settings/{PROJECT}/{section}")
    assert shop.rows("select max(audit_id) as id from config.audit_log") == before
    assert "Nothing was changed." in admin.get(f"/settings/{PROJECT}/{section}").text


EDITS: list[tuple[str, dict[str, str | None], str, Any, Any]] = [
    ("sla", {"row__0__normal": "7:30"}, "sla group 2 normal", "08:00", "07:30"),
    ("sla", {"near_threshold": "0.9"}, "near_threshold", "0.75", "0.9"),
    ("sla", {"row__0__grid0": "", "row__0__grid1": "3:00", "grid__1__name": "gold"}, "sla group 2 gold", None, "03:00"),
    ("working-hours", {"default__fri": "22:00-06:00, 08:00-12:00"}, "working hours default",
     {"mon": "09:00-18:00", "tue": "09:00-18:00", "wed": "09:00-18:00", "thu": "09:00-18:00", "fri": "09:00-18:00"},
     {"mon": "09:00-18:00", "tue": "09:00-18:00", "wed": "09:00-18:00", "thu": "09:00-18:00",
      "fri": "08:00-12:00, 22:00-06:00"}),
    ("working-hours", {"exception__1__date": "2026-12-24", "exception__1__hours": "09:00-13:00"},
     "exception 2026-12-24", None, "09:00-13:00"),
    ("working-hours", {"calendar__0__group": "2", "calendar__0__preset": "office"}, "working hours group 2", None,
     dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "09:00-18:00")),
    ("cycle", {"cycle__1__id": "short", "cycle__1__start": "g:2", "cycle__1__end": "s:9"}, "cycle short", None,
     {"title": "short", "start_group": "2", "end_status": "9", "default": False}),
    ("urgent", {"rule__1__match": "offer_id", "rule__1__value": "16", "rule__1__active": "on"}, "urgent offer_id 16",
     None, "active"),
    ("urgent", {"rule__0__active": None}, "urgent sku EXPRESS", "active", "inactive"),
    ("statuses", {"status__0__id": "12", "status__0__name": "Done", "status__0__closing": "true"}, "status 12", None,
     {"name": "Done", "is_closing": True}),
    ("statuses", {"group__1__id": "4", "group__1__name": "Delivery"}, "status group 4", None, "Delivery"),
    ("dashboard", {"closed_days": "14"}, "dashboard closed_days", None, 14),
    ("dashboard", {"group__0__hidden": "on"}, "dashboard hidden_groups", None, ["2"]),
    ("sync", {"since": "2025-01-01"}, "sync since", None, "2025-01-01"),
    ("sync", {"customers": None}, "sync customers", True, False),
    ("options", {"option__source_id": "2"}, "option source_id", None, 2),
    ("options", {"option__payment_methods": '{"cash": 3}'}, "option payment_methods", None, {"cash": 3}),
    ("two-way", {"given": "on", "dry_run": "on"}, "vms dry_run", None, True),
    ("status-map", {"map__1__crm": "done", "map__1__vms": "DELIVERED"}, "status_map done", None, "DELIVERED"),
    ("conflicts", {"policy": "per-field", "field__0__name": "status", "field__0__policy": "crm"}, "conflict_policy",
     "newest", {"status": "crm"}),
    ("address", {"base_url": "https://crm.example.com/v1/"}, "base_url", None, "https://crm.example.com/v1"),
    ("address", {"ip_allow": "10.0.0.0/8, 192.0.2.7"}, "webhook ip_allow", [], ["10.0.0.0/8", "192.0.2.7/32"]),
    ("address", {"auth": "hmac", "header": "X-Signature", "prefix": "sha256="}, "webhook auth", "token", "hmac"),
    ("general", {"timezone": "Europe/Warsaw"}, "timezone", "Europe/Kyiv", "Europe/Warsaw"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "typed", "name", "before", "after"), EDITS)
def test_a_section_is_edited_audited_and_undone(
    shop: Dashboard, admin: httpx.Client, section: str, typed: dict[str, str | None], name: str, before: Any, after: Any
) -> None:
    login = admin.get("/api/session").json()["login"]
    answer = edit(admin, section, **typed)
    assert answer.status_code == 303, answer.text
    entries = {entry[1]: entry for entry in audited(shop, 12) if entry[0] == f"user:{login}"}
    assert entries[name] == (f"user:{login}", name, before, after)
    page = admin.get(f"/settings/{PROJECT}/{section}").text
    assert "Saved:" in page
    assert ("build" in re.search(r'class="flash.*?</p>', page)[0]) == SECTION_PAGES[section].is_measured  # type: ignore[index]

    csrf = re.search(r'data-csrf="([^"]+)"', page)
    assert csrf is not None
    undone = admin.post(
        f"/settings/undo/{newest_id(shop, name)}", data={"csrf_token": csrf[1], "next": "/audit", "together": "on"}
    )
    assert (undone.status_code, undone.headers["location"]) == (303, "/audit")
    assert audited(shop, 1)[0][0] == f"user:{login}"
    assert {entry[1]: entry[2:] for entry in audited(shop, len(entries))}[name] == (after, before)
    keyring = Keyring.load(shop.environment)
    again = shop.do(lambda c: apply_settings(c, keyring, START, source="start", environ={}, actor="start"))
    assert again.changes == ()


REFUSALS: list[tuple[str, dict[str, str | None], str, str]] = [
    ("sla", {"row__0__normal": "8h"}, "row.0.normal", "expected hh:mm of working time"),
    ("sla", {"near_threshold": "80"}, "near_threshold", "expected a share above 0"),
    ("working-hours", {"default__mon": "9 to 5"}, "default.mon", "expected opening hours"),
    ("working-hours", {"exception__0__date": "2026-02-30"}, "exception.0.date", "expected a day that exists"),
    ("cycle", {"cycle__1__id": "full", "cycle__1__start": "g:1", "cycle__1__end": "g:2"}, "cycle.1.id",
     "id full is given twice"),
    ("cycle", {"cycle__0__end": ""}, "cycle.0.end", "Choose a status group or a status"),
    ("urgent", {"rule__1__match": "name", "rule__1__value": "x"}, "rule.1.match", "expected sku, offer_id or"),
    ("statuses", {"status__0__id": "12"}, "status.0.id", "give name, group_id or is_closing"),
    ("dashboard", {"closed_days": "-1"}, "closed_days", "expected a whole number from 0 to 3,650"),
    ("sync", {"batch_size": "many"}, "batch_size", "expected a whole number from 1 to 1,000"),
    ("sync", {"since": "yesterday"}, "since", "expected a day or time"),
    ("options", {"option__source_id": "two"}, "option.source_id", "expected a whole number"),
    ("options", {"option__payment_methods": "{"}, "option.payment_methods", "This is not JSON"),
    ("two-way", {"given": "on", "clock_skew_seconds": "x"}, "clock_skew_seconds", "expected a whole number"),
    ("status-map", {"map__1__crm": "done", "map__1__vms": ""}, "map.1.vms", "expected PENDING"),
    ("conflicts", {"policy": "loudest"}, "policy", "expected newest, vms, crm or manual"),
    ("address", {"base_url": "https://me:mine@crm.example.com"}, "base_url", "user and password do not belong"),
    ("address", {"base_url": "https://crm.example.com/v1?a=1"}, "base_url", "expected an address without ? and #"),
    ("address", {"ip_allow": "10.0.0.1/8"}, "ip_allow", "has bits beyond its prefix"),
    ("address", {"encoding": "base64"}, "auth", "auth token takes no encoding"),
    ("general", {"timezone": "Europe/Kiew"}, "timezone", "expected an IANA time zone"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "typed", "field", "sentence"), REFUSALS)
def test_what_cannot_be_is_told_at_its_field_and_what_was_typed_stays(
    shop: Dashboard, admin: httpx.Client, section: str, typed: dict[str, str | None], field: str, sentence: str
) -> None:
    before = shop.rows("select max(audit_id) as id from config.audit_log")
    answer = edit(admin, section, **typed)
    assert answer.status_code == 422
    told = re.findall(rf'id="error-{re.escape(field)}"[^>]*>([^<]*)<', answer.text)
    assert [sentence in html.unescape(one) for one in told] == [True], (told, answer.text)
    kept = form_of(answer.text)
    for name, value in typed.items():
        if value is not None and not (name == "map__1__vms" or value in ("name",)):
            assert kept[name.replace("__", ".")] == value
    assert shop.rows("select max(audit_id) as id from config.audit_log") == before


def test_a_change_in_between_is_told_and_nothing_is_lost(
    shop: Dashboard, admin: httpx.Client, program: dict[str, str]
) -> None:
    mine = opened(admin, "sla")
    address = f"{shop.url}/api/settings/sla?project={PROJECT}"
    value = httpx.get(address, headers=program).json()["value"]
    value["sla"][0]["limit"] = "06:00"
    assert httpx.put(address, headers=program, json={"value": value}).status_code == 200

    late = save(admin, "sla", {**mine, "row.0.normal": "05:00"})
    assert late.status_code == 409
    assert re.search(r"user:user-\d+.*sla group 2 normal 08:00 → 06:00", re.sub(r"<[^>]+>|\s+", " ", late.text))
    assert form_of(late.text)["row.0.normal"] == "05:00"
    assert audited(shop, 1)[0][3] == "06:00"
    assert save(admin, "sla", form_of(late.text)).status_code == 303
    assert audited(shop, 1)[0][2:] == ("06:00", "05:00")


def test_a_change_of_another_section_is_no_change_in_between(shop: Dashboard, admin: httpx.Client) -> None:
    mine = opened(admin, "sla")
    assert edit(admin, "general", name="Another name").status_code == 303
    assert save(admin, "sla", {**mine, "row.0.normal": "05:00"}).status_code == 303


def test_programs_edit_with_etags(shop: Dashboard, program: dict[str, str]) -> None:
    headers, address = program, f"{shop.url}/api/settings/urgent?project={PROJECT}"
    first = httpx.get(address, headers=headers)
    assert first.json() == {
        "project_id": PROJECT, "section": "urgent", "version": first.headers["etag"].strip('"'),
        "value": {"urgent": [{"match": "sku", "value": "EXPRESS"}]},
    }  # fmt: skip
    assert httpx.get(address, headers={**headers, "if-none-match": first.headers["etag"]}).status_code == 304
    body = {"value": {"urgent": [{"match": "sku", "value": "EXPRESS"}, {"match": "offer_id", "value": 16}]}}
    done = httpx.put(address, headers={**headers, "if-match": first.headers["etag"]}, json=body)
    assert done.json()["changes"] == [
        {"object": "urgent offer_id 16", "action": "added", "before": None, "after": "active"}
    ]
    assert done.headers["etag"] == httpx.get(address, headers=headers).headers["etag"] != first.headers["etag"]
    late = httpx.put(address, headers={**headers, "if-match": first.headers["etag"]}, json={"value": {}})
    assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
    assert late.json()["current"]["value"]["urgent"][0] == {"match": "offer_id", "value": "16"}
    same = httpx.put(address, headers=headers, json={"value": {}, "version": first.json()["version"]})
    assert (same.status_code, same.json()["code"]) == (409, "changed_meanwhile")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"urgent": [{"match": "name", "value": "x"}]}, "urgent[0].match"),
        ({"urgent": "all"}, "urgent"),
        ({"sla": []}, "sla"),
        ({"urgent": [{"match": "sku", "value": "a\0b"}]}, "settings:"),
    ],
)
def test_programs_are_told_every_place(
    shop: Dashboard, program: dict[str, str], value: dict[str, Any], where: str
) -> None:
    address = f"{shop.url}/api/settings/urgent?project={PROJECT}"
    answer = httpx.put(address, headers=program, json={"value": value})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_settings")
    assert answer.json()["problems"][0]["where"].startswith(where)


def test_what_was_changed_again_is_not_undone(shop: Dashboard, admin: httpx.Client, program: dict[str, str]) -> None:
    edit(admin, "sla", row__0__normal="7:00")
    first = newest_id(shop, "sla group 2 normal")
    edit(admin, "sla", row__0__normal="6:00")
    refused = httpx.post(f"{shop.url}/api/settings/undo/{first}", headers=program)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_undoable")
    assert "changed again since" in refused.json()["detail"]
    last = newest_id(shop, "sla group 2 normal")
    undone = httpx.post(f"{shop.url}/api/settings/undo/{last}", headers=program)
    assert undone.json()["changes"] == [
        {"object": "sla group 2 normal", "action": "changed", "before": "06:00", "after": "07:00"}
    ]
    assert httpx.post(f"{shop.url}/api/settings/undo/{first}", headers=program).status_code == 200
    assert audited(shop, 1)[0][3] == "08:00"
    assert httpx.post(f"{shop.url}/api/settings/undo/999999", headers=program).status_code == 404
    user_entry = newest_id(shop, shop.rows("select object from config.audit_log where project_id is null")[0]["object"])
    assert httpx.post(f"{shop.url}/api/settings/undo/{user_entry}", headers=program).json()["code"] == "not_undoable"


def test_a_token_changes_and_undoes_in_its_project_alone_and_by_its_own_name(shop: Dashboard) -> None:
    def token(name: str, project: str) -> dict[str, str]:
        made = shop.do(lambda c: script_tokens.create(c, name, "admin", [project], None, actor="test"))
        return {"authorization": f"Bearer {made.token}"}

    own, elsewhere = token("clerk", PROJECT), token("stranger", "almond")
    address = f"{shop.url}/api/settings/dashboard?project={PROJECT}"
    before = httpx.get(address, headers=own).json()["value"]
    body = {"value": {"dashboard": {"closed_days": 33}}}
    assert httpx.put(address, headers=elsewhere, json=body).status_code == 404
    assert httpx.put(address, headers=own, json=body).status_code == 200
    [(actor, name, _, _)] = audited(shop, 1)
    assert actor == "token:clerk"
    change = newest_id(shop, name)
    for path in (f"/api/settings/undo/{change}", f"/settings/undo/{change}"):
        refused = httpx.post(f"{shop.url}{path}", headers=elsewhere)
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_entry")
    assert httpx.get(address, headers=own).json()["value"]["dashboard"]["closed_days"] == 33
    assert httpx.post(f"{shop.url}/api/settings/undo/{change}", headers=own).status_code == 200
    assert httpx.get(address, headers=own).json()["value"] == before


def test_undo_of_what_does_not_fit_any_more_is_refused(
    shop: Dashboard, admin: httpx.Client, program: dict[str, str]
) -> None:
    """The default cycle moved: putting the old one back alone would make two."""
    edit(admin, "cycle", cycle__1__id="short", cycle__1__start="g:2", cycle__1__end="g:4", default="1")
    entry = newest_id(shop, "cycle full")
    alone = httpx.post(f"{shop.url}/api/settings/undo/{entry}", headers=program)
    assert (alone.status_code, alone.json()["problems"][0]["message"].split(" is given")[0]) == (409, "a default cycle")
    together = httpx.post(f"{shop.url}/api/settings/undo/{entry}?together=true", headers=program)
    assert sorted(change["object"] for change in together.json()["changes"]) == ["cycle full", "cycle short"]


def test_credentials_stay_and_are_nowhere_shown(shop: Dashboard, admin: httpx.Client) -> None:
    stored = shop.rows("select * from config.credentials where project_id = %s order by name", PROJECT)
    assert len(stored) == 2
    edit(admin, "sla", row__0__normal="7:00")
    assert shop.rows("select * from config.credentials where project_id = %s order by name", PROJECT) == stored
    for address in (f"/settings/{PROJECT}/{section}" for section in SECTIONS):
        assert "of-the-print-shop" not in admin.get(address).text


def test_a_secret_of_webhooks_is_stored_and_nowhere_shown(
    shop: Dashboard, admin: httpx.Client, program: dict[str, str]
) -> None:
    def stored() -> dict[str, str]:
        keyring = Keyring.load(shop.environment)
        return shop.do(lambda c: credentials.load(c, keyring, PROJECT))

    refused = edit(admin, "address", secret="first-hidden-word", auth="none")
    assert (refused.status_code, "a secret is given, but auth none" in refused.text) == (422, True)
    assert edit(admin, "address", secret="first-hidden-word").status_code == 303
    assert stored()["webhook.secret"] == "first-hidden-word"
    said = edit(admin, "address", base_url="http://crm.example.com").headers["location"]
    assert stored()["webhook.secret"] == "first-hidden-word"
    shown = admin.get(said).text
    assert "credentials travel unencrypted" in shown
    address = f"{shop.url}/api/settings/address?project={PROJECT}"
    told = httpx.put(address, headers=program, json={"value": {"webhook": {"secret": "second-hidden-word"}}})
    assert {change["object"] for change in told.json()["changes"]} == {"base_url", "credential webhook.secret"}
    assert stored()["webhook.secret"] == "second-hidden-word"
    entries = str(shop.rows("select before, after from config.audit_log"))
    everything = refused.text + shown + told.text + httpx.get(address, headers=program).text + entries
    assert "hidden-word" not in everything


def test_the_last_changes_are_paged(shop: Dashboard, admin: httpx.Client) -> None:
    for number in range(22):
        shop.execute(
            "insert into config.audit_log (actor, action, project_id, object, before, after)"
            " values ('user:pager', 'changed', %s, 'cycle paged', %s, null)",
            PROJECT, f'"step-{number:02}"',
        )  # fmt: skip
    first = admin.get(f"/settings/{PROJECT}/cycle").text
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = admin.get(html.unescape(older[1])).text
    shown = [sorted(set(re.findall(r"step-\d\d", page))) for page in (first, second)]
    assert (shown[0], "step-00" in shown[1]) == ([f"step-{number:02}" for number in range(2, 22)], True)
    assert admin.get(f"/settings/{PROJECT}/cycle?after=x").status_code == 400


def test_the_export_is_taken_back_by_apply_without_a_change(shop: Dashboard, admin: httpx.Client) -> None:
    for section, typed, *_ in EDITS:
        assert edit(admin, section, **typed).status_code == 303, section
    export = admin.get(f"/settings/{PROJECT}/export.yaml")
    assert export.headers["content-disposition"] == f'attachment; filename="{PROJECT}.yaml"'
    assert admin.get(f"/api/settings/export?project={PROJECT}").text == export.text
    environ = {"PRINT_SHOP_API_KEY": "key-of-the-print-shop", "PRINT_SHOP_WEBHOOK_SECRET": "hook-of-the-print-shop"}
    keyring = Keyring.load(shop.environment)
    result = shop.do(lambda c: apply_settings(c, keyring, export.text, source="e", environ=environ, actor="test"))
    assert result.changes == ()


def test_the_orders_that_a_list_shows_are_read_from_the_project(shop: Dashboard, admin: httpx.Client) -> None:
    edit(admin, "dashboard", group__0__hidden="on", closed_days="0")
    row = shop.do(lambda c: settings.load_project(c, PROJECT))
    assert row is not None
    assert shown_of(row) == Shown(frozenset({"2"}), frozenset(), 0)


def test_a_viewer_reads_and_changes_nothing(shop: Dashboard) -> None:
    login = shop.user(projects=[PROJECT])
    bearer = shop.bearer(login)
    before = shop.rows("select max(audit_id) as id from config.audit_log")
    with shop.browser(login) as browser:
        csrf = browser.get("/api/session").json()["csrf_token"]
        for section in SECTIONS:
            page = browser.get(f"/settings/{PROJECT}/{section}")
            assert page.status_code == 200
            assert '<fieldset class="plain" disabled>' in page.text
            assert '<button class="primary"' not in page.text.split("data-settings")[1]
            assert "/settings/undo/" not in page.text
            posted = browser.post(f"/settings/{PROJECT}/{section}", data={"csrf_token": csrf})
            assert posted.status_code == 403
            put = httpx.put(f"{shop.url}/api/settings/{section}?project={PROJECT}", headers=bearer, json={"value": {}})
            assert (put.status_code, put.json()["code"]) == (403, "admins_only")
        assert browser.post("/settings/undo/1", data={"csrf_token": csrf}).status_code == 403
        for address in ("/settings/almond", "/settings/almond/sla", "/settings/almond/export.yaml"):
            assert browser.get(address).status_code == 404
        assert browser.get("/api/settings/sla?project=almond").status_code == 404
    assert shop.rows("select max(audit_id) as id from config.audit_log") == before


def test_there_is_a_page_for_each_project_and_none_for_what_is_not(shop: Dashboard, admin: httpx.Client) -> None:
    assert "almond" in admin.get("/settings").text
    overview = admin.get(f"/settings/{PROJECT}").text
    assert all(f'href="/settings/{PROJECT}/{section}"' in overview for section in SECTIONS)
    assert admin.get(f"/settings/{PROJECT}/nothing").status_code == 404
    assert admin.get("/settings/nothing").status_code == 404
    assert admin.get("/settings?project=almond").headers["location"] == "/settings/almond"


def test_a_large_overlay_is_saved_without_scripts(shop: Dashboard, admin: httpx.Client) -> None:
    """Five hundred statuses with Cyrillic names."""
    shop.execute(
        "insert into core.statuses (project_id, status_id, name)"
        " select %s, 's' || n, 'Статус ' || n from generate_series(1, 500) as n",
        PROJECT,
    )
    try:
        fields = opened(admin, "statuses")
        ids = {name: value for name, value in fields.items() if re.fullmatch(r"status\.\d+\.id", name) and value}
        assert len(ids) == 500
        typed = {name.replace(".id", ".name"): f"Замовлення {value}" for name, value in ids.items()}
        assert save(admin, "statuses", {**fields, **typed}).status_code == 303
        [row] = shop.rows("select count(*) as n from config.statuses where project_id = %s", PROJECT)
        assert row["n"] == 500
    finally:
        shop.execute("delete from core.statuses where project_id = %s", PROJECT)


def test_a_script_stands_in_the_log_under_its_own_name(shop: Dashboard, program: dict[str, str]) -> None:
    made = httpx.post(
        f"{shop.url}/api/tokens", headers=program, json={"name": "tuner", "role": "admin", "projects": None}
    ).json()
    answer = httpx.put(
        f"{shop.url}/api/settings/sla", params={"project": PROJECT}, json={"value": {"near_threshold": 0.9}},
        headers={"authorization": f"Bearer {made['token']}"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    newest = "select actor, after from config.audit_log where object = 'near_threshold' order by audit_id desc limit 1"
    assert shop.rows(newest) == [{"actor": "token:tuner", "after": "0.9"}]
