"""All routes of this area."""

from __future__ import annotations

from fastapi import APIRouter

from dashboard.admin import (
    account_pages,
    audit_api,
    audit_pages,
    tokens_api,
    tokens_pages,
    users_api,
    users_pages,
)

ROUTERS: tuple[APIRouter, ...] = (
    users_pages.router,
    users_api.router,
    tokens_pages.router,
    tokens_api.router,
    account_pages.router,
    audit_pages.router,
    audit_api.router,
)
