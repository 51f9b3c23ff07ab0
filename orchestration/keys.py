"""Asset keys, so that raw -> core -> staging -> marts is one graph across Dagster and dbt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from connectors.protocol import Capabilities, Stream

WEBHOOKS = dg.AssetKey(["raw", "webhook_events"])
CONSISTENCY = dg.AssetKey(["two_way", "consistency"])

CORE_FED_BY: Mapping[str, tuple[str, ...]] = {
    "orders": ("orders", "deletions"),
    "order_status_events": ("orders", "order_history"),
    "order_items": ("orders",),
    "order_marketing": ("orders",),
    "payments": ("orders",),
    "customers": ("orders", "customers", "deletions"),
    "statuses": ("statuses",),
    "status_groups": ("statuses", "status_groups"),
    "sources": ("sources",),
    "products": ("products",),
    "offers": ("products", "offers", "stocks"),
    "transactions": ("orders", "records", "transactions", "visits", "rows", "deletions"),
    "places": ("places", "account"),
}
"""Tables of schema core, and the streams whose records become their rows."""


def raw(crm: str, stream: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", crm, stream])


def core(table: str) -> dg.AssetKey:
    return dg.AssetKey(["core", table])


def core_tables(streams: Sequence[str]) -> list[str]:
    return [table for table, feeding in CORE_FED_BY.items() if set(feeding) & set(streams)]


def daily_streams(capabilities: Capabilities) -> list[Stream]:
    """Streams that can be pulled by window, so by day."""
    return [stream for stream in capabilities.streams if capabilities.has_api and stream.has_windows]


def whole_streams(capabilities: Capabilities) -> list[Stream]:
    """Streams that are pulled whole, or from a cursor alone: dictionaries, products, stocks."""
    return [stream for stream in capabilities.streams if capabilities.has_api and not stream.has_windows]
