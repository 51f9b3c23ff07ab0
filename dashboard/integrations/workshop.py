"""What acting on a CRM takes beside a connection: a pool for the flows of `sync`, and the keys to credentials.

Rare, so that both are opened for each action: the dashboard holds no credential in clear while nobody needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import structlog
from fastapi import Request
from psycopg_pool import PoolTimeout

from dashboard.services import environment_of
from database.connection import Pool, open_pool
from database.encryption import EncryptionError, Keyring
from database.server import ensure_url
from web.problems import ProblemError, database_away

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Workshop:
    pool: Pool
    keyring: Keyring


@asynccontextmanager
async def workshop(request: Request) -> AsyncIterator[Workshop]:
    """Raises ProblemError: 503 the database is away, or a credential does not decrypt."""
    environment = environment_of(request)
    try:
        url = await asyncio.to_thread(ensure_url, environment)
        async with open_pool(url, max_size=3, wait_seconds=5.0, application="crm-elt dashboard work") as pool:
            yield Workshop(pool, await asyncio.to_thread(Keyring.load, environment))
    except EncryptionError as error:
        raise ProblemError(503, "secret_unreadable", f"A stored secret cannot be read: {error}") from None
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError) as error:
        log.warning("database_away", process="dashboard", kind=type(error).__name__)
        raise database_away() from error
