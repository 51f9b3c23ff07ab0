"""Schema core: reading what decides on the next write, and one upsert per table and batch.

Rows and ids travel as one JSON document each statement and are unpacked by PostgreSQL: a single parameter, whatever the
number of rows and columns, and written faster than an array. The caller holds the project's lock (`queue.lock_name`),
so nobody else writes in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from database.connection import Connection
from database.repositories import core_changes

Row = Mapping[str, Any]
"""Column -> value; a column that is missing is null."""


@dataclass(slots=True)
class OrderState:
    """What is known of an order."""

    exists: bool = False
    source_updated_at: datetime | None = None
    has_items: bool = False
    items_updated_at: datetime | None = None
    payments_updated_at: datetime | None = None
    has_marketing: bool = False
    marketing_source: str | None = None
    marketing_updated_at: datetime | None = None
    known_at: datetime | None = None
    """When core last learned something of it, by our clock."""
    brief: str | None = None
    full: str | None = None
    """What those who listen know of it: `core_changes.told`; None if it was not asked for."""

    @property
    def is_whole(self) -> bool:
        return is_whole(self.has_items, self.items_updated_at, self.source_updated_at)


@dataclass(frozen=True, slots=True)
class EventState:
    """A status event that is stored already."""

    status_changed_at: datetime
    event_id: int
    status_id: str
    dedup_key: str


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """Whether an order is known, and how its last complete record compares with the newest hint."""

    has_items: bool
    is_behind: bool
    """A webhook has said something since the order was last read whole."""


class _Table:
    """A table's columns with their types, and the statements that follow from them."""

    def __init__(self, name: str, key: Sequence[str], columns: Mapping[str, str], rules: Mapping[str, str]) -> None:
        self.columns = tuple(columns)
        self._name, self._key, self._types, self._rules = name, tuple(key), dict(columns), dict(rules)
        self.overwrite = self._upsert(default="excluded.{column}", rules=rules)

    def fill(self, rules: Mapping[str, str] | None = None) -> str:
        """The upsert by which a null leaves what is stored."""
        return self._upsert(
            default="coalesce(excluded.{column}, stored.{column})", rules={**self._rules, **(rules or {})}
        )

    def _upsert(self, *, default: str, rules: Mapping[str, str]) -> str:
        values = [name for name in self._types if name not in self._key]
        settings = {name: rules.get(name, default).format(column=name) for name in values}
        names = ", ".join(self._types)
        return (
            f"insert into core.{self._name} as stored (project_id, {names}) "  # noqa: S608
            f"select %(project)s, {names} from json_to_recordset(%(rows)s::json) as incoming ("
            + ", ".join(f"{name} {kind}" for name, kind in self._types.items())
            + f") on conflict (project_id, {', '.join(self._key)}) do update set "
            + ", ".join(f"{name} = {value}" for name, value in settings.items())
            + ", updated_at = now() where ("
            + ", ".join(f"stored.{name}" for name in values)
            + ") is distinct from ("
            + ", ".join(settings.values())
            + ")"
        )


def _columns(text: str) -> dict[str, str]:
    """ "name type, name type" -> mapping."""
    return {item.split()[0]: item.split()[1] for item in text.split("; ")}


_STICKY = "stored.{column} or excluded.{column}"
_NEWEST = "greatest(excluded.{column}, stored.{column})"  # null only if both are
_KEEP = "coalesce(excluded.{column}, stored.{column})"

