"""Tokens for scripts: shown once, limited, revoked at once."""

from __future__ import annotations

import html
import re
from hashlib import sha256
from typing import Any

import httpx
from dashboard_process import Dashboard
from sse_client import listen

from tests.support.waiting import wait_until


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def make(dash: Dashboard, admin: str, **wish: Any) -> dict[str, Any]:
    answer = httpx.post(
        f"{dash.url}/api/tokens", headers=dash.bearer(admin), json={"role": "viewer", "projects": None, **wish}
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(made: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {made['token']}"}


def test_a_token_is_kept_as_a_hash_and_does_what_its_rights_say(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    made = make(dash, admin, name="nightly export", projects=["almond"])
    token = made["token"]
    assert re.fullmatch(r"crm_[\w-]{43}", token)
    [row] = dash.rows("select * from config.script_tokens where name = 'nightly export'")
    assert row["token_hash"] == sha256(token.encode()).digest()
    assert token not in str({**row, "token_hash": None})
    assert row["last_used_at"] is None

    session = httpx.get(f"{dash.url}/api/session", headers=bearer(made)).json()
    assert (session["login"], session["role"], session["projects"], session["expires_at"]) == (
        "token:nightly export", "viewer", ["almond"], None
    )  # fmt: skip
    seen = httpx.get(f"{dash.url}/api/projects", headers=bearer(made)).json()["items"]
    assert [project["project_id"] for project in seen] == ["almond"]
    [row] = dash.rows("select last_used_at is not null as used from config.script_tokens where name = 'nightly export'")
    assert row == {"used": True}
    other = httpx.get(f"{dash.url}/api/projects", headers=bearer(made), params={"project": "print-shop"})
    assert code(other) == (404, "unknown_project")
    assert code(httpx.get(f"{dash.url}/api/session", cookies={dash.cookie: token})) == (401, "not_logged_in")
    listed = httpx.get(f"{dash.url}/api/tokens", headers=dash.bearer(admin))
    assert token not in listed.text
    assert token not in dash.process.log()
    assert [
        (row["actor"], row["action"], row["after"])
        for row in dash.rows("select * from config.audit_log where object = 'token nightly export'")
    ] == [(f"user:{admin}", "added", {"role": "viewer", "projects": ["almond"], "expires_at": None})]


def test_no_token_makes_users_or_tokens_or_changes_a_password(dash: Dashboard) -> None:
    made = make(dash, dash.user(role="admin"), name="all rights", role="admin")
    for method, path, body in (
        ("GET", "/api/users", None),
        ("POST", "/api/tokens", {"name": "more", "projects": None}),
        ("PUT", "/api/account/password", {"current": "x", "password": "y"}),
        ("GET", "/account", None),
    ):
        answer = httpx.request(method, dash.url + path, headers=bearer(made), json=body)
        assert code(answer) == (403, "people_only"), path
    assert code(httpx.post(f"{dash.url}/logout", headers=bearer(made))) == (400, "invalid")
    assert code(httpx.post(f"{dash.url}/api/session/refresh", headers=bearer(made))) == (400, "invalid")


def test_a_token_that_is_revoked_is_refused_at_once_and_its_stream_ends(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    made = make(dash, admin, name="listener", projects=["print-shop"])
    with listen(dash.url, bearer(made)) as client:
        dash.publish(("print-shop", "order", "1"))
        client.wait_for(1)
        answer = httpx.delete(f"{dash.url}/api/tokens/{made['token_id']}", headers=dash.bearer(admin))
        assert answer.status_code == 204
        wait_until(lambda: client.has_ended)
    assert code(httpx.get(f"{dash.url}/api/session", headers=bearer(made))) == (401, "not_logged_in")
    again = httpx.delete(f"{dash.url}/api/tokens/{made['token_id']}", headers=dash.bearer(admin))
    assert code(again) == (404, "unknown_token")
    assert make(dash, admin, name="listener")["token"] != made["token"]  # the name is free again


def test_a_token_expires(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    made = make(dash, admin, name="for a day", expires_at="2999-01-01T00:00:00Z")
    assert httpx.get(f"{dash.url}/api/session", headers=bearer(made)).json()["expires_at"] == "2999-01-01T00:00:00Z"
    dash.execute("update config.script_tokens set expires_at = now() - interval '1 s' where name = 'for a day'")
    assert code(httpx.get(f"{dash.url}/api/session", headers=bearer(made))) == (401, "not_logged_in")


def test_what_cannot_be_is_refused_with_a_sentence(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    make(dash, admin, name="taken")
    for wish, sentence in (
        ({"name": " "}, "needs a name"),
        ({"name": "taken"}, "There is a token taken already"),
        ({"name": "x", "projects": ["nowhere"]}, "There is no project 'nowhere'."),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "would have expired already"),
    ):
        answer = httpx.post(f"{dash.url}/api/tokens", headers=dash.bearer(admin), json={"projects": None, **wish})
        assert (code(answer), sentence in answer.json()["detail"]) == ((422, "refused"), True), wish
    for bad in ("crm_", "crm_" + "x" * 43, "crm_" + "x" * 5000):
        headers = {"authorization": f"Bearer {bad}"}
        assert code(httpx.get(f"{dash.url}/api/session", headers=headers)) == (401, "not_logged_in")


def test_the_page_shows_a_token_once(dash: Dashboard) -> None:
    with dash.browser(dash.user(role="admin")) as browser:
        csrf = {"csrf_token": browser.cookies[f"crm_elt_csrf_{dash.process.port}"]}
        wish = {"name": "by the page", "role": "viewer", "scope": "all", "expires": "2999-12-31"}
        assert browser.post("/tokens", data={**csrf, **wish, "expires": "31.12.2999"}).status_code == 422
        page = browser.post("/tokens", data={**csrf, **wish})
        found = re.search(r"data-token>([^<]+)<", page.text)
        assert found is not None
        token = html.unescape(found[1])
        assert httpx.get(f"{dash.url}/api/session", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert page.headers["cache-control"] == "no-store"
        later = browser.get("/tokens").text
        assert token not in later
        assert "by the page" in later
        [row] = dash.rows("select token_id, expires_at from config.script_tokens where name = 'by the page'")
        assert row["expires_at"].isoformat() == "3000-01-01T00:00:00+00:00"  # the end of that day
        answer = browser.post(f"/tokens/{row['token_id']}/revoke", data=csrf)
        assert answer.headers["location"] == "/tokens"
        assert "is refused from now on" in browser.get("/tokens").text
