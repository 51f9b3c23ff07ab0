"""JSON bodies of the simulated account's records: as the API shows them, and as webhooks send them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from connectors.keycrm.simulator_records import Buyer, Order, Record
from connectors.keycrm.simulator_values import JSON, ApiError

if TYPE_CHECKING:
    from connectors.keycrm.simulator_state import SimulatorState

Includes = frozenset[str]

ORDER_INCLUDES = (
    "buyer",
    "products.offer",
    "products",
    "manager",
    "tags",
    "status",
    "marketing",
    "payments",
    "shipping.lastHistory",
    "shipping.deliveryService",
    "shipping",
    "expenses",
    "custom_fields",
    "customFields",
    "assigned",
    "attachments.file",
    "attachments",
)
BUYER_INCLUDES = ("manager", "shipping", "company", "loyalty", "custom_fields", "customFields")
OFFER_INCLUDES = ("product",)
PRODUCT_INCLUDES = ("custom_fields", "customFields")
LEAD_INCLUDES = ("contact", "manager", "status")
CUSTOM_FIELD_INCLUDES = ("options",)


@lru_cache(maxsize=256)
def read_includes(text: str, allowed: tuple[str, ...]) -> Includes:
    """What a comma list asks for; a nested include brings its parent. Raises ApiError 400 in Spatie's words."""
    asked = [name for name in (part.strip() for part in text.split(",")) if name]
    if unknown := [name for name in asked if name not in allowed]:
        raise ApiError(
            400,
            f"Requested include(s) `{', '.join(unknown)}` are not allowed. "
            f"Allowed include(s) are `{', '.join(allowed)}`.",
        )
    found = {"custom_fields" if name == "customFields" else name for name in asked}
    return frozenset(found | {name.partition(".")[0] for name in found})


def order_body(state: SimulatorState, order: Order, includes: Includes, *, has_changed_at: bool = True) -> JSON:
    """An order of the API; what was not asked for is absent. `last_synced_at` is another one each second."""
    body = order.fields.copy()
    body["last_synced_at"] = state.now()
    if not (has_changed_at and state.has_status_changed_at):
        del body["status_changed_at"]
    for name in includes:
        if (relation := _ORDER_RELATIONS.get(name)) is not None:
            body[name] = relation(state, order, includes)
    return body


def _buyer(state: SimulatorState, order: Order, _: Includes) -> JSON | None:
    buyer = state.buyers.get(order.fields["client_id"])
    if buyer is None:
        return None
    fields = buyer.fields
    return {
        "id": fields["id"],
        "full_name": fields["full_name"],
        # Texts here, arrays on /buyer.
        "email": fields["email"][0] if fields["email"] else None,
        "phone": fields["phone"][0] if fields["phone"] else None,
        "company_id": fields["company_id"],
        "manager_id": fields["manager_id"],
    }


def _products(state: SimulatorState, order: Order, includes: Includes) -> list[JSON]:
    has_offer = "products.offer" in includes
    rows = []
    for line in order.lines:
        row = line.copy()
        offer_id = row.pop("offer_id")
        if has_offer:
            offer = state.catalog.offers.get(offer_id)
            row["offer"] = None if offer is None else offer.fields
        rows.append(row)
    return rows


def _shipping(state: SimulatorState, order: Order, includes: Includes) -> JSON:
    if "shipping.lastHistory" not in includes and "shipping.deliveryService" not in includes:
        return order.shipping
    body = order.shipping.copy()
    if "shipping.lastHistory" in includes:
        body["last_history"] = order.shipping_history[-1] if order.shipping_history else None
    if "shipping.deliveryService" in includes:
        service = state.dictionaries["delivery_services"].get(order.shipping["delivery_service_id"])
        body["delivery_service"] = None if service is None else service.fields
    return body


def _attachments(_: SimulatorState, order: Order, includes: Includes) -> list[JSON]:
    if "attachments.file" in includes:
        return order.attachments
    return [{name: value for name, value in row.items() if name != "file"} for row in order.attachments]


def _user(state: SimulatorState, user_id: int | None) -> JSON | None:
    user = state.users.get(user_id)
    return None if user is None else user.fields


def _entries(state: SimulatorState, kind: str, ids: list[int]) -> list[JSON]:
    rows = state.dictionaries[kind].rows
    return [rows[entry_id].fields for entry_id in ids if entry_id in rows]


