"""The areas of the dashboard. Each package brings its routers: pages for people, `/api/...` for programs."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.home import pages as home
from dashboard.orders import api as orders_api
from dashboard.orders import pages as orders

ROUTERS: tuple[APIRouter, ...] = (home.router, orders_api.router, orders.router)
"""Each route but those of dashboard.routes declares who may call it: `Viewer` or `Admin`."""
