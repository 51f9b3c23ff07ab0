"""One client of the hub: handshake, its calls, the events it hears, pings, and the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from dashboard.signalr import protocol
from dashboard.signalr.protocol import ProtocolError, Records
from dashboard.stream.feed import Portion
from dashboard.stream.messages import event_object
from dashboard.stream.subscription import EndedError, Subscription
from web.problems import ProblemError

PING_SECONDS = 15.0
SILENCE_SECONDS = 60.0
"""Clients ping every 15 s; one that is not heard of for so long is gone."""
HANDSHAKE_SECONDS = 15.0
TARGETS = {"order": "OrderUpdated", "payment": "PaymentUpdated", "buyer": "BuyerUpdated", "stock": "StockUpdated"}
RESET = "Reset"
_GOING_AWAY, _NORMAL, _PROTOCOL_ERROR = 1001, 1000, 1002

Method = Callable[[list[Any]], Awaitable[Any]]

log = structlog.get_logger()


class CallError(Exception):
    """A call of the client cannot be done. The message is one sentence for it."""


class HubConnection:
    """`methods` are what the client may call, by their names in lower case: case does not matter in SignalR."""

    def __init__(self, websocket: WebSocket, subscription: Subscription, methods: Mapping[str, Method]) -> None:
        self._websocket = websocket
        self._subscription = subscription
        self._methods = methods
        self._records = Records()
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Serve the client until it leaves, its rights end, or the server stops."""
        with contextlib.suppress(WebSocketDisconnect):
            try:
                early = await self._shake_hands()
            except ProtocolError as error:
                await self._send(protocol.handshake_answer(str(error)))
                await self._end(_PROTOCOL_ERROR)
                return
            except TimeoutError:
                await self._send(protocol.handshake_answer("The handshake did not come in time."))
                await self._end(_PROTOCOL_ERROR)
                return
            await self._serve(early)

    async def _serve(self, early: list[str]) -> None:
        receiving = asyncio.create_task(self._receive_all(early))
        sending = asyncio.create_task(self._send_events())
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
            first = sending if sending.done() else receiving
            first.result()
        except EndedError as error:
            await self._send(protocol.close(str(error), may_return=error.may_return))
            await self._end(_GOING_AWAY if error.may_return else _NORMAL)
        except ProtocolError as error:
            await self._send(protocol.close(str(error)))
            await self._end(_PROTOCOL_ERROR)
        except TimeoutError:
            await self._send(protocol.close("Nothing was heard of the client for too long.", may_return=True))
            await self._end(_NORMAL)
        else:  # the client said that it closes
            await self._end(_NORMAL)
        finally:
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    async def _shake_hands(self) -> list[str]:
        """Messages that came along with the handshake. Raises ProtocolError, TimeoutError, WebSocketDisconnect."""
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            while not (messages := list(self._records.add(await self._receive()))):
                continue
        protocol.read_handshake(messages[0])
        await self._send(protocol.handshake_answer())
        return messages[1:]

    async def _receive_all(self, early: list[str]) -> None:
        """Until the client closes. Raises ProtocolError, TimeoutError, WebSocketDisconnect."""
        messages = early
        while True:
            for text in messages:
                message = protocol.read(text)
                if message.get("type") == protocol.CLOSE:
                    return
                await self._handle(message)
            async with asyncio.timeout(SILENCE_SECONDS):
                messages = list(self._records.add(await self._receive()))

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        invocation_id = message.get("invocationId")
        if kind == protocol.INVOCATION:
            answer = await self._call(message)
            if isinstance(invocation_id, str):  # without an id no answer is wanted
                await self._send(protocol.completion(invocation_id, **answer))
        elif kind == protocol.STREAM_INVOCATION and isinstance(invocation_id, str):
            await self._send(protocol.completion(invocation_id, error="This hub has no streams to call."))
        elif not isinstance(kind, int):
            raise ProtocolError("A message names its type by a number.")
        # Pings say that the client lives, which reading them has noted. The rest concerns calls that we never make.

    async def _call(self, message: dict[str, Any]) -> dict[str, Any]:
        """The result or the error of a client's call."""
        target, arguments = message.get("target"), message.get("arguments")
        if not isinstance(target, str) or not isinstance(arguments, list):
            raise ProtocolError("A call names its target and a list of arguments.")
        method = self._methods.get(target.lower())
        if method is None:
            return {"error": f"The hub has no method of this name; it has {', '.join(sorted(self._methods))}."}
        try:
            return {"result": await method(arguments)}
        except CallError as error:
            return {"error": str(error)}
        except ProblemError as problem:
            return {"error": problem.detail}

    async def _send_events(self) -> None:
        """Raises EndedError, WebSocketDisconnect."""
        while True:
            portion = await self._subscription.next(PING_SECONDS)
            await self._send(protocol.ping() if portion is None else _invocations(portion))

    async def _receive(self) -> str:
        """The next frame. Raises WebSocketDisconnect, ProtocolError."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", _NORMAL))
        text = message.get("text")
        if text is not None:
            return str(text)
        try:
            return bytes(message["bytes"]).decode()
        except UnicodeDecodeError:
            raise ProtocolError("Frames are UTF-8 text.") from None

    async def _send(self, text: str) -> None:
        """Raises WebSocketDisconnect if the client is gone."""
        async with self._sending:
            if self._websocket.application_state is not WebSocketState.CONNECTED:
                raise WebSocketDisconnect(_NORMAL)
            await self._websocket.send_text(text)

    async def _end(self, code: int) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.close(code)


def _invocations(portion: Portion) -> str:
    if portion.is_reset:
        return protocol.invocation(RESET, {"event_id": portion.cursor})
    return "".join(protocol.invocation(TARGETS[event.kind], event_object(event)) for event in portion.events)
