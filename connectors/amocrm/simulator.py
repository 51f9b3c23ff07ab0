"""A stand-in for amoCRM's API v4 on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(access_token="long-lived")
    app = create_app(state)                     # the base URL is http://127.0.0.1:PORT
    lead = state.add_lead("Сделка", price=289.5, contacts=[state.add_contact("Анна", phones=["+79990000001"])])
    state.move_lead(lead, 142)                  # writes the log, queues webhooks of registered destinations
    state.switches.has_filters = False
    state.faults.add("server_error", "/api/v4/leads", times=2)

It behaves as README.md beside this file says; what the documentation leaves open is one of `Switches`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from connectors.amocrm import simulator_routes
from connectors.amocrm.simulator_lists import ApiProblemError
from connectors.amocrm.simulator_state import SimulatorState, Switches, custom_field
from connectors.keycrm.simulator_faults import LoggedRequest
from connectors.keycrm.simulator_server import Answered, Exchange, parsed_body, read_body

__all__ = ["SimulatorState", "Switches", "create_app", "custom_field"]

PREFIX = "/api/v4"
_REMEMBERED = 100
_CACHED = timedelta(minutes=1)
"""An answer older than that is not repeated: it would be no page of the same reading, but what the list once was."""
_BLOCKED = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def problem(status: int, title: str, detail: str, **extra: Any) -> Response:
    return _answer(ApiProblemError(status, title, detail, **extra))


def create_app(state: SimulatorState) -> FastAPI:
    """An app that serves the account: /api/v4, /oauth2/access_token and the page that grants access, /oauth."""
    app = _Simulator(state)
    app.include_router(simulator_routes.router, prefix=PREFIX)
    app.include_router(simulator_routes.oauth)
    app.add_exception_handler(ApiProblemError, _api_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    return app


def _answer(error: ApiProblemError) -> Response:
    return Response(msgspec.json.encode(error.body), error.status, media_type="application/problem+json")


async def _api_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblemError)
    return _answer(error)


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(
        error.status_code, "Not Found" if error.status_code == 404 else "Method Not Allowed", "No such method"
    )


class _Simulator(FastAPI):
    """FastAPI behind what stands before it at amoCRM: the block, the rate limit, the token; and the faults."""

    def __init__(self, state: SimulatorState) -> None:
        super().__init__(title="amoCRM simulator", openapi_url=None)
        self._state = state
        self._last: dict[str, tuple[datetime, Message, bytes]] = {}
        """By list: when it was answered last, and what."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        state, path = self._state, scope["path"]
        scope["account"] = state
        body = await read_body(receive) if scope["method"] != "GET" else b""
        query = scope["query_string"].decode("latin-1")
        logged = LoggedRequest(scope["method"], path, query, state.clock(), parsed_body(body))
        state.requests.add(logged)
        exchange = _AmoExchange(scope, receive, send, state, logged)
        if (refusal := self._refusal(scope, path)) is not None:
            await exchange.reply(refusal)
            return
        # First pages alone are asked for in some ways of reading: there the second request counts as a second page.
        listed = _list_of(path, logged)
        is_second = logged.method == "GET" and listed in self._last and logged.at - self._last[listed][0] <= _CACHED
        fault = state.faults.strike(logged.method, path, 2 if is_second else 1)
        answered = Answered(super().__call__, body)
        if fault is not None:
            logged.fault = fault.kind
        if fault is None or fault.kind == "duplicate_page":
            await self._page(exchange, answered, scope, receive, listed, is_repeated=fault is not None)
        else:
            await exchange.fail(fault, answered)

    async def _page(
        self,
        exchange: _AmoExchange,
        answered: Answered,
        scope: Scope,
        receive: Receive,
        listed: str,
        *,
        is_repeated: bool,
    ) -> None:
        """The answer; the one before once more if it `is_repeated`, as out of a cache."""
        if not is_repeated:
            self._last[listed] = self._state.clock(), *await answered.collect(scope, receive)
            if len(self._last) > _REMEMBERED:
                del self._last[next(iter(self._last))]
        _, start, content = self._last[listed]
        await exchange.send({**start, "headers": list(start["headers"])})
        await exchange.send({"type": "http.response.body", "body": content})

    def _refusal(self, scope: Scope, path: str) -> Response | None:
        state = self._state
        if state.switches.is_blocked:
            return Response(_BLOCKED, 403, media_type="text/html")
        if not path.startswith(PREFIX + "/"):
            return None
        may_pass, _, wait = state.throttle.take()
        if not may_pass:
            state.refused += 1
            state.switches.is_blocked = state.refused >= state.switches.blocks_after
            return too_many(state, wait)
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
        if not header.startswith("Bearer ") or not state.oauth.accepts(header[7:]):
            return problem(401, "Unauthorized", "Неверный логин или пароль")
        if not state.switches.is_paid:
            return problem(402, "Payment Required", "Аккаунт не оплачен")
        return None


def _list_of(path: str, logged: LoggedRequest) -> str:
    """What two requests must share to be pages of one list. Windows of leads and contacts move; the log's stay."""
    if not path.endswith("/events"):
        return path
    return "&".join(part for part in [path, *logged.query.split("&")] if not part.startswith(("page=", "limit=")))


def too_many(state: SimulatorState, seconds: float) -> Response:
    if not state.switches.tells_retry_after:
        return Response("Too many requests", 429, media_type="text/plain")
    wait = max(1, -int(-seconds // 1))
    return problem(429, "Too Many Requests", "You've exceeded the limit of requests per second", retry_after=wait)


def _refusal_with(status: int) -> Response:
    """What a server in trouble says: the API's own servers in JSON, the proxy before them in HTML."""
    if status == 502:
        return Response(_BLOCKED.replace("403 Forbidden", "502 Bad Gateway"), 502, media_type="text/html")
    return problem(status, "Server Error", "Server error", trace_id="5c1f")


class _AmoExchange(Exchange):
    def __init__(
        self, scope: Scope, receive: Receive, send: Send, state: SimulatorState, logged: LoggedRequest
    ) -> None:
        super().__init__(scope, receive, send, state.clock(), logged, _refusal_with)
        self._state = state

    async def too_many(self, seconds: float) -> None:
        await self.reply(too_many(self._state, seconds))
