"""The areas of the dashboard. Each package brings its routers: pages for people, `/api/...` for programs."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.admin import routers as admin
from dashboard.home import api as home_api
from dashboard.home import pages as home

ROUTERS: tuple[APIRouter, ...] = (home.router, home_api.router, *admin.ROUTERS)
"""Each route but those of dashboard.routes declares who may call it: `Viewer` or `Admin`."""
