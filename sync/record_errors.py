"""Tells a record that cannot be written from a database that is away."""

from __future__ import annotations

import msgspec
import psycopg

_RECORD_ERRORS = ("21", "22", "23", "54")
"""Classes of SQLSTATE that a record's own content causes: cardinality, data, constraint, size."""


def is_of_a_record(error: Exception) -> bool:
    """Whether a record's own content made the write fail, as opposed to the database being away."""
    if isinstance(error, psycopg.Error):
        # Without a SQLSTATE it is the client that refused a value, such as text with a NUL.
        return isinstance(error, psycopg.DataError) or (error.sqlstate or "").startswith(_RECORD_ERRORS)
    return isinstance(error, (TypeError, ValueError, ArithmeticError, AttributeError, msgspec.MsgspecError))


def describe(error: Exception) -> str:
    """One line, without the values of the record."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:300].replace("\x00", "")
