"""Routes of products, categories, offers and stocks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from connectors.keycrm.simulator_bodies import (
    OFFER_INCLUDES,
    PRODUCT_INCLUDES,
    Includes,
    offer_body,
    product_body,
    read_includes,
)
from connectors.keycrm.simulator_listing import (
    account,
    answer,
    find,
    list_page,
    member,
    read_body,
    read_query,
    truth,
)
from connectors.keycrm.simulator_records import Record
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_values import JSON, Errors, read_id, read_number, read_rows

router = APIRouter()

MOST_AT_ONCE = 100
MOST_PICTURES = 6
_PRODUCT_FIELDS = ("description", "currency_code", "sku", "barcode", "unit_type")
_SIZES = ("weight", "length", "width", "height")
_OK: JSON = {"status": True}


@router.get("/offers")
async def list_offers(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    tests = [
        *member(asked, "id", lambda offer: offer.fields["id"]),
        *member(asked, "product_id", lambda offer: offer.fields["product_id"]),
        *member(asked, "sku", lambda offer: offer.fields["sku"]),
        *truth(asked, "is_archived", lambda offer: offer.fields["is_archived"]),
    ]

    def body(offer: Record, includes: Includes) -> JSON:
        return offer_body(state, offer, includes)

    with state.lock:
        return list_page(
            request, state.catalog.offers, body, asked=asked, tests=tests, sorts=("id",), includes=OFFER_INCLUDES
        )


@router.put("/offers")
async def change_offers(request: Request) -> Response:
    """All or nothing. An offer is named by id, or by sku."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    rows = read_rows(body, "offers", errors, required=True)
    with state.lock:
        changes: list[tuple[int, JSON]] = []
        for number, row in enumerate(rows):
            prefix = f"offers.{number}."
            offer_id = _offer_id(state, row, prefix, errors)
            fields = _read_amounts(row, prefix, errors)
            if "image_url" in row:
                fields["thumbnail_url"] = row["image_url"]
            if offer_id is not None:
                changes.append((offer_id, fields))
        errors.stop()
        for offer_id, fields in changes:
            state.catalog.update_offer(offer_id, **fields)
            if "price" in fields:
                state.writes.prices.setdefault(offer_id, []).append(fields["price"])
    return answer(_OK, 202)


