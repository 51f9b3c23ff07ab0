"""The areas of the dashboard. Each package brings its routers: pages for people, `/api/...` for programs."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.home import pages as home
from dashboard.two_way import routers as two_way

ROUTERS: tuple[APIRouter, ...] = (home.router, *two_way.ROUTERS)
"""Each route but those of dashboard.routes declares who may call it: `Viewer` or `Admin`."""
