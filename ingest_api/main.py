"""The ingest API: `uvicorn ingest_api.main:app`, configured by the environment alone.

Run it with one worker process per core and no other options: uvloop and httptools are chosen by themselves. uvicorn's
access log is switched off, because a webhook's token stands in its address; `/metrics` counts instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from connectors import registry
from database import migrate
from database.connection import connect
from database.encryption import Keyring
from database.environment import ConfigurationError, Environment, load_environment
from database.repositories import landing, webhook_statistics
from database.repositories.landing import WebhookSettings
from database.server import ensure_url
from ingest_api import openapi
from ingest_api.landing import GroupCommit
from ingest_api.metrics import Metrics
from ingest_api.problems import HANDLERS
from ingest_api.projects import ProjectDirectory
from ingest_api.refusals import keep_counts, store_counts
from ingest_api.routes import health, oauth, sync, transactions, two_way, uploads, vms
from ingest_api.routes.webhooks import WebhookEndpoint, webhook_routes
from ingest_api.services import Services
from sync.logging_setup import configure_logging
from web.connections import Connections

_IMPORTS_AT_ONCE = 2

log = structlog.get_logger()


def create_app(environment: Environment) -> FastAPI:
    """The application; it opens nothing before it is started, and starts even while the database is away."""
    endpoints: list[WebhookEndpoint] = []
    app = FastAPI(
        title="crm-elt ingest", lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        exception_handlers=dict(HANDLERS),
    )  # fmt: skip
    app.state.environment = environment
    app.state.endpoints = endpoints
    # First: the hot path; and before it the route that its pattern would take for one of its own.
    app.router.routes[:0] = [*vms.router.routes, *webhook_routes(endpoints)]
    app.include_router(health.router)
    app.include_router(sync.router)
    app.include_router(two_way.router)
    app.include_router(oauth.router)
    app.include_router(transactions.router)
    app.include_router(uploads.router)
    openapi.describe(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    environment: Environment = app.state.environment
    configure_logging(environment)
    _silence_access_log()
    url = await asyncio.to_thread(ensure_url, environment)
    keyring = Keyring.load(environment)
    head = await asyncio.to_thread(migrate.head)
    metrics = Metrics()
    connections = Connections(lambda: connect(url, application="crm-elt ingest"))

    mapping_secrets = {name for crm in registry.names() for name in registry.get(crm).capabilities.mapping_secrets}

    async def load() -> list[WebhookSettings]:
        async with connections.connection() as connection:
            return await landing.webhook_settings(connection, mapping_secrets)

    async def store(counts: Mapping[tuple[str, str], int]) -> None:
        async with connections.connection() as connection:
            await webhook_statistics.add_refusals(connection, counts)

    group_commit = GroupCommit(
        lambda: connect(url, application="crm-elt ingest landing"),
        group_limit=environment.ingest_group_limit,
        queue_limit=environment.ingest_queue_limit,
        wait_seconds=environment.ingest_wait_seconds,
        metrics=metrics,
    )
    projects = ProjectDirectory(load, keyring)
    imports = Connections(lambda: connect(url, application="crm-elt ingest imports"), limit=_IMPORTS_AT_ONCE)
    services = Services(metrics, group_commit, projects, connections, keyring, head, imports)
    for endpoint in app.state.endpoints:
        endpoint.bind(services)
    app.state.services = services
    app.state.oauth = oauth.OAuthFlow(url, keyring)
    group_commit.start()
    counting = asyncio.create_task(keep_counts(services.refusals, store))
    # What was loaded so far lives as long as the process: without this each full collection looks at all of it again
    # and stops every webhook for some 20 ms, several times a second under load.
    gc.collect()
    gc.freeze()
    log.info("ingest_started", group_limit=environment.ingest_group_limit)
    try:
        yield
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        with contextlib.suppress(Exception):  # the database may be away: then a few counts are lost
            await store_counts(services.refusals, store)
        await group_commit.close()
        await projects.close()
        await connections.close()
        await imports.close()
        log.info("ingest_stopped", accepted=metrics.accepted)


def _silence_access_log() -> None:
    logger = logging.getLogger("uvicorn.access")
    logger.handlers.clear()
    logger.propagate = False


def _load_environment() -> Environment:
    try:
        return load_environment()
    except ConfigurationError as error:
        raise SystemExit(f"crm-elt ingest: {error}") from None


app = create_app(_load_environment())
