"""`/api/dead-letters`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from dashboard.guard import Admin, Viewer
from dashboard.identity import Identity
from dashboard.openapi import refusals
from dashboard.services import services_of
from dashboard.two_way import acting, asked, scope
from dashboard.two_way.letters_pages import letter_of, shown
from dashboard.two_way.models import (
    Direction,
    ErrorWord,
    Letter,
    LetterChoice,
    LetterDetail,
    Letters,
    LetterState,
    Settled,
)
from database.repositories import dead_letter_lists
from database.repositories.dead_letter_lists import LetterFilter
from web.problems import ProblemError

_CLOSED = refusals({409: ("letter_closed", "Dead letter 17 is closed already: nothing was done.")})

router = APIRouter(prefix="/api/dead-letters")


@router.get("", summary="Dead letters, the newest first")
async def list_letters(
    request: Request,
    identity: Viewer,
    project: Annotated[list[str] | None, Query()] = None,
    state: Annotated[LetterState | Literal["all"], Query(description="open: those that need a person, too.")] = "open",
    direction: Annotated[
        Direction | None, Query(description="From the CRM (inbound) or to it; both without it.")
    ] = None,
    source: Annotated[
        str | None, Query(max_length=60, description="What it came from, as `source` of a letter.")
    ] = None,
    error: Annotated[ErrorWord | None, Query(description="Why it failed: only those with this word.")] = None,
    after: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Letters:
    """What could not be applied or sent, without payloads."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    wanted = LetterFilter(tuple(ids), None if state == "all" else state, direction, source, error)
    cursor = asked.api_cursor(after)
    async with services.database() as connection:
        found = await dead_letter_lists.page(connection, wanted, before_id=cursor.before_id, limit=limit + 1)
    rows = asked.rows_of(found, [row.dead_letter_id for row in found], cursor, limit)
    return Letters(items=[Letter(**asdict(row)) for row in rows.items], next=rows.older)


@router.get("/{dead_letter_id}", summary="One dead letter")
async def get_letter(request: Request, identity: Viewer, dead_letter_id: str) -> LetterDetail:
    """With what was sent and answered: names, phones, e-mails and addresses masked, nothing of medical projects."""
    row, project = await letter_of(services_of(request), identity, dead_letter_id)
    texts = shown(project, row)
    return LetterDetail(**{**row, "payload": texts["payload"], "request": texts["sent"], "answer": texts["answered"]})


@router.post("/retry", summary="Retry several", status_code=202, responses={404: {}})
async def retry_many(request: Request, identity: Admin, choice: LetterChoice) -> Settled:
    """Put letters back into their queues; the relay tries them again."""
    return await _settle_many(request, identity, "retried", choice)


@router.post("/discard", summary="Discard several", responses={404: {}})
async def discard_many(request: Request, identity: Admin, choice: LetterChoice) -> Settled:
    """Close letters without applying them; they stay listed as discarded."""
    return await _settle_many(request, identity, "discarded", choice)


@router.post("/{dead_letter_id}/retry", summary="Retry one", status_code=202, responses=_CLOSED)
async def retry_one(request: Request, identity: Admin, dead_letter_id: str) -> Settled:
    """Put it back into its queue; the relay tries it again."""
    return await _settle_one(request, identity, "retried", dead_letter_id)


@router.post("/{dead_letter_id}/discard", summary="Discard one", responses=_CLOSED)
async def discard_one(request: Request, identity: Admin, dead_letter_id: str) -> Settled:
    """Close it without applying it."""
    return await _settle_one(request, identity, "discarded", dead_letter_id)


async def _settle_one(request: Request, identity: Identity, deed: acting.Deed, number: str) -> Settled:
    services = services_of(request)
    row, project = await letter_of(services, identity, number)
    wanted = LetterFilter((project.project_id,))
    async with services.database() as connection:
        count = await acting.settle_letters(connection, identity, deed, wanted, ids=[row["dead_letter_id"]])
    if not count:
        raise ProblemError(409, "letter_closed", f"Dead letter {number} is closed already: nothing was done.")
    return Settled(project_id=project.project_id, count=count)


async def _settle_many(request: Request, identity: Identity, deed: acting.Deed, choice: LetterChoice) -> Settled:
    services = services_of(request)
    ids = await scope.project_ids(services, identity, choice.project)
    wanted = LetterFilter(tuple(ids), "open", choice.direction, choice.source, choice.error)
    async with services.database() as connection:
        count = await acting.settle_letters(connection, identity, deed, wanted, ids=choice.ids)
    return Settled(project_id=ids[0] if len(ids) == 1 else None, count=count)
