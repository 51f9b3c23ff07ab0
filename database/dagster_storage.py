"""The database in which Dagster keeps its runs and events, on the same server as crm-elt's."""

from __future__ import annotations

import contextlib
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql


def ensure_database(url: str, name: str) -> str:
    """Address of the database `name` on the server of `url`; created where it is absent. Safe side by side.

    Raises psycopg.Error where the server is away or the role may not create databases.
    """
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(path="/" + quote(name, safe="")))
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            # Another process may be quicker.
            with contextlib.suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return address
