"""The areas of the dashboard. Each package brings its routers: pages for people, `/api/...` for programs."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.home import pages as home
from dashboard.integrations.routers import ROUTERS as INTEGRATIONS

ROUTERS: tuple[APIRouter, ...] = (home.router, *INTEGRATIONS)
"""Each route but those of dashboard.routes declares who may call it: `Viewer` or `Admin`."""
