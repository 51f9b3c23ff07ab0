"""Routes of orders, their payments and tags."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from connectors.keycrm.simulator_bodies import ORDER_INCLUDES, Includes, order_body, read_includes
from connectors.keycrm.simulator_listing import (
    Test,
    account,
    answer,
    contact,
    find,
    list_page,
    member,
    read_between,
    read_body,
    read_query,
    read_windows,
    truth,
)
from connectors.keycrm.simulator_order_forms import (
    PAYMENT_STATUSES,
    change_lines,
    change_shipping,
    check_order,
    create_order_from,
    read_custom_fields,
    read_payment,
)
from connectors.keycrm.simulator_records import Order
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_values import (
    JSON,
    ApiError,
    Errors,
    read_id,
    read_number,
    read_rows,
)

router = APIRouter()

ORDER_SORTS = ("id", "created_at", "updated_at", "ordered_at")
MOST_IMPORTED_ORDERS = 50


@router.get("/order")
async def list_orders(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    tests: list[Test[Order]] = [
        *member(asked, "status_id", lambda order: order.fields["status_id"]),
        *member(asked, "source_id", lambda order: order.fields["source_id"]),
        *member(asked, "source_uuid", lambda order: order.fields["source_uuid"]),
        *member(asked, "payment_status", lambda order: order.fields["payment_status"]),
        *truth(asked, "has_tracking_code", _tracking_code),
        *contact(asked, partial(_contacts, state)),
    ]
    if (days := read_between(asked, "shipping_between")) is not None:
        first, last = days[0][:10], days[1][:10]
        tests.append(lambda order: first <= (order.shipping["shipping_date_actual"] or "") <= last)
    # created_between selects by ordered_at: the specification says so.
    window, others = read_windows(asked, ("updated_between", "updated_at"), ("created_between", "ordered_at"))
    tests += others
    has_changed_at = request.scope.get("fault") != "no_status_changed_at"

    def body(order: Order, includes: Includes) -> JSON:
        return order_body(state, order, includes, has_changed_at=has_changed_at)

    with state.lock:
        return list_page(
            request,
            state.orders,
            body,
            asked=asked,
            tests=tests,
            window=window,
            sorts=ORDER_SORTS,
            default_sort=state.default_order_sort,
            includes=ORDER_INCLUDES,
        )


def _tracking_code(order: Order) -> Any:
    return order.shipping["tracking_code"]


def _contacts(state: SimulatorState, order: Order, kind: str) -> list[str]:
    buyer = state.buyers.get(order.fields["client_id"])
    return [] if buyer is None else list(buyer.fields[kind])


@router.get("/order/{order_id}")
async def read_order(request: Request, order_id: str) -> Response:
    state = account(request)
    includes = read_includes(read_query(state, request.scope["query_string"]).include, ORDER_INCLUDES)
    has_changed_at = request.scope.get("fault") != "no_status_changed_at"
    with state.lock:
        order = find(state.orders, order_id)
        return answer(order_body(state, order, includes, has_changed_at=has_changed_at))


@router.post("/order")
async def create_order(request: Request) -> Response:
    state = account(request)
    body = await read_body(request)
    with state.lock:
        return answer(_whole(state, create_order_from(state, body)), 201)


@router.post("/order/import")
async def import_orders(request: Request) -> Response:
    """All or nothing, and the imported orders fire no triggers."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    rows = read_rows(body, "orders", errors, most=MOST_IMPORTED_ORDERS, required=True)
    errors.stop()
    with state.lock:
        seen = set()
        for number, row in enumerate(rows):
            given = check_order(state, row, f"orders.{number}.", errors)
            own = (given["source_id"], given["source_uuid"])
            if state.source_uuid_policy == "reject" and own[1] is not None and own in seen:
                errors.add(f"orders.{number}.source_uuid", "The source uuid has already been taken.")
            seen.add(own)
        errors.stop()
        for row in rows:
            create_order_from(state, row, announce=False)
    return Response(status_code=201)


