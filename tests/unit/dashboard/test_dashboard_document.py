"""docs/dashboard.md tells of what there is: every route of the API and who may call it, sections, variables, keys."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from dashboard import guard
from dashboard.main import create_app
from dashboard.settings.sections import SECTION_PAGES
from dashboard.ui.navigation import ENTRIES
from database.environment import Environment
from sync.settings.editing import SECTIONS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "dashboard.md").read_text()
WHO: dict[str, set[str]] = {"all": set(), "admin": {"admin"}, "person": {"person"}, "admin person": {"admin", "person"}}
"""The document's word -> what the guard asks for beyond a login."""
_ASKED = {guard.admin: {"admin"}, guard.person: {"person"}, guard.manager: {"admin", "person"}}

Rows = dict[tuple[str, str], set[str]]


def documented() -> Rows:
    rows = re.findall(r"^\| ([A-Z, ]+) \| `(/api/[^`]+)` \| .+ \| ([a-z ]+) \|$", DOCUMENT, re.MULTILINE)
    return {(method, path): WHO[who] for methods, path, who in rows for method in methods.split(", ")}


def routed() -> Rows:
    """Sections of the settings are one route each, and one row for all of them."""
    found: Rows = {}
    for context in iter_route_contexts(create_app(Environment()).routes):
        route = context.route
        if not isinstance(route, APIRoute) or not route.path.startswith("/api/"):
            continue
        path = route.path_format
        if path.removeprefix("/api/settings/") in SECTION_PAGES:
            path = "/api/settings/{section}"
        found |= {(method, path): _asked(route.dependant) for method in route.methods}
    return found


def _asked(dependant: Dependant) -> set[str]:
    own = _ASKED.get(dependant.call, set())  # type: ignore[arg-type]
    return own.union(*(_asked(inner) for inner in dependant.dependencies))


def test_every_route_of_the_api_is_told_with_who_may_call_it() -> None:
    assert documented() == routed()


def test_every_section_of_the_settings_is_told_with_its_keys() -> None:
    told = dict(re.findall(r"^\| `([a-z-]+)` \| (`[a-z_`, ]+`) \|", DOCUMENT, re.MULTILINE))
    assert {name: tuple(re.findall(r"`(\w+)`", keys)) for name, keys in told.items()} == {
        name: SECTIONS[name] for name in SECTION_PAGES
    }


def test_the_keys_of_the_menu_are_told_in_its_order() -> None:
    assert " ".join(f"`{entry.key}`" for entry in ENTRIES) in DOCUMENT


def test_every_variable_that_is_told_exists_and_the_dashboards_are_told() -> None:
    known = {f"CRM_ELT_{name.upper()}" for name in Environment.model_fields}
    told = set(re.findall(r"CRM_ELT_[A-Z_]+", DOCUMENT))
    assert told <= known
    assert {name for name in known if "_DASHBOARD_" in name or name.endswith("_URL")} - told == {
        "CRM_ELT_DATABASE_URL", "CRM_ELT_DAGSTER_DATABASE_URL"
    }  # fmt: skip
