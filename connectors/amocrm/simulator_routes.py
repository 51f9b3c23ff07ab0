"""Routes of the simulated API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from connectors.amocrm.simulator_lists import (
    MOST,
    MOST_EVENTS,
    ApiProblemError,
    event_tests,
    list_page,
    object_tests,
    ordered,
    read_query,
)
from connectors.amocrm.simulator_state import SimulatorState
from connectors.amocrm.simulator_webhooks import CODES

JSON = dict[str, Any]
MOST_COMPLEX = 50
_EDITABLE = (
    "name",
    "price",
    "responsible_user_id",
    "loss_reason_id",
    "custom_fields_values",
    "first_name",
    "last_name",
)
router = APIRouter()
oauth = APIRouter()


def _state(request: Request) -> SimulatorState:
    state: SimulatorState = request.scope["account"]
    return state


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/hal+json")


def _page(request: Request, key: str, rows: list[JSON], **settings: Any) -> Response:
    path = request.scope["path"].removeprefix("/api/v4")
    found = list_page(_state(request), path, read_query(request.scope["query_string"]), key, rows, **settings)
    return Response(status_code=204) if found is None else _json(found)


async def _body(request: Request) -> Any:
    try:
        return msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        raise ApiProblemError(400, "Bad Request", "Request body is not valid JSON") from None


@oauth.post("/oauth2/access_token")
async def access_token(request: Request) -> Response:
    status, answer = _state(request).oauth.token(await _body(request))
    return _json(answer, status)


@oauth.get("/oauth")
async def grant(request: Request) -> Response:
    """The page where an administrator presses "allow": here it is pressed at once."""
    query = read_query(request.scope["query_string"])
    if query.get("client_id") != _state(request).client_id:
        return Response("Unknown integration", 404)
    return RedirectResponse(_state(request).oauth.redirect(str(query.get("state", ""))), 302)


@router.get("/account")
async def account(request: Request) -> Response:
    state = _state(request)
    wanted = str(read_query(request.scope["query_string"]).get("with", "")).split(",")
    body: JSON = {
        "id": state.account_id, "name": state.name, "subdomain": state.subdomain, "created_at": 1_600_000_000,
        "created_by": 0, "updated_at": 1_600_000_000, "updated_by": 0, "current_user_id": 7, "country": "RU",
        "currency": state.currency, "currency_symbol": "₽", "customers_mode": "disabled", "is_unsorted_on": True,
        "is_loss_reason_enabled": True, "is_helpbot_enabled": False, "is_technical_account": False,
        "contact_name_display_order": 1,
        "_links": {"self": {"href": f"https://{state.subdomain}.amocrm.ru/api/v4/account"}},
    }  # fmt: skip
    if "is_api_filter_enabled" in wanted:
        body["is_api_filter_enabled"] = state.switches.has_filters
    embedded: JSON = {}
    if "datetime_settings" in wanted:
        embedded["datetime_settings"] = {
            "date_pattern": "d.m.Y H:i", "timezone": state.timezone, "timezone_offset": "+03:00",
        }  # fmt: skip
    if "users_groups" in wanted:
        embedded["users_groups"] = [{"id": 0, "name": "Отдел продаж", "uuid": None}]
    if embedded:
        body["_embedded"] = embedded
    return _json(body)


@router.get("/leads/pipelines")
async def pipelines(request: Request) -> Response:
    rows = list(_state(request).pipelines.values())
    return _json({"_total_items": len(rows), "_links": {"self": {"href": ""}}, "_embedded": {"pipelines": rows}})


@router.get("/leads/pipelines/{pipeline_id}")
async def pipeline(request: Request, pipeline_id: int) -> Response:
    found = _state(request).pipelines.get(pipeline_id)
    if found is None:
        raise ApiProblemError(404, "Not Found", "No such pipeline")
    return _json(found)


@router.get("/leads/pipelines/{pipeline_id}/statuses")
async def statuses(request: Request, pipeline_id: int) -> Response:
    found = _state(request).pipelines.get(pipeline_id)
    if found is None:
        raise ApiProblemError(404, "Not Found", "No such pipeline")
    rows = found["_embedded"]["statuses"]
    return _json({"_total_items": len(rows), "_embedded": {"statuses": rows}})


@router.get("/users")
async def users(request: Request) -> Response:
    return _page(request, "users", [{"id": 7, "name": "Мария", "email": "m@example.com", "lang": "ru"}])


@router.get("/events")
async def events(request: Request) -> Response:
    state = _state(request)
    tests = event_tests(state, read_query(request.scope["query_string"]))
    with state.lock:
        rows = [row for row in state.visible_events() if all(test(row) for test in tests)]
    return _page(request, "events", rows, most=MOST_EVENTS)


def _shown(state: SimulatorState, kind: str, row: JSON, wanted: list[str]) -> JSON:
    """A lead or contact as a list shows it: what belongs to it only where `with` asks for it."""
    embedded = {name: value for name, value in row["_embedded"].items() if name != "contacts"}
    if kind == "leads" and "contacts" in wanted:
        embedded["contacts"] = row["_embedded"]["contacts"]
    if kind == "contacts" and "leads" in wanted:
        embedded["leads"] = [{"id": lead} for lead in state.contact_leads(row["id"])]
    if "loss_reason" in wanted:
        embedded["loss_reason"] = []
    fields = {name: value for name, value in row.items() if name != "source_id" or "source_id" in wanted}
    link = {"self": {"href": f"https://{state.subdomain}.amocrm.ru/api/v4/{kind}/{row['id']}"}}
    return {**fields, "_links": link, "_embedded": embedded}


def _add_object_routes(kind: str) -> None:
    def rows_of(state: SimulatorState) -> dict[int, JSON]:
        return state.leads if kind == "leads" else state.contacts

    async def list_objects(request: Request) -> Response:
        state, query = _state(request), read_query(request.scope["query_string"])
        wanted = str(query.get("with", "")).split(",")
        with state.lock:
            if "only_deleted" in wanted:
                gone = state.deleted[kind].values()
                rows = [{name: row[name] for name in ("id", "updated_at", "is_deleted")} for row in gone]
            else:
                tests = object_tests(state, query)
                chosen = [row for row in rows_of(state).values() if all(test(row) for test in tests)]
                rows = [_shown(state, kind, row, wanted) for row in ordered(chosen, query)]
            return _page(request, kind, rows)

    async def one_object(request: Request, object_id: int) -> Response:
        state, query = _state(request), read_query(request.scope["query_string"])
        with state.lock:
            row = rows_of(state).get(object_id)
            if row is None:
                return Response(status_code=204)
            return _json(_shown(state, kind, row, str(query.get("with", "")).split(",")))

    async def create(request: Request) -> Response:
        state, items = _state(request), _items(await _body(request), MOST)
        with state.lock:
            ids = [_create(state, kind, item) for item in items]
        made = [{"id": new, "request_id": str(item.get("request_id", number))}
                for number, (new, item) in enumerate(zip(ids, items, strict=True))]  # fmt: skip
        return _json({"_embedded": {kind: made}})

    async def change_many(request: Request) -> Response:
        state, items = _state(request), _items(await _body(request), MOST)
        with state.lock:
            changed = [_change(state, kind, rows_of(state), item.get("id"), item) for item in items]
        return _json({"_embedded": {kind: changed}})

    async def change_one(request: Request, object_id: int) -> Response:
        state, item = _state(request), await _body(request)
        with state.lock:
            return _json(_change(state, kind, rows_of(state), object_id, item))

    routes: list[tuple[str, Callable[..., Any], str]] = [
        (f"/{kind}", list_objects, "GET"),
        (f"/{kind}", create, "POST"),
        (f"/{kind}", change_many, "PATCH"),
        (f"/{kind}/{{object_id:int}}", one_object, "GET"),
        (f"/{kind}/{{object_id:int}}", change_one, "PATCH"),
    ]
    for path, endpoint, method in routes:
        router.add_api_route(path, endpoint, methods=[method])


def _items(body: Any, most: int) -> list[JSON]:
    """Bodies are lists, even of one."""
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise ApiProblemError(400, "Bad Request", "Request validation failed", **{"validation-errors": []})
    if len(body) > most:
        raise ApiProblemError(422, "Unprocessable Entity", f"At most {most} objects are taken at once")
    return body


def _invalid(path: str, detail: str, number: str = "0") -> ApiProblemError:
    errors = [{"request_id": number, "errors": [{"code": "NotSupportedChoice", "path": path, "detail": detail}]}]
    return ApiProblemError(400, "Bad Request", "Request validation failed", **{"validation-errors": errors})


def _check_stage(state: SimulatorState, pipeline_id: Any, status_id: Any) -> None:
    known = state.pipelines.get(pipeline_id)
    if known is None:
        raise _invalid("pipeline_id", "There is no such pipeline")
    if status_id is not None and status_id not in [row["id"] for row in known["_embedded"]["statuses"]]:
        raise _invalid("status_id", "There is no such status in the pipeline")


def _create(state: SimulatorState, kind: str, item: JSON) -> int:
    fields = item.get("custom_fields_values") or ()
    if kind == "contacts":
        name = item.get("name") or " ".join(str(item.get(part) or "") for part in ("first_name", "last_name")).strip()
        return state.add_contact(str(name), fields=fields)
    if item.get("pipeline_id") is not None:
        _check_stage(state, item["pipeline_id"], item.get("status_id"))
    contacts = [row["id"] for row in (item.get("_embedded") or {}).get("contacts", ())]
    return state.add_lead(
        str(item.get("name") or "Сделка"), price=item.get("price") or 0, pipeline_id=item.get("pipeline_id"),
        status_id=item.get("status_id"), contacts=contacts, fields=fields,
    )  # fmt: skip


def _change(state: SimulatorState, kind: str, rows: dict[int, JSON], object_id: Any, item: Any) -> JSON:
    if not isinstance(item, dict) or object_id not in rows:
        raise ApiProblemError(404, "Not Found", "No such object")
    changes = {name: value for name, value in item.items() if name in _EDITABLE and name in rows[object_id]}
    if changes:
        state.update(kind, object_id, **changes)
    if kind == "leads" and (item.get("status_id") is not None or item.get("pipeline_id") is not None):
        lead = rows[object_id]
        pipeline_id = item.get("pipeline_id") or lead["pipeline_id"]
        status_id = item.get("status_id") or lead["status_id"]
        _check_stage(state, pipeline_id, status_id)
        state.move_lead(object_id, status_id, pipeline_id=pipeline_id)
    return {"id": object_id, "updated_at": rows[object_id]["updated_at"]}


@router.post("/leads/complex")
async def create_complex(request: Request) -> Response:
    """Leads with their contacts; answers a bare list."""
    state, items = _state(request), _items(await _body(request), MOST_COMPLEX)
    made = []
    with state.lock:
        for number, item in enumerate(items):
            given = (item.get("_embedded") or {}).get("contacts") or []
            contact_id = _create(state, "contacts", given[0]) if given else None
            lead = {**item, "_embedded": {"contacts": [{"id": contact_id}] if contact_id else []}}
            made.append({"id": _create(state, "leads", lead), "contact_id": contact_id, "company_id": None,
                         "request_id": [str(number)], "merged": False})  # fmt: skip
    return _json(made)


_add_object_routes("leads")
_add_object_routes("contacts")


@router.get("/webhooks")
async def list_hooks(request: Request) -> Response:
    state, query = _state(request), read_query(request.scope["query_string"])
    asked = query.get("filter")
    wanted = asked.get("destination") if isinstance(asked, dict) else None
    rows = [hook for hook in state.hooks if wanted in (None, hook["destination"])]
    if not rows:
        return Response(status_code=204)
    return _json({"_total_items": len(rows), "_embedded": {"webhooks": rows}})


@router.post("/webhooks")
async def add_hook(request: Request) -> Response:
    state, item = _state(request), await _body(request)
    if not state.switches.may_hook:
        raise ApiProblemError(402, "Payment Required", "Webhooks are not part of the plan")
    if not isinstance(item, dict) or not str(item.get("destination", "")).startswith(("http://", "https://")):
        raise _invalid("destination", "A valid address is expected")
    if unknown := [code for code in item.get("settings") or () if code not in CODES]:
        raise _invalid("settings", f"Unknown {unknown[0]}")
    found = next((hook for hook in state.hooks if hook["destination"] == item["destination"]), None)
    if found is None:
        found = {"id": state.next_id(), "destination": item["destination"], "created_at": state.now(), "created_by": 7,
                 "sort": len(state.hooks) + 1, "disabled": False}  # fmt: skip
        state.hooks.append(found)
    found |= {"settings": list(item["settings"]), "updated_at": state.now(), "disabled": False}
    return _json(found, 201)


@router.delete("/webhooks")
async def remove_hook(request: Request) -> Response:
    state, item = _state(request), await _body(request)
    state.hooks[:] = [hook for hook in state.hooks if hook["destination"] != item.get("destination")]
    return Response(status_code=204)
