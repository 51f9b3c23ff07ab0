"""One dbt writes the marts at a time, whoever started it: the command line, the demo or Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import structlog

_NAME = "crm_elt.dbt_build"
_log = structlog.get_logger(__name__)


@contextmanager
def build_lock(url: str) -> Iterator[None]:
    """Hold the lock of the marts while the block runs; waits for whoever holds it.

    It is held by a session, so that a killed process blocks nobody. Raises psycopg.Error if the database is away.
    """
    with psycopg.connect(url, autocommit=True, application_name="crm-elt build lock", keepalives_idle=10) as connection:
        row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [_NAME]).fetchone()
        assert row is not None
        if not row[0]:
            _log.info("build_waits", reason="another build of the marts is under way")
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [_NAME])
        yield
