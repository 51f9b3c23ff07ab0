"""The HTTP layer: retries, limits, errors in four words, exact numbers, and no secret anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import http
from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError, UnreachableError
from connectors.http import (
    HttpSession,
    Scrubber,
    account_key,
    decode_json,
    encode_json,
    read_retry_after,
    vendor_message,
)
from connectors.protocol import Account, MappingContext

pytestmark = pytest.mark.anyio
KEY = "k3y-of-the-account"
Handler = Callable[[httpx.Request], httpx.Response]


class Limiter:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
        self.calls.append(("acquire", account_key, limit))

    async def block(self, account_key: str, seconds: float) -> None:
        self.calls.append(("block", account_key, seconds))

    def blocked(self) -> list[float]:
        return [call[2] for call in self.calls if call[0] == "block"]


class Setup:
    """A session on a list of answers, given out in order; the last one for ever."""

    def __init__(self, *answers: httpx.Response | Exception | Handler, **settings: Any) -> None:
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.limiter = Limiter()
        self._answers = list(answers)

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        values: dict[str, Any] = {
            "base_url": "https://crm.example.com/v1",
            "account_key": "account",
            "limit": (60, 60.0),
            "limiter": self.limiter,
            "secrets": (KEY,),
            "transport": httpx.MockTransport(self._answer),
            "sleep": sleep,
        }
        self.http = HttpSession(**{**values, **settings})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(value: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={} if value is None else value, headers=headers)


def failed(status: int, body: Any = None, **headers: str) -> httpx.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, bytes):
        return httpx.Response(status, content=body, headers=headers)
    return httpx.Response(status, json={"message": "no"} if body is None else body, headers=headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ConfigError), (400, PermanentError), (401, ConfigError), (402, ConfigError), (403, ConfigError),
        (404, NotFoundError), (405, PermanentError), (408, RetryError), (409, PermanentError), (410, PermanentError),
        (413, PermanentError), (422, PermanentError), (425, RetryError), (429, RetryError), (460, PermanentError),
        (500, RetryError), (501, RetryError), (502, RetryError), (503, RetryError), (504, RetryError),
        (520, RetryError),
    ],
)  # fmt: skip
async def test_each_status_has_its_word(status: int, kind: type[ConnectorError]) -> None:
    setup = Setup(failed(status), retry_attempts=2)
    with pytest.raises(ConnectorError) as caught:
        await setup.http.request_json("GET", "/order")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert len(setup.requests) == (3 if kind is RetryError else 1)


async def test_the_vendors_message_is_told_cut_short_and_without_personal_data() -> None:
    body = {"message": "bad " + "x" * 500, "errors": {"phone": ["+380501234567 is taken"]}}
    with pytest.raises(PermanentError) as caught:
        await Setup(failed(422, body)).http.request_json("GET", "/order")
    assert caught.value.message.startswith("GET /order: the CRM answers 422: bad xxx")
    assert len(caught.value.message) < 300
    with pytest.raises(PermanentError) as caught:
        await Setup(failed(422, {"message": "+380501234567 a@b.com"})).http.request_json("GET", "/order")
    assert "380501234567" not in caught.value.message
    assert "a@b.com" not in caught.value.message


async def test_an_html_page_is_not_told() -> None:
    with pytest.raises(PermanentError) as caught:
        await Setup(failed(405, b"<html>nginx</html>")).http.request_json("GET", "/order")
    assert "html" not in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Unauthenticated."}, "Unauthenticated."),
        ({"success": False, "errorMsg": "Wrong apiKey"}, "Wrong apiKey"),
        ({"success": False, "meta": {"message": "Превышен лимит запросов"}}, "Превышен лимит запросов"),
        ({"odata.error": {"code": "9", "message": {"lang": "ru", "value": "Нет"}}}, "Нет"),
        ({"error": 1, "data": {"code": 401, "desc": "Auth error"}}, "Auth error"),
        ({"title": "Bad Request", "detail": "Request validation failed"}, "Request validation failed"),
        ({"message": "No", "errors": {"a": ["b"]}}, 'No {"a":["b"]}'),
        ([1, 2], ""),
        ("text", ""),
        ({}, ""),
    ],
)
def test_the_message_is_found_in_each_vendors_form(body: Any, message: str) -> None:
    assert vendor_message(json.dumps(body).encode()) == message


async def test_a_retry_gives_the_answer_in_the_end() -> None:
    setup = Setup(failed(500), httpx.ConnectError("refused"), ok({"id": 1}))
    assert await setup.http.request_json("GET", "/order/1") == {"id": 1}
    assert [call[0] for call in setup.limiter.calls] == ["acquire"] * 3
    assert setup.limiter.calls[0] == ("acquire", "account", (60, 60.0))
    assert 0.25 <= setup.slept[0] <= 0.5
    assert 0.5 <= setup.slept[1] <= 1.0


@pytest.mark.parametrize("value", ["7", "7.0"])
async def test_retry_after_in_seconds_is_slept_and_told_to_the_limiter(value: str) -> None:
    setup = Setup(failed(429, retry_after=value), ok())
    await setup.http.request_json("GET", "/order")
    assert setup.slept == [7.0]
    assert setup.limiter.blocked() == [7.0]


async def test_retry_after_as_a_date_counts_from_the_servers_own_clock() -> None:
    headers = {"retry_after": "Mon, 02 Mar 2026 09:00:30 GMT", "date": "Mon, 02 Mar 2026 09:00:00 GMT"}
    setup = Setup(failed(503, **headers), ok())
    await setup.http.request_json("GET", "/order")
    assert setup.slept == [30.0]


async def test_429_without_retry_after_blocks_the_others_too() -> None:
    setup = Setup(failed(429), ok())
    await setup.http.request_json("GET", "/order")
    assert setup.limiter.blocked() == setup.slept


async def test_a_longer_wait_than_a_request_may_take_is_handed_to_the_caller() -> None:
    setup = Setup(failed(429, retry_after="900"))
    with pytest.raises(RetryError) as caught:
        await setup.http.request_json("GET", "/order")
    assert caught.value.retry_after == 900
    assert setup.slept == []
    assert setup.limiter.blocked() == [900]


@given(
    st.one_of(st.text(max_size=30), st.sampled_from(["-5", "1e9", "inf", "nan", "", "99999999999", "0", "Mon, 99 Foo"]))
)
def test_any_retry_after_is_seconds_within_an_hour_or_none(value: str) -> None:
    found = read_retry_after({"retry-after": value})
    assert found is None or 0 <= found <= 3600


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'{"a":1} x', b"\xff", b"[" * 100_000], ids=range(6))
async def test_a_200_that_is_not_json_is_tried_again(body: bytes) -> None:
    setup = Setup(failed(200, body), ok([1]))
    assert await setup.http.request_json("GET", "/order") == [1]
    with pytest.raises(RetryError):
        await Setup(failed(200, body), retry_attempts=1).http.request_json("GET", "/order")


async def test_204_has_no_value() -> None:
    assert await Setup(httpx.Response(204)).http.request_json("GET", "/leads") is None


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.ReadTimeout("x"),
        httpx.PoolTimeout("x"),
    ],
)
async def test_network_errors_are_retried(error: Exception) -> None:
    setup = Setup(error, ok())
    assert await setup.http.request_json("GET", "/order") == {}


async def test_a_server_that_cannot_be_reached_is_named_with_what_to_look_at() -> None:
    setup = Setup(httpx.ConnectError("refused"), retry_attempts=0)
    with pytest.raises(UnreachableError, match=r"^GET /order: \S+ cannot be reached \(refused\): check base_url"):
        await setup.http.request_json("GET", "/order")


async def test_an_answer_that_trickles_for_ever_ends_at_the_timeout() -> None:
    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await anyio.sleep(0.01)

    setup = Setup(lambda request: httpx.Response(200, stream=Trickle()), timeout=0.1, retry_attempts=0)
    with pytest.raises(RetryError, match=r"no answer within 0\.1 s"):
        await setup.http.request_json("GET", "/order")


@pytest.mark.parametrize("answer", [failed(500), failed(503), httpx.ReadTimeout("x"), failed(200, b"{")])
async def test_what_is_not_idempotent_is_not_repeated_after_an_unclear_end(answer: httpx.Response | Exception) -> None:
    setup = Setup(answer, ok())
    with pytest.raises(RetryError):
        await setup.http.request_json("POST", "/order", json={"a": 1}, idempotent=False)
    assert len(setup.requests) == 1


async def test_what_is_not_idempotent_is_repeated_after_429() -> None:
    setup = Setup(failed(429, retry_after="1"), ok())
    await setup.http.request_json("POST", "/order", json={"a": 1}, idempotent=False)
    assert len(setup.requests) == 2


async def test_brackets_of_filters_are_sent_as_they_are_and_values_encoded() -> None:
    setup = Setup(ok())
    await setup.http.request_json(
        "GET", "/order", params={"filter[a]": "2026-01-01 00:00:00,b&c", "page": 2, "x": True}
    )
    assert setup.requests[0].url.raw_path == b"/v1/order?filter[a]=2026-01-01%2000:00:00,b%26c&page=2&x=true"
    assert setup.requests[0].url.params["filter[a]"] == "2026-01-01 00:00:00,b&c"


async def test_repeated_parameters_forms_and_exact_json_are_sent() -> None:
    setup = Setup(ok())
    await setup.http.request_json("GET", "/orders", params=[("filter[ids][]", 1), ("filter[ids][]", 2)])
    await setup.http.request("POST", "/orders", form={"order": '{"a":1}', "site": "ш"}, decode=decode_json)
    await setup.http.request_json("PUT", "/orders", json={"price": Decimal("10.10"), "name": "Чашка"})
    assert setup.requests[0].url.query == b"filter[ids][]=1&filter[ids][]=2"
    assert setup.requests[1].content == b"order=%7B%22a%22:1%7D&site=%D1%88"
    assert setup.requests[1].headers["content-type"] == "application/x-www-form-urlencoded"
    assert setup.requests[2].content == '{"price":10.10,"name":"Чашка"}'.encode()


async def test_an_absolute_link_is_followed_on_the_same_host_alone() -> None:
    setup = Setup(ok())
    await setup.http.request_json("GET", "https://crm.example.com/v1/leads?page=2", params={"limit": 5})
    assert str(setup.requests[0].url) == "https://crm.example.com/v1/leads?page=2&limit=5"
    for other in ("https://evil.example.com/v1", "http://crm.example.com/v1", "https://crm.example.com.evil.org/"):
        with pytest.raises(PermanentError, match="another host"):
            await setup.http.request_json("GET", other)
    assert len(setup.requests) == 1


async def test_an_address_that_the_settings_name_may_be_on_another_host_and_gets_nothing_but_its_own_headers() -> None:
    setup = Setup(ok({"access_token": "t"}), headers={"X-Key": KEY})
    url = "https://login.example.org/token"
    answer = await setup.http.request(
        "POST", url, form={"a": "b"}, headers={"Authorization": "Basic eA=="}, decode=decode_json, named_by="token_url"
    )
    await setup.http.request_json("GET", "/order")
    assert answer.value == {"access_token": "t"}
    first, second = setup.requests
    assert (str(first.url), first.content) == (url, b"a=b")
    assert "x-key" not in first.headers
    assert first.headers["authorization"] == "Basic eA=="
    assert second.headers["x-key"] == KEY
    with pytest.raises(PermanentError, match="another host"):
        await setup.http.request_json("GET", url)


async def test_an_address_that_the_settings_name_is_named_where_it_is_wrong() -> None:
    for wrong in ("/token", "ftp://login.example.org/token", "https://user:pass@login.example.org/", "token"):
        setup = Setup(ok())
        with pytest.raises(ConfigError, match="token_url must be"):
            await setup.http.request("POST", wrong, decode=decode_json, named_by="token_url")
        assert setup.requests == []
    url = "https://login.example.org/token"
    for answer, text in ((httpx.ConnectError("no"), "check token_url"), (failed(302), "redirect: check token_url")):
        setup = Setup(answer, retry_attempts=0)
        with pytest.raises(ConnectorError, match=text):
            await setup.http.request("POST", url, decode=decode_json, named_by="token_url")


async def test_tls_of_another_host_is_checked_though_the_crm_itself_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = httpx.AsyncClient

    def opening(**settings: Any) -> httpx.AsyncClient:
        opened.append(settings["verify"])
        return real(**settings)

    monkeypatch.setattr(httpx, "AsyncClient", opening)
    setup = Setup(ok(), base_url="http://127.0.0.1:9/base")
    for _ in range(2):
        await setup.http.request("POST", "https://login.example.org/t", decode=decode_json, named_by="token_url")
    assert opened == [False, True]


async def test_a_redirect_is_not_followed() -> None:
    setup = Setup(failed(302, location="https://evil.example.com/"))
    with pytest.raises(ConfigError, match="redirect"):
        await setup.http.request_json("GET", "/order")
    assert len(setup.requests) == 1


@pytest.mark.parametrize(
    "base", ["", "crm.example.com", "ftp://x", "https://", "https://u:p@x/v1", "https://x/?k=1", "https://x/#f"]
)
async def test_a_base_url_that_is_none_is_a_config_error(base: str) -> None:
    with pytest.raises(ConfigError):
        Setup(ok(), base_url=base)


async def test_the_answer_carries_the_servers_date() -> None:
    setup = Setup(ok(date="Mon, 02 Mar 2026 09:00:00 GMT"), ok(date="nonsense"))
    answer = await setup.http.request("GET", "/order", decode=decode_json)
    assert answer.date == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert (await setup.http.request("GET", "/order", decode=decode_json)).date is None
    assert setup.http.last_response_date == datetime(2026, 3, 2, 9, tzinfo=UTC)


async def test_a_vendor_that_says_failed_with_200_is_understood() -> None:
    def inspect(status: int, headers: Any, value: Any) -> ConnectorError | None:
        if isinstance(value, dict) and value.get("success") is False:
            return RetryError(f"limit {KEY}", status=429, retry_after=2.0)
        return None

    setup = Setup(ok({"success": False}), ok({"success": True}), retry_attempts=1)
    answer = await setup.http.request("GET", "/records", decode=decode_json, inspect=inspect)
    assert answer.value == {"success": True}
    assert setup.slept == [2.0]
    assert setup.limiter.blocked() == [2.0]
    with pytest.raises(RetryError) as caught:
        await Setup(ok({"success": False}), retry_attempts=0).http.request(
            "GET", "/r", decode=decode_json, inspect=inspect
        )
    assert KEY not in caught.value.message


async def test_a_vendor_may_give_a_failure_another_word_or_accept_a_status() -> None:
    def inspect(status: int, headers: Any, value: Any) -> ConnectorError | None:
        return PermanentError("business error") if status == 500 and value == {"code": "-1"} else None

    setup = Setup(failed(500, {"code": "-1"}))
    with pytest.raises(PermanentError, match="business error"):
        await setup.http.request("GET", "/hs", decode=decode_json, inspect=inspect)
    partial = Setup(failed(460, {"success": False}))
    answer = await partial.http.request("POST", "/upload", decode=decode_json, accept=frozenset({460}))
    assert answer.status == 460


async def test_no_more_requests_run_at_once_than_allowed() -> None:
    running = most = 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        running -= 1
        return ok()

    setup = Setup(ok(), transport=httpx.MockTransport(slow), max_concurrent=3)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(setup.http.request_json, "GET", "/order")
    assert most == 3


@pytest.mark.parametrize("where", ["header", "url", "body", "exception"])
async def test_no_secret_is_in_an_error_or_log_line(where: str, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    answers: dict[str, httpx.Response | Exception] = {
        "header": failed(500),
        "url": failed(500),
        "body": failed(500, {"message": f"key {KEY} and Bearer abcdef and token=abcdef are wrong"}),
        "exception": httpx.ConnectError(f"cannot reach https://x/?apiKey={KEY}"),
    }
    caplog.set_level(logging.DEBUG)
    setup = Setup(answers[where], retry_attempts=1, secrets=() if where in ("header", "exception") else (KEY,))
    params = {"apiKey": KEY} if where == "url" else None
    with pytest.raises(RetryError) as caught:
        await setup.http.request_json("GET", "/order", params=params, headers={"Authorization": f"Bearer {KEY}"})
    written = caplog.text + "".join(capsys.readouterr())
    assert "http_retry" in written
    for text in (written, str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
        assert KEY not in text
        assert "abcdef" not in text


def test_secrets_are_found_encoded_too_and_short_ones_do_not_spoil_words() -> None:
    scrubber = Scrubber(("a+b/c=d", "no", ""))
    assert scrubber.scrub("a+b/c=d a%2Bb%2Fc%3Dd no") == "*** *** no"
    scrubber.add("later-token")
    assert scrubber.scrub('x later-token "api_key": "zzzz"') == 'x *** "api_key": "***"'
    assert scrubber.scrub("https://crm/x/token=zzzz access_token: zzzz") == "https://crm/x/token=*** access_token: ***"


def test_what_follows_a_path_that_ends_like_a_secret_is_no_secret() -> None:
    sentence = "POST /api/1/access_token: the CRM answers 401"
    assert Scrubber().scrub(sentence) == sentence


def test_numbers_survive_exactly() -> None:
    text = '{"a":0.1,"b":123456789012345678901234567890,"c":1.10,"d":"Київ 😀","e":1E+2}'
    value = decode_json(text)
    assert value["a"] == Decimal("0.1")
    assert value["b"] == 123456789012345678901234567890
    assert encode_json(value).decode() == text


def test_a_byte_order_mark_is_no_part_of_json() -> None:
    assert decode_json(b"\xef\xbb\xbf[1]") == [1]


def test_json_that_is_nested_too_deeply_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested"):
        decode_json("[" * 50_000)


def _account(crm: str = "keycrm", base: str = "https://x/v1", **credentials: str) -> Account:
    return Account("p", crm, base, credentials, MappingContext("p"))


def test_the_account_key_tells_accounts_apart_and_does_not_tell_the_key() -> None:
    key = account_key(_account(api_key=KEY))
    assert key == account_key(_account(base="https://X/v1/", api_key=KEY))
    assert KEY not in key
    others = [_account(api_key="other"), _account(base="https://y", api_key=KEY), _account(crm="amocrm", api_key=KEY)]
    assert len({key, *map(account_key, others)}) == 4


def test_a_renewed_token_does_not_change_the_account() -> None:
    first = _account(client_id="1", client_secret="s", refresh_token="a", access_token="b")
    second = _account(client_id="1", client_secret="s", refresh_token="c")
    assert account_key(first) == account_key(second)


async def test_the_unlimited_limiter_lets_everything_through() -> None:
    limiter = http.UnlimitedLimiter()
    await limiter.acquire("a", (1, 1.0))
    await limiter.block("a", 100)
    await limiter.acquire("a", (1, 1.0))


async def test_the_session_closes_its_connections() -> None:
    setup = Setup(ok())
    async with setup.http:
        await setup.http.request_json("GET", "/order")
    assert setup.http._client.is_closed


def test_where_the_vendor_counts_by_ip_address_all_accounts_of_a_crm_share_one_key() -> None:
    key = account_key(_account(api_key=KEY), is_per_address=True)
    assert key == account_key(_account(api_key="another-key"), is_per_address=True)
    assert key != account_key(_account(base="https://other/v1", api_key=KEY), is_per_address=True)
    assert key != account_key(_account(api_key=KEY))
