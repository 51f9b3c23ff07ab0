"""A stand-in for Renovatio's API on loopback, for the demo and the tests: state in memory, seeded, deterministic.

    state = SimulatorState(api_key="test-key")
    app = create_app(state)                 # serve it with uvicorn; the base URL is http://127.0.0.1:PORT/api/public
    clinic = state.add_clinic("Clinic A")
    visit = state.add_visit(state.add_patient("Test T."), [("Consultation", 2500, 1)], status="completed")
    state.change(visit.id, status="refused")
    state.faults.add("server_error", "/getAppointments", times=2)

Methods are POSTed as forms (a GET with a query works too), with the key in the body or the query, below /api/public
or /api/public/v2. Logical errors come with HTTP 200. What the vendor leaves open is a switch of `SimulatorState`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from connectors.keycrm.simulator_faults import Fault, LoggedRequest
from connectors.keycrm.simulator_server import drop_connection, leave_date_to_app
from connectors.renovatio.simulator_state import JSON, STATUS_IDS, SimulatorState, Visit

__all__ = ["PREFIX", "SimulatorState", "create_app"]

PREFIX = "/api/public"
_REFUSED_METHODS = frozenset({"getPayments", "getInvoices", "getPrograms", "getCalls"})
"""There are such methods, and no integrator's key was seen to have a right to them."""
_PERIODS: Mapping[str, Callable[[Visit], datetime | None]] = {
    "date": lambda visit: visit.start,
    "date_updated": lambda visit: visit.updated,
    "date_created": lambda visit: visit.created,
    "date_cancel": lambda visit: visit.cancelled,
}
_FAR = timedelta(days=36_500)
_NOT_FOUND_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
_BAD_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


