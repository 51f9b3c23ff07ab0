"""Messages of the SignalR hub protocol, version 1, in JSON: each ends with a record separator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

SEPARATOR = "\x1e"
MOST_CHARACTERS = 32 * 1024
"""Of one message of a client."""
INVOCATION, STREAM_ITEM, COMPLETION, STREAM_INVOCATION, CANCEL_INVOCATION, PING, CLOSE = range(1, 8)

_encode = msgspec.json.Encoder().encode


class ProtocolError(Exception):
    """The client does not keep to the protocol. The message is one sentence."""


class Records:
    """Cuts what arrives into messages; one may come in several frames, and several in one."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, text: str) -> Iterator[str]:
        """The messages that are whole now. Raises ProtocolError."""
        *whole, self._rest = (self._rest + text).split(SEPARATOR)
        if len(self._rest) > MOST_CHARACTERS or any(len(message) > MOST_CHARACTERS for message in whole):
            raise ProtocolError(f"A message may have at most {MOST_CHARACTERS:,} characters.")
        yield from whole


def read_handshake(text: str) -> None:
    """Raises ProtocolError if the client asks for anything but JSON, version 1 or 2."""
    asked = read(text)
    if asked.get("protocol") != "json":
        raise ProtocolError("This hub speaks the protocol json alone.")
    if asked.get("version") not in (1, 2):
        raise ProtocolError("This hub speaks version 1 of the protocol.")


def read(text: str) -> dict[str, Any]:
    """A message. Raises ProtocolError if it is no JSON object."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ProtocolError("A message is a JSON object.") from None


def handshake_answer(error: str | None = None) -> str:
    return _record({} if error is None else {"error": error})


def invocation(target: str, argument: Any) -> str:
    """Call a method of the client with one argument; no answer is expected."""
    return _record({"type": INVOCATION, "target": target, "arguments": [argument]})


def completion(invocation_id: str, *, result: Any = None, error: str | None = None) -> str:
    """The answer to a call of the client."""
    answer: dict[str, Any] = {"type": COMPLETION, "invocationId": invocation_id}
    return _record({**answer, "result": result} if error is None else {**answer, "error": error})


def ping() -> str:
    return _record({"type": PING})


def close(error: str | None = None, *, may_return: bool = False) -> str:
    """The last message; `may_return`: a client that reconnects by itself should."""
    message: dict[str, Any] = {"type": CLOSE}
    if error is not None:
        message["error"] = error
    if may_return:
        message["allowReconnect"] = True
    return _record(message)


def _record(message: dict[str, Any]) -> str:
    return _encode(message).decode() + SEPARATOR
