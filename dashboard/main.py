"""The dashboard: `uvicorn dashboard.main:app`, configured by the environment alone.

One process serves all clients of the stream over one listening connection; several may run side by side. Tokens may
stand in addresses (`?access_token=`), so that uvicorn's access log is off and its other lines are masked.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any
from uuid import UUID

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from dashboard import areas, openapi
from dashboard.access_log import keep_tokens_out_of_the_log
from dashboard.cookies import CSRF_HEADER, CookieMiddleware, Cookies
from dashboard.guard import Viewer
from dashboard.identity import Identity
from dashboard.routes import health, hub, login, preferences, stream
from dashboard.services import Services
from dashboard.sessions import Sessions
from dashboard.stream.feed import Feed
from dashboard.stream.rights import Rights
from dashboard.tokens import Tokens
from dashboard.ui import static
from dashboard.ui.failures import HANDLERS
from database import migrate
from database.connection import connect
from database.encryption import Keyring
from database.environment import ConfigurationError, Environment, load_environment
from database.server import ensure_url
from sync.logging_setup import configure_logging
from web.connections import Connections

_CONNECTIONS = 8
_LOGINS_AT_ONCE = 4

log = structlog.get_logger()


def create_app(environment: Environment) -> FastAPI:
    """The application; it opens nothing before it is started, and starts even while the database is away."""
    app = FastAPI(
        lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None, exception_handlers=dict(HANDLERS)
    )  # fmt: skip
    openapi.describe(app, Cookies(environment.dashboard_port).session)
    app.state.environment = environment
    app.state.static_files = static.load()
    app.add_middleware(CookieMiddleware)
    if environment.dashboard_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=environment.dashboard_origins, allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", CSRF_HEADER, "x-requested-with", "x-signalr-user-agent"],
        )  # fmt: skip
    app.include_router(health.router)
    app.include_router(login.public)
    app.include_router(login.router)
    app.include_router(stream.router)
    app.include_router(hub.router)
    app.include_router(preferences.router)
    app.include_router(static.router)
    for area in areas.ROUTERS:
        app.include_router(area)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_document(_: Viewer) -> dict[str, Any]:
        return app.openapi()

    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    environment: Environment = app.state.environment
    configure_logging(environment)
    keep_tokens_out_of_the_log()
    url = await asyncio.to_thread(ensure_url, environment)
    connections = Connections(lambda: connect(url, application="crm-elt dashboard"), limit=_CONNECTIONS)
    logins = Connections(lambda: connect(url, application="crm-elt dashboard logins"), limit=_LOGINS_AT_ONCE)
    sessions = Sessions(Tokens(Keyring.load(environment)))

    async def load_rights(session_ids: list[UUID]) -> dict[UUID, Identity]:
        async with connections.connection() as connection:
            return await sessions.rights(connection, session_ids)

    rights = Rights(load_rights)
    feed = Feed(lambda: connect(url, application="crm-elt dashboard stream"), connections.connection, rights.refresh)
    app.state.services = Services(
        connections, logins, sessions, Cookies(environment.dashboard_port), feed, rights,
        await asyncio.to_thread(migrate.head), frozenset(environment.dashboard_origins),
    )  # fmt: skip
    feed.start()
    log.info("dashboard_started", port=environment.dashboard_port)
    with _streams_end_with_the_server(feed):
        try:
            yield
        finally:
            await feed.close()
            await connections.close()
            await logins.close()
            log.info("dashboard_stopped")


@contextlib.contextmanager
def _streams_end_with_the_server(feed: Feed) -> Iterator[None]:
    """uvicorn waits for open answers before it ends an application: streams have to hear of the signal themselves."""
    if threading.current_thread() is not threading.main_thread():  # signals belong to whoever started us
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(feed.stop)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _load_environment() -> Environment:
    try:
        return load_environment()
    except ConfigurationError as error:
        raise SystemExit(f"crm-elt dashboard: {error}") from None


app = create_app(_load_environment())
