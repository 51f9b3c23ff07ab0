"""Standard OData of the simulated base: collections, single objects, counts, posting; errors with 1C's codes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec
from fastapi import APIRouter, Request, Response

from connectors.onec.simulator_filter import FilterError, parse_filter
from connectors.onec.simulator_state import CUSTOMERS, DOCUMENT, JSON, SimulatorState

_OPTIONS = {"$format", "$filter", "$select", "$orderby", "$top", "$skip", "$inlinecount", "$expand", "allowedOnly"}
_OPTIONS |= {"$allowedOnly"}
_REFERENCES = {"Контрагент": CUSTOMERS}
_encode = msgspec.json.Encoder().encode


class ODataError(Exception):
    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def router(state: SimulatorState) -> APIRouter:
    """The routes below /{base}/odata/standard.odata."""
    routes = APIRouter()

    @routes.get("")
    async def service(request: Request) -> Response:
        return _answered(request, {"value": [{"name": name, "url": name} for name in sorted(state.published)]})

    @routes.get("/{entity}/$count")
    async def count(request: Request, entity: str) -> Response:
        rows = _filtered(state, entity, _options(request))
        return Response(f"\ufeff{len(rows)}", media_type="text/plain")

    @routes.post("/{one}/{method}")
    async def post(request: Request, one: str, method: str) -> Response:
        _, row = _found(state, one)
        if method not in ("Post", "Unpost"):
            raise ODataError(404, 11, f"Метод не найден: {method}")
        state.change(row["Ref_Key"], Posted=method == "Post")
        return Response(status_code=200)

    @routes.get("/{entity}")
    async def read(request: Request, entity: str) -> Response:
        if "(" in entity:
            name, row = _found(state, entity)
            return _answered(request, _row(state, row, name, ()))
        return _collection(state, request, entity)

    return routes


def _collection(state: SimulatorState, request: Request, entity: str) -> Response:
    options = _options(request)
    if state.breaks:
        raise ODataError(500, -1, "Деление на 0")
    if state.is_restricted and "true" not in (options.get("allowedOnly"), options.get("$allowedOnly")):
        raise ODataError(401, 20, "Нарушение прав доступа")
    rows = _filtered(state, entity, options)
    body: JSON = {"odata.metadata": f"{request.base_url}$metadata#{entity}"}
    if options.get("$inlinecount") == "allpages":
        body["odata.count"] = str(len(rows))
    for order in reversed(options.get("$orderby", "").split(",")):
        if order:
            name, _, direction = order.strip().partition(" ")
            if rows and name not in rows[0]:
                raise ODataError(400, 10, f"Свойство не найдено: {name}")
            rows.sort(key=lambda row: row[name], reverse=direction == "desc")
    skip = _whole(options, "$skip", 0)
    rows = rows[skip : skip + _whole(options, "$top", len(rows))]
    expanded = [name for name in options.get("$expand", "").split(",") if name]
    shown = [_row(state, row, entity, expanded) for row in rows]
    if select := [name.strip() for name in options.get("$select", "").split(",") if name]:
        shown = [{name: row[name] for name in select if name in row} for row in shown]
    body["value"] = shown
    if request.scope.get("fault") == "duplicate_page" and entity in request.app.state.pages:
        return Response(request.app.state.pages[entity], media_type="application/json")
    answer = _answered(request, body)
    request.app.state.pages[entity] = answer.body
    return answer


def _filtered(state: SimulatorState, entity: str, options: dict[str, str]) -> list[JSON]:
    with state.lock:
        rows = list(_table(state, entity).values())
    text = options.get("$filter", "")
    if not text or state.ignores_filters:
        return rows
    try:
        test = parse_filter(text)
    except FilterError as error:
        raise ODataError(400, 14, str(error)) from None
    return [row for row in rows if test(row)]


def _options(request: Request) -> dict[str, str]:
    options = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    for name in options:
        if name.startswith("$") and name not in _OPTIONS:
            raise ODataError(400, 0, f"Неподдерживаемая опция запроса: {name}")
    return options


def _table(state: SimulatorState, entity: str) -> dict[str, JSON]:
    if entity not in state.published:
        raise ODataError(404, 8, f'Сущность "{entity}" не найдена')
    return state.entities[entity]


def _found(state: SimulatorState, one: str) -> tuple[str, JSON]:
    match = re.fullmatch(r"(\w+)\(guid'([0-9a-fA-F-]{36})'\)", one)
    if match is None:
        raise ODataError(400, 6, "Неверный URL")
    row = _table(state, match[1]).get(match[2].lower())
    if row is None:
        raise ODataError(404, 9, "Экземпляр не найден")
    return match[1], row


def _row(state: SimulatorState, row: JSON, entity: str, expanded: Any) -> JSON:
    shown = dict(row)
    for name in expanded:
        if entity != DOCUMENT or name not in _REFERENCES:
            raise ODataError(400, 10, f"Свойство не найдено: {name}")
        referred = state.entities[_REFERENCES[name]].get(row[f"{name}_Key"])
        if referred is not None:
            shown[name] = referred
    return shown


def _whole(options: dict[str, str], name: str, default: int) -> int:
    value = options.get(name)
    if value is None:
        return default
    if not value.isdigit():
        raise ODataError(400, 4, f"Неверное значение {name}")
    return int(value)


def _wants_json(request: Request) -> bool:
    asked = dict(parse_qsl(request.scope["query_string"].decode("latin-1"))).get("$format", "")
    return "json" in asked or "json" in request.headers.get("accept", "")


def _answered(request: Request, body: JSON) -> Response:
    if _wants_json(request):
        return Response(_encode(body), media_type="application/json;odata=minimalmetadata;charset=utf-8")
    entries = "".join(f"<entry><id>{escape(str(row.get('Ref_Key', '')))}</id></entry>" for row in body.get("value", []))
    feed = f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
    return Response(feed, media_type="application/atom+xml;charset=utf-8")


async def failed(request: Request, error: Exception) -> Response:
    """The answer to what raised ODataError: in JSON to who wants it, else in XML."""
    assert isinstance(error, ODataError)
    if _wants_json(request):
        body = {"odata.error": {"code": str(error.code), "message": {"lang": "ru", "value": error.text}}}
        return Response(_encode(body), error.status, media_type="application/json;charset=utf-8")
    text = f"<m:error><m:code>{error.code}</m:code><m:message>{escape(error.text)}</m:message></m:error>"
    return Response(text, error.status, media_type="application/xml")
