"""Migrations, by Alembic: hand-written SQL under `database/migrations/versions`, each with its way back."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from database.environment import ConfigurationError

OLDEST_POSTGRESQL = 18
"""Models of the marts cast the bytes of an instant to a number, which older servers cannot."""

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database up to a revision. Concurrent callers wait for each other.

    Raises ConfigurationError if the server is too old, psycopg.OperationalError if it is away.
    """
    with psycopg.connect(url, connect_timeout=5) as connection:
        check_version(connection.info.server_version)
    command.upgrade(_config(url), revision)


def check_version(number: int) -> None:
    """Refuse a server that is too old; `number` is PostgreSQL's own, 180001 for 18.1. Raises ConfigurationError."""
    if number // 10_000 < OLDEST_POSTGRESQL:
        raise ConfigurationError(
            f"DATABASE_URL leads to PostgreSQL {number // 10_000}, and crm-elt needs {OLDEST_POSTGRESQL} or newer: "
            "upgrade that server, or use another."
        )


def downgrade(url: str, revision: str) -> None:
    """Bring the database back to a revision; `base` removes all."""
    command.downgrade(_config(url), revision)


def current(url: str) -> str | None:
    """The revision that the database is at; None if no migration has run. Raises psycopg.OperationalError."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute("select to_regclass('public.alembic_version')").fetchone()
        if row is None or row[0] is None:
            return None
        found = connection.execute("select version_num from public.alembic_version").fetchone()
        return None if found is None else str(found[0])


def head() -> str:
    """The newest revision there is."""
    revision = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert revision is not None
    return revision


def revisions() -> list[str]:
    """All revisions, oldest first."""
    return [script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()][::-1]


def sqlalchemy_url(url: str) -> str:
    """The address for SQLAlchemy with psycopg 3."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = sqlalchemy_url(url)
    return config