class _RefusalError(Exception):
    def __init__(self, code: int, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.code, self.text, self.status = code, text, status


def create_app(*states: SimulatorState) -> FastAPI:
    """An app that serves these accounts; the key tells them apart. Raises ValueError."""
    if not states or len({state.api_key for state in states}) < len(states):
        raise ValueError("the simulator needs accounts, each with its own API key")
    accounts = {state.api_key: state for state in states}
    app = _Simulator(title="Renovatio simulator", openapi_url=None)

    @app.api_route(PREFIX + "/{path:path}", methods=["GET", "POST"])
    async def call(path: str, request: Request) -> Response:
        body = await request.body()
        params = dict(request.query_params)
        if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
            params |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        account = accounts.get(params.pop("api_key", ""))
        state = account or states[0]
        method = path.removeprefix("v2/")
        logged = LoggedRequest(request.method, f"/{method}", request.url.query, state.clock(), params)
        state.requests.add(logged)
        if method not in _METHODS and method not in _REFUSED_METHODS:
            return _Reply(_NOT_FOUND_PAGE, 404, state, logged, media_type="text/html")
        fault = state.faults.strike(request.method, logged.path, 2)
        logged.fault = None if fault is None else fault.kind
        with state.lock:
            try:
                rows = _answer(state, account is not None, method, params)
            except _RefusalError as refusal:
                content = _envelope(state, 1, _error(state, refusal.code, refusal.text))
                return _Reply(content, refusal.status, state, logged, fault)
            if fault is not None and fault.kind == "duplicate_page":
                rows = [row for row in rows for _ in range(2)]
            return _Reply(_envelope(state, 0, state.listed(rows)), 200, state, logged, fault)

    @app.exception_handler(404)
    async def not_found(_: Request, __: Exception) -> Response:
        return Response(_NOT_FOUND_PAGE, 404, media_type="text/html")

    return app


def _answer(state: SimulatorState, is_known: bool, method: str, params: Mapping[str, str]) -> list[JSON]:
    if not is_known:
        raise _RefusalError(401, "Auth error")
    if state.spurious_refusals > 0:
        state.spurious_refusals -= 1
        raise _RefusalError(401, "Auth error")
    if method in _REFUSED_METHODS or method in state.denied:
        raise _RefusalError(403, "No access to method")
    return _METHODS[method](state, params)


def _get_clinics(state: SimulatorState, params: Mapping[str, str]) -> list[JSON]:
    return [
        {
            "id": str(clinic.id) if state.ids_are_text else clinic.id,
            "title": clinic.title,
            **({"timezone": clinic.timezone} if state.tells_timezones else {}),
        }
        for clinic in state.clinics.values()
    ]


def _get_users(state: SimulatorState, params: Mapping[str, str]) -> list[JSON]:
    names = sorted({visit.doctor for visit in state.visits.values()})
    return [{"id": number, "name": name, "is_deleted": False} for number, name in enumerate(names, start=12)]


def _get_appointments(state: SimulatorState, params: Mapping[str, str]) -> list[JSON]:
    found = list(state.visits.values())
    is_bounded = "appointment_id" in params
    for name, moment_of in _PERIODS.items():
        if (period := _period(state, params, name)) is None:
            continue
        is_bounded = True
        start, end = period
        if end - start > state.widest:
            raise _RefusalError(500, state.error_text, 200 if state.is_500_logical else 500)
        found = [
            visit for visit in found if (moment := moment_of(visit)) is not None and start <= visit.local(moment) <= end
        ]
    if not is_bounded:
        raise _RefusalError(500, state.error_text, 200 if state.is_500_logical else 500)
    values: Mapping[str, Callable[[Visit], str]] = {
        "appointment_id": lambda visit: str(visit.id),
        "clinic_id": lambda visit: str(visit.clinic.id),
        "patient_id": lambda visit: str(visit.patient.id),
        "status": lambda visit: visit.status,
        "status_id": lambda visit: str(STATUS_IDS[visit.status]),
    }
    for name, value_of in values.items():
        if params.get(name):
            wanted = {part.strip() for part in params[name].split(",")}
            found = [visit for visit in found if value_of(visit) in wanted]
    shows_patient = state.shows_patients or params.get("show_patient_data") == "1"
    return [state.appointment(visit, shows_patient=shows_patient) for visit in found]


_METHODS: Mapping[str, Callable[[SimulatorState, Mapping[str, str]], list[JSON]]] = {
    "getClinics": _get_clinics,
    "getUsers": _get_users,
    "getAppointments": _get_appointments,
}


def _period(state: SimulatorState, params: Mapping[str, str], name: str) -> tuple[datetime, datetime] | None:
    start, end = (_wall_clock(state, params.get(f"{name}_{side}", "")) for side in ("from", "to"))
    if start is not None:
        return start, end if end is not None else start + _FAR
    return None if end is None else (end - _FAR, end)


def _wall_clock(state: SimulatorState, text: str) -> datetime | None:
    if not text:
        return None
    for pattern in ("%d.%m.%Y %H:%M", "%d.%m.%Y"):
        with suppress(ValueError):
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the vendor's times have no zone
    raise _RefusalError(400, state.error_text)


def _error(state: SimulatorState, code: int, text: str) -> JSON:
    return {"code": str(code) if state.codes_are_text else code, "desc": text}


def _envelope(state: SimulatorState, error: int, data: JSON) -> bytes:
    return msgspec.json.encode({"error": str(error) if state.error_is_text else error, "data": data})


class _Simulator(FastAPI):
    """FastAPI wraps `send`, and the two things that are asked of uvicorn need its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leave_date_to_app(send)
        scope["server_send"] = send
        await super().__call__(scope, receive, send)


class _Reply(Response):
    """An answer with the account's own clock, and with what goes wrong on its way."""

    def __init__(
        self,
        content: bytes,
        status: int,
        state: SimulatorState,
        logged: LoggedRequest,
        fault: Fault | None = None,
        *,
        media_type: str = "application/json",
    ) -> None:
        self._fault, self._logged = fault, logged
        kind = None if fault is None else fault.kind
        headers = {"date": format_datetime(state.clock(), usegmt=True)}
        if fault is not None and kind == "too_many":
            status, content = 429, b"Too Many Requests"
            headers["retry-after"] = str(int(fault.seconds))
        elif kind == "server_error":
            status, content = 500, _envelope(state, 1, _error(state, 500, state.error_text))
        elif kind in ("unavailable", "bad_gateway"):
            status, content, media_type = (503 if kind == "unavailable" else 502), _BAD_GATEWAY_PAGE, "text/html"
        elif kind == "truncated":
            content = content[: max(1, len(content) // 2)]
        super().__init__(content, status, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = None if self._fault is None else self._fault.kind
        seconds = 0.0 if self._fault is None else self._fault.seconds
        if kind == "slow":
            await asyncio.sleep(seconds)
        if kind == "timeout":  # not longer than the client waits: the server could not stop meanwhile
            with suppress(TimeoutError):
                await asyncio.wait_for(receive(), seconds)
        if kind in ("timeout", "drop"):
            await drop_connection(receive, scope["server_send"])
            return
        self._logged.status = self.status_code
        if kind != "cut":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: max(1, len(self.body) // 2)]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await drop_connection(receive, scope["server_send"])
