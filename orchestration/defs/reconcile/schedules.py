"""Every night, for each active project whose CRM can list what it has."""

from collections.abc import Collection
from datetime import UTC

import dagster as dg

from connectors import registry
from database.repositories.settings import list_projects
from orchestration import tags
from orchestration.defs.reconcile.jobs import ReconcileConfig, reconcile, reconcile_op
from orchestration.resources import CrmElt


def can_reconcile(crm: str) -> bool:
    return any(stream.can_list_ids for stream in registry.get(crm).capabilities.streams)


def nightly(crms: Collection[str]) -> dg.ScheduleDefinition:
    """One run for each project of these CRMs."""

    @dg.schedule(
        name="nightly_reconcile",
        job=reconcile,
        cron_schedule="20 0 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Finds objects that are missing here, or deleted at the CRM.",
    )
    def nightly_reconcile(
        context: dg.ScheduleEvaluationContext, crm_elt: CrmElt
    ) -> list[dg.RunRequest] | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        rows = [row for row in crm_elt.query(list_projects) if row.is_enabled and row.crm in crms]
        if not rows:
            return dg.SkipReason("No active project of a CRM that can list what it has.")
        return [
            dg.RunRequest(
                run_key=f"reconcile-{row.project_id}@{tick.isoformat()}",
                run_config=dg.RunConfig(ops={reconcile_op.name: ReconcileConfig(project_id=row.project_id)}),
                tags={tags.PROJECT: row.project_id, tags.CRM: row.crm},
            )
            for row in rows
        ]

    return nightly_reconcile
