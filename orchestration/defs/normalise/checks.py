"""Whether raw reaches core."""

import dagster as dg

from database.repositories import watch
from orchestration import keys
from orchestration.resources import CrmElt

LONGEST_WAIT_SECONDS = 600


@dg.asset_check(
    asset=keys.core("orders"),
    name="backlog_is_short",
    description="No raw record has waited for core for over ten minutes.",
)
def backlog_is_short(crm_elt: CrmElt) -> dg.AssetCheckResult:
    head = crm_elt.query(watch.queue_head)
    waiting = 0.0 if head is None else head.waiting_seconds
    return dg.AssetCheckResult(
        passed=waiting <= LONGEST_WAIT_SECONDS,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"waiting_seconds": round(waiting, 1)},
    )


@dg.asset_check(
    asset=keys.core("orders"),
    name="no_open_dead_letters",
    description="Every record could be applied; see `crm-elt dead-letters list` for those that could not.",
)
def no_open_dead_letters(crm_elt: CrmElt) -> dg.AssetCheckResult:
    letters = crm_elt.query(watch.open_dead_letters)
    return dg.AssetCheckResult(
        passed=not letters, severity=dg.AssetCheckSeverity.WARN, metadata={"open": sum(letters.values()), **letters}
    )
