"""Routes of the simulated API below /api/v1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Request, Response

from connectors.yclients.simulator_answers import NOT_FOUND_SAID, ApiError, answer, day, moment, whole
from connectors.yclients.simulator_bodies import (
    account_title,
    client_body,
    company_body,
    number,
    payment_body,
    payment_row,
    record_body,
)
from connectors.yclients.simulator_objects import JSON, Payment, Visit
from connectors.yclients.simulator_state import SimulatorState

T = TypeVar("T")
router = APIRouter()

_ORDERS: Mapping[str, Callable[[Visit], Any]] = {
    "id": lambda record: record.id,
    "date": lambda record: (record.start, record.id),
    "created": lambda record: (record.created, record.id),
    "changed": lambda record: (record.changed, record.id),
}
_HOOK_FLAGS = frozenset({
    "salon", "service_category", "service", "good", "master", "client", "record", "goods_operations_sale",
    "goods_operations_receipt", "goods_operations_consumable", "goods_operations_stolen", "goods_operations_move",
    "finances_operation", "schedule", "loyalty_card", "self_sending",
})  # fmt: skip


def _state(request: Request) -> SimulatorState:
    state = request.scope["company"]
    assert isinstance(state, SimulatorState)
    return state


@router.post("/auth")
def authenticate(request: Request) -> Response:
    state, body = _state(request), _body(request)
    # The older clients send both in the query.
    given = {**request.query_params, **body}
    if (given.get("login"), given.get("password")) != (state.login, state.password):
        raise ApiError(401, "Неверный логин или пароль")
    user = {"id": 5, "user_token": state.user_token, "name": "Владелец", "phone": state.login, "login": state.login}
    return answer({**user, "email": "", "avatar": "", "is_approved": True}, status=201)


@router.get("/companies")
def companies(request: Request) -> Response:
    return answer([company_body(_state(request))], {"total_count": 1})


@router.get("/company/{company}")
@router.get("/company/{company}/")
def company(request: Request) -> Response:
    return answer(company_body(_state(request)))


@router.get("/company/{company}/staff")
@router.get("/company/{company}/staff/")
@router.get("/company/{company}/staff/{staff_id}")
def staff(request: Request, staff_id: str = "") -> Response:
    state = _state(request)
    rows = [
        {"id": one, "name": name, "specialization": "", "rating": 5, "position": {"id": 1, "title": "Мастер"}}
        for one, name in state.staff.items()
        if not staff_id or staff_id == str(one)
    ]
    return answer(rows, {"total_count": len(rows)})


@router.get("/company/{company}/services")
@router.get("/company/{company}/services/")
@router.get("/company/{company}/services/{service_id}")
def services(request: Request, service_id: str = "") -> Response:
    rows: list[JSON] = [
        {
            "id": one,
            "title": title,
            "category_id": 1,
            "price_min": number(price),
            "price_max": number(price),
            "staff": [],
        }
        for one, (title, price) in _state(request).services.items()
        if not service_id or service_id == str(one)
    ]
    return answer(rows, {"total_count": len(rows)})


@router.get("/accounts/{company}")
def accounts(request: Request) -> Response:
    return answer([{"id": one, "title": account_title(one), "type": one - 1, "comment": ""} for one in (1, 2)])


@router.get("/records/{company}")
def records(request: Request) -> Response:
    state, params = _state(request), request.query_params
    with_deleted = params.get("with_deleted") in ("1", "true")
    key = _ORDERS[state.order.removeprefix("-")]
    with state.lock:
        found = sorted(state.records.values(), key=key, reverse=state.order.startswith("-"))
        found = [one for one in found if (with_deleted or not one.deleted) and _is_asked_for(state, params, one)]
        rows = _page(request, state, found, params)
        flags = {"has_consumables": "include_consumables", "has_payments": "include_finance_transactions"}
        shown = {name: params.get(param) in ("1", "true") for name, param in flags.items()}
        bodies = [record_body(state, one, **shown) for one in rows]
    # What the reference says of total_count can be read as the rows of this page.
    return answer(bodies, {"page": whole(params, "page", 1), "total_count": len(rows)})


def _is_asked_for(state: SimulatorState, params: Mapping[str, str], record: Visit) -> bool:
    return (
        _is_between(record.start, state.zone, day(params, "start_date"), day(params, "end_date"))
        and _is_between(record.created, state.zone, day(params, "c_start_date"), day(params, "c_end_date"))
        and _is_changed(state, params, record.changed)
        and whole(params, "client_id") in (None, record.client_id)
        and whole(params, "staff_id") in (None, record.staff_id)
        and whole(params, "created_user_id") in (None, 5)
    )


@router.post("/records/{company}")
def create_record(request: Request) -> Response:
    state, body = _state(request), _body(request)
    missing = {name: ["Обязательное поле"] for name in ("staff_id", "datetime") if not body.get(name)}
    if missing:
        raise ApiError(422, "Произошла ошибка", errors=missing)
    start = datetime.fromisoformat(body["datetime"])
    start = (start if start.tzinfo else start.replace(tzinfo=state.zone)).astimezone(UTC)
    with state.lock:
        busy = (one for one in state.records.values() if not one.deleted and one.staff_id == body["staff_id"])
        if not body.get("save_if_busy") and any(abs(one.start - start) < timedelta(hours=1) for one in busy):
            raise ApiError(409, "На это время нельзя записаться", conflict=True)
        asked = [int(one["id"]) for one in body.get("services", [])]
        if body["staff_id"] not in state.staff or not set(asked) <= set(state.services):
            raise ApiError(422, "Произошла ошибка", errors={"services": ["Не найдено"]})
        phone = (body.get("client") or {}).get("phone", "")
        client = next((one for one in state.clients.values() if phone and one.phone == phone), None)
        if client is None and phone:
            client = state.add_client(body["client"].get("name", ""), phone=phone)
        record = state.add_record(
            asked, client_id=None if client is None else client.id, staff_id=int(body["staff_id"]), start=start
        )
        created = record_body(state, record)
        return answer(created if state.creates_object else [created], status=201)


@router.get("/record/{company}/{record_id}")
def record(request: Request, record_id: int) -> Response:
    state = _state(request)
    with state.lock:
        found = state.records.get(record_id)
        if found is None or (found.deleted and not state.shows_deleted):
            raise ApiError(404, NOT_FOUND_SAID)
        return answer(record_body(state, found))


@router.delete("/record/{company}/{record_id}")
def delete_record(request: Request, record_id: int) -> Response:
    state = _state(request)
    with state.lock:
        found = state.records.get(record_id)
        if found is None or found.deleted:
            raise ApiError(404, NOT_FOUND_SAID)
        state.delete_record(record_id)
    return Response(status_code=204)


@router.get("/transactions/{company}")
def payments(request: Request) -> Response:
    state, params = _state(request), request.query_params
    wants_deleted = params.get("deleted") == "1"
    with state.lock:
        found = [
            one
            for one in state.payments.values()
            if one.deleted is wants_deleted
            and _is_between(one.at, state.zone, day(params, "start_date"), day(params, "end_date"))
            and _is_changed(state, params, one.changed)
            and whole(params, "client_id") in (None, one.client_id)
            and whole(params, "account_id") in (None, one.account_id)
        ]
        return answer([payment_row(state, one) for one in _page(request, state, found, params)])


@router.get("/timetable/transactions/{company}")
def payments_of_visit(request: Request) -> Response:
    state, params = _state(request), request.query_params
    record_id = whole(params, "record_id")
    with state.lock:
        if record_id is None:
            visit = whole(params, "visit_id")
            record_id = next((one.id for one in state.records.values() if one.visit_id == visit), None)
        found = [one for one in state.payments.values() if one.record_id == record_id and not one.deleted]
        return answer([payment_row(state, one) for one in found])


@router.get("/finance_transactions/{company}/{payment_id}")
def payment(request: Request, payment_id: int) -> Response:
    state = _state(request)
    found: Payment | None = state.payments.get(payment_id)
    if found is None or found.deleted:
        raise ApiError(404, NOT_FOUND_SAID)
    return answer(payment_body(state, found))


@router.get("/clients/{company}")
def clients(request: Request) -> Response:
    state, params = _state(request), request.query_params
    with state.lock:
        found = [
            one
            for one in state.clients.values()
            if not one.is_deleted
            and _is_changed(state, params, one.changed)
            and params.get("fullname", "").lower() in one.name.lower()
            and params.get("phone", "") in one.phone
            and params.get("email", "") in one.email
            and whole(params, "id") in (None, one.id)
        ]
        rows = [client_body(state, one) for one in _page(request, state, found, params, most=200)]
    return answer(rows, {"page": whole(params, "page", 1), "total_count": len(found)})


@router.post("/company/{company}/clients/search")
def search_clients(request: Request) -> Response:
    state, body = _state(request), _body(request)
    params = {name: str(body[name]) for name in ("page", "page_size") if body.get(name) is not None}
    asked = body.get("fields") or ["id"]
    with state.lock:
        found = [client_body(state, one) for one in state.clients.values() if not one.is_deleted]
    by = body.get("order_by", "id")
    if by not in ("id", "name", "phone", "email", "discount"):
        raise ApiError(422, "Произошла ошибка", errors=[{"order_by": "Неверное значение"}])
    found.sort(key=lambda row: row[by], reverse=str(body.get("order_by_direction", "")).lower() == "desc")
    rows = _page(request, state, found, params, most=200, usual=25, size="page_size")
    shown = [{"id": row["id"], **{name: row[name] for name in asked if name in row}} for row in rows]
    return answer(shown, {"total_count": len(found)})


@router.get("/client/{company}/{client_id}")
def client(request: Request, client_id: int) -> Response:
    state = _state(request)
    with state.lock:
        found = state.clients.get(client_id)
        if found is None or found.is_deleted:
            raise ApiError(404, NOT_FOUND_SAID)
        return answer(client_body(state, found))


@router.get("/hooks_settings/{company}")
def hooks(request: Request) -> Response:
    state = _state(request)
    return answer({**dict.fromkeys(sorted(_HOOK_FLAGS), 0), **state.hooks})


@router.post("/hooks_settings/{company}")
def set_hooks(request: Request) -> Response:
    state, body = _state(request), _body(request)
    urls = body.get("urls")
    if not isinstance(urls, list) or not 1 <= len(urls) <= 10 or "active" not in body:
        raise ApiError(422, "Произошла ошибка", errors={"urls": ["От 1 до 10 адресов"]})
    state.set_hooks({name: value for name, value in body.items() if name in _HOOK_FLAGS or name in ("urls", "active")})
    return answer(state.hooks, status=201)


def _page(
    request: Request,
    state: SimulatorState,
    found: Sequence[T],
    params: Mapping[str, str],
    *,
    most: int = 300,
    usual: int = 50,
    size: str = "count",
) -> list[T]:
    if not found and state.says_not_found_when_empty:
        raise ApiError(404, NOT_FOUND_SAID)
    page, count = whole(params, "page", 1) or 1, whole(params, size, usual) or usual
    count = min(count, most, state.most_per_page or count)
    start = (page - 1) * count
    key = request.url.path, *sorted((name, value) for name, value in params.items() if name not in ("page", size))
    if page == 1:
        state.repeated.pop(key, None)
    elif request.scope.get("fault") == "duplicate_page":
        # As when rows are put in before the reader's place: those before it come again, and all later ones are late.
        state.repeated.setdefault(key, (start, min(start, count)))
    place, again = state.repeated.get(key, (0, 0))
    return [*found[:place], *found[place - again : place], *found[place:]][start : start + count]


def _is_between(when: datetime, zone: ZoneInfo, first: date | None, last: date | None) -> bool:
    there = when.astimezone(zone).date()
    return (first is None or first <= there) and (last is None or there <= last)


def _is_changed(state: SimulatorState, params: Mapping[str, str], changed: datetime) -> bool:
    zone = ZoneInfo(state.filter_zone or state.timezone)
    after, before = moment(params, "changed_after", zone), moment(params, "changed_before", zone)
    changed = changed.replace(microsecond=0)
    return (after is None or after <= changed) and (before is None or changed <= before)


def _body(request: Request) -> JSON:
    """Raises ApiError (400)."""
    content = request.scope["body"]
    try:
        body = msgspec.json.decode(content) if content else {}
    except msgspec.DecodeError:
        raise ApiError(400, "Тело запроса не JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "Тело запроса не объект")
    return body
