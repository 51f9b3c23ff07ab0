"""Where a CRM sends the browser back after access was granted: `GET /oauth/{crm}/callback`."""

from __future__ import annotations

import html
from http import HTTPStatus

import psycopg
import structlog
from fastapi import APIRouter, Request
from psycopg_pool import PoolTimeout
from starlette.responses import HTMLResponse, Response

from connectors.errors import ConnectorError, RetryError
from database.connection import open_pool
from database.encryption import Keyring
from ingest_api import requests
from ingest_api.problems import ProblemError
from sync import oauth
from sync.oauth import Granted, StateError

router = APIRouter()
log = structlog.get_logger()
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",  # the code stands in this page's address
    "content-security-policy": "default-src 'none'",
}


class OAuthFlow:
    """Exchanges codes; rare, so that connections are opened for each one."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        self._url = url
        self._keyring = keyring

    async def finish(self, crm: str, query: dict[str, str]) -> Granted:
        """Raises ProblemError."""
        try:
            async with open_pool(self._url, max_size=2, wait_seconds=5.0, application="crm-elt ingest oauth") as pool:
                return await oauth.finish(pool, self._keyring, crm, query)
        except StateError as error:
            raise ProblemError(400, "state_refused", str(error)) from None
        except RetryError as error:
            raise ProblemError(503, "crm_away", f"{error.message}; try again in a moment.", retry_after=30) from None
        except ConnectorError as error:
            raise ProblemError(400, "not_granted", f"{error.message.removesuffix('.')}.") from None
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("oauth_failed", kind=type(error).__name__)
            raise ProblemError(
                503, "database_away", "The database is away; nothing was stored, try again in a moment.", retry_after=5
            ) from None


@router.get("/oauth/{crm}/callback")
async def callback(request: Request, crm: str) -> Response:
    """Store the tokens of the project that the state names."""
    flow: OAuthFlow = request.app.state.oauth
    query = requests.read_query(request.scope["query_string"])
    try:
        granted = await flow.finish(crm, query)
    except ProblemError as problem:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        log.info("oauth_refused", code=problem.code)
        return _page(problem.status, HTTPStatus(problem.status).phrase, problem.detail)
    hint = "" if granted.is_enabled else f" It is disabled: run `crm-elt project enable {granted.project_id}`."
    text = f"The project {granted.project_id} has access. {granted.message}.{hint} You can close this page."
    return _page(200, "Access granted", text)


def _page(status: int, title: str, text: str) -> Response:
    content = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></html>"
    )
    return HTMLResponse(content, status, _HEADERS)
