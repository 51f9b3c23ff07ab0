"""Users on their pages and as JSON; changing one's own password."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from dashboard_process import PASSWORD, Dashboard

ANOTHER = "another horse 2"


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def id_of(dash: Dashboard, login: str) -> int:
    return int(dash.rows("select user_id from config.users where login = %s", login)[0]["user_id"])


def audited(dash: Dashboard, login: str) -> list[tuple[str, str, Any, Any]]:
    rows = dash.rows(
        "select actor, action, before, after from config.audit_log where object like %s order by audit_id",
        f"user {login}%",
    )
    return [(row["actor"], row["action"], row["before"], row["after"]) for row in rows if row["actor"] != "test"]


def form(browser: httpx.Client, dash: Dashboard, **fields: Any) -> dict[str, Any]:
    return {**fields, "csrf_token": browser.cookies[f"crm_elt_csrf_{dash.process.port}"]}


def test_an_admin_adds_a_user_changes_its_rights_and_keeps_it_out(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    as_admin = dash.bearer(admin)
    added = httpx.post(
        f"{dash.url}/api/users", headers=as_admin,
        json={"login": " Eve@Example.com", "password": PASSWORD, "role": "viewer", "projects": ["almond"]},
    )  # fmt: skip
    assert added.status_code == 201
    eve = added.json()
    assert (eve["login"], eve["role"], eve["projects"], eve["is_enabled"]) == (
        "eve@example.com", "viewer", ["almond"], True
    )  # fmt: skip
    as_eve = dash.bearer("eve@example.com")
    address = f"{dash.url}/api/users/{eve['user_id']}"
    session = f"{dash.url}/api/session"
    changed = httpx.put(address, headers=as_admin, json={"role": "viewer", "projects": ["print-shop"]})
    assert (changed.status_code, changed.json()["projects"]) == (200, ["print-shop"])
    assert httpx.get(session, headers=as_eve).json()["projects"] == ["print-shop"]

    assert httpx.put(address, headers=as_admin, json={"is_enabled": False}).json()["is_enabled"] is False
    assert code(httpx.get(session, headers=as_eve)) == (401, "session_ended")
    httpx.put(address, headers=as_admin, json={"is_enabled": True})

    assert httpx.put(f"{address}/password", headers=as_admin, json={"password": ANOTHER}).status_code == 204
    assert [dash.log_in("eve@example.com", PASSWORD).status_code for _ in range(5)] == [401] * 5
    assert dash.log_in("eve@example.com", ANOTHER).status_code == 429
    assert httpx.get(address, headers=as_admin).json()["locked_until"] is not None
    assert httpx.post(f"{address}/unlock", headers=as_admin).status_code == 204
    assert dash.log_in("eve@example.com", ANOTHER).status_code == 200

    by = f"user:{admin}"
    rights = [{"role": "viewer", "projects": [name]} for name in ("almond", "print-shop")]
    assert audited(dash, "eve@example.com") == [
        (by, "added", None, rights[0]),
        (by, "changed", rights[0], rights[1]),
        (by, "disabled", None, None),
        (by, "enabled", None, None),
        (by, "changed", None, None),
        (by, "unlocked", None, None),
    ]


def test_what_cannot_be_is_refused_with_a_sentence(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    as_admin, there = dash.bearer(admin), dash.user()
    own, other = id_of(dash, admin), id_of(dash, there)
    address = f"{dash.url}/api/users"
    new = {"login": "zoe", "password": PASSWORD, "role": "viewer", "projects": None}
    for change, sentence in (
        ({"login": there}, "There is a user"),
        ({"login": "token:zoe"}, "without blanks"),
        ({"password": "short"}, "at least 10 characters"),
        ({"projects": ["nowhere"]}, "There is no project 'nowhere'."),
        ({"role": "admin", "projects": ["almond"]}, "An admin sees all projects"),
    ):
        answer = httpx.post(address, headers=as_admin, json={**new, **change})
        assert (code(answer), sentence in answer.json()["detail"]) == ((422, "refused"), True), change
    for method, path, body in (
        ("PUT", f"{own}", {"is_enabled": False}),
        ("PUT", f"{own}", {"role": "viewer", "projects": None}),
        ("PUT", f"{own}/password", {"password": ANOTHER}),
        ("PUT", f"{other}", {"projects": ["almond"]}),
    ):
        assert code(httpx.request(method, f"{address}/{path}", headers=as_admin, json=body)) == (422, "refused"), body
    assert code(httpx.post(address, headers=as_admin, json={**new, "unknown": 1})) == (400, "invalid")
    assert code(httpx.get(f"{address}/{2**70}", headers=as_admin)) == (404, "unknown_user")
    assert dash.rows("select from config.users where login in ('zoe', 'token:zoe')") == []


def test_two_admins_who_demote_each_other_at_once_leave_one(dash: Dashboard) -> None:
    dash.execute("update config.users set is_enabled = false where role = 'admin'")
    pair = [dash.user(role="admin") for _ in range(2)]
    headers = [dash.bearer(login) for login in pair]
    ids = [id_of(dash, login) for login in pair]

    def demote(by: int) -> int:
        body = {"role": "viewer", "projects": None}
        return httpx.put(f"{dash.url}/api/users/{ids[1 - by]}", headers=headers[by], json=body).status_code

    with ThreadPoolExecutor(2) as threads:
        statuses = sorted(threads.map(demote, (0, 1)))
    assert statuses[0] == 200
    assert statuses[1] in (403, 422)
    assert len(dash.rows("select from config.users where role = 'admin' and is_enabled")) == 1


def test_the_pages_do_the_same_and_keep_what_was_typed(dash: Dashboard) -> None:
    admin = dash.user(role="admin")
    with dash.browser(admin) as browser:
        typed = {"login": "ivan petro", "password": PASSWORD, "role": "viewer", "scope": "some", "project": "almond"}
        refused = browser.post("/users/new", data=form(browser, dash, **typed))
        assert refused.status_code == 422
        assert "without blanks" in refused.text
        assert 'value="ivan petro"' in refused.text
        assert 'value="almond" checked' in refused.text
        assert PASSWORD not in refused.text
        nothing = {**typed, "login": "ivan", "project": []}
        assert "Choose at least one project" in browser.post("/users/new", data=form(browser, dash, **nothing)).text

        done = browser.post("/users/new", data=form(browser, dash, **{**typed, "login": "ivan"}))
        assert (done.status_code, done.headers["location"]) == (303, "/users")
        listed = browser.get("/users")
        assert "ivan may log in now" in listed.text
        assert "ivan may log in now" not in browser.get("/users").text
        user = f"/users/{id_of(dash, 'ivan')}"
        assert browser.post(f"{user}/disable", data=form(browser, dash)).headers["location"] == user
        assert "is kept out" in browser.get(user).text
        own = f"/users/{id_of(dash, admin)}"
        for path, fields in (("disable", {}), ("rights", {"role": "viewer", "scope": "all"}), ("password", {})):
            answer = browser.post(f"{own}/{path}", data=form(browser, dash, **fields))
            assert answer.status_code == 422, path
        assert dash.rows("select role, is_enabled from config.users where login = %s", admin) == [
            {"role": "admin", "is_enabled": True}
        ]


def test_a_viewer_is_refused_and_finds_no_link(dash: Dashboard) -> None:
    with dash.browser(dash.user()) as browser:
        assert 'href="/users"' not in browser.get("/").text
        page = browser.get("/users", headers={"accept": "text/html"})
        assert (page.status_code, "Only an admin may do this." in page.text) == (403, True)
        assert code(browser.post("/users/new", data=form(browser, dash, role="admin"))) == (403, "admins_only")


def test_everybody_changes_their_own_password_knowing_the_current_one(dash: Dashboard) -> None:
    login = dash.user()
    elsewhere = dash.bearer(login)
    with dash.browser(login) as browser:
        fields = {"current": PASSWORD, "password": ANOTHER, "again": ANOTHER}
        for change, status, sentence in (
            ({"current": "wrong password"}, 403, "The current password is wrong."),
            ({"again": "another horse 3"}, 422, "The two passwords differ"),
            ({"password": "short", "again": "short"}, 422, "at least 10 characters"),
        ):
            answer = browser.post("/account/password", data=form(browser, dash, **{**fields, **change}))
            assert (answer.status_code, sentence in answer.text) == (status, True), change
        done = browser.post("/account/password", data=form(browser, dash, **fields))
        assert (done.status_code, done.headers["location"]) == (303, "/account")
        assert "Your password is changed" in browser.get("/account").text  # this browser stays logged in
    assert code(httpx.get(f"{dash.url}/api/session", headers=elsewhere)) == (401, "session_ended")
    assert [dash.log_in(login, password).status_code for password in (PASSWORD, ANOTHER)] == [401, 200]
    assert audited(dash, login) == [(f"user:{login}", "changed", None, None)]


def test_guessing_the_current_password_locks_as_logging_in_does(dash: Dashboard) -> None:
    login = dash.user()
    headers, address = dash.bearer(login), f"{dash.url}/api/account/password"
    body = {"current": "wrong password", "password": ANOTHER}
    codes = [code(httpx.put(address, headers=headers, json=body)) for _ in range(6)]
    assert codes == [(403, "wrong_password")] * 5 + [(429, "locked")]
    right = httpx.put(address, headers=headers, json={**body, "current": PASSWORD})
    assert (code(right), "try again in 15 min" in right.json()["detail"]) == ((429, "locked"), True)
