"""OAuth2 client credentials against a token URL on another host than the CRM."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from connectors.client_credentials import is_fresh, obtain_token
from connectors.errors import ConfigError, RetryError
from connectors.http import HttpSession, UnlimitedLimiter

pytestmark = pytest.mark.anyio
URL = "https://login.example.org/sys/token"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Server:
    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.http = HttpSession(
            base_url="http://1c.example.com/base",
            account_key="account",
            limit=(60, 60.0),
            limiter=UnlimitedLimiter(),
            retry_attempts=0,
            transport=httpx.MockTransport(self._answer),
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0)

    async def obtain(self, **settings: Any) -> Any:
        return await obtain_token(self.http, URL, "id:1", "s3cret ї", now=lambda: NOW, **settings)


def given(**values: Any) -> httpx.Response:
    return httpx.Response(200, json={"access_token": "t0ken-abc", "token_type": "Bearer", **values})


async def test_the_client_is_named_in_a_basic_header_and_the_end_is_noted() -> None:
    server = Server(given(expires_in=3600))
    tokens = await server.obtain(scope="sales")
    assert tokens == {"access_token": "t0ken-abc", "expires_at": "2026-03-02T10:00:00+00:00"}
    [request] = server.requests
    assert str(request.url) == URL
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"id%3A1:s3cret%20%D1%97"
    assert dict(parse_qsl(request.content.decode())) == {"grant_type": "client_credentials", "scope": "sales"}
    assert server.http.scrub("got t0ken-abc") == "got ***"


@pytest.mark.parametrize("status", [400, 401])
async def test_a_server_that_takes_no_header_gets_the_client_in_the_form(status: int) -> None:
    server = Server(httpx.Response(status, json={"error": "invalid_client"}), given())
    assert await server.obtain() == {"access_token": "t0ken-abc"}
    request = server.requests[1]
    assert "authorization" not in request.headers
    assert dict(parse_qsl(request.content.decode()))["client_secret"] == "s3cret ї"


async def test_a_refusal_names_the_credentials() -> None:
    refused = httpx.Response(401, json={"error": "invalid_client"})
    with pytest.raises(ConfigError, match="refuses client_id and client_secret"):
        await Server(refused, refused).obtain()
    with pytest.raises(ConfigError, match="nothing at token_url"):
        await Server(httpx.Response(404)).obtain()
    with pytest.raises(RetryError):
        await Server(httpx.Response(503)).obtain()


@pytest.mark.parametrize(
    "answer", [[], {}, {"access_token": ""}, {"access_token": 7}, {"access_token": "a\nb"}, {"access_token": "ї"}]
)
async def test_an_answer_without_a_usable_token_is_a_config_error(answer: Any) -> None:
    with pytest.raises(ConfigError, match="no access_token"):
        await Server(httpx.Response(200, json=answer)).obtain()


async def test_a_token_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="type 'mac'"):
        await Server(given(token_type="mac")).obtain()


@pytest.mark.parametrize("value", [None, "soon", -1, 0, True, 10**12, "NaN"])
async def test_an_end_that_says_nothing_is_no_end(value: Any) -> None:
    assert await Server(given(expires_in=value)).obtain() == {"access_token": "t0ken-abc"}


def test_a_token_is_fresh_until_shortly_before_its_end() -> None:
    tokens = {"access_token": "t", "expires_at": "2026-03-02T09:00:31+00:00"}
    assert is_fresh(tokens, lambda: NOW)
    assert not is_fresh({**tokens, "expires_at": "2026-03-02T09:00:30+00:00"}, lambda: NOW)
    assert not is_fresh({**tokens, "expires_at": "never"}, lambda: NOW)
    assert is_fresh({"access_token": "t"}, lambda: NOW)
    assert not is_fresh({}, lambda: NOW)
