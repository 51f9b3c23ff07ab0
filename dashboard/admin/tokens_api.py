"""`/api/tokens`: tokens for scripts, as JSON."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import script_tokens
from dashboard.admin.models import CreatedToken, NewToken, Token, Tokens
from dashboard.admin.users_api import refusals
from dashboard.guard import Manager
from dashboard.services import services_of
from database.repositories import script_tokens as token_rows
from web.problems import ProblemError

router = APIRouter(prefix="/api")


def unknown_token() -> ProblemError:
    return ProblemError(404, "unknown_token", "There is no such token, or it is revoked already.")


@router.get("/tokens", summary="List tokens for scripts", response_model=Tokens)
async def list_tokens(request: Request, _: Manager) -> Tokens:
    """Those that count, then those that are revoked. The tokens themselves are kept nowhere."""
    async with services_of(request).database() as connection:
        rows = await token_rows.list_all(connection)
    return Tokens(items=[Token.of(row) for row in rows])


@router.post("/tokens", summary="Make a token", status_code=201, response_model=CreatedToken, responses={422: {}})
async def make_token(request: Request, identity: Manager, body: NewToken, answer: Response) -> CreatedToken:
    """`token` is in this answer and nowhere else: keep it where the script finds it."""
    async with services_of(request).database() as connection:
        with refusals():
            made = await script_tokens.create(
                connection, body.name, body.role, body.projects, body.expires_at, actor=identity.actor
            )
    answer.headers["cache-control"] = "no-store"
    return CreatedToken.shown(made.row, made.token)


@router.delete("/tokens/{token_id}", summary="Revoke a token", status_code=204)
async def revoke_token(request: Request, identity: Manager, token_id: UUID) -> Response:
    """It is refused from this moment, and its streams end."""
    async with services_of(request).database() as connection:
        if await script_tokens.revoke(connection, token_id, actor=identity.actor) is None:
            raise unknown_token()
    return Response(status_code=204)
