"""Each page of the dashboard that shows marts is an exposure of dbt, which names the marts that its code reads."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute

from dashboard.analytics import pages as analytics_pages
from dashboard.analytics import path_pages
from dashboard.home import pages as home_pages
from dashboard.integrations import pages as integration_pages
from dashboard.orders import pages as order_pages

ROOT = Path(__file__).resolve().parents[3]
AREAS = {"/": "home", "/orders": "orders", "/analytics": "analytics", "/integrations": "integrations"}
STANDS_FOR = {
    "int_orders__latest": "orders_current", "int_orders__live": "orders_current",
    "int_orders__running": "orders_current", "int_orders__paths": "agg_variants",
    "int_statuses__overlaid": "dim_statuses", "int_status_groups__resolved": "dim_statuses",
}  # fmt: skip
"""Private tables that pages read, and the marts that show them. Calendars (int_calendars__*) are in no mart."""
DETAILS = {"/analytics/map/orders", "/analytics/variants/orders", "/integrations/{project_id}/syncs/{request_id}",
           "/integrations/{project_id}/logs"}  # fmt: skip
"""Pages within another one, or without marts."""


def exposures(manifest: dict[str, Any]) -> dict[str, set[str]]:
    """The marts of each page of the dashboard."""
    return {
        each["config"]["meta"]["page"]: {node.rpartition(".")[2] for node in each["depends_on"]["nodes"]}
        for each in manifest["exposures"].values()
        if each["type"] == "dashboard"
    }


def marts_named_in(path: Path) -> set[str]:
    text = path.read_text()
    found = set(re.findall(r"(?:from|join|regclass\(')\s*\"?marts\"?\.(\w+)", text))
    found |= set(re.findall(r"Mart\(\s*\"(\w+)\"", text))
    private = set(re.findall(r"intermediate\.(int_\w+)", text))
    return found | {STANDS_FOR[name] for name in private if not name.startswith("int_calendars")}


def marts_read_by(area: str) -> set[str]:
    """Of the repositories that the area's modules import."""
    found: set[str] = set()
    for module in (ROOT / "dashboard" / area).rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("database.repositories"):
                name = (node.module or "").removeprefix("database.repositories").removeprefix(".")
                for repository in [name] if name else [alias.name for alias in node.names]:
                    found |= marts_named_in(ROOT / "database" / "repositories" / f"{repository}.py")
    return found


def area_of(page: str) -> str:
    return AREAS["/" + page.split("/")[1]]


def test_each_page_that_shows_marts_is_an_exposure(manifest: dict[str, Any]) -> None:
    modules = (home_pages, order_pages, analytics_pages, path_pages, integration_pages)
    routes = [route for module in modules for route in module.router.routes if isinstance(route, APIRoute)]
    pages = {route.path for route in routes if "GET" in (route.methods or ())}
    assert set(exposures(manifest)) == pages - DETAILS


def test_the_exposures_name_the_marts_that_the_pages_read(manifest: dict[str, Any]) -> None:
    named: dict[str, set[str]] = defaultdict(set)
    for page, marts in exposures(manifest).items():
        named[area_of(page)] |= marts
    assert dict(named) == {area: marts_read_by(area) for area in AREAS.values()}


def test_no_other_area_of_the_dashboard_reads_marts() -> None:
    for area in ("two_way", "settings", "admin"):
        assert marts_read_by(area) == set(), area
