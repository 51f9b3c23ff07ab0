"""Empty rows of the simulated account, with every field the API shows, and the dictionaries of a fresh account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.keycrm.simulator_records import Record
from connectors.keycrm.simulator_values import JSON

if TYPE_CHECKING:
    from connectors.keycrm.simulator_state import SimulatorState

DICTIONARIES = (
    "statuses",
    "sources",
    "tags",
    "payment_methods",
    "delivery_services",
    "product_statuses",
    "expense_types",
)

ORDER_RELATIONS = (
    "shipping",
    "shipping_history",
    "marketing",
    "custom_fields",
    "tag_ids",
    "expenses",
    "assigned_ids",
    "attachments",
)


def _nothing(*names: str) -> JSON:
    return dict.fromkeys(names)


EMPTY_ORDER: JSON = (
    _nothing("id", "parent_id", "source_uuid", "global_source_uuid", "source_id", "client_id", "manager_id")
    | _nothing("status_id", "status_group_id", "status_changed_at", "status_on_source")
    | dict.fromkeys(("grand_total", "products_total", "payments_total", "margin_sum", "total_discount"), 0)
    | dict.fromkeys(("discount_percent", "discount_amount", "expenses_sum", "shipping_price", "wrap_price", "taxes"), 0)
    | _nothing("promocode", "manager_comment", "buyer_comment", "gift_message")
    | {"is_gift": False, "gift_wrap": False, "has_reserves": False, "payment_status": "not_paid"}
    | _nothing("last_synced_at", "created_at", "ordered_at", "updated_at", "closed_at")
)
EMPTY_LINE: JSON = (
    {"id": None, "name": "", "sku": None, "price": 0, "price_sold": 0, "purchased_price": 0}
    | {"discount_percent": 0, "discount_amount": 0, "total_discount": 0, "quantity": 1, "unit_type": None}
    | {"upsale": False, "comment": None, "product_status_id": None, "picture": None, "properties": []}
    | {"shipment_type": "warehouse", "warehouse": None, "offer_id": None}
)
EMPTY_PAYMENT: JSON = (
    {"id": None, "destination_id": None, "payment_method_id": None, "amount": 0, "actual_currency": None}
    | {"transaction_uuid": None, "description": None, "status": "not_paid", "fiscal_result": None}
    | _nothing("payment_date", "created_at", "updated_at")
)
EMPTY_SHIPPING: JSON = _nothing(
    "delivery_service_id",
    "tracking_code",
    "shipping_status",
    "shipping_service",
    "shipping_address_city",
    "shipping_address_country",
    "shipping_address_country_code",
    "shipping_address_region",
    "shipping_address_zip",
    "shipping_secondary_line",
    "shipping_receive_point",
    "recipient_full_name",
    "recipient_phone",
    "warehouse_ref",
    "shipping_date_actual",
)
EMPTY_MARKETING: JSON = _nothing("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content") | _nothing(
    "created_at", "updated_at"
)
EMPTY_BUYER: JSON = {"id": None, "company_id": None, "full_name": None, "birthday": None, "email": [], "phone": []} | (
    _nothing("note", "picture", "manager_id", "currency") | {"discount": 0, "orders_sum": 0, "has_duplicates": False}
)
EMPTY_LEAD: JSON = {"title": None, "pipeline_id": 1, "status_id": 1, "source_id": None, "target_type": "order"} | (
    _nothing("contact_id", "manager_id", "manager_comment", "utm_source", "utm_medium", "utm_campaign", "utm_term")
    | _nothing("utm_content", "communicate_at")
)
EMPTY_ENTRY: dict[str, JSON] = {
    "statuses": {"is_active": True, "is_closing_order": False, "is_reserved": False}
    | _nothing("expiration_period", "deleted_at"),
    "sources": _nothing("driver", "source_uuid", "source_name"),
    "payment_methods": {"alias": None, "is_active": True},
    "delivery_services": _nothing("source_name"),
}

_STATUSES: tuple[tuple[int, str, int, bool], ...] = (
    (1, "new", 1, False),
    (2, "waiting_for_prepayment", 2, False),
    (3, "approved", 2, False),
    (5, "in_production", 3, False),
    (6, "made", 3, False),
    (8, "transferred_to_delivery", 4, False),
    (11, "delivering", 4, False),
    (12, "completed", 5, True),
    (13, "incorrect_data", 6, True),
    (15, "out_of_stock", 6, True),
    (19, "canceled", 6, True),
)
_NAMED: dict[str, tuple[str, ...]] = {
    "payment_methods": ("cash", "card", "bank_transfer"),
    "delivery_services": ("novaposhta", "ukrposhta", "pickup"),
    "product_statuses": ("to_order", "ordered", "packed"),
    "expense_types": ("delivery", "packaging", "fee"),
}


def fill(state: SimulatorState) -> None:
    """Dictionaries of a fresh account: statuses whose names are their aliases, as before the first save in the UI."""
    for status_id, name, group_id, is_closing in _STATUSES:
        state.add_status(status_id, name, group_id, is_closing=is_closing, is_reserved=group_id in (2, 3, 4))
    state.add_source("manual", driver="manual")
    state.add_source("site", driver="opencart", source_uuid="1", source_name="site")
    for kind, names in _NAMED.items():
        for name in names:
            state.add_entry(kind, {"name": name, "alias": name})
    add_user(state, "Owner Example", "owner@example.com")


def add_user(state: SimulatorState, full_name: str, email: str, **fields: Any) -> None:
    """A user of the account: managers of orders are among them."""
    now = state.now()
    first, _, last = full_name.partition(" ")
    user = {"id": state.users.new_id(), "username": email.partition("@")[0], "email": email}
    user |= {"full_name": full_name, "first_name": first, "last_name": last, "role_id": 1, "status": "active"}
    state.users.add(Record({**user, "created_at": now, "updated_at": now, **fields}))
