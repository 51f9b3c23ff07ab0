"""An HTTP session that is told to keep out of private networks, and how much of a body any session reads."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from connectors import http
from connectors.errors import ConfigError, PermanentError, RetryError
from connectors.http import HttpSession, UnlimitedLimiter, decode_json

pytestmark = pytest.mark.anyio


def session(answer: httpx.Response | None, base_url: str = "http://127.0.0.1:9/v1", **settings: int) -> HttpSession:
    transport = None if answer is None else httpx.MockTransport(lambda request: answer)
    return HttpSession(
        base_url=base_url, account_key="a", limit=(60, 60.0), limiter=UnlimitedLimiter(), retry_attempts=0,
        transport=transport, **settings,
    )  # fmt: skip


async def test_a_restricted_session_does_not_ask_this_machine() -> None:
    for address in ("http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "http://2130706433:9"):
        async with session(None, address) as opened:
            await opened.restrict(())
            with pytest.raises(ConfigError, match="allow_hosts"):
                await opened.request_json("GET", "/")


async def test_a_restricted_session_asks_this_machine_where_it_is_allowed() -> None:
    async with session(httpx.Response(200, json={"a": 1})) as opened:
        await opened.restrict(("127.0.0.1",))
        assert await opened.request_json("GET", "/") == {"a": 1}
        with pytest.raises(ConfigError, match="allow_hosts"):
            await opened.request("POST", "http://localhost:9/t", decode=decode_json, named_by="token_url")


async def test_restricting_takes_hold_after_the_first_request_too() -> None:
    async with session(httpx.Response(200, json={})) as opened:
        await opened.request_json("GET", "/")
        await opened.restrict(())
        with pytest.raises(ConfigError):
            await opened.request_json("GET", "/")


async def test_a_body_is_read_up_to_the_limit_and_no_further() -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1000
            yield b"1" * 1000

    async with session(httpx.Response(200, content=body()), max_response_bytes=5000) as opened:
        with pytest.raises(PermanentError, match="larger than"):
            await opened.request_json("GET", "/")
    assert sent == 6000


async def test_a_packed_body_counts_as_what_it_unpacks_to() -> None:
    packed = gzip.compress(b" " * 1_000_000 + b"1")
    answer = httpx.Response(200, content=packed, headers={"content-encoding": "gzip"})
    async with session(answer, max_response_bytes=100_000) as opened:
        with pytest.raises(PermanentError, match="larger than"):
            await opened.request_json("GET", "/")


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    async with session(httpx.Response(200, content=b"[1,2]"), max_response_bytes=5) as opened:
        assert await opened.request_json("GET", "/") == [1, 2]


async def test_an_error_page_that_is_too_large_is_the_error_that_its_status_says() -> None:
    async with session(httpx.Response(500, content=b"[1,23]"), max_response_bytes=5) as opened:
        with pytest.raises(RetryError, match="500"):
            await opened.request_json("GET", "/")


async def test_no_session_reads_without_an_end() -> None:
    assert http.MAX_RESPONSE_BYTES == 64 * 1024 * 1024
    async with session(httpx.Response(200, json={})) as opened:
        await opened.restrict(("127.0.0.1",), 10**12)
        assert opened._max_bytes == http.MAX_RESPONSE_BYTES