_ORDER_RELATIONS: dict[str, Callable[[SimulatorState, Order, Includes], Any]] = {
    "buyer": _buyer,
    "products": _products,
    "shipping": _shipping,
    "attachments": _attachments,
    "manager": lambda state, order, _: _user(state, order.fields["manager_id"]),
    "tags": lambda state, order, _: _entries(state, "tags", order.tag_ids),
    "status": lambda state, order, _: state.status(order.fields["status_id"]),
    "marketing": lambda state, order, _: order.marketing,
    "payments": lambda state, order, _: order.payments,
    "expenses": lambda state, order, _: order.expenses,
    "custom_fields": lambda state, order, _: custom_values(state, order.custom_fields),
    "assigned": lambda state, order, _: [_user(state, user_id) for user_id in order.assigned_ids],
}


def custom_values(state: SimulatorState, values: list[JSON]) -> list[JSON]:
    """Stored {uuid, value} pairs with the field's id, name and type."""
    by_uuid = {field.fields["uuid"]: field.fields for field in state.custom_fields}
    rows = []
    for given in values:
        known = by_uuid.get(given.get("uuid"))
        if known is not None:
            rows.append({name: known[name] for name in ("id", "uuid", "name", "type")} | {"value": given.get("value")})
    return rows


def buyer_body(state: SimulatorState, buyer: Buyer, includes: Includes) -> JSON:
    body = buyer.fields.copy()
    if "manager" in includes:
        body["manager"] = _user(state, buyer.fields["manager_id"])
    if "shipping" in includes:
        body["shipping"] = buyer.shipping
    if "company" in includes:
        company = state.companies.get(buyer.fields["company_id"])
        body["company"] = None if company is None else company.fields
    if "loyalty" in includes:
        body["loyalty"] = buyer.loyalty
    if "custom_fields" in includes:
        body["custom_fields"] = custom_values(state, buyer.custom_fields)
    return body


def offer_body(state: SimulatorState, offer: Record, includes: Includes) -> JSON:
    body = offer.fields.copy()
    if "product" in includes:
        body["product"] = product_body(state, state.catalog.products.rows[offer.fields["product_id"]], frozenset())
    return body


def product_body(state: SimulatorState, product: Record, includes: Includes) -> JSON:
    body = product.fields.copy()
    values = body.pop("custom_fields")
    if "custom_fields" in includes:
        body["custom_fields"] = custom_values(state, values)
    return body


def lead_body(state: SimulatorState, lead: Record, includes: Includes) -> JSON:
    body = lead.fields.copy()
    if "contact" in includes:
        buyer = state.buyers.get(lead.fields["contact_id"])
        body["contact"] = None if buyer is None else buyer.fields
    if "manager" in includes:
        body["manager"] = _user(state, lead.fields["manager_id"])
    if "status" in includes:
        body["status"] = {"id": lead.fields["status_id"], "pipeline_id": lead.fields["pipeline_id"]}
    return body


_CONTEXT = (
    "id",
    "parent_id",
    "source_uuid",
    "global_source_uuid",
    "source_id",
    "client_id",
    "manager_id",
    "status_group_id",
    "status_id",
    "status_changed_at",
    "status_on_source",
    "grand_total",
    "products_total",
    "payments_total",
    "total_discount",
    "discount_amount",
    "discount_percent",
    "expenses_sum",
    "shipping_price",
    "taxes",
    "wrap_price",
    "promocode",
    "payment_status",
    "manager_comment",
    "gift_message",
    "gift_wrap",
    "is_gift",
    "has_reserves",
    "margin_sum",
    "last_synced_at",
    "ordered_at",
    "created_at",
    "updated_at",
    "closed_at",
)


def order_context(order: Order, **then: Any) -> JSON:
    """The flat row of an order in a webhook. `then` overrides what was otherwise at the time of the event."""
    fields = order.fields
    context = {name: fields[name] for name in _CONTEXT}
    context["client_comment"] = fields["buyer_comment"]
    context |= {"fiscal_result": [], "fiscal_status": None, "is_expired": False, "deleted_at": None}
    context.update(then)
    return context


def lead_context(lead: Record) -> JSON:
    names = "id title pipeline_id status_id source_id contact_id manager_id status_changed_at created_at updated_at"
    return {name: lead.fields[name] for name in names.split()}
