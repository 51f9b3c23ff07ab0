"""A stand-in for the KeyCRM Open API on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(api_key="test-key")
    app = create_app(state)                     # serve it with uvicorn; the base URL is http://127.0.0.1:PORT/v1
    order = state.add_order(products=[{"name": "Mug", "price": 200, "quantity": 2}])
    state.change_status(order.id, 5)            # queues the webhook for state.webhooks' targets
    state.faults.add("server_error", "/order", times=2)
    state.requests.count("GET", "/order")

It behaves as the notes on KeyCRM in `connectors/keycrm/README.md` say; what they leave open is a switch of
`SimulatorState`. Several accounts can live in one app: the API key tells them apart, as at KeyCRM.
"""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from connectors.keycrm import simulator_admin, simulator_routes, simulator_routes_catalog, simulator_routes_orders
from connectors.keycrm.simulator_faults import Fault, LoggedRequest
from connectors.keycrm.simulator_listing import answer
from connectors.keycrm.simulator_server import drop_connection, leave_date_to_app
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_values import ApiError
from connectors.keycrm.simulator_webhooks import WebhookTarget

__all__ = ["SimulatorState", "WebhookTarget", "create_app"]

PREFIX = "/v1"
_NOT_FOUND_PAGE = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
    "<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_BAD_GATEWAY_PAGE = _NOT_FOUND_PAGE.replace("404 Not Found", "502 Bad Gateway")


def create_app(*states: SimulatorState) -> FastAPI:
    """An app that serves these accounts under /v1, and the controls under /_simulator. Raises ValueError."""
    if not states or len({state.api_key for state in states}) < len(states):
        raise ValueError("the simulator needs accounts, each with its own API key")
    app = _Simulator(states)
    app.include_router(simulator_routes.dictionaries, prefix=PREFIX)
    app.include_router(simulator_routes_orders.router, prefix=PREFIX)
    app.include_router(simulator_routes_catalog.router, prefix=PREFIX)
    app.include_router(simulator_routes.router, prefix=PREFIX)
    app.include_router(simulator_admin.router(states), prefix="/_simulator")
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer(error.body, error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return Response(_NOT_FOUND_PAGE, 404, media_type="text/html")
    path = request.scope["path"].lstrip("/")
    return answer({"message": f"The {request.method} method is not supported for route {path}."}, error.status_code)


class _Simulator(FastAPI):
    """FastAPI behind what stands before it at KeyCRM: authentication, the rate limit; and the faults."""

    def __init__(self, states: tuple[SimulatorState, ...]) -> None:
        super().__init__(title="KeyCRM simulator", openapi_url=None)
        self._accounts = {f"Bearer {state.api_key}".encode("latin-1"): state for state in states}
        self._first = states[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX + "/"):
            await super().__call__(scope, receive, send)
            return
        key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        account = self._accounts.get(key)
        state = account if account is not None else self._first
        path = scope["path"][len(PREFIX) :]
        body = b""
        if scope["method"] != "GET":
            body = await _read_body(receive)
        logged = LoggedRequest(
            scope["method"], path, scope["query_string"].decode("latin-1"), state.clock(), _parsed(body)
        )
        state.requests.add(logged)
        exchange = _Exchange(scope, receive, send, state, logged)
        if account is None:
            await exchange.reply(answer({"message": "Unauthenticated."}, 401))
            return
        may_pass, remaining, wait = state.throttle.take()
        if state.throttle.requests > 0:
            exchange.headers += [
                (b"x-ratelimit-limit", b"%d" % state.throttle.requests),
                (b"x-ratelimit-remaining", b"%d" % remaining),
            ]
        if not may_pass:
            await exchange.too_many(wait)
            return
        page = logged.params.get("page", "1") if b"page=" in scope["query_string"] else "1"
        fault = state.faults.strike(logged.method, path, int(page) if page.isdigit() else 1)
        scope["account"] = state
        if fault is not None:
            logged.fault = scope["fault"] = fault.kind
        answered = _Answered(super().__call__, body)
        if fault is None or fault.kind in ("duplicate_page", "no_status_changed_at"):
            await answered(scope, receive, exchange.send)
        else:
            await exchange.fail(fault, answered)


class _Exchange:
    """One request's way back: adds the headers, notes the status, and lets things go wrong."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, state: SimulatorState, logged: LoggedRequest
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._logged = logged
        leave_date_to_app(send)
        date = format_datetime(state.clock(), usegmt=True).encode()
        self.headers: list[tuple[bytes, bytes]] = [(b"date", date)]

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._logged.status = message["status"]
            message["headers"] = [*message.get("headers", []), *self.headers]
        await self._send(message)

    async def reply(self, response: Response) -> None:
        await response(self._scope, self._receive, self.send)

    async def too_many(self, seconds: float) -> None:
        whole = max(1, -int(-seconds // 1))
        self.headers.append((b"retry-after", b"%d" % whole))
        await self.reply(answer({"message": "Too Many Attempts."}, 429))

    async def fail(self, fault: Fault, app: _Answered) -> None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await app(self._scope, self._receive, self.send)
            return
        if fault.kind in ("cut", "truncated"):
            start, whole = await app.collect(self._scope, self._receive)
            await self._cut(start, whole, is_complete=fault.kind == "truncated")
            return
        if fault.is_applied:
            await app.collect(self._scope, self._receive)
        match fault.kind:
            case "too_many":
                await self.too_many(fault.seconds)
            case "server_error":
                await self.reply(answer({"message": "Server Error"}, 500))
            case "unavailable":
                await self.reply(answer({"message": "Service Unavailable"}, 503))
            case "bad_gateway":
                await self.reply(Response(_BAD_GATEWAY_PAGE, 502, media_type="text/html"))
            case "timeout":
                await _wait_for_disconnect(self._receive, fault.seconds)
                await drop_connection(self._receive, self._send)
            case _:
                await drop_connection(self._receive, self._send)

    async def _cut(self, start: Message, whole: bytes, *, is_complete: bool) -> None:
        half = whole[: max(1, len(whole) // 2)]
        length = len(half) if is_complete else len(whole)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        start["headers"] = [*headers, (b"content-length", b"%d" % length)]
        await self.send(start)
        await self.send({"type": "http.response.body", "body": half, "more_body": not is_complete})
        if not is_complete:
            await drop_connection(self._receive, self._send)


class _Answered:
    """The app behind the faults, with the request's body that has been read already."""

    def __init__(self, app: Any, body: bytes) -> None:
        self._app = app
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": self._body, "more_body": False}

        await self._app(scope, replay, send)

    async def collect(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Let the app do its work, and keep its answer: (start message, body)."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _read_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")


async def _wait_for_disconnect(receive: Receive, seconds: float) -> None:
    """Hang, but not on a client that has gone: the server could not stop meanwhile."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return
