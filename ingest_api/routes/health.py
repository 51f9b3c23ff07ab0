"""Liveness, readiness, metrics."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from database.repositories import landing
from database.repositories import queue as raw_queue
from ingest_api.problems import ProblemError
from ingest_api.services import Services

router = APIRouter()
log = structlog.get_logger()


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Whether the process runs; nothing else is looked at."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(request: Request) -> dict[str, Any]:
    """Whether webhooks can be landed: database, migrations, room in the queue; with the backlog of core."""
    services: Services = request.app.state.services
    try:
        async with services.connections.connection() as connection:
            revision = await landing.revision(connection)
            backlog = await raw_queue.backlog(connection) if revision == services.head else None
    except Exception as error:  # noqa: BLE001 - whatever keeps it from answering
        log.warning("not_ready", kind=type(error).__name__)
        raise ProblemError(503, "database_away", "The database does not answer.", retry_after=5) from None
    if backlog is None:
        raise ProblemError(
            503, "migrations_pending",
            f"The database is at migration {revision or 'none'}, not {services.head}: run `crm-elt migrate`.",
            retry_after=5,
        )  # fmt: skip
    if services.landing.is_full:
        raise ProblemError(503, "overloaded", "Too many webhooks wait for the database.", retry_after=2)
    return {
        "status": "ready",
        "database": "ok",
        "migration": revision,
        "waiting": services.landing.waiting,
        "backlog": {
            "rows": backlog.count,
            "age_seconds": round(backlog.oldest_seconds, 3),
        },
    }


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    services: Services = request.app.state.services
    collected = services.metrics
    try:
        async with services.connections.connection(1.0) as connection:
            backlog = await raw_queue.backlog(connection)
        collected.backlog_rows.set(backlog.count)
        collected.backlog_age.set(backlog.oldest_seconds)
        collected.database_up.set(1)
    except Exception as error:  # noqa: BLE001 - a scrape must answer when the database does not
        log.warning("backlog_not_read", kind=type(error).__name__)
        collected.database_up.set(0)
    return Response(collected.render(), media_type=CONTENT_TYPE_LATEST)
