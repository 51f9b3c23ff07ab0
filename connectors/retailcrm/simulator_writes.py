"""What can be written to the simulated API: POST below /api/v5, forms whose entities are JSON texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from connectors.retailcrm import simulator_defaults as defaults
from connectors.retailcrm.simulator_listing import account
from connectors.retailcrm.simulator_routes import find
from connectors.retailcrm.simulator_state import SimulatorState
from connectors.retailcrm.simulator_values import JSON, ApiError, answer, read_json

router = APIRouter()

MOST_UPLOADED = 50
MOST_OFFERS = 250
_NOT_LISTED = frozenset({"id", "items", "payments", "customer", "summ", "totalSumm", "prepaySum", "fullPaidAt"})
_PARTIAL = ("delivery", "customFields")
"""Objects of which an edit changes only the fields that it names."""


@router.post("/orders/create")
async def create_order(request: Request) -> Response:
    state, form = account(request), await _form(request)
    with state.lock:
        order = _create_order(state, _entity(form, "order"), _site(state, form))
        body = state.order_body(order)
        body["payments"] = list(order["payments"].values())  # a list here, and an object everywhere else
        return answer({"id": order["id"], "order": body}, 201)


@router.post("/orders/upload")
async def upload_orders(request: Request) -> Response:
    state, form = account(request), await _form(request)
    rows = _entities(form, "orders")
    return _upload(rows, lambda row: _create_order(state, row, _site(state, form)), "Orders", "orders")


@router.post("/orders/fix-external-ids")
async def fix_order_ids(request: Request) -> Response:
    state, form = account(request), await _form(request)
    for row in _entities(form, "orders"):
        if row.get("id") in state.orders:
            state.update_order(row["id"], by="api", is_own=True, externalId=row["externalId"])
    return answer({})


@router.post("/orders/payments/create")
async def create_payment(request: Request) -> Response:
    state, form = account(request), await _form(request)
    given = _entity(form, "payment")
    named = given.pop("order", {})
    with state.lock:
        order = next(
            (
                row
                for row in state.orders.values()
                if any(name in named and row.get(name) == named[name] for name in ("id", "externalId", "number"))
            ),
            None,
        )
        if order is None:
            raise ApiError(400, "Errors in the entity format", {"order": "Order not found."})
        _check_payment(state, given)
        amount = given.pop("amount", order["totalSumm"])
        status = given.pop("status", "not-paid")
        # Nothing documented refuses a second payment of one externalId.
        payment = state.add_payment(order["id"], amount, status=status, by="api", is_own=True, **given)
        state.written.payments[str(payment.get("externalId") or f"payment {payment['id']}")] += 1
        return answer({"id": payment["id"]}, 201)


@router.post("/orders/payments/{key}/edit")
async def edit_payment(request: Request, key: str) -> Response:
    state, form = account(request), await _form(request)
    with state.lock:
        payments = {number: row for order in state.orders.values() for number, row in order["payments"].items()}
        payment = find(request, payments, key, form.get("by", "externalId"))
        given = {name: value for name, value in _entity(form, "payment").items() if name not in ("id", "order")}
        _check_payment(state, given)
        state.change_payment(payment["id"], by="api", is_own=True, **given)
        state.written.edits["payment"] += 1
        return answer({"id": payment["id"]})


@router.post("/orders/payments/{key}/delete")
async def delete_payment(request: Request, key: str) -> Response:
    state = account(request)
    try:
        state.delete_payment(int(key), by="api", is_own=True)
    except (KeyError, ValueError):
        raise ApiError(404, "Not found") from None
    return answer({})


@router.post("/orders/{key}/edit")
async def edit_order(request: Request, key: str) -> Response:
    state, form = account(request), await _form(request)
    given = _entity(form, "order")
    with state.lock:
        order = find(request, state.orders, key, form.get("by", "externalId"))
        _check_order(state, given)
        fields = _changed(order, {name: value for name, value in given.items() if name not in _NOT_LISTED})
        if "customer" in given:
            fields["customer_id"] = _customer_id(state, given["customer"])
        items = _items(state, given["items"]) if "items" in given else None
        state.update_order(order["id"], by="api", is_own=True, **fields)
        if items is not None:
            state.set_items(order["id"], items, by="api", is_own=True)
        state.written.edits["order"] += 1
        if "status" in given:
            state.written.statuses[order["id"], given["status"]] += 1
        return answer({"id": order["id"], "order": state.order_body(order)})


@router.post("/customers/create")
async def create_customer(request: Request) -> Response:
    state, form = account(request), await _form(request)
    with state.lock:
        customer = _create_customer(state, _entity(form, "customer"), _site(state, form))
        return answer({"id": customer["id"]}, 201)


@router.post("/customers/upload")
async def upload_customers(request: Request) -> Response:
    state, form = account(request), await _form(request)
    rows = _entities(form, "customers")
    return _upload(rows, lambda row: _create_customer(state, row, _site(state, form)), "Customers", "customers")


@router.post("/customers/fix-external-ids")
async def fix_customer_ids(request: Request) -> Response:
    state, form = account(request), await _form(request)
    for row in _entities(form, "customers"):
        if row.get("id") in state.customers:
            state.update_customer(row["id"], by="api", is_own=True, externalId=row["externalId"])
    return answer({})


@router.post("/customers/{key}/edit")
async def edit_customer(request: Request, key: str) -> Response:
    state, form = account(request), await _form(request)
    with state.lock:
        customer = find(request, state.customers, key, form.get("by", "externalId"))
        given = {name: value for name, value in _entity(form, "customer").items() if name != "id"}
        state.update_customer(customer["id"], by="api", is_own=True, **_changed(customer, given))
        state.written.edits["customer"] += 1
        return answer({"id": customer["id"]})


@router.post("/store/inventories/upload")
async def upload_inventories(request: Request) -> Response:
    state = account(request)

    def change(offer: JSON, row: JSON) -> None:
        state.store.set_stocks(offer, row.get("stores", []))
        state.written.stocks[offer["id"]] += 1

    return await _upload_offers(request, "offers", change)


@router.post("/store/prices/upload")
async def upload_prices(request: Request) -> Response:
    state = account(request)

    def change(offer: JSON, row: JSON) -> None:
        state.store.set_prices(offer, row.get("prices", []))
        state.written.prices[offer["id"]] += 1

    return await _upload_offers(request, "prices", change)


async def _upload_offers(request: Request, name: str, change: Callable[[JSON, JSON], None]) -> Response:
    state, form = account(request), await _form(request)
    rows = _entities(form, name, MOST_OFFERS)
    missing = []
    with state.lock:
        for row in rows:
            offer = state.store.find(row)
            if offer is None:
                missing.append({key: row[key] for key in ("id", "externalId", "xmlId") if key in row})
            else:
                change(offer, row)
    return answer({"processedOffersCount": len(rows) - len(missing), "notFoundOffers": missing})


def _create_order(state: SimulatorState, given: JSON, site: str) -> JSON:
    """Raises ApiError 400."""
    external_id = given.get("externalId")
    if external_id is not None and any(order.get("externalId") == external_id for order in state.orders.values()):
        raise ApiError(400, "Order already exists.")
    customer_id = _customer_id(state, given.get("customer"))
    _check_order(state, given)
    fields = {name: value for name, value in given.items() if name not in _NOT_LISTED}
    fields["delivery"] = {"cost": 0, "netCost": 0, "address": {}} | fields.get("delivery", {})
    order = state.add_order(
        customer=None if customer_id is None else state.customers[customer_id],
        items=_items(state, given.get("items", [])),
        payments=given.get("payments", []),
        status=fields.pop("status", "new"),
        site=fields.pop("site", site),
        is_own=True,
        **fields,
    )
    state.written.orders[str(external_id or f"order {order['id']}")] += 1
    return order


def _create_customer(state: SimulatorState, given: JSON, site: str) -> JSON:
    """Raises ApiError 400."""
    external_id = given.get("externalId")
    if external_id is not None and any(row.get("externalId") == external_id for row in state.customers.values()):
        raise ApiError(400, "Customer already exists.")
    fields = {name: value for name, value in given.items() if name not in ("id", "phones")}
    phones = [phone["number"] for phone in given.get("phones", [])]
    first_name = fields.pop("firstName", "")
    customer = state.add_customer(
        first_name, phones=phones, site=fields.pop("site", site), by="api", is_own=True, **fields
    )
    state.written.customers[str(external_id or f"customer {customer['id']}")] += 1
    return customer


def _customer_id(state: SimulatorState, named: Any) -> int | None:
    if not isinstance(named, dict):
        return None
    for name in ("id", "externalId"):
        if name in named:
            found = next((row["id"] for row in state.customers.values() if row.get(name) == named[name]), None)
            if found is None:
                message = f"Customer with {name}={named[name]} not found."
                raise ApiError(400, "Order is not loaded", {f"customer.{name}": message})
            return int(found)
    return None


def _check_order(state: SimulatorState, given: Mapping[str, Any]) -> None:
    """Whether the account has the entries of dictionaries that an order names. Raises ApiError 400."""
    delivery = given.get("delivery", {})
    _check_code("status", "Status", given.get("status"), state.statuses)
    _check_code("delivery.code", "DeliveryType", delivery.get("code"), dict(defaults.DELIVERY_TYPES))


def _check_payment(state: SimulatorState, given: Mapping[str, Any]) -> None:
    _check_code("type", "PaymentType", given.get("type"), dict(defaults.PAYMENT_TYPES), "Payment is not loaded")
    _check_code("status", "PaymentStatus", given.get("status"), state.payment_statuses, "Payment is not loaded")


def _check_code(
    field: str, entity: str, code: Any, known: Mapping[str, Any], message: str = "Order is not loaded"
) -> None:
    if code is not None and code not in known:
        raise ApiError(400, message, {field: f'"{entity}" with code "{code}" does not exist.'})


def _items(state: SimulatorState, given: Sequence[JSON]) -> list[JSON]:
    """Lines with the offers that they name, as the catalogue has them. Raises ApiError 400."""
    found = []
    for item in given:
        named = item.get("offer")
        offer = state.store.find(named) if named else None
        if named and offer is None and "id" in named:
            raise ApiError(400, "Order is not loaded", {"items.offer.id": f"Offer with id={named['id']} not found."})
        if offer is not None:
            shown = {name: offer[name] for name in ("id", "externalId", "name", "article", "unit") if name in offer}
            item = {**item, "offer": {**shown, "displayName": offer["name"]}}
        found.append(item)
    return found


def _changed(row: JSON, given: JSON) -> JSON:
    """The fields that an edit sets; what is emptied is not there any more."""
    fields = {}
    for name, value in given.items():
        old = row.get(name)
        if name in _PARTIAL and isinstance(value, dict):
            value = _merged(old if isinstance(old, dict) else {}, value)
        fields[name] = None if value == "" else value
    return fields


def _merged(old: JSON, given: JSON) -> JSON:
    result = dict(old)
    for name, value in given.items():
        known = old.get(name)
        result[name] = _merged(known if isinstance(known, dict) else {}, value) if isinstance(value, dict) else value
    return result


def _upload(rows: list[JSON], create: Callable[[JSON], JSON], plural: str, key: str) -> Response:
    """Several at once: what is wrong with some does not stop the others."""
    done, failed, errors = [], [], {}
    for index, row in enumerate(rows):
        try:
            created = create(row)
        except ApiError as error:
            failed.append({"externalId": row.get("externalId")})
            errors[str(index)] = str(error)
        else:
            done.append({"id": created["id"], "externalId": created.get("externalId")})
    uploaded, refused = f"uploaded{plural}", f"failed{plural}"
    if failed:
        more = {uploaded: done, refused: failed}
        raise ApiError(460, f"{plural} are loaded with errors", errors, **more)
    return answer({uploaded: done, key: done}, 201)


async def _form(request: Request) -> dict[str, str]:
    """Raises ApiError 400: JSON bodies are not read."""
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True))


def _entity(form: Mapping[str, str], name: str) -> JSON:
    value = read_json(form, name)
    if not isinstance(value, dict):
        raise ApiError(400, "Errors in the entity format", [f"{name}: not an object"])
    return value


def _entities(form: Mapping[str, str], name: str, most: int = MOST_UPLOADED) -> list[JSON]:
    value = read_json(form, name)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value) or len(value) > most:
        raise ApiError(400, "Errors in the entity format", [f"{name}: not a list of up to {most} objects"])
    return value


def _site(state: SimulatorState, form: Mapping[str, str]) -> str:
    """The shop that is written to: must be named where the key opens several."""
    sites = list(state.sites) if state.selected_sites is None else state.selected_sites
    site = form.get("site")
    if site is None and len(sites) > 1:
        raise ApiError(400, "Parameter 'site' is missing")
    if site is not None and site not in sites:
        raise ApiError(403, "Access denied.")
    return site or sites[0]
