"""All routes of the area."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.two_way import (
    conflicts_api,
    conflicts_pages,
    letters_api,
    letters_pages,
    pages,
    resyncs_pages,
    sync_api,
)

ROUTERS: tuple[APIRouter, ...] = (
    pages.router, letters_pages.router, conflicts_pages.router, resyncs_pages.router,
    letters_api.router, conflicts_api.router, sync_api.router,
)  # fmt: skip
