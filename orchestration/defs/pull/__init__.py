"""Pulls from the CRMs' APIs: CRM -> raw (and on into core, in the same run)."""

from __future__ import annotations

import dagster as dg

from connectors import registry
from orchestration.defs.pull import assets, checks, schedules, sensors


def definitions() -> dg.Definitions:
    crms = registry.names()
    return dg.Definitions(
        assets=[asset for crm in crms for asset in assets.pull_assets(crm)],
        asset_checks=[check for crm in crms for check in checks.pull_checks(crm)],
        jobs=[job for crm in crms for job in assets.pull_jobs(crm)],
        schedules=[schedule for crm in crms for schedule in schedules.pull_schedules(crm)],
        sensors=[sensors.active_projects],
    )
