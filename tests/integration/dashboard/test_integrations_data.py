"""Webhooks, files and definitions of integrations, on a database without marts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dashboard_process import Dashboard

from database.repositories import webhook_statistics

DEFINITION = """
auth: {type: bearer}
entities:
  transactions:
    path: /payments
    records: $.data[*]
    fields: {id: $.id, occurred_at: $.paid_at, amount: $.amount, description: "{{ record.title | trim }} ${x}"}
"""
SAMPLE = json.dumps({"data": [{"id": 7, "paid_at": "2026-03-01T10:00:00Z", "amount": "12.50", "title": " Tea "}]})
FILE = (
    "date;phone;amount;description\n"
    "01.03.2026;+380671112233;100,50;Tea\n"
    "02.03.2026;+380671112244;-;Cake\n"
    "03.03.2026;12;20;Bun\n"
    "04.03.2026;+380671112255;7;Roll\n"
)


@pytest.fixture(scope="module")
def admin(dash: Dashboard) -> Iterator[httpx.Client]:
    for project, kind in (("salon", "csv"), ("clinic", "renovatio"), ("farm", "custom"), ("quiet", "keycrm")):
        dash.execute(
            "insert into config.projects (project_id, name, crm, timezone, region, currency, base_url) "
            "values (%s, %s, %s, 'Europe/Kyiv', 'UA', 'UAH', 'https://crm.example.com')",
            project, project.title(), kind,
        )  # fmt: skip
    with dash.browser(dash.user(role="admin")) as client:
        client.headers["x-csrf-token"] = client.get("/api/session").json()["csrf_token"]
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def land(dash: Dashboard, project: str, body: str, *, minutes_ago: int = 0) -> None:
    dash.execute(
        "insert into raw.webhook_events (project_id, crm, content_hash, body, received_at) "
        "values (%s, 'keycrm', sha256(convert_to(%s, 'UTF8')), %s, now() - %s * interval '1 minute')",
        project, body, body, minutes_ago,
    )  # fmt: skip


def tell(
    dash: Dashboard, project: str, order: str, hour: int, *, source: str = "webhook", minutes_ago: int = 0
) -> None:
    dash.execute(
        "insert into core.order_status_events "
        "(project_id, order_id, status_id, status_changed_at, source, dedup_key, ingested_at) "
        "values (%s, %s, '1', '2026-03-01T00:00Z'::timestamptz + %s * interval '1 hour', %s, %s, "
        "now() - %s * interval '1 minute')",
        project, order, hour, source, f"{order}-{hour}", minutes_ago,
    )  # fmt: skip


def counts(answer: httpx.Response) -> tuple[int, int, int, int]:
    told = answer.json()
    return told["received"], told["duplicates"], told["late"], told["refused"]


def test_webhooks_are_counted_by_kind_the_same_before_and_after_they_are_summed_up(
    dash: Dashboard, admin: httpx.Client
) -> None:
    for body, minutes in (("a", 2880), ("b", 30), ("a", 20), ("c", 10), ("b", 0), ("b", 0)):
        land(dash, "quiet", body, minutes_ago=minutes)
    land(dash, "almond", "a")  # of another project: neither counted nor a reason for a duplicate
    dash.execute(
        "insert into raw.webhook_events (project_id, crm, content_hash, body) values ('quiet', 'vms', '\\x00', '{}')"
    )
    # Order 1: 5 o'clock, then 3 (late), then 4 (late); order 2 in order, then late; order 3: the later one was pulled.
    for order, hour, source, minutes in (
        ("1", 5, "webhook", 20), ("1", 3, "webhook", 15), ("1", 4, "webhook", 12), ("2", 1, "webhook", 11),
        ("2", 2, "webhook", 10), ("3", 9, "pull", 9), ("3", 8, "webhook", 8), ("3", 7, "reread", 7),
        ("2", 0, "webhook", 0),
    ):  # fmt: skip
        tell(dash, "quiet", order, hour, source=source, minutes_ago=minutes)
    dash.do(
        lambda connection: webhook_statistics.add_refusals(
            connection, {("quiet", "not_authentic"): 2, ("quiet", "unreadable"): 1, ("almond", "too_large"): 9}
        )
    )
    dash.do(lambda connection: webhook_statistics.add_refusals(connection, {("quiet", "not_authentic"): 1}))
    path = "/api/integrations/quiet/webhooks"
    before = admin.get(path)
    assert counts(before) == (6, 3, 4, 4)
    assert before.json()["refused_by_code"] == {"not_authentic": 3, "unreadable": 1}
    assert before.json()["last_refused_at"] is not None
    dash.do(webhook_statistics.roll_up_all)
    [marks] = dash.rows(
        "select event_id > 0 as a, status_event_id > 0 as b from sync.webhook_marks where project_id = 'quiet'"
    )
    assert marks == {"a": True, "b": True}
    assert admin.get(path).json() == before.json()
    dash.do(webhook_statistics.roll_up_all)
    assert admin.get(path).json() == before.json()
    land(dash, "quiet", "c")
    assert counts(admin.get(path)) == (7, 4, 4, 4)
    days = admin.get(path).json()["days"]
    [landed] = dash.rows(  # half an hour ago may be yesterday
        "select count(distinct (received_at at time zone 'UTC')::date) as days from raw.webhook_events "
        "where project_id = 'quiet' and crm = 'keycrm'"
    )
    assert (len(days), days[0]["received"]) == (landed["days"], 1)


def test_payloads_are_shown_masked_and_those_of_a_clinic_never(dash: Dashboard, admin: httpx.Client) -> None:
    person = {"name": "Олена Коваль", "phone": "+380671112233", "email": "olena@example.com", "token": "tok-1"}
    body = json.dumps({"event": "order.change", "buyer": person, "note": "call 0671112233"}, ensure_ascii=False)
    for number in range(25):
        land(dash, "print-shop", body.replace("order.change", f"order.change.{number}"))
    land(dash, "clinic", body)
    first = admin.get("/api/integrations/print-shop/webhooks/payloads").json()
    assert (len(first["items"]), "order.change.24" in first["items"][0]["text"]) == (20, True)
    second = admin.get(f"/api/integrations/print-shop/webhooks/payloads?after={first['next']}").json()
    assert (len(second["items"]), second["next"]) == (5, None)
    page = admin.get("/integrations/print-shop/webhooks").text
    assert "order.change.24" in page
    clinic = admin.get("/api/integrations/clinic/webhooks/payloads").json()
    assert clinic == {"items": [], "next": None, "is_medical": True}
    shown = json.dumps([first, second], ensure_ascii=False) + page + admin.get("/integrations/clinic/webhooks").text
    for secret in ("Олена", "Коваль", "71112233", "olena@", "tok-1"):
        assert secret not in shown, secret
    assert "order.change" not in admin.get("/integrations/clinic/webhooks").text


def test_a_file_is_imported_by_a_form_without_scripts_and_its_bad_rows_are_named(
    dash: Dashboard, admin: httpx.Client
) -> None:
    with dash.browser(dash.user(role="admin")) as browser:  # sends no header of ours
        proof = browser.get("/api/session").json()["csrf_token"]
        file = {"file": ("till.csv", FILE.encode(), "text/csv")}
        assert browser.post("/integrations/salon/files", files=file).status_code == 403
        assert browser.post("/integrations/salon/files", files=file, data={"csrf_token": "0" * 64}).status_code == 403
        foreign = {"origin": "https://evil.example.com"}
        answer = browser.post("/integrations/salon/files", files=file, data={"csrf_token": proof}, headers=foreign)
        assert answer.status_code == 403
        assert dash.rows("select 1 from sync.csv_imports") == []
        answer = browser.post("/integrations/salon/files", files=file, data={"csrf_token": proof})
        assert answer.status_code == 303, answer.text
        where = answer.headers["location"]
        page = browser.get(where).text
        again = browser.post("/integrations/salon/files", files=file, data={"csrf_token": proof})
        empty = browser.post(
            "/integrations/salon/files", files={"file": ("none.csv", b" ", "text/csv")}, data={"csrf_token": proof}
        )
    assert (empty.status_code, "Choose a file that is not empty." in empty.text) == (422, True)
    first, second = (
        admin.get(f"/api{path}".replace("files", "uploads")).json() for path in (where, again.headers["location"])
    )
    assert (first["state"], first["imported"], first["duplicates"], first["errors"]) == ("done", 2, 0, 2)
    assert (second["imported"], second["duplicates"], second["errors"]) == (0, 2, 2)
    assert [row["row"] for row in first["error_rows"]] == [3, 4]
    for row in first["error_rows"]:
        assert row["reason"] in page.replace("&#39;", "'").replace("&#34;", '"')
    report = admin.get(first["report_url"])
    assert report.headers["content-disposition"] == f'attachment; filename="import-{first["upload_id"]}.csv"'
    lines = report.text.splitlines()
    assert (len(lines), lines[1].startswith("3;"), "Cake" in lines[1], lines[2].startswith("4;")) == (
        3,
        True,
        True,
        True,
    )
    assert [job["upload_id"] for job in admin.get("/api/integrations/salon/uploads").json()["items"]] == [
        second["upload_id"], first["upload_id"],
    ]  # fmt: skip
    page_1 = admin.get("/api/integrations/salon/uploads?limit=1").json()
    page_2 = admin.get(f"/api/integrations/salon/uploads?limit=1&after={page_1['next']}").json()
    pages = [[job["upload_id"] for job in one["items"]] for one in (page_1, page_2)]
    assert (pages, page_2["next"]) == ([[second["upload_id"]], [first["upload_id"]]], None)
    assert code(admin.get("/api/integrations/salon/uploads?after=x")) == (400, "invalid_cursor")
    assert "till.csv" in admin.get("/integrations/salon/files").text


def test_a_program_uploads_a_file_as_the_body_and_a_large_one_is_left_to_the_relay(
    dash: Dashboard, admin: httpx.Client
) -> None:
    told = admin.post("/api/integrations/salon/uploads?filename=now.csv", content=FILE.replace("Tea", "Milk").encode())
    assert (told.status_code, told.json()["filename"], told.json()["updated"]) == (201, "now.csv", 1)
    [entry] = dash.rows("select * from config.audit_log where action = 'uploaded' order by audit_id desc limit 1")
    assert entry["actor"].startswith("user:user-")
    assert (entry["project_id"], entry["object"], entry["after"]["filename"]) == ("salon", "file", "now.csv")
    assert entry["after"]["upload"] == told.json()["upload_id"]
    assert "uploaded a file" in admin.get("/audit?action=uploaded").text
    assert code(admin.post("/api/integrations/quiet/uploads", content=b"x")) == (404, "no_files")
    large = "date;phone;amount;description\n" + "01.03.2026;+380671112233;1;x\n" * 40_000
    waiting = admin.post("/api/integrations/salon/uploads", content=large.encode())
    assert (waiting.status_code, waiting.json()["state"]) == (202, "queued")
    page = admin.get(waiting.headers["location"].replace("/api", "").replace("uploads", "files")).text
    assert "The import is under way." in page
    assert code(admin.get(f"{waiting.headers['location']}/report")) == (409, "under_way")
    too_large = admin.post("/api/integrations/salon/uploads", content=b"x" * (10 * 1024 * 1024 + 1))
    assert code(too_large) == (413, "too_large")
    dash.execute("delete from sync.csv_imports where state = 'queued'")


def multipart(**values: str) -> dict[str, Any]:
    return {name: (None, value) for name, value in values.items()}


def test_a_definition_is_tried_on_a_sample_and_kept(dash: Dashboard, admin: httpx.Client) -> None:
    path = "/integrations/farm/definition"
    broken = DEFINITION.replace("$.amount", "$.sum")
    page = admin.post(path, files=multipart(action="try", definition=broken, sample=SAMPLE)).text
    assert "not passed" in page
    assert "2026-03-01" in page
    assert dash.rows("select options from config.projects where project_id = 'farm'") == [{"options": {}}]
    wrong = admin.post(path, files=multipart(action="save", definition="entities: {leads: {}}", sample=""))
    assert wrong.status_code == 422
    assert "unknown entity" in wrong.text
    assert "entities: {leads: {}}" in wrong.text
    no_yaml = admin.post(path, files=multipart(action="try", definition="a: [", sample=SAMPLE))
    assert (no_yaml.status_code, "not YAML" in no_yaml.text) == (422, True)
    no_credential = admin.post(path, files=multipart(action="save", definition=DEFINITION, sample=SAMPLE))
    assert (no_credential.status_code, "custom needs `token`" in no_credential.text) == (422, True)
    dash.execute(
        "insert into config.credentials (project_id, name, key_id, nonce, ciphertext) "
        "values ('farm', 'token', 'k', '\\x000000000000000000000000', '\\x00')"
    )
    saved = admin.post(path, files=multipart(action="save", definition=broken, sample=SAMPLE), follow_redirects=True)
    assert "has not passed a test" in saved.text
    [row] = dash.rows("select is_enabled, disabled_reason from config.projects where project_id = 'farm'")
    assert row == {"is_enabled": False, "disabled_reason": "its definition has not passed a test yet"}
    assert code(admin.put("/api/integrations/farm/state", json={"is_enabled": True})) == (409, "untried")
    saved = admin.post(
        path, files=multipart(action="save", definition=DEFINITION, sample=SAMPLE), follow_redirects=True
    )
    assert "Saved: the project is pulled with this definition." in saved.text
    [row] = dash.rows("select is_enabled, options from config.projects where project_id = 'farm'")
    assert row["is_enabled"] is True
    fields = row["options"]["definition"]["entities"]["transactions"]["fields"]
    assert fields["description"] == "{{ record.title | trim }} ${x}"


def test_the_sandbox_tells_programs_what_each_field_becomes(admin: httpx.Client) -> None:
    body = {
        "definition": {
            "entities": {
                "transactions": {
                    "path": "/p", "records": "$.data[*]",
                    "fields": {"id": "$.id", "occurred_at": "$.paid_at", "amount": "$.title", "phone": "$.phone"},
                }
            }
        },
        "sample": SAMPLE,
    }  # fmt: skip
    told = admin.post("/api/integrations/farm/definition/trial", json=body).json()
    assert (told["entity"], told["is_passed"], len(told["records"])) == ("transactions", False, 1)
    states = {field["name"]: field["state"] for field in told["records"][0]["fields"]}
    assert states == {"id": "ok", "occurred_at": "ok", "amount": "failed", "phone": "empty"}
    assert code(admin.post("/api/integrations/farm/definition/trial", json={**body, "sample": "<"})) == (422, "refused")
    assert code(admin.post("/api/integrations/salon/definition/trial", json=body)) == (404, "no_definition")
