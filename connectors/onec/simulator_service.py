"""The custom service of the simulated base, as its 1C developer might have written it, and the token URL before it."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from fastapi import APIRouter, Request, Response

from connectors.onec.simulator_state import EMPTY, ITEMS, JSON, SimulatorState

_encode = msgspec.json.Encoder().encode
_PREFIXES = {"latin": "1C-", "cyrillic": "1С-", "bare": "", "number": ""}


def router(state: SimulatorState) -> APIRouter:
    """`/api/transactions`: below /{base}/hs, and where a proxy rewrites it."""
    routes = APIRouter()

    @routes.get("/api/transactions")
    async def transactions(request: Request, since: str = "") -> Response:
        if state.service_breaks:
            return Response("{ОбщийМодуль.Обмен.Модуль(17)}: Деление на 0", 500, media_type="text/html")
        with state.lock:
            found = [row for key in state.documents if (row := _row(state, key, since)) is not None]
        if request.scope.get("fault") == "duplicate_page":
            found = found + found
        body = _encode({"transactions": found} if state.service_wraps else found)
        if state.service_has_bom:
            body = b"\xef\xbb\xbf" + body
        return Response(body, media_type="application/json;charset=utf-8")

    return routes


def tokens(state: SimulatorState) -> APIRouter:
    """`/oauth/token`: client credentials in a Basic header or in the form, as the state says."""
    routes = APIRouter()

    @routes.post("/oauth/token")
    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        client: tuple[str | None, str | None] = (form.get("client_id"), form.get("client_secret"))
        if state.takes_client_in == "header":
            pair = base64.b64decode(given).decode().split(":") if scheme == "Basic" else ["", ""]
            client = (unquote(pair[0]), unquote(pair[-1]))
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        if client != (state.client_id, state.client_secret):
            return _json({"error": "invalid_client"}, 401)
        body = {"access_token": state.issue_token(), "token_type": "Bearer", "expires_in": state.token_seconds}
        return _json(body, 200)

    return routes


def service_row(state: SimulatorState, key: str) -> JSON:
    """A document as the service tells it."""
    document = state.documents[key]
    number = state.number_of(key)
    amount = document["СуммаДокумента"]
    items = [
        {"name": state.entities[ITEMS][line["Номенклатура_Key"]]["Description"], "price": line["Цена"]}
        for line in document["Товары"]
        if line["Номенклатура_Key"] != EMPTY
    ]
    return {
        "id": number if state.service_ids == "number" else f"{_PREFIXES[state.service_ids]}{number}",
        "date": document["Date"],
        "customer_phone": document["Телефон"] or None,
        "amount": amount if state.service_amounts == "number" else number_text(amount),
        "items": items or None,
        "comment": document["Комментарий"],
    }


def number_text(value: float) -> str:
    """As 1C's Строка(Число) writes it: no-break spaces between thousands, a comma, no trailing zeros."""
    whole, _, fraction = f"{value:.2f}".partition(".")
    grouped = f"{int(whole):,}".replace(",", "\u00a0")
    return f"{grouped},{fraction}".rstrip("0").rstrip(",")


def _row(state: SimulatorState, key: str, since: str) -> JSON | None:
    document = state.documents[key]
    if not document["Posted"] or document["DeletionMark"]:
        return None
    at = document["Date"] if state.service_since == "date" else state.wall(state.changed_at[key])
    is_due = at >= since if state.service_includes_since else at > since
    return service_row(state, key) if is_due else None


def _json(body: Any, status: int) -> Response:
    return Response(_encode(body), status, media_type="application/json")
