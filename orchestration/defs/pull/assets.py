"""Raw records by CRM and stream, from one factory: `raw/<crm>/<stream>` in the group of the CRM, by project and, where
the API can, by UTC day.

A run of a partition pulls the records of that day at the CRM (orders by when they were ordered), whatever was pulled
before; the schedule's runs take what is new since the stored cursor instead, and count for the day under way.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from connectors import registry
from connectors.errors import ConnectorError
from connectors.protocol import Stream, Window
from database.connection import Pool
from database.encryption import Keyring
from orchestration import keys, partitions, pools, tags
from orchestration.failures import connector_failure, failure, retrying
from orchestration.resources import CrmElt
from sync.pull import PullResult, pull_project

BACKFILL_DAYS = 31
"""Days of one project that a backfill pulls in one run, as one window: a run costs seconds before it begins."""
LATE = timedelta(hours=1)
"""A CRM none of whose projects was pulled for so long has a problem of its own."""


class PullConfig(dg.Config):
    """`only_new`: pull what is new since the stored cursor, instead of the whole day of the partition."""

    only_new: bool = False


def pull_assets(crm: str) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of a CRM, at most two: streams by project and day, and streams by project alone. Where there is no API
    nothing is pulled: what comes as files is an asset that others fill."""
    capabilities = registry.get(crm).capabilities
    if not capabilities.has_api:
        return [_uploaded(crm, stream) for stream in capabilities.streams]
    made: list[dg.AssetsDefinition | dg.AssetSpec] = []
    if daily := keys.daily_streams(capabilities):
        made.append(_daily(crm, daily))
    if whole := keys.whole_streams(capabilities):
        made.append(_whole(crm, whole))
    return made


def pull_jobs(crm: str) -> list[UnresolvedAssetJobDefinition]:
    capabilities = registry.get(crm).capabilities
    jobs = []
    for name, streams, what in (
        (daily_job_name(crm), keys.daily_streams(capabilities), "a day of a project, or what is new of it"),
        (whole_job_name(crm), keys.whole_streams(capabilities), "dictionaries and other whole streams of a project"),
    ):
        if streams:
            selection = dg.AssetSelection.assets(*(keys.raw(crm, stream.name) for stream in streams))
            jobs.append(
                dg.define_asset_job(
                    name, selection.without_checks(), tags={tags.CRM: crm}, description=f"Pulls {what} from {crm}."
                )
            )
    return jobs


def daily_job_name(crm: str) -> str:
    return f"{crm}_pull"


def whole_job_name(crm: str) -> str:
    return f"{crm}_pull_whole"


def only_new(crm: str) -> dg.RunConfig:
    """Run configuration of the daily job that pulls what is new."""
    return dg.RunConfig(ops={_daily_name(crm): PullConfig(only_new=True)})


def _daily(crm: str, streams: Sequence[Stream]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=_daily_name(crm),
        specs=[_spec(crm, stream) for stream in streams],
        partitions_def=partitions.project_days(crm),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=BACKFILL_DAYS),
        can_subset=True,
        pool=pools.crm(crm),
    )
    def pull(
        context: dg.AssetExecutionContext, config: PullConfig, crm_elt: CrmElt
    ) -> Iterator[dg.MaterializeResult[None]]:
        windows: dict[str, Sequence[Window | None]] = dict(partitions.windows(context.partition_keys))
        if config.only_new:
            windows = dict.fromkeys(windows, (None,))
        yield from _pull_projects(context, crm_elt, crm, streams, windows)

    return pull


def _whole(crm: str, streams: Sequence[Stream]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=_whole_name(crm),
        specs=[_spec(crm, stream) for stream in streams],
        partitions_def=partitions.projects(crm),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        can_subset=True,
        pool=pools.crm(crm),
    )
    def pull(context: dg.AssetExecutionContext, crm_elt: CrmElt) -> Iterator[dg.MaterializeResult[None]]:
        yield from _pull_projects(context, crm_elt, crm, streams, dict.fromkeys(context.partition_keys, (None,)))

    return pull


def _daily_name(crm: str) -> str:
    return f"{crm}__by_day"


def _whole_name(crm: str) -> str:
    return f"{crm}__whole"


def _uploaded(crm: str, stream: Stream) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.raw(crm, stream.name),
        group_name=crm,
        kinds={"fastapi", "postgres"},
        description=f"Records of {crm}'s {stream.name} in raw.api_records, from files that were uploaded.",
        metadata={"table": "raw.api_records"},
    )


def _spec(crm: str, stream: Stream) -> dg.AssetSpec:
    how = "by project and the record's UTC day" if stream.has_windows else "by project, pulled whole"
    return dg.AssetSpec(
        keys.raw(crm, stream.name),
        group_name=crm,
        kinds={"python", "postgres"},
        description=f"Records of {crm}'s {stream.name} in raw.api_records, verbatim, {how}.",
        metadata={"table": "raw.api_records"},
        skippable=True,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=3 * LATE, warn_window=LATE * 1.5),
    )


