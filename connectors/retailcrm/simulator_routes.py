"""What the simulated API can be asked for: GET below /api."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from connectors.retailcrm import simulator_defaults as defaults
from connectors.retailcrm.simulator_history import History
from connectors.retailcrm.simulator_listing import CATALOG_LIMITS, account, history_page, list_page, query_of
from connectors.retailcrm.simulator_state import SimulatorState
from connectors.retailcrm.simulator_values import JSON, ApiError, answer, texts

router = APIRouter()
unversioned = APIRouter()

_REFERENCES: dict[str, tuple[str, Callable[[SimulatorState], Any]]] = {
    "statuses": ("statuses", lambda state: state.statuses),
    "status-groups": ("statusGroups", lambda state: state.groups),
    "sites": ("sites", lambda state: state.sites),
    "payment-statuses": ("paymentStatuses", lambda state: state.payment_statuses),
    "payment-types": ("paymentTypes", lambda _: defaults.coded(defaults.PAYMENT_TYPES)),
    "delivery-types": ("deliveryTypes", lambda _: defaults.coded(defaults.DELIVERY_TYPES)),
    "order-types": ("orderTypes", lambda _: defaults.coded(defaults.ORDER_TYPES)),
    "order-methods": ("orderMethods", lambda _: defaults.coded(defaults.ORDER_METHODS)),
    "stores": ("stores", lambda state: state.store.stores),
    "price-types": ("priceTypes", lambda state: state.store.price_types),
    "couriers": ("couriers", lambda _: []),
    "currencies": ("currencies", lambda state: [{"id": 1, "code": state.currency, "isBase": True}]),
}
"""Objects keyed by code, but for the last four, which are lists."""


@unversioned.get("/api-versions")
async def api_versions() -> Response:
    return answer({"versions": ["3.0", "4.0", "5.0"]})


@unversioned.get("/credentials")
async def credentials(request: Request) -> Response:
    state = account(request)
    selected = state.selected_sites
    return answer(
        {
            "credentials": ["/api/orders", "/api/customers"],
            "scopes": state.scopes,
            "siteAccess": "access_full" if selected is None else "access_selective",
            "sitesAvailable": list(state.sites) if selected is None else selected,
        }
    )


@unversioned.get("/system-info")
async def system_info(request: Request) -> Response:
    url = account(request).public_url
    return answer({"systemVersion": "8.9.24", "publicUrl": url, "technicalUrl": url})


@router.get("/settings")
async def settings(request: Request) -> Response:
    state = account(request)
    if not state.may_read_settings:
        raise ApiError(403, "Access denied.")
    values = {
        "default_currency": {"value": state.currency, "updated_at": "2025-01-01 10:00:00"},
        "system_language": {"value": "ru", "updated_at": "2025-01-01 10:00:00"},
        "timezone": {"value": state.timezone, "updated_at": "2025-01-01 10:00:00"},
    }
    return answer({"settings": values})


@router.get("/reference/{name}")
async def reference(request: Request, name: str) -> Response:
    if name not in _REFERENCES:
        raise ApiError(404, "API method not found")
    key, rows = _REFERENCES[name]
    return answer({key: rows(account(request))})


@router.get("/orders/history")
async def orders_history(request: Request) -> Response:
    return _history(request, account(request).order_history)


@router.get("/customers/history")
async def customers_history(request: Request) -> Response:
    return _history(request, account(request).customer_history)


@router.get("/orders/statuses")
async def orders_statuses(request: Request) -> Response:
    state, query = account(request), query_of(request)
    ids, external_ids = texts(query.get("ids", [])), texts(query.get("externalIds", []))
    with state.lock:
        rows = [
            {
                "id": order["id"],
                "externalId": order.get("externalId"),
                "status": order["status"],
                "group": state.statuses[order["status"]]["group"],
            }
            for order in state.orders.values()
            if str(order["id"]) in ids or order.get("externalId") in external_ids
        ]
    return answer({"orders": rows})


@router.get("/orders")
async def orders(request: Request) -> Response:
    state = account(request)
    with state.lock:
        return answer(list_page(request, "orders", list(reversed(state.orders.values())), state.order_body))


@router.get("/orders/{key}")
async def order(request: Request, key: str) -> Response:
    state = account(request)
    with state.lock:
        return answer({"order": state.order_body(find(request, state.orders, key))})


@router.get("/customers")
async def customers(request: Request) -> Response:
    state = account(request)
    with state.lock:
        return answer(list_page(request, "customers", list(reversed(state.customers.values())), state.customer_body))


@router.get("/customers/{key}")
async def customer(request: Request, key: str) -> Response:
    state = account(request)
    with state.lock:
        return answer({"customer": state.customer_body(find(request, state.customers, key))})


@router.get("/store/products")
async def products(request: Request) -> Response:
    store = account(request).store
    rows = list(store.products.values())
    return answer(list_page(request, "products", rows, store.product_body, limits=CATALOG_LIMITS))


@router.get("/store/offers")
async def offers(request: Request) -> Response:
    store = account(request).store
    rows = list(store.offers.values())
    return answer(list_page(request, "offers", rows, store.offer_body, limits=CATALOG_LIMITS))


@router.get("/store/product-groups")
async def product_groups(request: Request) -> Response:
    rows = list(account(request).store.groups.values())
    return answer(list_page(request, "productGroup", rows, dict, limits=CATALOG_LIMITS))


@router.get("/store/inventories")
async def inventories(request: Request) -> Response:
    store = account(request).store
    filters = query_of(request).get("filter")
    has_details = isinstance(filters, dict) and filters.get("details") in ("1", "true")
    return answer(
        list_page(
            request,
            "offers",
            list(store.offers.values()),
            lambda offer: store.inventory_body(offer, has_details=has_details),
            limits=CATALOG_LIMITS,
        )
    )


def find(request: Request, rows: dict[int, JSON], key: str, by: str | None = None) -> JSON:
    """The row that a path names: by the shop's own number, unless `by` says id. Raises ApiError 404, 400."""
    by = by or query_of(request).get("by", "externalId")
    if by == "id":
        found = rows.get(int(key)) if key.isascii() and key.isdigit() and len(key) < 19 else None
    elif by == "externalId":
        found = next((row for row in rows.values() if row.get("externalId") == key), None)
    else:
        raise ApiError(400, "Errors in the input parameters", {"by": "The value you selected is not a valid choice."})
    if found is None:
        raise ApiError(404, "Not found")
    return found


def _history(request: Request, history: History) -> Response:
    """A `duplicate_page` fault answers the page before once more."""
    state = account(request)
    if request.scope.get("fault") == "duplicate_page" and history.last_answer is not None:
        return answer(history.last_answer)
    with state.lock:
        history.last_answer = history_page(request, state, history)
        return answer(history.last_answer)
