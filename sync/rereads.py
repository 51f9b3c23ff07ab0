"""Single objects that are asked for at the CRM, landed and applied; several of one stream at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError
from connectors.protocol import RawRecord
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import core, dead_letters, raw, runs
from database.repositories.runs import Counts
from sync import projects
from sync.gateway import ProjectAccount, open_account, open_session
from sync.normalise import drain
from sync.projects import Lookup, Project
from sync.pull import disable

Answer = RawRecord | ConnectorError
"""What is landed: the object, or the CRM's word that there is none any more."""


async def reread_one(
    pool: Pool,
    keyring: Keyring,
    connection: Connection,
    project_id: str,
    stream: str,
    crm_id: str,
    trigger: str,
    lookup: Lookup,
) -> dict[str, Any]:
    """Read one object, land it, apply it: what that changed. Raises ConnectorError."""
    answers = await reread(pool, keyring, connection, project_id, stream, [crm_id], trigger, lookup)
    answer = answers[crm_id]
    if isinstance(answer, ConnectorError):
        raise answer
    return answer


async def reread(
    pool: Pool,
    keyring: Keyring,
    connection: Connection,
    project_id: str,
    stream: str,
    crm_ids: Sequence[str],
    trigger: str,
    lookup: Lookup,
) -> dict[str, dict[str, Any] | ConnectorError]:
    """Read objects side by side, land all that came in one transaction, apply them: for each id what that changed, or
    why it could not be read. Raises ConfigError or PermanentError for what concerns them all."""
    project = await _readable(connection, project_id, stream, lookup)
    began = time.monotonic()
    try:
        account = await open_account(pool, connection, keyring, project_id, lookup)
        answers = await _ask(pool, account, project, stream, crm_ids)
    except ConfigError as error:
        await _note_failure(connection, project_id, stream, trigger, time.monotonic() - began, error)
        await disable(connection, project_id, error)
        raise
    elapsed = time.monotonic() - began
    found: dict[str, Answer] = {}
    results: dict[str, dict[str, Any] | ConnectorError] = {}
    for crm_id, answer in answers.items():
        is_gone = isinstance(answer, NotFoundError)
        if isinstance(answer, RawRecord) or (
            is_gone and await _is_known(connection, project_id, stream, crm_id, trigger)
        ):
            found[crm_id] = answer
        else:
            results[crm_id] = answer
            await _note_failure(connection, project_id, stream, trigger, elapsed, answer)
    if wrong := next((error for error in results.values() if isinstance(error, ConfigError)), None):
        await disable(connection, project_id, wrong)
    if found:
        results |= await apply(pool, connection, account, stream, found, trigger, elapsed, lookup)
    return results


async def _readable(connection: Connection, project_id: str, stream: str, lookup: Lookup) -> Project:
    project = await projects.load(connection, project_id, lookup)
    if not project.row.is_enabled:
        raise ConfigError(f"{project_id} is disabled: run `crm-elt project enable {project_id}`.")
    try:
        readable = project.capabilities.stream(stream).can_read_one
    except KeyError:
        readable = False
    if not readable:
        raise PermanentError(f"{project.row.crm} cannot read one object of {stream!r}.")
    return project


async def _ask(
    pool: Pool, account: ProjectAccount, project: Project, stream: str, crm_ids: Sequence[str]
) -> dict[str, RawRecord | ConnectorError]:
    async with open_session(pool, account) as http:

        async def read(crm_id: str) -> RawRecord | ConnectorError:
            try:
                return await project.connector.read(http, account, stream, crm_id)
            except ConnectorError as error:
                return error

        answers = await asyncio.gather(*(read(crm_id) for crm_id in crm_ids))
    return dict(zip(crm_ids, answers, strict=True))


