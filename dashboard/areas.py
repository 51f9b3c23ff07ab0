"""The areas of the dashboard. Each package brings its routers: pages for people, `/api/...` for programs."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.admin import routers as admin
from dashboard.analytics import api as analytics_api
from dashboard.analytics import pages as analytics_pages
from dashboard.analytics import path_pages as analytics_paths
from dashboard.home import api as home_api
from dashboard.home import pages as home
from dashboard.integrations.routers import ROUTERS as INTEGRATIONS

ROUTERS: tuple[APIRouter, ...] = (
    home.router, home_api.router, *admin.ROUTERS, analytics_pages.router, analytics_paths.router, analytics_api.router,
    *INTEGRATIONS,
)  # fmt: skip
"""Each route but those of dashboard.routes declares who may call it: `Viewer` or `Admin`."""
