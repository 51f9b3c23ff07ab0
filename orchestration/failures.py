"""Errors of the flows as Dagster failures: what may succeed later is tried again, what may not is not.

Not by dg.RetryPolicy: that one also starts a step again that a user has cancelled, or that is being shut down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
from psycopg_pool import PoolTimeout

from connectors.errors import ConnectorError, UnreachableError

MAX_RETRIES = 2
RETRY_SECONDS = 20.0
"""Before the second attempt, and twice that before the third; the HTTP layer has made quicker attempts of its own."""


def failure(word: str, message: str, **metadata: str | int) -> dg.Failure:
    """A failed step that says, in one sentence, what went wrong; only the word `retry` lets it be tried again."""
    return dg.Failure(description=message, metadata={"error_word": word, **metadata}, allow_retries=word == "retry")


def connector_failure(error: ConnectorError, project_id: str, *, comes_again: bool = False) -> dg.Failure:
    """`comes_again`: the schedule asks for the same at its next tick. Then a run does not wait for a CRM at which
    nobody answers: its place in the pool is for the projects whose CRM does."""
    problem = failure(error.word, f"{project_id}: {error.message}", project_id=project_id)
    if comes_again and isinstance(error, UnreachableError):
        return dg.Failure(description=problem.description, metadata=problem.metadata, allow_retries=False)
    return problem


@contextmanager
def retrying(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Iterator[None]:
    """Have the step tried again for a failure that allows it, or when the database is away, up to MAX_RETRIES times."""
    try:
        yield
    except dg.Failure as problem:
        raise _next(context, problem) from problem
    except (psycopg.OperationalError, PoolTimeout) as problem:
        raise _next(context, failure("retry", f"The database does not answer: {problem}")) from problem


def _next(context: dg.OpExecutionContext | dg.AssetExecutionContext, problem: dg.Failure) -> Exception:
    if not problem.allow_retries or context.retry_number >= MAX_RETRIES:
        return dg.Failure(description=problem.description, metadata=problem.metadata, allow_retries=False)
    context.log.warning(f"{problem.description} (it will be tried again)")
    return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=RETRY_SECONDS * 2**context.retry_number)
