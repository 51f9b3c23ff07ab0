"""Language, theme and zone of a browser, and the sentence for the next page."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from dashboard.routes.preferences import own_page
from dashboard.ui import flash
from dashboard.ui.language import LANGUAGES, Language, negotiated, translations
from dashboard.ui.preferences import keep, preferences_of


def request(**headers: str) -> Request:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": lines, "method": "GET", "path": "/"})


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("uk-UA,uk;q=0.9,en;q=0.8", "uk"), ("de,ru;q=0.3,uk;q=0.7", "uk"), ("fr", "en"), ("", "en"), ("en-GB", "en"),
        ("uk;q=0,ru;q=0.1", "ru"), ("uk;q=x,ru", "ru"), (",;,;q=", "en"),
    ],
)  # fmt: skip
def test_the_browsers_languages_are_followed_in_the_order_of_their_weights(header: str, language: str) -> None:
    assert negotiated(header) == language


def test_cookies_go_before_the_browsers_languages() -> None:
    cookie = "crm_elt_language=ru; crm_elt_theme=dark; crm_elt_zone=Europe%2FKyiv"
    found = preferences_of(request(cookie=cookie, accept_language="uk"))
    assert (found.language, found.theme) == ("ru", "dark")
    assert found.zone is not None
    assert found.zone.key == "Europe/Kyiv"


def test_cookies_that_make_no_sense_are_passed_over() -> None:
    found = preferences_of(request(cookie="crm_elt_language=xx; crm_elt_theme=pink; crm_elt_zone=../../etc/passwd"))
    assert (found.language, found.theme, found.zone) == ("en", "auto", None)


def test_a_choice_is_kept_for_a_year() -> None:
    response = Response()
    keep(response, language="uk", theme="light")
    lines = response.headers.getlist("set-cookie")
    assert [line.split(";")[0] for line in lines] == ["crm_elt_language=uk", "crm_elt_theme=light"]
    assert all("Max-Age=31536000" in line for line in lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_texts(language: Language) -> None:
    texts = translations(language)
    assert texts.gettext("no such text") == "no such text"


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ("/orders?state=over", "/orders?state=over"), (None, "/"), ("", "/"), ("https://evil.example", "/"),
        ("//evil.example", "/"), ("/\\evil.example", "/"), ("orders", "/"), ("/a\r\nset-cookie: x=1", "/"),
    ],
)  # fmt: skip
def test_a_link_to_us_leads_nobody_to_another_site(wish: str | None, path: str) -> None:
    assert own_page(wish) == path


def test_a_sentence_reaches_the_next_page_and_no_other() -> None:
    answer = flash.redirect("/settings", "Збережено: «09:00–18:00».", "done")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert flash.flash_of(request(cookie=cookie)) == flash.Flash("done", "Збережено: «09:00–18:00».")
    page = Response()
    flash.forget(page)
    assert "Max-Age=0" in page.headers["set-cookie"]


@pytest.mark.parametrize("value", ["", "x", "W10=", "WyJkb25lIl0=", "WyJwaW5rIiwgImEiXQ==", "////"])
def test_a_cookie_that_we_did_not_write_says_nothing(value: str) -> None:
    assert flash.flash_of(request(cookie=f"crm_elt_flash={value}")) is None


def test_the_longest_sentence_fits_into_a_cookie() -> None:
    answer = flash.redirect("/", "ї" * 5000)
    assert len(answer.headers["set-cookie"]) < 4096