_ORDERS = _Table(
    "orders",
    ["order_id"],
    _columns(
        "order_id text; parent_id text; source_uuid text; source_id text; status_id text; status_group_id text; "
        "customer_id text; manager_id text; grand_total numeric; products_total numeric; total_discount numeric; "
        "expenses_sum numeric; shipping_price numeric; payments_total numeric; currency text; payment_status text; "
        "promocode text; manager_comment text; customer_comment text; delivery_service_id text; tracking_code text; "
        "shipping_status text; shipping_country text; shipping_region text; shipping_city text; shipping_address text; "
        "shipping_date date; recipient_name text; recipient_phone_e164 text; is_deleted boolean; has_items boolean; "
        "ordered_at timestamptz; order_created_at timestamptz; closed_at timestamptz; source_updated_at timestamptz; "
        "items_updated_at timestamptz; payments_updated_at timestamptz"
    ),
    {
        "has_items": _STICKY,
        "source_updated_at": _NEWEST,
        "items_updated_at": _KEEP,
        "payments_updated_at": _KEEP,
    },
)
_CUSTOMERS = _Table(
    "customers",
    ["customer_id"],
    _columns(
        "customer_id text; full_name text; phone_e164 text; phones text[]; email text; emails text[]; company_id text; "
        "manager_id text; birthday date; note text; is_deleted boolean; source_created_at timestamptz; "
        "source_updated_at timestamptz"
    ),
    {"source_updated_at": _NEWEST},
)
_LIST_OR_KEEP = "case when excluded.{column} = '{{}}' then stored.{column} else excluded.{column} end"

_STATEMENTS: dict[str, str] = {
    "orders": _ORDERS.overwrite,
    "orders_partial": _ORDERS.fill({"is_deleted": _STICKY}),
    "customers": _CUSTOMERS.overwrite,
    "customers_partial": _CUSTOMERS.fill({"is_deleted": _STICKY, "phones": _LIST_OR_KEEP, "emails": _LIST_OR_KEEP}),
    "status_groups": _Table(
        "status_groups", ["status_group_id"], _columns("status_group_id text; name text"), {}
    ).overwrite,
    "statuses": _Table(
        "statuses",
        ["status_id"],
        _columns("status_id text; name text; alias text; status_group_id text; is_closing boolean; is_active boolean"),
        {},
    ).overwrite,
    "sources": _Table(
        "sources", ["source_id"], _columns("source_id text; name text; alias text; driver text; currency text"), {}
    ).overwrite,
    "order_marketing": _Table(
        "order_marketing",
        ["order_id"],
        _columns(
            "order_id text; utm_source text; utm_medium text; utm_campaign text; utm_term text; utm_content text; "
            "fbclid text; gclid text; source text; source_updated_at timestamptz"
        ),
        {"source_updated_at": _NEWEST},
    ).overwrite,
    "products": _Table(
        "products",
        ["product_id"],
        _columns(
            "product_id text; name text; sku text; category_id text; price numeric; purchased_price numeric; "
            "currency text; is_archived boolean; source_updated_at timestamptz"
        ),
        {"source_updated_at": _NEWEST},
    ).overwrite
    + " and (excluded.source_updated_at >= stored.source_updated_at) is not false",
    "offers": _Table(
        "offers",
        ["offer_id"],
        _columns(
            "offer_id text; product_id text; sku text; barcode text; price numeric; purchased_price numeric; "
            "properties jsonb; is_archived boolean"
        ),
        {},
    ).overwrite,
    "stocks": _Table(
        "offers",
        ["offer_id"],
        _columns("offer_id text; sku text; in_stock numeric; in_reserve numeric; stock_updated_at timestamptz"),
        {"sku": "coalesce(stored.sku, excluded.sku)"},
    ).overwrite
    + " and (excluded.stock_updated_at >= stored.stock_updated_at) is not false",
}

_STATEMENTS["places"] = _Table(
    "places", ["place_id"], _columns("place_id text; name text; timezone text; currency text"), {}
).overwrite
_STATEMENTS["transactions"] = _Table(
    "transactions",
    ["external_id"],
    _columns(
        "external_id text; crm text; occurred_at timestamptz; amount numeric; currency text; customer_id text; "
        "phone_e164 text; email text; description text; order_id text; is_medical boolean; state text; source text; "
        "source_updated_at timestamptz"
    ),
    {},
).overwrite

ORDER_COLUMNS = _ORDERS.columns
CUSTOMER_COLUMNS = _CUSTOMERS.columns


async def upsert(connection: Connection, project_id: str, kind: str, rows: Sequence[Row]) -> None:
    """Write rows of one kind, each key at most once.

    Kinds: status_groups, statuses, sources, customers, customers_partial, orders, orders_partial, order_marketing,
    products, offers, stocks. `*_partial`: a null leaves what is stored. A row that changes nothing is not touched.
    """
    if rows:
        await connection.execute(_STATEMENTS[kind], {"project": project_id, "rows": _document(rows)})


