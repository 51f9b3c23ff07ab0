"""The OpenAPI document is complete: whoever writes a script needs nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from dashboard import openapi
from dashboard.main import create_app
from database.environment import Environment

APP: FastAPI = create_app(Environment())
DOCUMENT: dict[str, Any] = APP.openapi()
ROUTES: list[APIRoute] = [
    context.route for context in iter_route_contexts(APP.routes) if isinstance(context.route, APIRoute)
]
OPERATIONS = [
    (method, path)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if path.startswith("/api/")
]  # fmt: skip
WITHOUT_JSON = {"/api/stream/orders"}
"""Answers that are no JSON say in their description what they are; files and streams."""


def test_what_is_not_for_programs_is_not_in_it() -> None:
    pages = {route.path for route in ROUTES if not route.path.startswith(("/api/", "/health"))}
    assert pages & DOCUMENT["paths"].keys() == {"/login", "/logout", "/hubs/keycrm/negotiate"}
    assert {path for path in DOCUMENT["paths"] if path.startswith("/api/")} == {
        route.path_format for route in ROUTES if route.path.startswith("/api/")
    }


def test_the_document_says_what_it_is_and_how_to_log_in() -> None:
    assert DOCUMENT["info"]["title"] == "crm-elt dashboard"
    assert DOCUMENT["info"]["version"]
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["cookie"]["name"] == "crm_elt_session_8080"
    assert DOCUMENT["components"]["schemas"]["Problem"]["required"] == [
        "type", "title", "status", "code", "word", "detail"
    ]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_each_route_is_described(method: str, path: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    assert operation.get("summary"), "give the route a summary"
    assert operation.get("description"), "give the function a docstring"
    [tag] = operation["tags"]
    assert tag in openapi.TAGS, "describe the tag in dashboard/openapi.py"
    assert operation["security"][0] == {"bearer": []}
    answers = operation["responses"]
    assert {"400", "401", "503"} <= answers.keys()
    assert answers["401"] == {"$ref": "#/components/responses/Problem401"}
    assert ("403" in answers) or method == "get"
    assert ("404" in answers) or "{" not in path
    [good] = [answer for status, answer in answers.items() if status.startswith("2")]
    if "204" in answers:
        assert "content" not in good, "nothing is answered with 204"
    elif path not in WITHOUT_JSON and "application/json" in good.get("content", {}):
        assert good["content"]["application/json"]["schema"], "give the route a response model"
    else:
        assert good.get("content") or path in WITHOUT_JSON, "say what is answered: responses={200: {'content': ...}}"
    for parameter in operation.get("parameters", ()):
        known = parameter["in"] == "path" or parameter["name"] in ("limit",)
        assert known or parameter.get("description"), f"describe {parameter['name']}"


def test_answers_have_examples() -> None:
    """Of what every JSON answer is made: each model has an example, whole or of its fields."""
    without = []
    for name, schema in DOCUMENT["components"]["schemas"].items():
        fields = schema.get("properties", {})
        is_shown = "example" in schema or "examples" in schema or any("examples" in field for field in fields.values())
        if fields and not is_shown and not all(_is_of_models(field) for field in fields.values()):
            without.append(name)
    assert without == [], "give these models examples"


def _is_of_models(field: dict[str, Any]) -> bool:
    """A list or an object of other models, or the cursor beside it."""
    return "$ref" in str(field) or field.get("type") in ("null", "boolean", "array")


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found, reference
