"""The landing routes in the OpenAPI document: they are plain ASGI endpoints, which FastAPI does not describe itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_PROJECT = {"name": "project", "required": True, "schema": {"type": "string"}, "description": "Id of the project."}
_CRM = {"name": "crm", "in": "path", "required": True, "schema": {"type": "string"}, "example": "keycrm"}
_EVENT = {"name": "event", "in": "path", "required": True, "schema": {"type": "string"}, "example": "order-created"}
_TOKEN = {
    "name": "token",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "The project's webhook secret, for auth: token; the header X-Webhook-Token is taken too.",
}
_PROBLEM = {"application/problem+json": {"schema": {"type": "object"}}}
_REFUSALS = {
    "400": "Authentic but unreadable; kept in raw.rejected.",
    "401": "Not authentic.",
    "404": "Unknown project, CRM or event.",
    "413": "Over 1 MiB.",
    "429": "Too much of this project waits; see Retry-After.",
    "503": "The database is away; nothing was stored, see Retry-After.",
}
_ANSWERS: dict[str, Any] = {
    "200": {
        "description": "Stored durably.",
        "content": {"application/json": {"example": {"status": "accepted", "event_id": 17}}},
    },
    **{status: {"description": text, "content": _PROBLEM} for status, text in _REFUSALS.items()},
}


def describe(app: FastAPI) -> None:
    """Let the app's OpenAPI document hold the landing routes too."""
    own = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = own()
            schema["paths"] = {**_paths(), **schema["paths"]}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _paths() -> dict[str, Any]:
    in_path, in_query = {**_PROJECT, "in": "path"}, {**_PROJECT, "in": "query"}
    return {
        "/webhooks/{crm}/{project}": _landing("Land a webhook", [_CRM, in_path, _TOKEN]),
        "/webhooks/{crm}": _landing("Land a webhook, the project in the query", [_CRM, in_query, _TOKEN]),
        "/api/webhooks/{crm}": _landing("Land a webhook, the project in the query", [_CRM, in_query, _TOKEN]),
        "/api/keycrm/webhook/{event}": _landing("Land a webhook by its event's name", [_EVENT, in_query, _TOKEN]),
    }


def _landing(summary: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    body = {
        "description": "As the CRM sends it: JSON, a form, or an array.",
        "content": {"application/json": {"schema": {}}, "application/x-www-form-urlencoded": {"schema": {}}},
    }
    described = {"tags": ["webhooks"], "summary": summary, "parameters": parameters, "responses": _ANSWERS}
    return {"post": {**described, "requestBody": body}, "get": described}
