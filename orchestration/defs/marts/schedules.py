"""The nightly build with all tests on all rows; in the daytime builds follow core (sensors.py)."""

import dagster as dg

from orchestration.defs.marts.assets import DBT_STEP, BuildConfig, marts_job

nightly_build = dg.ScheduleDefinition(
    name="nightly_build",
    job=marts_job,
    cron_schedule="40 1 * * *",
    execution_timezone="UTC",
    run_config=dg.RunConfig(ops={DBT_STEP: BuildConfig(all_rows=True, unit_tests=True)}),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Builds what has changed, tests all rows of all marts, and runs the unit tests.",
)