@router.put("/order/{order_id}")
async def change_order(request: Request, order_id: str) -> Response:
    """Status, comments, discounts, shipping, custom fields, and lines that are there already; nothing half-applied."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        order = find(state.orders, order_id)
        changes: JSON = {name: body[name] for name in ("buyer_comment", "manager_comment") if name in body}
        for name in ("discount_amount", "discount_percent"):
            if name in body:
                changes[name] = read_number(body[name], name, errors)
        status_id = None
        if body.get("status_id") is not None:
            status_id = read_id(body["status_id"])
            if status_id not in state.dictionaries["statuses"].rows:
                errors.invalid("status_id")
        if isinstance(body.get("shipping"), dict):
            changes["shipping"] = change_shipping(order, body["shipping"], errors)
        if "custom_fields" in body:
            changes["custom_fields"] = read_custom_fields(state, body, errors, order.custom_fields)
        lines = change_lines(order, read_rows(body, "products", errors), errors)
        errors.stop()
        order.lines = lines
        state.update_order(order.id, **changes)
        if isinstance(body.get("shipping"), dict) and body["shipping"].get("tracking_code") is not None:
            state.writes.tracking_codes.setdefault(order.id, []).append(str(body["shipping"]["tracking_code"]))
        if status_id is not None:
            state.writes.statuses.setdefault(order.id, []).append(status_id)
            state.change_status(order.id, status_id)
        return answer(_whole(state, order), 202)


@router.post("/order/{order_id}/payment")
async def add_payment(request: Request, order_id: str) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        order = find(state.orders, order_id)
        payment = read_payment(state, body, "", errors)
        errors.stop()
        state.writes.payments[payment["description"] or ""] += 1
        return answer(_payment_answer(state, state.add_payment(order.id, **payment)), 201)


@router.put("/order/{order_id}/payment/{payment_id}")
async def change_payment(request: Request, order_id: str, payment_id: str) -> Response:
    """Only `status` and `description`: what else is sent is ignored."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    changes = {name: body[name] for name in ("status", "description") if name in body}
    if "status" in changes and changes["status"] not in PAYMENT_STATUSES:
        errors.invalid("status")
    errors.stop()
    with state.lock:
        order = find(state.orders, order_id)
        wanted = read_id(payment_id)
        if not any(payment["id"] == wanted for payment in order.payments) or wanted is None:
            raise ApiError(404, "Resource not found.")
        if "status" in changes:
            state.writes.payment_statuses.setdefault(wanted, []).append(changes["status"])
        return answer(_payment_answer(state, state.change_payment(wanted, **changes)), 202)


@router.post("/payments/{payment_id}/external-transactions")
async def attach_transaction(request: Request, payment_id: str) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    transaction_id, uuid = body.get("transaction_id"), body.get("transaction_uuid")
    if transaction_id is None and not uuid:
        errors.required("transaction_id")
    elif transaction_id is not None and read_id(transaction_id) is None:
        errors.add("transaction_id", "The transaction id must be an integer.")
    with state.lock:
        try:
            _, payment = state.payment(read_id(payment_id) or 0)
        except KeyError:
            raise ApiError(404, "Resource not found.") from None
        errors.stop()
        known = {"payment_id": payment["id"], "transaction_id": read_id(transaction_id), "transaction_uuid": uuid}
        state.transactions.append(known)
        state.change_payment(payment["id"], transaction_uuid=str(uuid if uuid else transaction_id))
        return answer(known, 201)


@router.post("/order/{order_id}/tag/{tag_id}")
async def add_tag(request: Request, order_id: str, tag_id: str) -> Response:
    state = account(request)
    with state.lock:
        order = find(state.orders, order_id)
        tag = find(state.dictionaries["tags"], tag_id)
        if tag.id not in order.tag_ids:
            state.update_order(order.id, tag_ids=[*order.tag_ids, tag.id])
        return answer(_whole(state, order, "tags"), 202)


@router.delete("/order/{order_id}/tag/{tag_id}")
async def remove_tag(request: Request, order_id: str, tag_id: str) -> Response:
    state = account(request)
    with state.lock:
        order = find(state.orders, order_id)
        wanted = read_id(tag_id)
        if wanted not in order.tag_ids:
            raise ApiError(400, "The order does not have this tag.")
        state.update_order(order.id, tag_ids=[known for known in order.tag_ids if known != wanted])
    return Response(status_code=204)


def _whole(state: SimulatorState, order: Order, includes: str = "") -> JSON:
    return order_body(state, order, read_includes(includes, ORDER_INCLUDES))


def _payment_answer(state: SimulatorState, payment: JSON) -> JSON:
    """As documented: without the payment's id, so that the order must be read again."""
    method = state.dictionaries["payment_methods"].get(payment["payment_method_id"])
    shown = None if method is None else {name: method.fields[name] for name in ("id", "name", "alias", "is_active")}
    names = ("payment_method_id", "amount", "description", "payment_date", "status", "created_at", "updated_at")
    return {"payment_method": shown, **{name: payment[name] for name in names}}
