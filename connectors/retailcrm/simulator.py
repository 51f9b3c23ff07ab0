"""A stand-in for the RetailCRM API v5 on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(api_key="test-key")
    app = create_app(state)                     # serve it with uvicorn; the base URL is http://127.0.0.1:PORT
    order = state.add_order(items=[{"name": "Mug", "initialPrice": 200, "quantity": 2}])
    state.change_status(order["id"], "assembling")
    state.faults.add("server_error", "/orders/history", times=2)

It behaves as the traps in `connectors/retailcrm/README.md` say. A host has one account, as at the vendor.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from connectors.keycrm.simulator_faults import LoggedRequest
from connectors.keycrm.simulator_server import Answered, Exchange, read_body
from connectors.retailcrm import simulator_routes, simulator_writes
from connectors.retailcrm.simulator_state import SimulatorState
from connectors.retailcrm.simulator_triggers import Trigger
from connectors.retailcrm.simulator_values import ApiError

__all__ = ["SimulatorState", "Trigger", "create_app"]

PREFIX = "/api/v5"
_PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"


def create_app(state: SimulatorState) -> FastAPI:
    """An app that serves the account under /api."""
    app = _Simulator(state)
    app.include_router(simulator_routes.unversioned, prefix="/api")
    app.include_router(simulator_routes.router, prefix=PREFIX)
    app.include_router(simulator_writes.router, prefix=PREFIX)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status)


def _failure(status: int, message: str) -> Response:
    return JSONResponse(ApiError(status, message).body, status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.scope["path"].startswith("/api/"):
        return _failure(404, "API method not found")
    return Response(_PAGE.format("404 Not Found"), 404, media_type="text/html")


class _Simulator(FastAPI):
    """FastAPI behind what stands before it at RetailCRM: the key, the rate limit; and the faults."""

    def __init__(self, state: SimulatorState) -> None:
        super().__init__(title="RetailCRM simulator", openapi_url=None)
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await super().__call__(scope, receive, send)
            return
        state = self._state
        body = await read_body(receive) if scope["method"] != "GET" else b""
        path = scope["path"].removeprefix("/api").removeprefix("/v5")
        text = body.decode("utf-8", "replace") or None
        logged = LoggedRequest(scope["method"], path, scope["query_string"].decode("latin-1"), state.clock(), text)
        state.requests.add(logged)
        exchange = _Exchange(scope, receive, send, state.clock(), logged, _refuse)
        if (refused := _key_refusal(state, scope, logged)) is not None:
            await exchange.reply(refused)
            return
        may_pass, _, wait = state.throttle.take()
        if not may_pass:
            await exchange.too_many(wait)
            return
        is_later = logged.params.get("filter[sinceId]") is not None or logged.params.get("page", "1") != "1"
        fault = state.faults.strike(logged.method, path, 2 if is_later else 1)
        scope["account"] = state
        if fault is not None:
            logged.fault = scope["fault"] = fault.kind
        answered = Answered(super().__call__, body)
        if fault is None or fault.kind == "duplicate_page":
            await answered(scope, receive, exchange.send)
        else:
            await exchange.fail(fault, answered)


def _key_refusal(state: SimulatorState, scope: Scope, logged: LoggedRequest) -> Response | None:
    """The key stands in the header or in the parameter apiKey."""
    header = next((value for name, value in scope["headers"] if name == b"x-api-key"), b"").decode("latin-1")
    key: Any = header or logged.params.get("apiKey", "")
    if not key:
        return _failure(400, '"apiKey" is missing.')
    return None if key == state.api_key else _failure(403, 'Wrong "apiKey" value.')


class _Exchange(Exchange):
    """Too many requests are a 503, which does not say how long to wait."""

    async def too_many(self, seconds: float) -> None:
        await self.reply(_failure(503, "Rate limit exceeded"))


def _refuse(status: int) -> Response:
    """JSON is RetailCRM's own; HTML is of what stands before it."""
    if status == 500:
        return _failure(500, "Internal server error")
    title = {502: "502 Bad Gateway", 503: "503 Service Unavailable"}[status]
    return Response(_PAGE.format(title), status, media_type="text/html")
