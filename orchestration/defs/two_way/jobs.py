"""What the relay has left of the two-way sync, and full resyncs."""

import dagster as dg

from database.connection import Pool
from database.encryption import Keyring
from orchestration.failures import failure
from orchestration.resources import CrmElt
from sync.two_way.backlog import work_off
from sync.two_way.resync import ResyncResult, run_next


@dg.op(name="send_and_apply")
def send_and_apply(context: dg.OpExecutionContext, crm_elt: CrmElt) -> dict[str, int]:
    """Counts of what went out and what came in. What may succeed later waits with its own time: no retry here."""

    async def flow(pool: Pool, keyring: Keyring) -> dict[str, int]:
        return (await work_off(pool, keyring, instance=f"dagster:{context.run.run_id}")).counts()

    counts = crm_elt.flow(flow)
    context.log.info(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items()))
    context.add_output_metadata(counts)
    return counts


@dg.job(name="two_way_backlog", description="Sends changes of vms and applies the CRMs' that the relay has left.")
def two_way_backlog() -> None:
    send_and_apply()


class ResyncConfig(dg.Config):
    resync_id: int


@dg.op(name="run_resync")
def run_resync(context: dg.OpExecutionContext, config: ResyncConfig, crm_elt: CrmElt) -> dict[str, str]:
    """How it ended. It goes on where a worker that died has left it; a run that is cancelled leaves it to the next."""

    async def flow(pool: Pool, keyring: Keyring) -> ResyncResult | None:
        return await run_next(pool, keyring, resync_id=config.resync_id)

    result = crm_elt.flow(flow)
    if result is None:
        context.log.info(f"Resync {config.resync_id} is over, or somebody else is at it.")
        return {"state": "left to others"}
    for entity, counts in result.found.items():
        context.log.info(f"{entity}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    context.add_output_metadata(
        {
            "state": result.state,
            **{f"{entity}_{name}": count for entity, counts in result.found.items() for name, count in counts.items()},
        }
    )
    if result.state == "failed":
        raise failure(result.error_word or "permanent", f"{result.project_id}: {result.message}")
    return {"state": result.state}


@dg.job(
    name="full_resync", description="Pulls everything of a project's CRM, then compares every object of both sides."
)
def full_resync() -> None:
    run_resync()
