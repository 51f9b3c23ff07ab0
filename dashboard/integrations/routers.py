"""The area's routes."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.integrations import (
    api,
    api_files,
    pages,
    pages_access,
    pages_definition,
    pages_files,
    pages_webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    api.router, api_files.router, pages_access.router, pages_webhooks.router, pages_files.router,
    pages_definition.router, pages.router,
)  # fmt: skip
