"""Examples of the sections' values, for the API's description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "sla": {
        "near_threshold": 0.8,
        "sla": [
            {"group_id": "2", "limit": "08:00", "urgent_limit": "04:00"},
            {"group_id": "2", "limit": "02:00", "profile": "vip"},
        ],
    },
    "working-hours": {
        "working_hours": {
            "default": {"mon-fri": ["09:00-18:00"]},
            "groups": {"3": {"mon-thu": ["08:00-12:00", "13:00-17:00"], "fri": ["22:00-06:00"]}},
            "exceptions": [{"date": "2026-12-25"}, {"date": "2026-12-24", "ranges": ["09:00-13:00"], "group": "3"}],
        }
    },
    "cycle": {
        "cycles": [{"id": "to-delivery", "title": "To delivery", "start_group": "1", "end_group": "4", "default": True}]
    },
    "urgent": {"urgent": [{"match": "sku", "value": "EXPRESS"}, {"match": "offer_id", "value": "16"}]},
    "statuses": {
        "status_groups": [{"id": "4", "name": "Delivery"}],
        "statuses": [{"id": "12", "name": "Done", "group_id": "5", "is_closing": True}],
    },
    "dashboard": {"dashboard": {"hidden_groups": ["6"], "closed_days": 14}},
    "sync": {"sync": {"since": "2025-01-01", "interval_minutes": 5, "batch_size": 50, "max_concurrent_requests": 10}},
    "options": {"options": {"source_id": 2, "rate_limit": {"requests": 60, "per_seconds": 60}}},
    "two-way": {"vms": {"inbound": True, "outbound_orders": True, "dry_run": False}},
    "status-map": {"status_map": {"new": "PENDING", "complete": "DELIVERED"}},
    "conflicts": {"conflict_policy": {"default": "newest", "status": "vms"}},
    "address": {
        "base_url": "https://openapi.keycrm.app/v1",
        "webhook": {"auth": "hmac", "header": "X-Signature", "prefix": "sha256=", "ip_allow": ["192.0.2.0/24"]},
    },
    "general": {"name": "Print shop", "timezone": "Europe/Kyiv", "region": "UA", "currency": "UAH"},
}
