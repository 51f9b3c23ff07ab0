"""Every half hour, because a check is only as good as its last run."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration import keys

HEALTH = "health"


def health_job(crms: Sequence[str]) -> UnresolvedAssetJobDefinition:
    selection = dg.AssetSelection.checks_for_assets(keys.core("orders"), *(keys.raw(crm, "orders") for crm in crms))
    return dg.define_asset_job(HEALTH, selection, description="Checks of the pulls and of the way from raw to core.")


health = dg.ScheduleDefinition(
    name=HEALTH,
    job_name=HEALTH,
    cron_schedule="*/30 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Runs the checks of the pulls and of the way from raw to core.",
)
