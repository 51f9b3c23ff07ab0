"""Reading a request off the wire: its body within limits, its headers and query as they may be verified and stored."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_plus

import msgspec
from starlette.types import Receive, Scope

from ingest_api.problems import ProblemError

BODY_LIMIT = 1024 * 1024
"""Bytes."""
BODY_SECONDS = 30.0
"""How long a client may take to send its body."""
UNFINISHED_BYTES = 64 * 1024 * 1024
"""Most bytes of bodies that are being read side by side."""
_DRAIN_BYTES = 8 * 1024 * 1024
_DRAIN_SECONDS = 5.0

_PRIVATE_NAMES = ("authorization", "cookie", "token", "secret", "signature", "password", "api-key", "api_key", "apikey")
_ROUTING_NAMES = frozenset({"project"})
_encode = msgspec.json.Encoder().encode


class ClientGoneError(Exception):
    """The client closed the connection before its request was whole: there is nobody to answer."""


class BodyReader:
    """Reads bodies of at most `limit` bytes and bounds what all unfinished ones hold together."""

    def __init__(
        self,
        limit: int = BODY_LIMIT,
        too_large: str = f"A webhook may have at most {BODY_LIMIT:,} bytes.",
        seconds: float = BODY_SECONDS,
        drain_bytes: int = _DRAIN_BYTES,
    ) -> None:
        """`too_large` is what a client is told whose body is over the limit; it has `seconds` to send one. Of a body
        that is too large up to `drain_bytes` are read and thrown away."""
        self._limit = limit
        self._sentence = too_large
        self._seconds = seconds
        self._drain_bytes = drain_bytes
        self._unfinished = 0

    async def read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The whole body.

        Raises ProblemError (408 too slow, 413 too large, 503 too many at once) and ClientGoneError.
        """
        length = headers.get("content-length")
        if length is not None and _number(length) > self._limit:
            # Without an answer before the body, some clients never see it: they get to send a body of usual size, which
            # is thrown away piece by piece. One that asks first (Expect) or sends far more does not.
            if "expect" not in headers and _number(length) <= self._drain_bytes:
                await _drain(receive, self._drain_bytes)
            raise self._too_large()
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(body) > self._limit:
                raise self._too_large()
            return body
        return await self._read_rest(body, receive)

    async def _read_rest(self, first: bytes, receive: Receive) -> bytes:
        pieces, size = [first], len(first)
        self._unfinished += size
        try:
            async with asyncio.timeout(self._seconds):
                more = True
                while more:
                    if size > self._limit:
                        pieces.clear()
                        await _drain(receive, self._drain_bytes)
                        raise self._too_large()
                    if self._unfinished > UNFINISHED_BYTES:
                        raise ProblemError(
                            503, "overloaded", "Too many large bodies arrive at once; send it again in a moment.",
                            retry_after=1, close=True,
                        )  # fmt: skip
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ClientGoneError
                    piece = message.get("body", b"")
                    pieces.append(piece)
                    size += len(piece)
                    self._unfinished += len(piece)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise ProblemError(
                408,
                "too_slow",
                f"The body did not arrive within {self._seconds:.0f} seconds; send it again.",
                close=True,
            ) from None
        finally:
            self._unfinished -= size
        if size > self._limit:
            raise self._too_large()
        return b"".join(pieces)

    def _too_large(self) -> ProblemError:
        return ProblemError(413, "too_large", self._sentence, close=True)


def read_headers(scope: Scope) -> dict[str, str]:
    """All headers, names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def read_query(query_string: bytes) -> dict[str, str]:
    """The query's parameters; the last one counts where a name comes twice."""
    if not query_string:
        return {}
    query = {}
    for part in query_string.decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        if "%" in part or "+" in part:
            name, value = unquote_plus(name), unquote_plus(value)
        if name:
            query[name] = value
    return query


def stored_headers(headers: Mapping[str, str], auth_header: str | None, secret: str | None) -> str:
    """The headers as JSON text, without whatever authenticates."""
    return _without_secret(
        {name: value for name, value in headers.items() if not _is_private(name) and name != auth_header}, secret
    )


def stored_query(query: Mapping[str, str], secret: str | None) -> str:
    """The query as JSON text, without whatever authenticates and without what only names the project."""
    if not query:
        return "{}"
    return _without_secret(
        {name: value for name, value in query.items() if name not in _ROUTING_NAMES and not _is_private(name.lower())},
        secret,
    )


def decode_query(stored: str) -> dict[str, str]:
    """Back from the text of `stored_query`."""
    return msgspec.json.decode(stored, type=dict[str, str])


@lru_cache(maxsize=4096)
def address(host: str | None) -> str:
    """The peer's IP address, empty if it is none (a proxy may claim anything)."""
    try:
        return str(ipaddress.ip_address((host or "").partition("%")[0]))
    except ValueError:
        return ""


def _without_secret(values: dict[str, str], secret: str | None) -> str:
    text = _encode(values).decode()
    # Two things must not get into jsonb and are rare, so the finished text is searched first: the secret under a name
    # that does not sound like one, and NUL, which PostgreSQL does not take.
    if (secret and _in_json(secret) in text) or "\\u0000" in text:
        text = _encode(
            {
                name.replace("\0", "\ufffd"): value.replace("\0", "\ufffd")
                for name, value in values.items()
                if not secret or (secret not in value and secret not in name)
            }
        ).decode()
    return text


@lru_cache(maxsize=1024)
def _in_json(text: str) -> str:
    return _encode(text).decode()[1:-1]


@lru_cache(maxsize=4096)
def _is_private(name: str) -> bool:
    return any(part in name for part in _PRIVATE_NAMES)


def _number(text: str) -> int:
    return int(text[:19]) if text.isdecimal() else 0


async def _drain(receive: Receive, most_bytes: int) -> None:
    """Throw away the rest of a body, within limits."""
    size = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while size <= most_bytes:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))
    except TimeoutError:
        return
