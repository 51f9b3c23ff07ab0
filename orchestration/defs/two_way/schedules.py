"""The comparison comes after the nightly reconcile has brought core up to the CRM, and before the nightly build."""

import dagster as dg

from orchestration.defs.two_way.assets import consistency_job

nightly_consistency = dg.ScheduleDefinition(
    name="nightly_consistency",
    job=consistency_job,
    cron_schedule="5 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Compares both sides of every object that vms and a CRM share.",
)