def _pull_projects(
    context: dg.AssetExecutionContext,
    crm_elt: CrmElt,
    crm: str,
    streams: Sequence[Stream],
    windows: Mapping[str, Sequence[Window | None]],
) -> Iterator[dg.MaterializeResult[None]]:
    """Pull each project's windows (None: what is new) and report what came.

    Dagster may put days of several projects into one run of a backfill. One that fails then leaves the others alone:
    their partitions count, and the run fails at its end.
    """
    selected = {key.path[-1] for key in context.selected_asset_keys}
    chosen = [stream.name for stream in streams if stream.name in selected]
    # Runs of a backfill come from the UI without our tags.
    context.instance.add_run_tags(context.run_id, {tags.PROJECT: ",".join(sorted(windows))[:200], tags.CRM: crm})
    results: list[PullResult] = []
    failures: dict[str, dg.Failure] = {}
    with retrying(context):
        for project_id, wanted in windows.items():
            try:
                results += [_pull(context, crm_elt, project_id, chosen, window) for window in wanted]
            except dg.Failure as problem:
                failures[project_id] = problem
        reports = list(_reports(context, crm, chosen, results))
        if failures:
            done = [key for key in context.partition_keys if partitions.project_of(key) not in failures]
            _report_partitions(context, reports, done)
            raise _joined(list(failures.values()))
    yield from reports


def _report_partitions(
    context: dg.AssetExecutionContext, reports: Sequence[dg.MaterializeResult[None]], done: Sequence[str]
) -> None:
    """Let these partitions count although the run will fail."""
    for report in reports:
        assert report.asset_key is not None
        for key in done:
            context.log_event(dg.AssetMaterialization(report.asset_key, metadata=report.metadata, partition=key))


def _joined(failures: Sequence[dg.Failure]) -> dg.Failure:
    if len(failures) == 1:
        return failures[0]
    return dg.Failure(
        description=" ".join(str(failure.description) for failure in failures),
        allow_retries=any(failure.allow_retries for failure in failures),
    )


def _pull(
    context: dg.AssetExecutionContext, crm_elt: CrmElt, project_id: str, streams: list[str], window: Window | None
) -> PullResult:
    trigger = "schedule" if window is None else "backfill"

    async def flow(pool: Pool, keyring: Keyring) -> PullResult:
        return await pull_project(
            pool, keyring, project_id, streams=streams, window=window, trigger=trigger, dagster_run_id=context.run_id
        )

    what = "what is new" if window is None else f"{window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} (exclusive), UTC"
    context.log.info(f"{project_id}: pulling {', '.join(streams)}: {what}")
    try:
        result = crm_elt.flow(flow)
    except ConnectorError as error:
        raise connector_failure(error, project_id, comes_again=window is None) from error
    busy = [stream.stream for stream in result.streams if stream.state == "busy"]
    if busy and window is not None:
        raise failure("retry", f"{project_id}: another run is pulling {', '.join(busy)} of the same days just now.")
    return result


def _reports(
    context: dg.AssetExecutionContext, crm: str, streams: Sequence[str], results: Sequence[PullResult]
) -> Iterator[dg.MaterializeResult[None]]:
    """One materialisation for each stream that was pulled, with its counts, and for the core tables that they fed.

    A stream that somebody else is pulling just now has none: theirs counts.
    """
    rows = sum(result.applied.rows for result in results)
    events = sum(result.applied.events for result in results)
    for name in streams:
        done = [stream for result in results for stream in result.streams if stream.stream == name]
        if not done:
            continue
        if all(stream.state == "busy" for stream in done):
            context.log.warning(f"{name}: another pull of it is under way, this one did nothing")
            continue
        counts = {
            field: sum(getattr(stream.counts, field) for stream in done)
            for field in ("pages", "seen", "new", "changed", "unchanged", "failed")
        }
        context.log.info(f"{name}: {counts['seen']} seen, {counts['new']} new, {counts['changed']} changed")
        yield dg.MaterializeResult(
            keys.raw(crm, name),
            metadata={
                **counts,
                "projects": ", ".join(sorted({result.project_id for result in results})),
                "raw_rows_applied": rows,
                "new_status_events": events,
                "sync_run_ids": [stream.run_id for stream in done if stream.run_id is not None],
            },
        )
    if rows:
        for table in keys.core_tables(streams):
            context.log_event(
                dg.AssetMaterialization(
                    keys.core(table), metadata={"raw_rows": rows, "events": events}, description="Applied by a pull."
                )
            )
