"""Liveness and readiness: the only addresses, besides the login, that need no login."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dashboard.services import services_of
from dashboard.stream.feed import FeedAwayError
from database.repositories import landing
from web.problems import ProblemError, database_away

router = APIRouter()


class Live(BaseModel):
    status: Literal["ok"] = Field(default="ok", description="The process runs.")


class Ready(BaseModel):
    status: Literal["ready"] = Field(default="ready", description="Requests can be answered.")
    database: Literal["ok"] = Field(default="ok", description="It answers, and has our schema.")
    migration: str = Field(description="The schema's migration.", examples=["0015"])


@router.get("/health", summary="Is it alive?")
@router.get("/health/live", summary="Is it alive?")
async def live() -> Live:
    """Whether the process runs; nothing else is looked at."""
    return Live()


@router.get("/health/ready", summary="Is it ready?")
async def ready(request: Request) -> Ready:
    """Whether requests can be answered: database, migrations, the listener of the stream."""
    services = services_of(request)
    async with services.database() as connection:
        revision = await landing.revision(connection)
    if revision != services.head:
        raise ProblemError(
            503, "migrations_pending",
            f"The database is at migration {revision or 'none'}, not {services.head}: run `crm-elt migrate`.",
            retry_after=5,
        )  # fmt: skip
    try:
        services.feed.head  # noqa: B018 - known once the stream has been read
    except FeedAwayError as error:
        raise database_away() from error
    return Ready(migration=services.head)
