"""`GET /api/stream/orders`: server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import psycopg
from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from dashboard.guard import identify, wanted_projects
from dashboard.identity import Identity
from dashboard.numbers import LARGEST_ID, whole
from dashboard.services import Services, services_of
from dashboard.stream.feed import FeedAwayError, Portion
from dashboard.stream.messages import sse_end, sse_event, sse_position, sse_reset
from dashboard.stream.subscription import EndedError, Subscription
from web.problems import ProblemError, database_away

HEARTBEAT_SECONDS = 15.0
_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}

router = APIRouter()


_EXAMPLE = """\
id: 48213
event: order
data: {"event_id":48213,"project_id":"print-shop","kind":"order","entity_id":"10482","vms_id":5,"origin":"crm",\
"happened_at":"2026-11-21T08:03:11Z","status_id":"5"}

: heartbeat
id: 48213

"""


@router.get(
    "/api/stream/orders", summary="Listen to changes", response_class=StreamingResponse,
    responses={200: {
        "description": "Server-sent events; `data` is one JSON object, with a heartbeat every 15 s.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }},
)  # fmt: skip
async def stream_orders(
    request: Request,
    project: Annotated[list[str] | None, Query(description="Only these projects.")] = None,
    last_event_id: Annotated[str | None, Query(description="As the header Last-Event-ID; that goes first.")] = None,
) -> StreamingResponse:
    """Applied changes as they are committed: events `order`, `payment`, `buyer`, `stock`, each with its id.

    With `Last-Event-ID` the stream goes on after that event without a gap; an event `reset` says that what came between
    is not kept any more. `end` is the last one: the session has ended.
    """
    services = services_of(request)
    identity = await identify(services, request, by_query=True)
    wanted = await wanted_projects(services, identity, project or ())
    start = await begin(services, request.headers.get("last-event-id") or last_event_id)
    return StreamingResponse(_events(services, identity, wanted, start), 200, _HEADERS, "text/event-stream")


async def begin(services: Services, last_seen: str | int | None) -> Portion:
    """Where a listener begins. Raises ProblemError: 400 no id, 503 the database is away."""
    number = whole(last_seen.strip()) if isinstance(last_seen, str) else last_seen
    if last_seen is not None and (number is None or not 0 <= number <= LARGEST_ID):
        raise ProblemError(400, "invalid", "The last event's id is a whole number, as the stream gave it.")
    try:
        return await services.feed.begin(number)
    except (FeedAwayError, psycopg.Error, TimeoutError, OSError) as error:
        raise database_away() from error


async def _events(
    services: Services, identity: Identity, wanted: frozenset[str] | None, start: Portion
) -> AsyncIterator[bytes]:
    with services.rights.watch(identity) as watched:
        subscription = Subscription(services.feed, watched, wanted, start)
        yield sse_position(start.cursor)
        try:
            while True:
                portion = await subscription.next(HEARTBEAT_SECONDS)
                if portion is None:
                    yield sse_position(subscription.cursor)
                elif portion.is_reset:
                    yield sse_reset(portion.cursor)
                else:
                    yield b"".join(map(sse_event, portion.events))
        except EndedError as error:
            if not error.may_return:
                yield sse_end(str(error))
