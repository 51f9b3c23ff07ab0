"""Logging in, staying logged in, logging out; and who is kept out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from dashboard_process import PASSWORD, Dashboard

from dashboard import users
from dashboard.tokens import Tokens
from database.encryption import Keyring, new_key
from database.environment import Environment
from tests.support.waiting import wait_until


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_json_gives_a_program_a_token_that_says_who_it_is(dash: Dashboard) -> None:
    login = dash.user(projects=["print-shop"])
    answer = dash.log_in(login.upper() + " ")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.json()["token_type"] == "Bearer"
    session = httpx.get(
        f"{dash.url}/api/session", headers={"authorization": f"bearer {answer.json()['access_token']}"}
    ).json()
    assert (session["login"], session["role"], session["projects"]) == (login, "viewer", ["print-shop"])


def test_a_form_gives_a_browser_a_cookie_that_scripts_cannot_read(dash: Dashboard) -> None:
    login = dash.user(role="admin")
    answer = httpx.post(f"{dash.url}/login", data={"login": login, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookies = {line.split("=")[0]: line.lower() for line in answer.headers.get_list("set-cookie")}
    session = cookies[dash.cookie]
    assert "httponly" in session
    assert "samesite=lax" in session
    assert "httponly" not in cookies[f"crm_elt_csrf_{dash.process.port}"]
    with dash.browser(login) as browser:
        page = browser.get("/")
        assert (page.status_code, login in page.text) == (200, True)
        assert browser.get("/api/session").json()["role"] == "admin"


def test_behind_https_the_cookie_is_for_https_alone(dash: Dashboard) -> None:
    answer = httpx.post(
        f"{dash.url}/login",
        data={"login": dash.user(), "password": PASSWORD},
        headers={"x-forwarded-proto": "https"},
    )
    assert all("secure" in line.lower() for line in answer.headers.get_list("set-cookie"))


def test_a_wrong_password_and_an_unknown_login_are_answered_alike(dash: Dashboard) -> None:
    wrong, unknown = dash.log_in(dash.user(), "wrong password"), dash.log_in("nobody-at-all", "wrong password")
    assert code(wrong) == code(unknown) == (401, "wrong_login")
    assert wrong.json() == unknown.json()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"login": "a"}', b'{"login": "", "password": "x"}',
        b'{"login": "a\\u0000", "password": "x"}',
    ],
)  # fmt: skip
def test_a_login_that_is_none_is_refused_with_a_sentence(dash: Dashboard, body: bytes) -> None:
    answer = httpx.post(f"{dash.url}/login", content=body, headers={"content-type": "application/json"})
    assert code(answer) == (400, "invalid")


def test_a_form_that_fails_shows_the_page_again_with_what_was_wrong(dash: Dashboard) -> None:
    answer = httpx.post(
        f"{dash.url}/login", data={"login": dash.user(), "password": "<b>"}, headers={"accept": "text/html"}
    )
    assert answer.status_code == 401
    assert "The login or the password is wrong." in answer.text
    assert "set-cookie" not in answer.headers


def test_five_failures_lock_a_login_even_for_the_right_password(dash: Dashboard) -> None:
    login = dash.user()
    assert [code(dash.log_in(login, "wrong password")) for _ in range(5)] == [(401, "wrong_login")] * 5
    locked = dash.log_in(login)
    assert code(locked) == (429, "locked")
    assert 0 < int(locked.headers["retry-after"]) <= 900
    dash.execute("update config.users set locked_until = now() - interval '1 s' where login = %s", login)
    assert dash.log_in(login).status_code == 200
    assert dash.rows("select failed_logins, locked_until from config.users where login = %s", login) == [
        {"failed_logins": 0, "locked_until": None}
    ]


def test_failures_of_long_ago_do_not_count(dash: Dashboard) -> None:
    login = dash.user()
    for _ in range(2):
        assert [dash.log_in(login, "wrong password").status_code for _ in range(4)] == [401] * 4
        dash.execute(
            "update config.users set failing_since = failing_since - interval '16 minutes' where login = %s", login
        )
    assert dash.log_in(login).status_code == 200


def test_an_unknown_login_is_locked_just_as_a_known_one(dash: Dashboard) -> None:
    answers = [code(dash.log_in("somebody-else", "wrong password")) for _ in range(6)]
    assert answers == [(401, "wrong_login")] * 5 + [(429, "locked")]


def test_many_attempts_at_once_are_no_way_around_the_lockout(dash: Dashboard) -> None:
    login = dash.user()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: dash.log_in(login, "wrong password").status_code, range(12)))
    assert sorted(answers) == [401] * 5 + [429] * 7


def test_a_success_forgets_the_failures_before_it(dash: Dashboard) -> None:
    login = dash.user()
    for _ in range(2):
        assert [dash.log_in(login, "wrong password").status_code for _ in range(4)] == [401] * 4
        assert dash.log_in(login).status_code == 200


def test_a_new_password_ends_a_lockout_and_all_sessions(dash: Dashboard) -> None:
    login = dash.user()
    before = dash.bearer(login)
    for _ in range(5):
        dash.log_in(login, "wrong password")
    dash.do(lambda c: users.set_password(c, login, "another horse 2", actor="test"))
    assert code(httpx.get(f"{dash.url}/api/session", headers=before)) == (401, "session_ended")
    assert dash.log_in(login).status_code == 401
    assert dash.log_in(login, "another horse 2").status_code == 200


def test_a_disabled_user_is_out_at_once_and_told_so_only_with_the_right_password(dash: Dashboard) -> None:
    login = dash.user()
    before = dash.bearer(login)
    dash.do(lambda c: users.set_enabled(c, login, is_enabled=False, actor="test"))
    assert code(httpx.get(f"{dash.url}/api/session", headers=before)) == (401, "session_ended")
    assert code(dash.log_in(login)) == (403, "disabled")
    assert code(dash.log_in(login, "wrong password")) == (401, "wrong_login")
    dash.do(lambda c: users.set_enabled(c, login, is_enabled=True, actor="test"))
    assert dash.log_in(login).status_code == 200
    assert code(httpx.get(f"{dash.url}/api/session", headers=before)) == (401, "session_ended")


def test_logging_out_ends_the_session_for_whoever_kept_its_token(dash: Dashboard) -> None:
    with dash.browser(dash.user()) as browser:
        kept = dict(browser.cookies)
        csrf = browser.get("/api/session").json()["csrf_token"]
        answer = browser.post("/logout", headers={"x-csrf-token": csrf})
        assert answer.status_code == 204
        assert dash.cookie not in browser.cookies
        assert code(httpx.get(f"{dash.url}/api/session", cookies=kept)) == (401, "session_ended")
        page = httpx.get(f"{dash.url}/", cookies=kept, headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login")


def test_a_change_by_cookie_needs_the_proof_that_one_of_our_pages_sent_it(dash: Dashboard) -> None:
    login = dash.user()
    with dash.browser(login) as other, dash.browser(login) as browser:
        foreign = other.get("/api/session").json()["csrf_token"]
        own = browser.get("/api/session").json()["csrf_token"]
        assert own == browser.cookies[f"crm_elt_csrf_{dash.process.port}"]
        assert code(browser.post("/logout")) == (403, "no_csrf_token")
        assert code(browser.post("/logout", headers={"x-csrf-token": foreign})) == (403, "no_csrf_token")
        assert code(browser.post("/logout", data={"csrf_token": "ü"})) == (403, "no_csrf_token")
        large = {"csrf_token": own, "note": "x" * 270_000}  # is not read, so that it cannot prove anything
        assert code(browser.post("/logout", data=large)) == (403, "no_csrf_token")
        elsewhere = {"x-csrf-token": own, "origin": "https://evil.example"}
        assert code(browser.post("/logout", headers=elsewhere)) == (403, "foreign_origin")
        assert code(browser.post("/logout", headers={"x-csrf-token": own, "sec-fetch-site": "cross-site"})) == (
            403,
            "foreign_origin",
        )
        assert browser.get("/api/session").status_code == 200
        assert browser.post("/logout", data={"csrf_token": own}).headers["location"] == "/login"


def test_a_login_from_a_page_of_somebody_else_is_refused(dash: Dashboard) -> None:
    answer = httpx.post(
        f"{dash.url}/login",
        data={"login": dash.user(), "password": PASSWORD},
        headers={"origin": "https://evil.example"},
    )
    assert code(answer) == (403, "foreign_origin")


def test_a_program_needs_no_csrf_token(dash: Dashboard) -> None:
    headers = dash.bearer(dash.user())
    assert httpx.post(f"{dash.url}/logout", headers=headers).status_code == 204
    assert code(httpx.get(f"{dash.url}/api/session", headers=headers)) == (401, "session_ended")


def test_a_program_renews_its_token_and_the_old_one_holds_a_little_longer(dash: Dashboard) -> None:
    old = dash.bearer(dash.user())
    answer = httpx.post(f"{dash.url}/api/session/refresh", headers=old)
    new = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert new != old
    for headers in (old, new, old):
        assert httpx.get(f"{dash.url}/api/session", headers=headers).status_code == 200


def aged(dash: Dashboard, token: str, **age: float) -> str:
    """The same token as if it had been issued earlier."""
    keyring = Keyring.load(dash.environment)
    read = Tokens(keyring).read(token)
    earlier = Tokens(keyring, now=lambda: datetime.now(UTC) - timedelta(**age))
    return earlier.issue(read.session_id, read.generation, read.expires_at - timedelta(**age))


def test_an_older_cookie_is_replaced_and_its_copy_ends_the_session(dash: Dashboard) -> None:
    with dash.browser(dash.user()) as browser:
        fresh = browser.cookies[dash.cookie]
    address = f"{dash.url}/api/session"
    assert "set-cookie" not in httpx.get(address, cookies={dash.cookie: fresh}).headers

    old = aged(dash, fresh, minutes=11)
    first = httpx.get(address, cookies={dash.cookie: old})
    new = first.cookies[dash.cookie]
    assert first.status_code == 200
    assert new not in (old, fresh)
    # The answer was lost, or another request was under way: the old one brings the new one again.
    again = httpx.get(address, cookies={dash.cookie: old})
    assert again.status_code == 200
    assert dash.cookie in again.cookies

    assert httpx.get(address, cookies={dash.cookie: new}).status_code == 200  # it has arrived
    assert httpx.get(address, cookies={dash.cookie: old}).status_code == 200  # within the minute after that
    session = Tokens(Keyring.load(dash.environment)).read(new).session_id
    dash.execute(
        "update config.sessions set confirmed_at = confirmed_at - interval '61 s' where session_id = %s", session
    )
    assert code(httpx.get(address, cookies={dash.cookie: old})) == (401, "session_ended")
    assert code(httpx.get(address, cookies={dash.cookie: new})) == (401, "session_ended")
    assert dash.rows("select ended_because from config.sessions where session_id = %s", session) == [
        {"ended_because": "reuse"}
    ]


def test_a_token_expires_and_nobody_else_can_make_one(dash: Dashboard) -> None:
    token = dash.token(dash.user())
    address = f"{dash.url}/api/session"
    assert httpx.get(address, headers={"authorization": f"Bearer {token}"}).status_code == 200
    foreign = Tokens(Keyring.load(Environment(master_key=new_key())))
    forged = foreign.issue(UUID(int=1), 1, datetime.now(UTC) + timedelta(hours=1))
    header, claims, signature = token.split(".")
    altered = f"{header}.{claims[:-2]}{'A' if claims[-2] != 'A' else 'B'}{claims[-1]}.{signature}"
    nothing = f"eyJhbGciOiJub25lIn0.{claims}."
    for bad in (aged(dash, token, hours=12), forged, altered, nothing, "x", "a.b.c"):
        answer = httpx.get(address, headers={"authorization": f"Bearer {bad}"})
        assert code(answer) == (401, "not_logged_in"), bad
        assert answer.headers["www-authenticate"] == "Bearer"
    assert code(httpx.get(address, cookies={dash.cookie: token})) == (401, "not_logged_in")


def test_no_password_and_no_token_is_in_the_log(dash: Dashboard) -> None:
    token = dash.token(dash.user())
    httpx.get(f"{dash.url}/api/session", headers={"authorization": f"Bearer {token}"})
    httpx.get(f"{dash.url}/api/session", params={"access_token": token})
    wait_until(lambda: '"event": "logged_in"' in dash.process.log())
    assert PASSWORD not in dash.process.log()
    assert token.split(".")[2] not in dash.process.log()
