"""The two-way sync's safety net behind the relay, full resyncs, and the nightly comparison of both sides."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.two_way import assets, jobs, schedules, sensors


def definitions() -> dg.Definitions:
    return dg.Definitions(
        assets=[assets.consistency],
        asset_checks=[assets.few_objects_differ],
        jobs=[assets.consistency_job, jobs.two_way_backlog, jobs.full_resync],
        schedules=[schedules.nightly_consistency],
        sensors=[sensors.two_way_waits, sensors.full_resyncs_due],
    )