async def insert_events(connection: Connection, project_id: str, rows: Sequence[Row]) -> int:
    """Add status events in this order; those known by their `dedup_key` add nothing. Returns how many were new."""
    if not rows:
        return 0
    cursor = await connection.execute(
        """
        insert into core.order_status_events (
            project_id, order_id, status_id, status_group_id, status_changed_at, order_created_at, source,
            is_approximate, payload, dedup_key
        )
        select %(project)s, order_id, status_id, status_group_id, status_changed_at, order_created_at, source,
            is_approximate, payload, dedup_key
        from json_to_recordset(%(rows)s::json) as incoming (
            order_id text, status_id text, status_group_id text, status_changed_at timestamptz,
            order_created_at timestamptz, source text, is_approximate boolean, payload jsonb, dedup_key text
        )
        on conflict (project_id, dedup_key) do nothing
        """,
        {"project": project_id, "rows": _document(rows)},
    )
    return cursor.rowcount


async def replace_items(
    connection: Connection, project_id: str, line_counts: Mapping[str, int], rows: Sequence[Row]
) -> None:
    """Let these orders have exactly these lines, numbered from 1; a line that stays the same is not touched."""
    if not line_counts:
        return
    await connection.execute(
        """
        delete from core.order_items as stored
        using json_to_recordset(%s::json) as o (order_id text, lines integer)
        where stored.project_id = %s and stored.order_id = o.order_id and stored.line_number > o.lines
        """,
        [_document([{"order_id": order_id, "lines": count} for order_id, count in line_counts.items()]), project_id],
    )
    if rows:
        await connection.execute(_ITEMS.overwrite, {"project": project_id, "rows": _document(rows)})


_ITEMS = _Table(
    "order_items",
    ["order_id", "line_number"],
    _columns(
        "order_id text; line_number integer; item_id text; product_id text; offer_id text; sku text; name text; "
        "quantity numeric; price numeric; price_sold numeric; purchased_price numeric; total_discount numeric; "
        "unit_type text; properties jsonb"
    ),
    {},
)


async def replace_payments(
    connection: Connection, project_id: str, order_ids: Sequence[str], rows: Sequence[Row]
) -> None:
    """Let these orders have exactly these payments (each id once): others of theirs are marked deleted."""
    if not order_ids:
        return
    await connection.execute(
        """
        update core.payments
        set is_deleted = true, updated_at = now()
        where project_id = %s and order_id = any(%s) and payment_id <> all(%s) and not is_deleted
        """,
        [project_id, list(order_ids), [row["payment_id"] for row in rows]],
    )
    if rows:
        await connection.execute(_PAYMENTS.overwrite, {"project": project_id, "rows": _document(rows)})


_PAYMENTS = _Table(
    "payments",
    ["payment_id"],
    _columns(
        "payment_id text; order_id text; payment_method_id text; amount numeric; currency text; status text; "
        "description text; transaction_uuid text; paid_at timestamptz; is_deleted boolean; "
        "source_created_at timestamptz; source_updated_at timestamptz"
    ),
    {},
)


def is_whole(has_items: bool, items_updated_at: datetime | None, source_updated_at: datetime | None) -> bool:
    """Whether the last whole record of an order is the last word on it."""
    if not has_items:
        return False
    return source_updated_at is None or (items_updated_at is not None and items_updated_at >= source_updated_at)


async def order_states(
    connection: Connection, project_id: str, order_ids: Collection[str], *, told: bool = False
) -> dict[str, OrderState]:
    """What is known of these orders; those never seen are missing. `told`: with what those who listen know."""
    expressions = core_changes.told("o") if told else "null as brief, null as full"
    cursor = await connection.execute(
        f"""
        select o.order_id, true as exists, o.source_updated_at, o.has_items, o.items_updated_at, o.payments_updated_at,
            m.order_id is not null as has_marketing, m.source as marketing_source,
            m.source_updated_at as marketing_updated_at, o.updated_at as known_at, {expressions}
        from json_array_elements_text(%(ids)s::json) as wanted (order_id)
        join core.orders as o on o.project_id = %(project)s and o.order_id = wanted.order_id
        left join core.order_marketing as m on m.project_id = o.project_id and m.order_id = o.order_id
        """,  # noqa: S608
        {"ids": _document(list(order_ids)), "project": project_id},
    )
    return {row.pop("order_id"): OrderState(**row) for row in await cursor.fetchall()}


