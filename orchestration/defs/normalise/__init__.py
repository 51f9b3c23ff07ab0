"""Raw -> core: the batch lane, and the safety net behind the relay."""

from __future__ import annotations

import dagster as dg

from connectors import registry
from orchestration.defs.normalise import assets, checks, sensors


def definitions() -> dg.Definitions:
    return dg.Definitions(
        assets=[assets.webhook_events, assets.normalise(registry.names())],
        asset_checks=[checks.backlog_is_short, checks.no_open_dead_letters],
        jobs=[assets.normalise_job],
        sensors=[sensors.raw_backlog],
    )
