"""Refusals: pages for people, problems for programs."""

from __future__ import annotations

import httpx
from dashboard_process import Dashboard

HTML = {"accept": "text/html,application/xhtml+xml"}


def test_an_address_that_is_none_is_a_page_with_the_navigation_of_whoever_asks(dash: Dashboard) -> None:
    with dash.browser(dash.user()) as browser:
        page = browser.get("/nowhere", headers=HTML)
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no such address." in page.text
        assert 'href="/orders"' in page.text
        assert page.headers["cache-control"] == "no-store"
        browser.cookies.set("crm_elt_language", "ru")
        translated = browser.get("/nowhere", headers=HTML).text
        assert "Такого адреса нет." in translated
        assert "Здесь ничего нет" in translated
        problem = browser.get("/nowhere")
        assert (problem.status_code, problem.json()["code"]) == (404, "http")
        assert problem.json()["detail"] == "There is no such address."
    anonymous = httpx.get(f"{dash.url}/nowhere", headers=HTML)
    assert (anonymous.status_code, 'href="/orders"' in anonymous.text) == (404, False)


def test_scripts_get_problems_even_from_a_browser(dash: Dashboard) -> None:
    answer = httpx.get(f"{dash.url}/api/nowhere", headers=HTML)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_whoever_is_not_logged_in_is_led_to_the_login_and_back(dash: Dashboard) -> None:
    answer = httpx.get(f"{dash.url}/audit?actor=user%3Aann", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Faudit%3Factor%3Duser%253Aann")
    form = httpx.get(f"{dash.url}{answer.headers['location']}").text
    assert 'value="/audit?actor=user%3Aann"' in form
    foreign = httpx.get(f"{dash.url}/login?next=//evil.example").text
    assert 'name="next" value="/"' in foreign


def test_a_method_that_an_address_does_not_take_is_refused(dash: Dashboard) -> None:
    answer = httpx.delete(f"{dash.url}/audit", headers=HTML)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "This address does not take this method." in answer.text


def test_a_wrong_login_is_said_in_the_readers_language(dash: Dashboard) -> None:
    for language, sentence in (("uk", "Логін або пароль неправильний."), ("ru", "Логин или пароль неверен.")):
        answer = httpx.post(
            f"{dash.url}/login", data={"login": "nobody", "password": "wrong password"},
            headers={**HTML, "accept-language": language},
        )  # fmt: skip
        assert (answer.status_code, sentence in answer.text) == (401, True)
        assert f'<html lang="{language}"' in answer.text


def test_a_failure_of_the_server_is_a_page_that_tells_nothing_of_its_inside(dash: Dashboard) -> None:
    headers = dash.bearer(dash.user())
    dash.execute("alter table config.projects rename to projects_away")
    try:
        page = httpx.get(f"{dash.url}/", headers={**headers, **HTML})
        problem = httpx.get(f"{dash.url}/api/projects", headers=headers)
    finally:
        dash.execute("alter table config.projects_away rename to projects")
    assert (page.status_code, problem.status_code) == (500, 500)
    assert "The server failed on this request; its log says why." in page.text
    assert "Try again" in page.text
    assert problem.json()["code"] == "failure"
    assert "config.projects" not in page.text + problem.text
    assert httpx.get(f"{dash.url}/", headers=headers).status_code == 200
