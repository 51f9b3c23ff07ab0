"""Whether each project is pulled as often as it should be."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from connectors import registry
from database.repositories import watch
from database.repositories.watch import LastPull
from orchestration import keys
from orchestration.resources import CrmElt
from sync.settings.rows import SYNC_DEFAULTS

INTERVALS = 3
DEFAULT_INTERVAL = int(SYNC_DEFAULTS["interval_minutes"])
GRACE = timedelta(minutes=10)
"""What a run may take beyond its intervals."""


def pull_checks(crm: str) -> list[dg.AssetChecksDefinition]:
    """One check on the first stream that the schedule pulls: all of a project's streams are pulled together."""
    streams = [stream.name for stream in keys.daily_streams(registry.get(crm).capabilities)]
    return [_recent(crm, streams)] if streams else []


def late(pulls: Sequence[LastPull], now: datetime) -> list[LastPull]:
    """Projects without a successful pull in three of their intervals."""
    return [
        pull
        for pull in pulls
        if pull.success_at is None
        or now - pull.success_at > INTERVALS * timedelta(minutes=pull.interval_minutes or DEFAULT_INTERVAL) + GRACE
    ]


def _recent(crm: str, streams: Sequence[str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.raw(crm, streams[0]),
        name="each_project_is_recent",
        description="Each active project has had a successful pull in the last three of its intervals.",
    )
    def each_project_is_recent(crm_elt: CrmElt) -> dg.AssetCheckResult:
        pulls = crm_elt.query(lambda connection: watch.last_pulls(connection, crm, streams))
        behind = late(pulls, datetime.now(UTC))
        return dg.AssetCheckResult(
            passed=not behind,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "projects": len(pulls),
                "late": {
                    pull.project_id: f"last success {pull.success_at or 'never'}; {pull.error or 'no error'}"
                    for pull in behind
                },
            },
        )

    return each_project_is_recent
