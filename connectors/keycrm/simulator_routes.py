"""Routes of dictionaries, users, buyers, custom fields and leads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from connectors.keycrm.simulator_bodies import (
    BUYER_INCLUDES,
    CUSTOM_FIELD_INCLUDES,
    LEAD_INCLUDES,
    Includes,
    buyer_body,
    lead_body,
    read_includes,
)
from connectors.keycrm.simulator_listing import (
    Test,
    account,
    answer,
    contact,
    find,
    list_page,
    member,
    read_body,
    read_query,
    read_sort,
    read_windows,
)
from connectors.keycrm.simulator_order_forms import buyer_key
from connectors.keycrm.simulator_records import Buyer, Record
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_values import (
    JSON,
    ApiError,
    Errors,
    read_id,
    read_number,
    read_rows,
    read_texts,
)

router = APIRouter()

_WINDOWS = (("updated_between", "updated_at"), ("created_between", "created_at"))

DICTIONARY_PATHS = {
    "status": "statuses",
    "source": "sources",
    "tag": "tags",
    "payment-method": "payment_methods",
    "delivery-service": "delivery_services",
    "product-status": "product_statuses",
    "expense-type": "expense_types",
}
"""Below /order. The notes write the last five without it too, so both paths work."""


def _dictionary(kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def list_entries(request: Request) -> Response:
        state = account(request)
        asked = read_query(state, request.scope["query_string"])
        with state.lock:
            return list_page(request, state.dictionaries[kind], lambda entry, _: entry.fields, asked=asked)

    return list_entries


dictionaries = APIRouter()
"""Before the routes of orders: `/order/status` is no order."""
for _path, _kind in DICTIONARY_PATHS.items():
    dictionaries.add_api_route(f"/order/{_path}", _dictionary(_kind), methods=["GET"])
    if _path not in ("status", "source"):
        dictionaries.add_api_route(f"/{_path}", _dictionary(_kind), methods=["GET"])


@router.get("/users")
async def list_users(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    with state.lock:
        return list_page(request, state.users, lambda user, _: user.fields, asked=asked)


@router.get("/custom-fields")
async def list_custom_fields(request: Request) -> Response:
    """A bare array, unpaginated."""
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    includes = read_includes(asked.include, CUSTOM_FIELD_INCLUDES)
    sort = read_sort(asked, ("id", "position"), "id")
    models = asked.values("model")
    with state.lock:
        fields = [field.fields for field in state.custom_fields if models is None or field.fields["model"] in models]
    fields.sort(key=lambda field: (field[sort.lstrip("-")], field["id"]), reverse=sort.startswith("-"))
    hidden = set() if "options" in includes else {"options"}
    return answer([{name: value for name, value in field.items() if name not in hidden} for field in fields])


# ------------------------------------------------------------------------------------------------------------- buyers


@router.get("/buyer")
async def list_buyers(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    window, others = read_windows(asked, *_WINDOWS)
    tests: list[Test[Buyer]] = [
        *member(asked, "buyer_id", lambda buyer: buyer.fields["id"]),
        *contact(asked, lambda buyer, kind: buyer.fields[kind]),
        *others,
    ]

    def body(buyer: Buyer, includes: Includes) -> JSON:
        return buyer_body(state, buyer, includes)

    with state.lock:
        return list_page(
            request,
            state.buyers,
            body,
            asked=asked,
            tests=tests,
            window=window,
            sorts=("id", "created_at", "updated_at"),
            includes=BUYER_INCLUDES,
        )


@router.get("/buyer/{buyer_id}")
async def read_buyer(request: Request, buyer_id: str) -> Response:
    state = account(request)
    includes = read_includes(read_query(state, request.scope["query_string"]).include, BUYER_INCLUDES)
    with state.lock:
        return answer(buyer_body(state, find(state.buyers, buyer_id), includes))


@router.post("/buyer")
async def create_buyer(request: Request) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        given = _read_buyer(state, body, "", errors)
        errors.stop()
        buyer = state.add_buyer(**_as_new(given))
        state.writes.buyers[buyer_key(buyer)] += 1
        return answer(buyer_body(state, buyer, frozenset()), 201)


@router.post("/buyer/import")
async def import_buyers(request: Request) -> Response:
    """All or nothing; 400 instead of a 422."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    rows = read_rows(body, "buyers", errors, required=True)
    with state.lock:
        given = [_read_buyer(state, row, f"buyers.{n}.", errors) for n, row in enumerate(rows)]
        if errors.by_field:
            return answer({"status": False}, 400)
        for buyer in given:
            state.writes.buyers[buyer_key(state.add_buyer(**_as_new(buyer)))] += 1
    return answer({"status": True}, 201)


