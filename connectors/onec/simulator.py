"""A stand-in for a published 1C base on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(password="test-key")
    app = create_app(state)                     # base_url of OData is http://127.0.0.1:PORT/trade,
    key = state.add_document([(state.add_item("Кофе"), 2, 625.25)])        # of the service .../trade/hs, or the server
    state.unpost(key)
    state.faults.add("server_error", "/trade/odata", times=2)

It behaves as the notes on 1C in `connectors/onec/README.md` say; what differs from base to base is a switch of
`SimulatorState`. The token URL, `/oauth/token`, may be served by an app of its own: `create_token_app`.
"""

from __future__ import annotations

import base64
import binascii

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from connectors.keycrm.simulator_faults import LoggedRequest
from connectors.keycrm.simulator_server import Answered, Exchange, parsed_body, read_body
from connectors.onec import simulator_odata, simulator_service
from connectors.onec.simulator_state import SimulatorState

__all__ = ["SimulatorState", "create_app", "create_token_app"]

_NOT_FOUND_PAGE = "<html><head><title>404 - File or directory not found.</title></head><body></body></html>"
_TOKEN_PATH = "/oauth/token"  # noqa: S105 - an address


def create_app(state: SimulatorState) -> FastAPI:
    """An app that serves the base, and its token URL."""
    app = _Simulator(state)
    app.include_router(simulator_odata.router(state), prefix=f"/{state.name}/odata/standard.odata")
    app.include_router(simulator_service.router(state), prefix=f"/{state.name}/hs")
    app.include_router(simulator_service.router(state))
    app.include_router(simulator_service.tokens(state))
    app.add_exception_handler(simulator_odata.ODataError, simulator_odata.failed)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def create_token_app(state: SimulatorState) -> FastAPI:
    """An app that serves the token URL alone."""
    app = _Simulator(state)
    app.include_router(simulator_service.tokens(state))
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Response(_NOT_FOUND_PAGE, status, media_type="text/html")


def _refuse(status: int) -> Response:
    """Of the web server and what stands before it: 1C itself knows no limit."""
    return Response(f"<html><body><h1>{status}</h1></body></html>", status, media_type="text/html")


class _Simulator(FastAPI):
    """FastAPI behind the web server that asks for a user; and the faults."""

    def __init__(self, state: SimulatorState) -> None:
        super().__init__(title="1C simulator", openapi_url=None)
        self._state = state
        self.state.pages = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        path = scope["path"]
        body = b"" if scope["method"] == "GET" else await read_body(receive)
        query = scope["query_string"].decode("latin-1")
        logged = LoggedRequest(scope["method"], path, query, self._state.clock(), parsed_body(body))
        self._state.requests.add(logged)
        exchange = Exchange(scope, receive, send, self._state.clock(), logged, _refuse)
        if path != _TOKEN_PATH and not self._may_enter(scope):
            await exchange.reply(
                Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="1C:Enterprise 8.3"'})
            )
            return
        page = 2 if "datetime" in query or "since" in query else 1
        fault = self._state.faults.strike(logged.method, path, page)
        if fault is not None:
            logged.fault = scope["fault"] = fault.kind
        answered = Answered(super().__call__, body)
        if fault is None or fault.kind == "duplicate_page":
            await answered(scope, receive, exchange.send)
        else:
            await exchange.fail(fault, answered)

    def _may_enter(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
        scheme, _, value = given.partition(" ")
        if scheme == "Bearer":
            return self._state.knows_token(value)
        try:
            pair = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        return scheme == "Basic" and pair == f"{self._state.username}:{self._state.password}"
