"""A stand-in for iikoCloud, and for the dialect of the requirement, on loopback: for the demo and the tests.

    state = SimulatorState(api_login="test-login")
    state.add_organization("Кафе", zone="Europe/Moscow")
    app = create_app(state)                      # serve it with uvicorn; the base URL is http://127.0.0.1:PORT
    order = state.add_order([{"name": "Борщ", "price": 350, "amount": 2}], phone="+79990001122")
    state.set_status(order.order_id, "Closed")   # queues the webhook of the organization, if it has one
    state.faults.add("server_error", "/api/1/deliveries", times=2)

It behaves as the notes in README.md beside it say; what they leave open is a switch of `SimulatorState`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.iiko import simulator_cloud, simulator_spec
from connectors.iiko.simulator_answers import ApiError, answer, error_body
from connectors.iiko.simulator_state import SimulatorState
from connectors.keycrm.simulator_faults import LoggedRequest
from connectors.keycrm.simulator_server import Answered, Exchange, parsed_body, read_body

__all__ = ["SimulatorState", "create_app"]

_OPEN = frozenset({"/api/1/access_token", "/api/v2/access_token", "/api/auth"})


def create_app(state: SimulatorState) -> FastAPI:
    """An app that serves the account in both dialects."""
    app = _Simulator(state)
    app.include_router(simulator_cloud.router(state))
    app.include_router(simulator_spec.router(state))
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer(error.body, error.status)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response("404 page not found", error.status_code, media_type="text/plain")


def _refuse(status: int) -> Response:
    if status == 429:
        return answer({"message": "Too many requests", "details": None}, status)
    if status == 502:
        return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", status, media_type="text/html")
    return answer(error_body("An internal error has occurred", None), status)


class _Simulator(FastAPI):
    """FastAPI behind what stands before it at iiko: the token, the rate limit; and the faults."""

    def __init__(self, state: SimulatorState) -> None:
        super().__init__(title="iiko simulator", openapi_url=None)
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        state, path = self._state, scope["path"]
        body = await read_body(receive)
        logged = LoggedRequest(
            scope["method"], path, scope["query_string"].decode("latin-1"), state.clock(), parsed_body(body)
        )
        state.requests.add(logged)
        exchange = Exchange(scope, receive, send, state.clock(), logged, _refuse)
        may_pass, _, wait = state.throttle.take()
        if not may_pass:
            await exchange.too_many(wait)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if _is_guarded(path) and not state.tokens.is_good(headers.get(b"authorization", "")):
            await exchange.reply(answer(error_body("Token is expired or invalid", None), 401))
            return
        # Nothing has pages here: a page that comes twice is an answer with each order twice.
        fault = state.faults.strike(logged.method, path, 2)
        answered = Answered(super().__call__, body)
        if fault is None:
            await answered(scope, receive, exchange.send)
            return
        logged.fault = fault.kind
        if fault.kind == "duplicate_page":
            start, whole = await answered.collect(scope, receive)
            await exchange.reply(answer(_doubled(msgspec.json.decode(whole)), start["status"]))
        else:
            await exchange.fail(fault, answered)


def _is_guarded(path: str) -> bool:
    return path.startswith("/api/") and path not in _OPEN


def _doubled(value: Any) -> Any:
    """The same answer with each order in it twice."""
    for group in value.get("ordersByOrganizations", [value]):
        group["orders"] = [order for order in group.get("orders", []) for _ in range(2)]
    return value
