"""The feed of sales for downstream modules: every committed version, in the order of commits, without a gap."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from database.repositories import feed, subscriptions
from database.repositories.feed import TransactionChange
from database.repositories.subscriptions import SubscriptionRow
from ingest_api.problems import ProblemError
from ingest_api.services import Services
from sync.deliveries import opens, payload_of

MOST = 1000
_DIGITS = 18
_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}

router = APIRouter()
log = structlog.get_logger()


@router.get("/api/transactions/changes")
async def changes(request: Request, after: str = "0", limit: str = "500") -> Response:
    """Versions of sales after a cursor: {"changes": [...], "cursor": to ask with next, "has_more": whether at once}.

    `Authorization: Bearer SECRET` of a subscription says whose projects. A new sale, a changed one and one that was
    undone are each a version.
    """
    position = _whole(after, "after", "the cursor of the last answer, or 0 for the beginning")
    size = _whole(limit, "limit", f"a number from 1 to {MOST}")
    if not 1 <= size <= MOST:
        raise ProblemError(400, "invalid", f"limit: expected a number from 1 to {MOST}.")
    services: Services = request.app.state.services
    try:
        async with services.connections.connection() as connection:
            reader = _authorise(request, services, await subscriptions.load_all(connection))
            found = await feed.read_changes(connection, reader, position, size + 1)
    except ProblemError:
        raise
    except Exception as error:
        log.warning("feed_failed", kind=type(error).__name__)
        problem = ProblemError(503, "database_away", "The database is away; ask again in a moment.", retry_after=5)
        raise problem from error
    return Response(msgspec.json.encode(_answer(found[:size], position, len(found) > size)), headers=_HEADERS)


def _answer(found: list[TransactionChange], after: int, has_more: bool) -> dict[str, Any]:
    cursor = found[-1].position if found else after
    return {"changes": [payload_of(change) for change in found], "cursor": str(cursor), "has_more": has_more}


def _whole(text: str, name: str, expected: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise ProblemError(400, "invalid", f"{name}: expected {expected}.")
    return int(text)


def _authorise(request: Request, services: Services, rows: list[SubscriptionRow]) -> SubscriptionRow:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    reader = opens(rows, services.keyring, given.strip()) if scheme.lower() == "bearer" and given.strip() else None
    if reader is None:
        raise ProblemError(
            401, "not_authentic", "Send `Authorization: Bearer SECRET` with the secret of an enabled subscription."
        )
    return reader
