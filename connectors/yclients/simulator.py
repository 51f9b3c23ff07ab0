"""A stand-in for the YCLIENTS REST API on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(company_id=77, timezone="Europe/Moscow")
    app = create_app(state)                  # serve it with uvicorn; the base URL is http://127.0.0.1:PORT/api/v1
    client = state.add_client("Иван", phone="+79990000001")
    record = state.add_record([state.add_service("Стрижка", 900)], client_id=client.id)
    state.pay(record.id)                     # queues the webhooks for the addresses in the company's settings
    state.faults.add("server_error", "/records", times=2)

It behaves as the notes in README.md beside it say; what they leave open is a switch of `SimulatorState`. Several
companies can live in one app; the limit of requests is one for all of them, since the vendor counts by IP address.
"""

from __future__ import annotations

import re

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from connectors.keycrm.simulator_faults import LoggedRequest
from connectors.keycrm.simulator_server import Answered, Exchange, parsed_body, read_body
from connectors.yclients import simulator_routes
from connectors.yclients.simulator_answers import LIMIT_SAID, ApiError, refusal
from connectors.yclients.simulator_objects import Line
from connectors.yclients.simulator_state import SimulatorState

__all__ = ["PREFIX", "Line", "SimulatorState", "create_app"]

PREFIX = "/api/v1"
_BAD_GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_NOT_FOUND_PAGE = _BAD_GATEWAY_PAGE.replace("502 Bad Gateway", "404 Not Found")
_MESSAGES = {429: LIMIT_SAID, 500: "Внутренняя ошибка сервера", 503: "Сервис временно недоступен"}
_ACCEPTED = re.compile(rb"application/vnd\.(?:yclients|api)\.v2\+json")
_PARTNER_ONLY = re.compile(r"/(?:auth|companies|company/[0-9]+/?)")
_COMPANY = re.compile(r"/(?:timetable/transactions|[a-z_]+)/([0-9]+)(?:/|$)")


def create_app(*states: SimulatorState) -> FastAPI:
    """An app that serves these companies under /api/v1. Raises ValueError."""
    if not states or len({state.company_id for state in states}) < len(states):
        raise ValueError("the simulator needs companies, each with an id of its own")
    app = _Simulator(states)
    app.include_router(simulator_routes.router, prefix=PREFIX)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return refusal(error)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(_NOT_FOUND_PAGE, error.status_code, media_type="text/html")


def _refuse(status: int) -> Response:
    if status == 502:
        return Response(_BAD_GATEWAY_PAGE, 502, media_type="text/html")
    return refusal(ApiError(status, _MESSAGES[status]))


class _Simulator(FastAPI):
    """FastAPI behind what stands before it at YCLIENTS: the limit of requests, the tokens; and the faults."""

    def __init__(self, states: tuple[SimulatorState, ...]) -> None:
        super().__init__(title="YCLIENTS simulator", openapi_url=None, redirect_slashes=False)
        self._states = {state.company_id: state for state in states}
        self._first = states[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX + "/"):
            await super().__call__(scope, receive, send)
            return
        path = scope["path"][len(PREFIX) :]
        named = _COMPANY.match(path)
        company = None if named is None else self._states.get(int(named[1]))
        state = company or self._first
        body = await read_body(receive)
        query = scope["query_string"].decode("latin-1")
        logged = LoggedRequest(scope["method"], path, query, state.clock(), parsed_body(body))
        state.requests.add(logged)
        exchange = Exchange(scope, receive, send, state.clock(), logged, _refuse)
        if (limited := self._limited(state)) is not None:
            await exchange.reply(limited)
            return
        refused = _refusal_of(scope, state, path)
        if refused is None and named is not None and company is None:
            refused = ApiError(404, "Компания не найдена")
        if refused is not None:
            await exchange.reply(refusal(refused))
            return
        page = str(logged.body.get("page")) if isinstance(logged.body, dict) else logged.params.get("page", "1")
        fault = state.faults.strike(logged.method, path, int(page.partition(".")[0]) if page[:1].isdigit() else 1)
        scope["company"], scope["body"] = state, body
        answered = Answered(super().__call__, body)
        if fault is not None:
            logged.fault = scope["fault"] = fault.kind
        if fault is None or fault.kind == "duplicate_page":
            await answered(scope, receive, exchange.send)
        else:
            await exchange.fail(fault, answered)

    def _limited(self, state: SimulatorState) -> Response | None:
        """The throttle's answer. It names no time to wait."""
        if state.limit_strikes > 0:
            state.limit_strikes -= 1
        else:
            # Both count, whatever the other says.
            passes = [limit.take()[0] for limit in self._first.limits]
            if all(passes):
                return None
        return refusal(ApiError(200 if state.limit_answers_200 else 429, LIMIT_SAID))


def _refusal_of(scope: Scope, state: SimulatorState, path: str) -> ApiError | None:
    headers = dict(scope["headers"])
    given = headers.get(b"authorization", b"").decode("latin-1")
    partner, _, user = given.partition(", User ")
    if partner != f"Bearer {state.partner_token}":
        return ApiError(401, "Необходима авторизация партнёра")
    if not _PARTNER_ONLY.fullmatch(path) and user != state.user_token:
        return ApiError(401, "Необходима авторизация пользователя")
    if _PARTNER_ONLY.fullmatch(path) and user not in ("", state.user_token):
        return ApiError(401, "Необходима авторизация пользователя")
    if not _ACCEPTED.search(headers.get(b"accept", b"")):
        return ApiError(400, "Не указана версия API в заголовке Accept")
    if state.licence_ended:
        return ApiError(402, "Лицензия филиала закончилась")
    return None
