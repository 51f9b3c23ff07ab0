"""`/api/integrations*` and its pages, on a database without marts: who may do what, and no secret in any answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dashboard_process import Dashboard

from connectors.keycrm.simulator import SimulatorState, create_app
from database.encryption import Keyring
from database.repositories import credentials
from demo.http_server import serve

CANARY = "canary-6c1f0b-do-not-show"
DEFINITION = {
    "auth": {"type": "bearer"},
    "entities": {
        "transactions": {
            "path": "/payments", "records": "$.data[*]",
            "fields": {"id": "$.id", "occurred_at": "$.paid_at", "amount": "$.amount", "phone": "$.phone"},
        }
    },
}  # fmt: skip
SAMPLE = json.dumps(
    {"data": [{"id": 7, "paid_at": "2026-03-01T10:00:00Z", "amount": "12.50", "phone": "+380671112233"}]}
)


@pytest.fixture(scope="module")
def crm(dash: Dashboard) -> Iterator[SimulatorState]:
    """print-shop is an account of a simulator; salon takes files, farm is defined, clinic has health data."""
    state = SimulatorState(api_key="right-key", seed=1)
    with serve(create_app(state)) as address:
        dash.execute("update config.projects set base_url = %s where project_id = 'print-shop'", f"{address}/v1")
        for project, kind in (("salon", "csv"), ("clinic", "renovatio"), ("deals", "amocrm")):
            dash.execute(
                "insert into config.projects (project_id, name, crm, timezone, region, base_url) "
                "values (%s, %s, %s, 'Europe/Kyiv', 'UA', 'https://shop.amocrm.ru')",
                project, project.title(), kind,
            )  # fmt: skip
        dash.execute(
            "insert into config.projects (project_id, name, crm, timezone, region, base_url, options, is_enabled) "
            "values ('farm', 'Farm', 'custom', 'Europe/Kyiv', 'UA', 'https://farm.example.com', %s, true)",
            json.dumps({"definition": DEFINITION}),
        )
        store(dash, "print-shop", api_key="right-key")
        store(dash, "farm", token="secret-of-the-farm")
        yield state


def store(dash: Dashboard, project: str, **values: str) -> None:
    keyring = Keyring.load(dash.environment)
    dash.do(lambda connection: _store(connection, keyring, project, values))


async def _store(connection: Any, keyring: Keyring, project: str, values: dict[str, str]) -> None:
    async with connection.transaction():
        await credentials.store(connection, keyring, project, values)


def stored(dash: Dashboard, project: str) -> dict[str, str]:
    keyring = Keyring.load(dash.environment)
    return dash.do(lambda connection: credentials.load(connection, keyring, project))


@pytest.fixture(scope="module")
def admin(dash: Dashboard, crm: SimulatorState) -> Iterator[httpx.Client]:
    with dash.browser(dash.user(role="admin")) as client:
        client.headers["x-csrf-token"] = client.get("/api/session").json()["csrf_token"]
        yield client


@pytest.fixture(scope="module")
def viewer(dash: Dashboard, crm: SimulatorState) -> Iterator[httpx.Client]:
    with dash.browser(dash.user(projects=["print-shop", "salon", "farm"])) as client:
        client.headers["x-csrf-token"] = client.get("/api/session").json()["csrf_token"]
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def test_one_sees_the_integrations_of_ones_projects_even_before_the_marts_are_built(
    admin: httpx.Client, viewer: httpx.Client
) -> None:
    items = viewer.get("/api/integrations").json()["items"]
    assert [(item["project_id"], item["crm"], item["statistics"]) for item in items] == [
        ("farm", "custom", None), ("print-shop", "keycrm", None), ("salon", "csv", None),
    ]  # fmt: skip
    first = admin.get("/api/integrations?limit=2").json()
    assert [item["project_id"] for item in first["items"]] == ["almond", "clinic"]
    assert first["next"] == "clinic"
    assert admin.get("/api/integrations?limit=2&after=clinic").json()["items"][0]["project_id"] == "deals"
    assert code(viewer.get("/api/integrations/clinic")) == (404, "unknown_project")
    assert "Statistics appear after the first build" in viewer.get("/integrations").text


def test_every_page_opens_for_every_kind_of_project(admin: httpx.Client) -> None:
    for project, tabs in (
        ("print-shop", ("", "/access", "/webhooks", "/logs")), ("salon", ("", "/access", "/files", "/logs")),
        ("farm", ("", "/access", "/webhooks", "/definition", "/logs")), ("clinic", ("", "/access", "/webhooks")),
        ("deals", ("", "/access", "/webhooks", "/logs")),
    ):  # fmt: skip
        for tab in tabs:
            page = admin.get(f"/integrations/{project}{tab}")
            assert page.status_code == 200, (project, tab, page.text[-500:])
            assert page.text.count("<h1>") == 1
    assert admin.get("/integrations/print-shop/files", headers={"accept": "text/html"}).status_code == 404
    assert admin.get("/integrations/print-shop/definition", headers={"accept": "text/html"}).status_code == 404


def test_a_viewer_reads_and_changes_nothing(dash: Dashboard, viewer: httpx.Client) -> None:
    before = dash.rows("select count(*) as n from config.audit_log"), stored(dash, "print-shop")
    for method, path, body in (
        ("POST", "print-shop/test", None), ("POST", "print-shop/syncs", {}),
        ("PUT", "print-shop/state", {"is_enabled": False}), ("POST", "print-shop/webhooks/secret", None),
        ("PUT", "print-shop/credentials", {"values": {"api_key": "x"}}),
        ("POST", "salon/uploads", None), ("GET", "salon/uploads/1/report", None),
        ("POST", "farm/definition/trial", {"definition": DEFINITION, "sample": SAMPLE}),
    ):  # fmt: skip
        assert code(viewer.request(method, f"/api/integrations/{path}", json=body)) == (403, "admins_only"), path
    for path in (
        "print-shop/test", "print-shop/state", "print-shop/syncs", "print-shop/access/credentials",
        "print-shop/webhooks/secret", "print-shop/webhooks/register", "salon/files", "farm/definition", "add/project",
    ):  # fmt: skip
        answer = viewer.post(f"/integrations/{path}", data={"enabled": "false"})
        assert answer.status_code == 403, path
    assert viewer.get("/integrations/print-shop/oauth").status_code == 403
    assert viewer.get("/integrations/add/project").status_code == 403
    for path in ("print-shop", "print-shop/access", "print-shop/webhooks", "salon/files", "farm/definition"):
        page = viewer.get(f"/integrations/{path}").text
        own = page.split("<main", 1)[1].split("</main>", 1)[0]
        assert 'method="post"' not in own, path
        assert "<button class" not in own, path
    assert (dash.rows("select count(*) as n from config.audit_log"), stored(dash, "print-shop")) == before


def test_a_credential_is_replaced_audited_and_shown_nowhere(
    dash: Dashboard, admin: httpx.Client, viewer: httpx.Client
) -> None:
    try:
        answer = admin.put("/api/integrations/print-shop/credentials", json={"values": {"api_key": CANARY}})
        assert answer.status_code == 200, answer.text
        [item] = answer.json()["items"]
        assert (item["name"], item["is_required"]) == ("api_key", True)
        assert item["set_at"] is not None
        assert stored(dash, "print-shop") == {"api_key": CANARY}
        [entry] = dash.rows(
            "select actor, action, before, after from config.audit_log where object = 'credential api_key' "
            "and project_id = 'print-shop' order by audit_id desc limit 1"
        )
        assert (entry["action"], entry["before"], entry["after"]) == ("changed", None, None)
        assert "user-" in entry["actor"]
        told = admin.post("/api/integrations/print-shop/test").json()
        assert (told["ok"], "api_key" in told["message"]) == (False, True)
        page = admin.post("/integrations/print-shop/test", follow_redirects=True)
        assert 'class="flash problem"' in page.text
        everything = [told["message"], page.text]
        for client in (admin, viewer):
            for path in (
                "/integrations", "/integrations/print-shop", "/integrations/print-shop/access",
                "/integrations/print-shop/webhooks", "/integrations/print-shop/logs", "/api/integrations",
                "/api/integrations/print-shop", "/api/integrations/print-shop/credentials",
                "/api/integrations/print-shop/logs", "/api/integrations/print-shop/webhooks",
                "/api/integrations/print-shop/webhooks/payloads", "/api/integrations/print-shop/statistics",
            ):  # fmt: skip
                shown = client.get(path)
                assert shown.status_code == 200, path
                everything.append(shown.text)
        refused = admin.put("/api/integrations/print-shop/credentials", json={"values": {"api_kee": CANARY}})
        assert code(refused) == (422, "invalid")
        again = admin.post("/integrations/print-shop/access/credentials", data={"credential.api_kee": CANARY})
        assert again.status_code == 422
        everything += [refused.text, again.text, json.dumps(dash.rows("select before, after from config.audit_log"))]
        assert not [text for text in everything if CANARY in text]
    finally:
        store(dash, "print-shop", api_key="right-key")
    assert admin.post("/api/integrations/print-shop/test").json()["ok"] is True


def test_a_form_without_values_and_a_value_of_blanks_are_refused_with_a_sentence(admin: httpx.Client) -> None:
    page = admin.post("/integrations/print-shop/access/credentials", data={"credential.api_key": " "})
    assert (page.status_code, "Give at least one credential." in page.text) == (422, True)
    answer = admin.put("/api/integrations/print-shop/credentials", json={"values": {"api_key": " "}})
    assert (code(answer), answer.json()["detail"]) == ((422, "invalid"), "api_key: give a value.")


def test_a_project_is_disabled_with_a_reason_and_enabled_again(dash: Dashboard, admin: httpx.Client) -> None:
    page = admin.post(
        "/integrations/print-shop/state", data={"enabled": "false", "reason": "new  account"}, follow_redirects=True
    )
    assert "This project is disabled: new account." in page.text
    told = admin.get("/api/integrations/print-shop").json()
    assert (told["is_enabled"], told["disabled_reason"]) == (False, "new account")
    answer = admin.put("/api/integrations/print-shop/state", json={"is_enabled": True})
    assert answer.json() == {"project_id": "print-shop", "is_enabled": True, "has_changed": True}
    assert admin.put("/api/integrations/print-shop/state", json={"is_enabled": True}).json()["has_changed"] is False
    entries = dash.rows(
        "select action, after from config.audit_log where object = 'project' and project_id = 'print-shop' "
        "order by audit_id desc limit 2"
    )
    assert [(one["action"], one["after"]) for one in entries] == [
        ("enabled", None), ("disabled", {"reason": "new account"}),
    ]  # fmt: skip


def test_a_new_webhook_secret_is_shown_once_and_is_the_one_that_is_stored(dash: Dashboard, admin: httpx.Client) -> None:
    dash.execute("""update config.projects set webhook = '{"auth": "token"}' where project_id = 'print-shop'""")
    page = admin.post("/integrations/print-shop/webhooks/secret").text
    secret = stored(dash, "print-shop")["webhook.secret"]
    assert len(secret) >= 40
    assert f"/webhooks/keycrm/print-shop?token={secret}" in page
    later = admin.get("/integrations/print-shop/webhooks").text
    assert secret not in later
    assert "/webhooks/keycrm/print-shop?token=…" in later
    told = admin.post("/api/integrations/print-shop/webhooks/secret")
    assert told.status_code == 201
    assert told.json()["secret"] == stored(dash, "print-shop")["webhook.secret"] != secret
    dash.execute("""update config.projects set webhook = '{"auth": "none"}' where project_id = 'print-shop'""")
    assert code(admin.post("/api/integrations/print-shop/webhooks/secret")) == (409, "no_secret")
    dash.execute("update config.projects set webhook = '{}' where project_id = 'print-shop'")


def test_what_is_done_at_a_crm_is_in_the_audit_log_whether_it_works_or_not(
    dash: Dashboard, admin: httpx.Client
) -> None:
    actor = f"user:{admin.get('/api/session').json()['login']}"
    [start] = dash.rows("select max(audit_id) as id from config.audit_log")
    queued = admin.post("/api/integrations/print-shop/syncs", json={"since": "2026-02-03", "stream": "orders"}).json()
    assert admin.post("/api/integrations/salon/syncs", json={}).status_code == 422  # nothing was done
    admin.post("/integrations/print-shop/test")
    admin.post("/api/integrations/clinic/test")
    admin.post("/integrations/print-shop/webhooks/register")
    entries = dash.rows(
        "select actor, action, project_id, object, after from config.audit_log where audit_id > %s order by audit_id",
        start["id"],
    )
    asked = {"request": queued["request_id"], "stream": "orders", "since": "2026-02-02T22:00:00+00:00", "full": False}
    assert [tuple(one.values()) for one in entries] == [
        (actor, "asked", "print-shop", "synchronisation", asked),
        (actor, "tested", "print-shop", "connection", {"ok": True}),
        (actor, "tested", "clinic", "connection", {"ok": False}),
        (actor, "registered", "print-shop", "address for webhooks", entries[3]["after"]),
    ]
    assert entries[3]["after"].keys() == {"ok"}
    shown = admin.get("/audit?action=tested").text
    assert "tested the connection to the CRM" in shown
    spoken = admin.get("/audit?action=tested", headers={"accept-language": "uk"}).text
    assert "перевірено з’єднання з CRM" in spoken
    assert "запрошена синхронизация" in admin.get("/audit?action=asked", headers={"accept-language": "ru"}).text


def test_a_sync_is_queued_once_and_told_of_in_a_sentence(dash: Dashboard, admin: httpx.Client) -> None:
    answer = admin.post("/api/integrations/print-shop/syncs", json={"since": "2026-02-01", "full": True})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["state"], told["is_full"], told["since"]) == ("queued", True, "2026-01-31T22:00:00Z")
    assert told["sentence"].startswith("The synchronisation waits for its turn")
    page = admin.post("/integrations/print-shop/syncs", data={"since": "2026-02-01", "full": "true"})
    assert page.headers["location"] == f"/integrations/print-shop/syncs/{told['request_id']}"
    under_way = admin.get(page.headers["location"])
    assert '<meta http-equiv="refresh"' in under_way.text
    result = {
        "streams": [
            {"stream": "orders", "state": "success", "seen": 9, "new": 2, "changed": 1, "unchanged": 6, "failed": 0}
        ],
        "applied": {"rows": 3, "failed": 1},
    }  # fmt: skip
    dash.execute(
        "update sync.requests set state = 'done', started_at = now() - interval '1 hour', finished_at = now(), "
        "result = %s where request_id = %s",
        json.dumps(result), told["request_id"],
    )  # fmt: skip
    for name, minutes in (("A", 30), ("A", 20), ("B", 10), ("C", 90)):
        dash.execute(
            "insert into core.transaction_changes "
            "(project_id, external_id, crm, occurred_at, amount, is_medical, state, changed_at) "
            "values ('print-shop', %s, 'keycrm', now(), 1, false, 'active', now() - %s * interval '1 minute')",
            name, minutes,
        )  # fmt: skip
    done = admin.get(told["status_url"]).json()
    assert (done["is_over"], done["transactions"], done["records_failed"]) == (True, 2, 1)
    assert done["sentence"] == "2 transactions synchronised. 9 records read: 2 new, 1 changed."
    spoken = admin.get(told["status_url"], headers={"accept-language": "uk"}).json()["sentence"]
    assert spoken.startswith("Синхронізовано 2 транзакції.")
    assert done["sentence"] in admin.get(page.headers["location"]).text


@pytest.mark.parametrize(
    ("project", "body", "said"),
    [
        ("print-shop", {"since": "yesterday"}, "since: expected a time such as"),
        ("print-shop", {"since": "2999-01-01"}, "lies in the future"),
        ("print-shop", {"stream": "leads"}, "keycrm has no stream of this name"),
        ("salon", {}, "its records come as files"),
    ],
)
def test_a_sync_that_cannot_be_is_refused_with_a_sentence(
    admin: httpx.Client, project: str, body: dict[str, Any], said: str
) -> None:
    answer = admin.post(f"/api/integrations/{project}/syncs", json=body)
    assert code(answer) == (422, "invalid")
    assert said in answer.json()["detail"]


def test_logs_are_paged_by_the_newest_first_and_filtered_by_level(dash: Dashboard, viewer: httpx.Client) -> None:
    dash.execute(
        "insert into sync.integration_logs (project_id, level, message) "
        "select 'farm', case when mod(n, 50) = 0 then 'error' else 'info' end, 'entry ' || n "
        "from generate_series(1, 150) as n"
    )
    dash.execute(
        "insert into sync.integration_logs (project_id, level, message) values ('almond', 'error', 'of somebody else')"
    )
    first = viewer.get("/api/integrations/farm/logs").json()
    assert [first["items"][0]["message"], first["items"][-1]["message"]] == ["entry 150", "entry 51"]
    second = viewer.get(f"/api/integrations/farm/logs?after={first['next']}").json()
    assert (len(second["items"]), second["items"][-1]["message"], second["next"]) == (50, "entry 1", None)
    errors = viewer.get("/api/integrations/farm/logs?level=error").json()["items"]
    assert [item["message"] for item in errors] == ["entry 150", "entry 100", "entry 50"]
    page = viewer.get("/integrations/farm/logs?level=error").text
    assert re.findall(r"entry \d+", page) == ["entry 150", "entry 100", "entry 50"]
    older = re.search(r'rel="next" href="([^"]+)"', viewer.get("/integrations/farm/logs").text)
    assert older is not None
    assert re.findall(r"entry \d+", viewer.get(older[1]).text)[0] == "entry 50"
    assert code(viewer.get("/api/integrations/farm/logs?level=fatal")) == (400, "invalid")


def test_the_button_for_access_in_the_browser_leads_to_the_crm_with_a_state(
    dash: Dashboard, admin: httpx.Client
) -> None:
    assert "not granted" in admin.get("/integrations/deals/access").text
    without = admin.get("/integrations/deals/oauth", follow_redirects=True)
    assert 'class="flash problem"' in without.text
    store(dash, "deals", client_id="cid-1", client_secret="cs-hidden", redirect_uri="https://hooks.example.com/cb")
    page = admin.get("/integrations/deals/access").text
    assert 'href="/integrations/deals/oauth"' in page
    there = admin.get("/integrations/deals/oauth")
    assert there.status_code == 303
    address = httpx.URL(there.headers["location"])
    assert (address.host, address.path, address.params["client_id"]) == ("www.amocrm.ru", "/oauth", "cid-1")
    assert len(address.params["state"]) > 80
    assert "cs-hidden" not in page + there.headers["location"]


def test_a_project_is_added_with_its_credentials_or_all_that_is_wrong_is_said(
    dash: Dashboard, admin: httpx.Client
) -> None:
    assert 'name="credential.api_key"' in admin.get("/integrations/add/project?crm=keycrm").text
    wrong = admin.post(
        "/integrations/add/project",
        data={"crm": "keycrm", "id": "New Shop", "name": "New", "timezone": "Europe/Nowhere", "options": "source: 2"},
    )
    assert wrong.status_code == 422
    for said in ("needs `api_key`", "Europe/Nowhere", "has no such option", 'value="New Shop"'):
        assert said in wrong.text.replace("&#34;", '"'), said
    given = {
        "crm": "keycrm", "id": "new-shop", "name": "New shop", "timezone": "Europe/Kyiv", "options": "source_id: 2",
        "credential.api_key": CANARY, "currency": "UAH",
    }  # fmt: skip
    added = admin.post("/integrations/add/project", data=given)
    assert (added.status_code, added.headers["location"]) == (303, "/integrations/new-shop")
    assert stored(dash, "new-shop") == {"api_key": CANARY}
    [row] = dash.rows("select crm, currency, options, is_enabled from config.projects where project_id = 'new-shop'")
    assert row == {"crm": "keycrm", "currency": "UAH", "options": {"source_id": 2}, "is_enabled": True}
    assert CANARY not in admin.get("/integrations/new-shop/access").text
    twice = admin.post("/integrations/add/project", data=given)
    assert (twice.status_code, "there is a project of this id already" in twice.text) == (422, True)
    assert CANARY not in wrong.text + twice.text