@router.get("/offers/stocks")
async def list_stocks(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    has_details = asked.filters.get("details", "").lower() in {"1", "true"}
    tests = [
        *member(asked, "offers_id", lambda offer: offer.fields["id"]),
        *member(asked, "offers_sku", lambda offer: offer.fields["sku"]),
    ]

    def body(offer: Record, _: Includes) -> JSON:
        return state.catalog.stock_body(offer, has_details=has_details)

    with state.lock:
        return list_page(request, state.catalog.offers, body, asked=asked, tests=tests)


@router.put("/offers/stocks")
async def change_stocks(request: Request) -> Response:
    """Absolute quantities in one warehouse, all or nothing; fires the stock webhook as any other change does."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    warehouse_id = read_id(body.get("warehouse_id"))
    if body.get("warehouse_id") in (None, ""):
        errors.required("warehouse_id")
    elif warehouse_id not in state.catalog.warehouses:
        errors.invalid("warehouse_id")
    rows = read_rows(body, "stocks", errors, required=True)
    with state.lock:
        changes: list[tuple[int, int | float, int | float | None]] = []
        for number, row in enumerate(rows):
            prefix = f"stocks.{number}."
            if row.get("quantity") in (None, ""):
                errors.required(f"{prefix}quantity")
            quantity = read_number(row.get("quantity"), f"{prefix}quantity", errors, lowest=None)
            offer_id = _offer_id(state, row, prefix, errors)
            if offer_id is not None:
                changes.append((offer_id, quantity, None))
        errors.stop()
        assert warehouse_id is not None
        state.catalog.set_stocks(changes, warehouse_id=warehouse_id)
        for offer_id, quantity, _ in changes:
            state.writes.stocks.setdefault(offer_id, []).append(quantity)
    return answer(_OK, 202)


def _offer_id(state: SimulatorState, row: JSON, prefix: str, errors: Errors) -> int | None:
    """By `id`, the prose's `offer_id`, or `sku`; None if there is none such (then noted in `errors`)."""
    for name in ("id", "offer_id"):
        if row.get(name) is not None:
            wanted = read_id(row[name])
            if wanted in state.catalog.offers.rows:
                return wanted
            errors.invalid(prefix + name)
            return None
    if not row.get("sku"):
        errors.required(f"{prefix}sku")
        return None
    offer = state.catalog.offer_of_sku(str(row["sku"]))
    if offer is None:
        errors.invalid(f"{prefix}sku")
        return None
    return offer.id


def _read_amounts(row: JSON, prefix: str, errors: Errors) -> JSON:
    """Prices and sizes; sizes may stand in `dimensions` or beside it."""
    sizes = row["dimensions"] if isinstance(row.get("dimensions"), dict) else {}
    given = {name: row[name] for name in ("price", "purchased_price", *_SIZES) if row.get(name) is not None}
    given |= {name: sizes[name] for name in _SIZES if sizes.get(name) is not None}
    return {name: read_number(value, prefix + name, errors) for name, value in given.items()}


@router.get("/products")
async def list_products(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    tests = [
        *member(asked, "product_id", lambda product: product.fields["id"]),
        *member(asked, "category_id", lambda product: product.fields["category_id"]),
        *truth(asked, "is_archived", lambda product: product.fields["is_archived"]),
    ]

    def body(product: Record, includes: Includes) -> JSON:
        return product_body(state, product, includes)

    with state.lock:
        return list_page(
            request, state.catalog.products, body, asked=asked, tests=tests, sorts=("id",), includes=PRODUCT_INCLUDES
        )


@router.get("/products/categories")
async def list_categories(request: Request) -> Response:
    state = account(request)
    asked = read_query(state, request.scope["query_string"])
    with state.lock:
        return list_page(request, state.catalog.categories, lambda category, _: category.fields, asked=asked)


@router.post("/products/categories")
async def create_category(request: Request) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    if not body.get("name"):
        errors.required("name")
    parent_id = read_id(body.get("parent_id"))
    if body.get("parent_id") is not None and parent_id not in state.catalog.categories.rows:
        errors.invalid("parent_id")
    errors.stop()
    return answer(state.catalog.add_category(str(body["name"]), parent_id).fields, 201)


@router.get("/products/{product_id}")
async def read_product(request: Request, product_id: str) -> Response:
    state = account(request)
    includes = read_includes(read_query(state, request.scope["query_string"]).include, PRODUCT_INCLUDES)
    with state.lock:
        return answer(product_body(state, find(state.catalog.products, product_id), includes))


@router.post("/products")
async def create_product(request: Request) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        given = _read_product(state, body, "", errors, is_new=True)
        errors.stop()
        state.writes.products[given.get("sku") or ""] += 1
        return answer(product_body(state, state.catalog.add_product(**given), frozenset()), 201)


@router.post("/products/import")
async def import_products(request: Request) -> Response:
    """All or nothing."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    rows = read_rows(body, "products", errors, most=MOST_AT_ONCE, required=True)
    with state.lock:
        given = [_read_product(state, row, f"products.{n}.", errors, is_new=True) for n, row in enumerate(rows)]
        errors.stop()
        for product in given:
            state.catalog.add_product(**product)
            state.writes.products[product.get("sku") or ""] += 1
    return answer(_OK, 201)


@router.put("/products/{product_id}")
async def change_product(request: Request, product_id: str) -> Response:
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    with state.lock:
        product = find(state.catalog.products, product_id)
        given = _read_product(state, body, "", errors, is_new=False)
        errors.stop()
        return answer(product_body(state, state.catalog.update_product(product.id, **given), frozenset()), 202)


@router.post("/products/{product_id}/offers")
async def add_offers(request: Request, product_id: str) -> Response:
    """All or nothing."""
    state = account(request)
    body = await read_body(request)
    errors = Errors()
    rows = read_rows(body, "offers", errors, most=MOST_AT_ONCE, required=True)
    with state.lock:
        product = find(state.catalog.products, product_id)
        given = []
        for number, row in enumerate(rows):
            offer: JSON = {name: row[name] for name in ("sku", "barcode", "properties") if row.get(name) is not None}
            given.append(offer | _read_amounts(row, f"offers.{number}.", errors))
        errors.stop()
        for offer in given:
            state.catalog.add_offer(product.id, **offer)
        state.catalog.update_product(product.id, has_offers=True)
    return answer(_OK, 201)


def _read_product(state: SimulatorState, body: JSON, prefix: str, errors: Errors, *, is_new: bool) -> dict[str, Any]:
    """The arguments of `Catalog.add_product`; what is wrong with the body is noted in `errors`."""
    given: JSON = {name: body[name] for name in _PRODUCT_FIELDS if name in body}
    if body.get("name"):
        given["name"] = str(body["name"])
    elif is_new or "name" in body:
        errors.required(f"{prefix}name")
    given |= _read_amounts(body, prefix, errors)
    if body.get("category_id") is not None:
        given["category_id"] = read_id(body["category_id"])
        if given["category_id"] not in state.catalog.categories.rows:
            errors.invalid(f"{prefix}category_id")
    pictures = body.get("pictures") or []
    if not isinstance(pictures, list):
        errors.add(f"{prefix}pictures", "The pictures must be an array.")
    elif len(pictures) > MOST_PICTURES:
        errors.add(f"{prefix}pictures", f"The pictures must not have more than {MOST_PICTURES} items.")
    elif pictures:
        given |= {"thumbnail_url": pictures[0], "attachments_data": pictures}
    if "custom_fields" in body:
        given["custom_fields"] = read_rows(body, "custom_fields", errors)
    return given
