"""Compares the ids of one project's CRM with what is here."""

from typing import Any

import dagster as dg

from connectors.errors import ConnectorError
from database.connection import Pool
from database.encryption import Keyring
from orchestration.failures import failure
from orchestration.resources import CrmElt
from sync.reconcile import StreamReconciliation, reconcile_project


class ReconcileConfig(dg.Config):
    project_id: str


@dg.op(name="reconcile_project")
def reconcile_op(context: dg.OpExecutionContext, config: ReconcileConfig, crm_elt: CrmElt) -> list[dict[str, Any]]:
    """One row for each stream: listed, known, missing and gone."""

    async def flow(pool: Pool, keyring: Keyring) -> list[StreamReconciliation]:
        return await reconcile_project(
            pool, keyring, config.project_id, trigger="schedule", dagster_run_id=context.run.run_id
        )

    try:
        results = crm_elt.flow(flow)
    except ConnectorError as error:
        raise failure(error.word, f"{config.project_id}: {error.message}") from None
    for result in results:
        context.log.info(
            f"{result.stream}: {result.listed} at the CRM, {result.missing} missing here, {result.gone} gone there"
        )
    if failed := [result for result in results if result.error is not None]:
        raise failure("permanent", "; ".join(f"{result.stream}: {result.error}" for result in failed))
    return [result.as_row() for result in results]


@dg.job(name="reconcile", description="Compares the ids that a project's CRM has with what is here.")
def reconcile() -> None:
    reconcile_op()
