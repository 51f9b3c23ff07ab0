"""A stand-in for the KeyCRM Open API on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(api_key="test-key")
    app = create_app(state)                     # serve it with uvicorn; the base URL is http://127.0.0.1:PORT/v1
    order = state.add_order(products=[{"name": "Mug", "price": 200, "quantity": 2}])
    state.change_status(order.id, 5)            # queues the webhook for state.webhooks' targets
    state.faults.add("server_error", "/order", times=2)
    state.requests.count("GET", "/order")
    state.writes.twice()                        # what clients have made more than once

It behaves as the notes on KeyCRM in `connectors/keycrm/README.md` say; what they leave open is a switch of
`SimulatorState`. Several accounts can live in one app: the API key tells them apart, as at KeyCRM.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from connectors.keycrm import simulator_admin, simulator_routes, simulator_routes_catalog, simulator_routes_orders
from connectors.keycrm.simulator_faults import LoggedRequest
from connectors.keycrm.simulator_listing import answer
from connectors.keycrm.simulator_server import Answered, Exchange, parsed_body, read_body
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_values import ApiError
from connectors.keycrm.simulator_webhooks import WebhookTarget

__all__ = ["SimulatorState", "WebhookTarget", "create_app"]

PREFIX = "/v1"
_NOT_FOUND_PAGE = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
    "<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_MESSAGES = {429: "Too Many Attempts.", 500: "Server Error", 503: "Service Unavailable"}
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


def _refuse(status: int) -> Response:
    if status == 502:
        return Response(_BAD_GATEWAY_PAGE, 502, media_type="text/html")
    return answer({"message": _MESSAGES[status]}, status)


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
            body = await read_body(receive)
        logged = LoggedRequest(
            scope["method"], path, scope["query_string"].decode("latin-1"), state.clock(), parsed_body(body)
        )
        state.requests.add(logged)
        exchange = Exchange(scope, receive, send, state.clock(), logged, _refuse)
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
        answered = Answered(super().__call__, body)
        if fault is None or fault.kind in ("duplicate_page", "no_status_changed_at"):
            await answered(scope, receive, exchange.send)
        else:
            await exchange.fail(fault, answered)
