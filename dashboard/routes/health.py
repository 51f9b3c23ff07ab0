"""Liveness and readiness: the only addresses, besides the login, that need no login."""

from __future__ import annotations

from fastapi import APIRouter, Request

from dashboard.services import services_of
from dashboard.stream.feed import FeedAwayError
from database.repositories import landing
from web.problems import ProblemError, database_away

router = APIRouter()


@router.get("/health")
@router.get("/health/live")
async def live() -> dict[str, str]:
    """Whether the process runs; nothing else is looked at."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(request: Request) -> dict[str, str]:
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
    return {"status": "ready", "database": "ok", "migration": services.head}