@router.put("/buyer/{buyer_id}")
async def change_buyer(request: Request, buyer_id: str) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        buyer = find(state.buyers, buyer_id)
        given = _read_buyer(state, body, "", errors)
        errors.stop()
        return answer(buyer_body(state, state.update_buyer(buyer.id, **given), frozenset()), 202)


def _as_new(given: JSON) -> JSON:
    """`add_buyer` names the lists in the plural."""
    return {{"email": "emails", "phone": "phones"}.get(name, name): value for name, value in given.items()}


def _read_buyer(state: SimulatorState, body: JSON, prefix: str, errors: Errors) -> JSON:
    """The specification wants the name with each change too."""
    given: JSON = {name: body[name] for name in ("birthday", "note") if name in body}
    if body.get("full_name"):
        given["full_name"] = str(body["full_name"])
    else:
        errors.required(f"{prefix}full_name")
    given |= {name: read_texts(body[name]) for name in ("email", "phone") if name in body}
    for number, email in enumerate(given.get("email", [])):
        if "@" not in email:
            errors.add(f"{prefix}email.{number}", f"The email.{number} must be a valid email address.")
    if "discount" in body:
        given["discount"] = read_number(body["discount"], f"{prefix}discount", errors)
    for name, known in (("company_id", state.companies.rows), ("manager_id", state.users.rows)):
        if body.get(name) is not None:
            given[name] = read_id(body[name])
            if given[name] not in known:
                errors.invalid(prefix + name)
    given |= {name: read_rows(body, name, errors) for name in ("shipping", "custom_fields") if name in body}
    return given


# -------------------------------------------------------------------------------------------------------------- leads


def _check_leads(state: SimulatorState) -> None:
    if not state.has_pipelines:
        raise ApiError(400, "Leads are not enabled")
    if not state.may_see_leads:
        raise ApiError(403, "This action is unauthorized.")


@router.get("/pipelines/cards")
async def list_leads(request: Request) -> Response:
    state = account(request)
    _check_leads(state)
    asked = read_query(state, request.scope["query_string"])
    tests: list[Test[Record]] = [
        *member(asked, "pipeline_id", lambda lead: lead.fields["pipeline_id"]),
        *member(asked, "status_id", lambda lead: lead.fields["status_id"]),
    ]
    window, others = read_windows(asked, *_WINDOWS)
    tests += others

    def body(lead: Record, includes: Includes) -> JSON:
        return lead_body(state, lead, includes)

    with state.lock:
        return list_page(
            request,
            state.leads,
            body,
            asked=asked,
            tests=tests,
            window=window,
            sorts=("id", "created_at", "updated_at"),
            includes=LEAD_INCLUDES,
        )


@router.post("/pipelines/cards")
async def create_lead(request: Request) -> Response:
    state = account(request)
    _check_leads(state)
    body = await read_body(request)
    errors = Errors()
    given = _read_lead(state, body, errors)
    contact = body.get("contact")
    if not isinstance(contact, dict) or not contact:
        errors.required("contact")
    errors.stop()
    assert isinstance(contact, dict)
    with state.lock:
        phones, emails = read_texts(contact.get("phone")), read_texts(contact.get("email"))
        buyer = state.find_buyer(phones, emails)
        if buyer is None:
            buyer = state.add_buyer(str(contact.get("full_name") or ""), phones=phones, emails=emails)
        lead = state.add_lead(**given, contact_id=buyer.id)
        return answer(lead_body(state, lead, frozenset({"contact"})), 201)


@router.put("/pipelines/cards/{lead_id}")
async def change_lead(request: Request, lead_id: str) -> Response:
    state = account(request)
    _check_leads(state)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        lead = find(state.leads, lead_id)
        given = _read_lead(state, body, errors)
        errors.stop()
        return answer(lead_body(state, state.update_lead(lead.id, **given), frozenset()), 202)


def _read_lead(state: SimulatorState, body: JSON, errors: Errors) -> JSON:
    texts = ("title", "manager_comment", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
    given: JSON = {name: body[name] for name in texts if name in body}
    for name in ("pipeline_id", "status_id", "source_id", "manager_id"):
        if body.get(name) is not None:
            given[name] = read_id(body[name])
            if given[name] is None:
                errors.add(name, f"The {name.replace('_', ' ')} must be an integer.")
    if given.get("manager_id") is not None and given["manager_id"] not in state.users.rows:
        errors.invalid("manager_id")
    return given
