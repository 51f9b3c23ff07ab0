"""Reading requests: bodies within limits, nothing secret in what is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api import requests
from ingest_api.problems import ProblemError
from ingest_api.requests import BODY_LIMIT, BodyReader, ClientGoneError

pytestmark = pytest.mark.anyio


class Client:
    """Plays a request's pieces to `receive` and counts how many were asked for."""

    def __init__(self, pieces: Sequence[bytes], *, hangs_up: bool = False) -> None:
        self._messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": piece, "more_body": hangs_up or number < len(pieces) - 1}
            for number, piece in enumerate(pieces)
        ]
        if hangs_up:
            self._messages.append({"type": "http.disconnect"})
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return self._messages.pop(0)


@pytest.mark.parametrize("pieces", [[b""], [b"abc"], [b"ab", b"", b"c"], [b"x" * BODY_LIMIT], [b"x" * 1024] * 1024])
async def test_a_body_within_the_limit_is_read_whole(pieces: list[bytes]) -> None:
    assert await BodyReader().read({}, Client(pieces).receive) == b"".join(pieces)


@pytest.mark.parametrize(
    ("headers", "pieces"),
    [
        ({}, [b"x" * (BODY_LIMIT + 1)]),
        ({}, [b"x" * BODY_LIMIT, b"x"]),
        ({}, [b"x" * 65536] * 32),
        ({"content-length": "1"}, [b"x" * 65536] * 32),
        ({"content-length": str(BODY_LIMIT + 1)}, [b"x" * 65536] * 17),
    ],
)
async def test_a_larger_body_is_refused_with_413(headers: dict[str, str], pieces: list[bytes]) -> None:
    with pytest.raises(ProblemError) as caught:
        await BodyReader().read(headers, Client(pieces).receive)
    assert (caught.value.status, caught.value.close) == (413, True)


@pytest.mark.parametrize("length", ["99999999999", "9" * 30, str(9 * 1024 * 1024)])
async def test_a_giant_that_is_announced_is_not_read_at_all(length: str) -> None:
    client = Client([b"x"])
    with pytest.raises(ProblemError) as caught:
        await BodyReader().read({"content-length": length}, client.receive)
    assert (caught.value.status, client.asked) == (413, 0)


async def test_a_client_that_asks_before_it_sends_is_refused_before_it_sends() -> None:
    client = Client([b"x"])
    with pytest.raises(ProblemError):
        await BodyReader().read({"content-length": str(2 * BODY_LIMIT), "expect": "100-continue"}, client.receive)
    assert client.asked == 0


async def test_an_endless_body_is_not_read_for_ever() -> None:
    client = Client([b"x" * 65536] * 1000)
    with pytest.raises(ProblemError):
        await BodyReader().read({}, client.receive)
    assert client.asked < 200


async def test_a_client_that_hangs_up_is_nobody_to_answer() -> None:
    with pytest.raises(ClientGoneError):
        await BodyReader().read({}, Client([b"ab"], hangs_up=True).receive)


async def test_a_client_that_dawdles_is_answered_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.01)
    first = {"type": "http.request", "body": b"a", "more_body": True}

    async def receive() -> dict[str, Any]:
        if first:
            message = dict(first)
            first.clear()
            return message
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(ProblemError) as caught:
        await BodyReader().read({}, receive)
    assert caught.value.status == 408


async def test_unfinished_bodies_are_bounded_together_and_given_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "UNFINISHED_BYTES", 100)
    reader = BodyReader()
    with pytest.raises(ProblemError) as caught:
        await reader.read({}, Client([b"x" * 60, b"x" * 60, b"x"]).receive)
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    assert await reader.read({}, Client([b"x" * 60, b"y"]).receive) == b"x" * 60 + b"y"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", {}),
        (b"token=a&project=p", {"token": "a", "project": "p"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a&b=&=c&&", {"a": "", "b": ""}),
        (b"a=x+y%20z&%D0%B0=%D0%B1", {"a": "x y z", "а": "б"}),
        (b"a=%ff%00%", {"a": "\ufffd\0%"}),
        (b"context[id]=5&x=a=b", {"context[id]": "5", "x": "a=b"}),
    ],
)
def test_a_query_is_read_as_browsers_write_it(text: bytes, expected: dict[str, str]) -> None:
    assert requests.read_query(text) == expected


@given(
    values=st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=6),
    secret=st.text(min_size=1, max_size=4),
    data=st.data(),
)
def test_neither_the_secret_nor_a_nul_is_ever_stored(values: dict[str, str], secret: str, data: st.DataObject) -> None:
    values = {**values, "kept-or-not": data.draw(st.sampled_from(["x", secret, f"a{secret}b"]))}
    for text in (requests.stored_headers(values, None, secret), requests.stored_query(values, secret)):
        stored = json.loads(text)
        for name, value in stored.items():
            assert secret not in name
            assert secret not in value
            assert "\0" not in name + value
        for name in values.keys() - stored.keys():
            assert (
                secret in name + values[name] or requests._is_private(name.lower()) or name == "project" or "\0" in name
            )


def test_headers_that_authenticate_are_not_stored_by_name() -> None:
    headers = {"authorization": "x", "x-api-key": "x", "x-my-hash": "x", "x-hub-signature-256": "x", "accept": "y"}
    assert json.loads(requests.stored_headers(headers, "x-my-hash", None)) == {"accept": "y"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("fe80::1%eth0", "fe80::1"), ("unix:", ""), (None, ""), ("1.2.3", "")],
)
def test_an_address_is_an_ip_address_or_nothing(host: str | None, expected: str) -> None:
    assert requests.address(host) == expected
