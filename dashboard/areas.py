"""The areas of the dashboard. Each package brings its routers: pages for people, `/api/...` for programs."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.home import pages as home
from dashboard.settings import api as settings_api
from dashboard.settings import pages as settings

ROUTERS: tuple[APIRouter, ...] = (home.router, settings.router, settings_api.router)
"""Each route but those of dashboard.routes declares who may call it: `Viewer` or `Admin`."""
