"""The OpenAPI document is complete: whoever writes a script needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, TypeAdapter, ValidationError

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
OF_NO_PROJECT = ("/api/users", "/api/tokens", "/api/session")
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield from _models(model)
        if model.__module__.startswith("dashboard.") and not model.__name__.startswith("_"):
            yield model


MODELS = set(_models(BaseModel))


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
    done = {status: answer for status, answer in answers.items() if status.startswith("2")}
    assert done
    for status, good in done.items():
        if status == "204":
            assert "content" not in good, "nothing is answered with 204"
        elif path not in WITHOUT_JSON and "application/json" in good.get("content", {}):
            assert good["content"]["application/json"]["schema"], "give the route a response model"
        else:
            assert good.get("content") or path in WITHOUT_JSON, "say what is answered: responses={200: {'content': ..}}"
    for parameter in operation.get("parameters", ()):
        assert parameter.get("description"), f"describe {parameter['name']}, here or in dashboard/openapi_words.py"
    for status, answer in answers.items():
        if not status.startswith(("2", "3")):
            shown = DOCUMENT["components"]["responses"][answer["$ref"].split("/")[-1]] if "$ref" in answer else answer
            problem = shown["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert problem["example"]["status"] == int(status)


def test_an_upload_may_be_done_or_under_way() -> None:
    answers = DOCUMENT["paths"]["/api/integrations/{project_id}/uploads"]["post"]["responses"]
    shown = [answers[status]["content"]["application/json"]["schema"]["$ref"] for status in ("201", "202")]
    assert shown == ["#/components/schemas/UploadModel"] * 2


def test_refusals_are_shown_with_codes_that_there_are() -> None:
    folder = Path(__file__).parents[3]
    code = "".join(path.read_text() for name in ("dashboard", "web") for path in (folder / name).rglob("*.py"))
    raised = set(re.findall(r"(?:ProblemError|UnauthorisedError)\(\s*(?:\w+,\s*)?\"([a-z_]+)\"", code))
    assert {"unknown_order", "not_logged_in", "crm_slow"} <= raised
    shown = {
        problem["example"]["code"]
        for answers in (
            DOCUMENT["components"]["responses"],
            *(operation["responses"] for item in DOCUMENT["paths"].values() for operation in item.values()),
        )
        for answer in answers.values()
        if (problem := answer.get("content", {}).get("application/problem+json"))
    }
    assert shown - raised == set()


def test_each_field_says_what_it_is() -> None:
    without = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    ]
    assert without == [], "describe these, in their models or in dashboard/openapi_words.py"


def test_answers_have_examples() -> None:
    """Of what every JSON answer is made: each model has an example, whole or of each field that needs one."""
    without = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        if "example" not in schema and "examples" not in schema
        for field, described in schema.get("properties", {}).items()
        if _needs_example(described)
    ]
    assert without == [], "give these examples, or their models"


def _needs_example(field: dict[str, Any]) -> bool:
    """Not what has one, says its values, is an instant, or is made of other models."""
    if "examples" in field or "enum" in field or "const" in field or "$ref" in str(field):
        return False
    if "anyOf" in field:
        return any(map(_needs_example, field["anyOf"]))
    if field.get("type") == "array":
        return _needs_example(field["items"])
    return field.get("type") not in ("boolean", "null") and field.get("format") not in ("date-time", "date", "uuid")


@pytest.mark.parametrize("model", sorted(MODELS, key=str), ids=lambda model: model.__name__)
def test_examples_are_what_the_models_take(model: type[BaseModel]) -> None:
    extra = model.model_config.get("json_schema_extra") or {}
    assert isinstance(extra, dict)
    examples: Any = extra.get("examples", [])
    for example in examples:
        model.model_validate(example)
        assert example.keys() <= model.model_fields.keys()
    for name, field in model.model_fields.items():
        for example in field.examples or ():
            try:
                TypeAdapter(field.rebuild_annotation()).validate_python(example)
            except ValidationError as error:
                pytest.fail(f"{model.__name__}.{name}: {error}")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_say_their_project(method: str, path: str) -> None:
    """An answer is an object of a project, or a page of such objects; but for those that belong to none."""
    if path.startswith(OF_NO_PROJECT):
        return
    for status, answer in DOCUMENT["paths"][path][method]["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if not status.startswith("2") or schema is None:
            continue
        fields = _fields(schema)
        if "project_id" in fields:
            continue
        assert {"items", "next"} <= fields.keys(), "a list is {items, next}"
        assert "project_id" in _fields(fields["items"]["items"])


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_lists_go_on_after_a_cursor(method: str, path: str) -> None:
    """Either `next` may be a cursor and the route takes it as `after`, or all objects are on one page."""
    operation = DOCUMENT["paths"][path][method]
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    for status, answer in operation["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if status.startswith("2") and schema is not None and "next" in (fields := _fields(schema)):
            has_more = fields["next"].get("type") != "null"
            assert ({"after", "limit"} <= parameters) == has_more
            assert "cursor" not in parameters


def _fields(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMAS[schema["$ref"].split("/")[-1]]["properties"]
    return found


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
