"""A stand-in for the API of a made-up vendor, Orchard, whose manners can be chosen: what custom definitions meet.

    state = SimulatorState("key", form="json", auth="bearer", paging="offset")
    app = create_app(state)                     # the base URL is http://127.0.0.1:PORT/api
    order = state.add_order(total="1250.50", state="new")
    state.change(order, state="paid")
    state.faults.add("server_error", "/orders", times=2)

Orchard lists orders, sales and clients by id, `updated_since` leaves older ones out, and one of them can be read
alone. It answers in JSON or XML; asks for Basic, Bearer, a header with a key, or OAuth2; and pages by number, offset,
cursor or a link in the answer. A short page need not be the last one: it gives at most `most_per_page` rows.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

import httpx
from fastapi import FastAPI, Response
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from connectors.custom.simulator_bodies import list_body, one_body, webhook_body
from connectors.http import encode_json
from connectors.keycrm.simulator_faults import Faults, LoggedRequest, RequestLog, Throttle
from connectors.keycrm.simulator_server import Answered, Exchange, parsed_body, read_body

PREFIX = "/api"
LISTS = ("orders", "sales", "clients")
Form = Literal["json", "xml"]
AuthWay = Literal["none", "basic", "bearer", "header", "oauth2"]
PagingWay = Literal["page", "offset", "cursor", "next_link"]
Row = dict[str, Any]
TOKEN_SECONDS = 3600


@dataclass
class SimulatorState:
    """One account. `key` is the token, the header's value, the password, or the client's secret."""

    key: str
    form: Form = "json"
    auth: AuthWay = "bearer"
    paging: PagingWay = "offset"
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    most_per_page: int = 100
    user: str = "orchard"
    """The user's or client's name."""
    ignores_since: bool = False
    """Orchard's older servers do not know `updated_since`."""
    faults: Faults = field(default_factory=Faults)
    throttle: Throttle = field(default_factory=lambda: Throttle(0))
    requests: RequestLog = field(default_factory=RequestLog)
    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {name: {} for name in LISTS})
    tokens: dict[str, datetime] = field(default_factory=dict)
    """Tokens that were given, and when they end."""
    target: str | None = None
    """Where webhooks go."""
    shifted: dict[str, int] = field(default_factory=dict)
    """Lists that have become longer at their start, by rows."""
    _last_id: int = 0

    def add_order(self, *, at: datetime | None = None, **values: Any) -> Row:
        """A new order; its row."""
        moment = at or self.clock()
        row = {
            "state": "new", "state_at": stamp(moment), "created": stamp(moment), "total": "0.00", "currency": "UAH",
            "client": None, "note": "",
        }  # fmt: skip
        return self._add("orders", moment, {**row, **values})

    def add_sale(self, *, at: datetime | None = None, **values: Any) -> Row:
        """A new sale; its row."""
        moment = at or self.clock()
        row = {"at": stamp(moment), "sum": "0.00", "title": "", "phone": "", "order": None, "void": False}
        return self._add("sales", moment, {**row, **values})

    def add_client(self, *, at: datetime | None = None, **values: Any) -> Row:
        """A new client; its row."""
        return self._add("clients", at or self.clock(), {"name": "", "phone": "", "email": "", **values})

    def change(self, row: Row, *, at: datetime | None = None, **values: Any) -> None:
        """Change a row; a new state gets its time."""
        moment = at or self.clock()
        if "state" in values:
            row["state_at"] = stamp(moment)
        row |= {**values, "updated": stamp(moment)}

    def remove(self, name: str, row_id: int) -> None:
        del self.rows[name][row_id]

    def announce(self, name: str, row: Row) -> None:
        """Tell the webhook's target of a row, as Orchard does."""
        if self.target is not None:
            body, media_type = webhook_body(self.form, name, row)
            httpx.post(self.target, content=body, headers={"content-type": media_type}, timeout=30).raise_for_status()

    def give_token(self) -> str:
        token = f"orchard-token-{len(self.tokens) + 1}"
        self.tokens[token] = self.clock() + timedelta(seconds=TOKEN_SECONDS)
        return token

    def is_authentic(self, headers: Mapping[str, str]) -> bool:
        given = headers.get("authorization", "")
        match self.auth:
            case "none":
                return True
            case "header":
                return headers.get("x-orchard-key") == self.key
            case "basic":
                pair = f"{self.user}:{self.key}".encode()
                return given == f"Basic {base64.b64encode(pair).decode()}"
            case "bearer":
                return given == f"Bearer {self.key}"
        end = self.tokens.get(given.removeprefix("Bearer "))
        return end is not None and self.clock() < end

    def _add(self, name: str, moment: datetime, row: Row) -> Row:
        self._last_id += 1
        made = {"id": self._last_id, **row, "updated": stamp(moment)}
        self.rows[name][self._last_id] = made
        return made