async def apply(
    pool: Pool,
    connection: Connection,
    account: ProjectAccount,
    stream: str,
    found: Mapping[str, Answer],
    trigger: str,
    elapsed: float,
    lookup: Lookup,
) -> dict[str, dict[str, Any]]:
    """Land what the CRM answered, in one transaction, and apply it: for each id what that changed."""
    # What others had waiting is applied along with it, or somebody else applies all of it: so these objects' own are
    # counted in core and among the dead letters, not as what the drain did.
    project_id, ids = account.project_id, list(found)
    before = await _events_read(connection, project_id, stream, ids)
    run_id, counts = await land(connection, account, stream, found, trigger, elapsed)
    await drain(pool, project_id, wait=True, lookup=lookup)
    after = await _events_read(connection, project_id, stream, ids)
    streams = (stream, stream + raw.TOMBSTONE)
    failed = await dead_letters.count_open_by_object(connection, project_id, run_id, streams, ids)
    landed: dict[str, Any] = {"new": counts.new, "changed": counts.changed, "unchanged": counts.unchanged}
    if len(ids) > 1:
        landed = {"run_id": run_id}  # what came is counted there, for all of them
    return {
        crm_id: {
            **({"is_deleted": True} if isinstance(answer, ConnectorError) else landed),
            "events": after.get(crm_id, 0) - before.get(crm_id, 0),
            "failed": failed.get(crm_id, 0),
        }
        for crm_id, answer in found.items()
    }


async def land(
    connection: Connection,
    account: ProjectAccount,
    stream: str,
    found: Mapping[str, Answer],
    trigger: str,
    elapsed: float,
) -> tuple[int, Counts]:
    """Store what the CRM answered, with its run, in one transaction; the run's id and counts."""
    project_id = account.project_id
    counts = Counts(pages=len(found), seen=len(found))
    async with connection.transaction():
        run_id = await runs.insert(
            connection, project_id, kind="reread", stream=stream, trigger=trigger, elapsed=elapsed
        )
        summaries = await core.order_summaries(connection, project_id, list(found)) if stream == "orders" else {}
        # A webhook may have changed core since the object was last read whole: then the same content is news.
        is_behind = {crm_id for crm_id, summary in summaries.items() if summary.is_behind or not summary.has_items}
        records = [answer for answer in found.values() if isinstance(answer, RawRecord)]
        for even_unchanged in (False, True):
            portion = [record for record in records if (record.crm_id in is_behind) is even_unchanged]
            if portion:
                landed = await raw.land_api_records(
                    connection, project_id, account.crm, stream, run_id, portion, even_unchanged=even_unchanged
                )
                counts.new += landed.new
                counts.changed += landed.changed
                counts.unchanged += landed.unchanged
        for crm_id, answer in found.items():
            if isinstance(answer, ConnectorError):
                body = msgspec.json.encode({"status": answer.status or 404, "message": answer.message}).decode()
                await raw.land_tombstone(connection, project_id, account.crm, stream, crm_id, run_id, body)
                counts.changed += 1
        await runs.finish(connection, project_id, run_id, counts)
    return run_id, counts


async def _events_read(
    connection: Connection, project_id: str, stream: str, crm_ids: Sequence[str]
) -> Mapping[str, int]:
    return await core.count_events(connection, project_id, crm_ids, "reread") if stream == "orders" else {}


async def _note_failure(
    connection: Connection, project_id: str, stream: str, trigger: str, elapsed: float, error: ConnectorError
) -> None:
    """A re-read that failed counts in the statistics as a failed pull does."""
    async with connection.transaction():
        run_id = await runs.insert(
            connection, project_id, kind="reread", stream=stream, trigger=trigger, elapsed=elapsed
        )
        await runs.finish(
            connection, project_id, run_id, Counts(failed=1), error_word=error.word, error_message=error.message
        )


async def _is_known(connection: Connection, project_id: str, stream: str, crm_id: str, trigger: str) -> bool:
    """Whether an object that the CRM does not have was there once. Of what has no row in core of its own a webhook is
    word enough: what it led to, such as a sale, must end with the object."""
    if stream == "orders":
        return bool(await core.order_summaries(connection, project_id, [crm_id]))
    if stream == "customers":
        return await core.knows_customer(connection, project_id, crm_id)
    return trigger == "webhook" or await raw.is_landed(connection, project_id, stream, crm_id)
