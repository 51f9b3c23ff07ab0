"""Runs manual sync requests: a project-wide one in a run of its own, those for one object together."""

from collections import Counter

import dagster as dg

from database.connection import Pool
from database.encryption import Keyring
from orchestration.failures import failure
from orchestration.resources import CrmElt
from sync.requests import RequestResult, run_due

SINGLE_AFTER_SECONDS = 60
"""Requests for one object are the relay's for so long."""
SINGLE_LIMIT = 500


class RequestsConfig(dg.Config):
    """`request_id`: that request alone; None: those for one object that the relay has left."""

    request_id: int | None = None


@dg.op(name="run_requests")
def run_requests(context: dg.OpExecutionContext, config: RequestsConfig, crm_elt: CrmElt) -> dict[str, int]:
    """Counts by the state in which the requests ended.

    No retry here: a request that may succeed later is queued again, with its time, by `run_due` itself.
    """

    async def flow(pool: Pool, keyring: Keyring) -> list[RequestResult]:
        if config.request_id is not None:
            return await run_due(pool, keyring, limit=1, request_id=config.request_id)
        return await run_due(pool, keyring, limit=SINGLE_LIMIT, single_only=True, older_than=SINGLE_AFTER_SECONDS)

    results = crm_elt.flow(flow)
    for result in results:
        what = " ".join(part for part in (result.stream or "all streams", result.crm_id) if part)
        context.log.info(f"{result.project_id}, {what}: {result.state} {result.error_message or ''}".rstrip())
    counts: dict[str, int] = dict(Counter(str(result.state) for result in results))
    context.add_output_metadata(counts)
    failed = [result for result in results if result.state == "failed"]
    if config.request_id is not None and failed:
        raise failure(failed[0].error_word or "permanent", f"{failed[0].project_id}: {failed[0].error_message}")
    return counts


@dg.job(name="sync_requests", description="Runs manual sync requests, and re-reads that the relay has left.")
def sync_requests() -> None:
    run_requests()