def stamp(moment: datetime) -> str:
    """A time as Orchard writes it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def create_app(state: SimulatorState) -> FastAPI:
    """An app that serves the account under /api."""
    app = _Orchard(state)

    @app.post("/oauth/token")
    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        pair = f"{quote(state.user, safe='')}:{quote(state.key, safe='')}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        named = (form.get("client_id"), form.get("client_secret")) == (state.user, state.key)
        if form.get("grant_type") != "client_credentials":
            return _answer({"error": "unsupported_grant_type"}, 400)
        if request.headers.get("authorization") != basic and not named:
            return _answer({"error": "invalid_client"}, 401)
        return _answer({"access_token": state.give_token(), "token_type": "Bearer", "expires_in": TOKEN_SECONDS}, 200)

    @app.get(PREFIX + "/{name}")
    async def listing(name: str, request: Request) -> Response:
        return _list(state, name, request)

    @app.get(PREFIX + "/{name}/{row_id}")
    async def one(name: str, row_id: str) -> Response:
        row = state.rows.get(name, {}).get(int(row_id)) if row_id.isdecimal() and row_id.isascii() else None
        if row is None:
            return _answer({"error": f"no such {name}"}, 404)
        body, media_type = one_body(state.form, name, row)
        return Response(body, media_type=media_type)

    return app


def _list(state: SimulatorState, name: str, request: Request) -> Response:
    if name not in LISTS:
        return _answer({"error": "no such list"}, 404)
    query = request.query_params
    since = "" if state.ignores_since else query.get("updated_since", "")
    rows = [row for row in sorted(state.rows[name].values(), key=lambda row: row["id"]) if row["updated"] >= since]
    size = min(int(query.get("limit", state.most_per_page)), state.most_per_page)
    is_struck = request.scope.get("fault") == "duplicate_page"
    if state.paging in ("cursor", "next_link"):
        after = int(query.get("after", "0"))
        shown = [row for row in rows if row["id"] > after][:size]
        has_more = bool(shown) and shown[-1]["id"] < rows[-1]["id"]
        token = str(shown[-1]["id"]) if has_more else ""
        if is_struck:
            shown, token = [row for row in rows if row["id"] <= after][-size:], str(after)
    else:
        begin = int(query.get("offset", "0")) if state.paging == "offset" else (int(query.get("page", "1")) - 1) * size
        if begin == 0:
            state.shifted.pop(name, None)
        elif is_struck:
            state.shifted[name] = size
        rows = rows[: state.shifted.get(name, 0)] + rows
        shown, token = rows[begin : begin + size], ""
    if token and state.paging == "next_link":
        token = str(request.url.include_query_params(after=token))
    body, media_type = list_body(state.form, name, shown, total=len(rows), token=token)
    return Response(body, media_type=media_type)


def _answer(value: Any, status: int) -> Response:
    return Response(encode_json(value), status, media_type="application/json")


class _Orchard(FastAPI):
    """FastAPI behind authentication, the rate limit and the faults."""

    def __init__(self, state: SimulatorState) -> None:
        super().__init__(title="Orchard simulator", openapi_url=None)
        self._orchard = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        state = self._orchard
        body = await read_body(receive)
        path = scope["path"].removeprefix(PREFIX)
        query = scope["query_string"].decode("latin-1")
        logged = LoggedRequest(scope["method"], path, query, state.clock(), parsed_body(body))
        state.requests.add(logged)
        exchange = Exchange(scope, receive, send, state.clock(), logged, _refuse)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if path != "/oauth/token" and not state.is_authentic(headers):
            await exchange.reply(_answer({"error": "the credentials are not accepted"}, 401))
            return
        may_pass, _, wait = state.throttle.take()
        if not may_pass:
            await exchange.too_many(wait)
            return
        is_first = not {"page", "offset", "after"} & logged.params.keys() or logged.params.get("page") == "1"
        fault = state.faults.strike(logged.method, path, 1 if is_first or logged.params.get("offset") == "0" else 2)
        answered = Answered(super().__call__, body)
        if fault is not None:
            logged.fault = scope["fault"] = fault.kind
        if fault is None or fault.kind == "duplicate_page":
            await answered(scope, receive, exchange.send)
        else:
            await exchange.fail(fault, answered)


def _refuse(status: int) -> Response:
    return _answer({"error": "not now"}, status)
