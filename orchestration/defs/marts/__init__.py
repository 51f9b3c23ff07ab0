"""core -> staging -> marts, by dbt; its tests are asset checks."""

from __future__ import annotations

import dagster as dg

from database.environment import load_environment
from orchestration.defs.marts import assets, schedules, sensors
from orchestration.manifest import existing_manifest


def definitions() -> dg.Definitions:
    """Raises orchestration.manifest.ManifestError where the manifest was never prepared."""
    manifest = existing_manifest(load_environment())
    return dg.Definitions(
        assets=[assets.marts(manifest), *assets.settings_sources(manifest)],
        jobs=[assets.marts_job],
        schedules=[schedules.nightly_build],
        sensors=[sensors.marts_follow_core],
    )
