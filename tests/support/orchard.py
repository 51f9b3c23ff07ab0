"""Definitions for the accounts of the simulated vendor Orchard, in JSON and in XML."""

from __future__ import annotations

from typing import Any

PAGINGS: dict[str, dict[str, Any]] = {
    "page": {"type": "page", "param": "page", "size_param": "limit", "size": 5},
    "offset": {"type": "offset", "param": "offset", "size_param": "limit", "size": 5},
    "cursor": {"type": "cursor", "param": "after", "next": "$.meta.next", "size_param": "limit", "size": 5},
    "next_link": {"type": "next_link", "next": "$.meta.next", "size_param": "limit", "size": 5},
}
AUTHS: dict[str, dict[str, Any]] = {
    "none": {"type": "none"},
    "basic": {"type": "basic", "username": "login", "password": "api_key"},
    "bearer": {"type": "bearer", "token": "api_token"},
    "header": {"type": "header", "header": "X-Orchard-Key", "value": "api_key"},
}
INCREMENTAL = {"param": "updated_since"}


def json_definition(paging: str = "offset", auth: str = "bearer") -> dict[str, Any]:
    def entity(path: str, one: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "path": path,
            "records": "$.data[*]",
            "pagination": PAGINGS[paging],
            "incremental": INCREMENTAL,
            "one": {"path": f"{path}/{{{{ id }}}}", "record": "$.data"},
            "webhook": f"$.{one}",
            "lists_all": True,
            "fields": {"id": "$.id", "updated_at": "$.updated", **fields},
        }

    return {
        "format": "json",
        "auth": AUTHS[auth],
        "allow_hosts": ["127.0.0.1"],
        "entities": {
            "orders": entity(
                "/orders",
                "order",
                {
                    "status": "$.state.code",
                    "status_changed_at": "$.state_at",
                    "created_at": "$.created",
                    "total": "$.total",
                    "currency": "$.currency",
                    "customer_id": "$.client.id",
                    "customer_name": "{{ record.client.name | default('') }}",
                    "phone": "$.client.phone",
                    "comment": "$.note",
                },
            ),
            "transactions": entity(
                "/sales",
                "sale",
                {
                    "occurred_at": "$.at",
                    "amount": "$.sum",
                    "phone": "$.phone",
                    "description": "{{ record.title | trim }}",
                    "order_id": "$.order",
                    "is_reversed": "{{ record.void }}",
                },
            ),
            "customers": entity("/clients", "client", {"full_name": "$.name", "phone": "$.phone", "email": "$.email"}),
        },
    }


def xml_definition(paging: str = "next_link", auth: str = "basic") -> dict[str, Any]:
    ways = {name: {**way, **({"next": "@next"} if "next" in way else {})} for name, way in PAGINGS.items()}

    def entity(path: str, one: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "path": path,
            "records": one,
            "pagination": ways[paging],
            "incremental": INCREMENTAL,
            "one": {"path": f"{path}/{{{{ id }}}}", "record": "."},
            "webhook": f"/event/{one}",
            "fields": {"id": "@id", "updated_at": "updated", **fields},
        }

    return {
        "format": "xml",
        "auth": AUTHS[auth],
        "allow_hosts": ["127.0.0.1"],
        "entities": {
            "orders": entity(
                "/orders",
                "order",
                {
                    "status": "state",
                    "status_changed_at": "state_at",
                    "created_at": "created",
                    "total": {"from": "total", "decimal_mark": ","},
                    "currency": "currency/text()",
                    "customer_id": "client/id",
                    "customer_name": "{{ record.client.name }}",
                    "phone": "client/phone",
                    "comment": "note",
                },
            ),
            "transactions": entity(
                "/sales",
                "sale",
                {
                    "occurred_at": "at",
                    "amount": {"from": "sum", "decimal_mark": ","},
                    "phone": "phone",
                    "description": "concat(title, '')",
                    "order_id": "order",
                    "is_reversed": "void",
                },
            ),
        },
    }