async def customer_times(
    connection: Connection, project_id: str, customer_ids: Collection[str]
) -> dict[str, datetime | None]:
    """`source_updated_at` of these customers; those never seen are missing."""
    cursor = await connection.execute(
        """
        select c.customer_id, c.source_updated_at
        from json_array_elements_text(%s::json) as wanted (customer_id)
        join core.customers as c on c.project_id = %s and c.customer_id = wanted.customer_id
        """,
        [_document(list(customer_ids)), project_id],
    )
    return {row["customer_id"]: row["source_updated_at"] for row in await cursor.fetchall()}


async def events_of(connection: Connection, project_id: str, order_ids: Collection[str]) -> dict[str, list[EventState]]:
    """All status events of these orders, by status_changed_at and arrival."""
    cursor = await connection.execute(
        """
        select order_id, status_changed_at, event_id, status_id, dedup_key
        from core.order_status_events
        where project_id = %s and order_id = any(%s)
        order by order_id, status_changed_at, event_id
        """,
        [project_id, list(order_ids)],
    )
    events: dict[str, list[EventState]] = {}
    for row in await cursor.fetchall():
        events.setdefault(row.pop("order_id"), []).append(EventState(**row))
    return events


async def count_events(
    connection: Connection, project_id: str, order_ids: Sequence[str], source: str
) -> dict[str, int]:
    """How many status events of each order came from this source: webhook, pull, reread or history."""
    cursor = await connection.execute(
        """
        select order_id, count(*) as count from core.order_status_events
        where project_id = %s and order_id = any(%s) and source = %s
        group by order_id
        """,
        [project_id, list(order_ids), source],
    )
    return {row["order_id"]: row["count"] for row in await cursor.fetchall()}


async def source_currencies(connection: Connection, project_id: str) -> dict[str, str]:
    """Currency by source id, where the CRM tells it."""
    cursor = await connection.execute(
        "select source_id, currency from core.sources where project_id = %s and currency is not null", [project_id]
    )
    return {row["source_id"]: row["currency"] for row in await cursor.fetchall()}


async def places(connection: Connection, project_id: str) -> list[dict[str, Any]]:
    """What the CRM has told of its places."""
    cursor = await connection.execute(
        "select place_id, name, timezone, currency from core.places where project_id = %s", [project_id]
    )
    return await cursor.fetchall()


async def order_summaries(connection: Connection, project_id: str, order_ids: Sequence[str]) -> dict[str, OrderSummary]:
    """Of those that were ever seen."""
    cursor = await connection.execute(
        """
        select order_id, has_items, coalesce(source_updated_at > items_updated_at, true) as is_behind
        from core.orders where project_id = %s and order_id = any(%s)
        """,
        [project_id, list(order_ids)],
    )
    return {row["order_id"]: OrderSummary(row["has_items"], row["is_behind"]) for row in await cursor.fetchall()}


async def knows_customer(connection: Connection, project_id: str, customer_id: str) -> bool:
    cursor = await connection.execute(
        "select from core.customers where project_id = %s and customer_id = %s", [project_id, customer_id]
    )
    return await cursor.fetchone() is not None


async def delete_project(connection: Connection, project_id: str) -> None:
    """Delete all of a project's core rows: the first step of a full replay, in its transaction."""
    for table in (
        "transactions",
        "places",
        "order_status_events",
        "order_items",
        "order_marketing",
        "payments",
        "orders",
        "customers",
        "products",
        "offers",
        "statuses",
        "status_groups",
        "sources",
    ):
        await connection.execute(f"delete from core.{table} where project_id = %s", [project_id])  # noqa: S608


_encoder = msgspec.json.Encoder(decimal_format="number")


def _document(rows: Sequence[Any]) -> str:
    return _encoder.encode(rows).decode()
