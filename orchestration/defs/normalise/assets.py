"""The canonical tables of schema core, which pulls, the relay and the batch lane fill from raw."""

from collections.abc import Iterator, Sequence

import dagster as dg

from connectors import registry
from database.connection import Pool
from database.encryption import Keyring
from database.repositories.csv_imports import CsvImport
from orchestration import keys
from orchestration.failures import retrying
from orchestration.resources import CrmElt
from sync import csv_import
from sync.failed_records import retry_due
from sync.live import fold_waiting
from sync.normalise import DrainResult, drain

webhook_events = dg.AssetSpec(
    keys.WEBHOOKS,
    group_name="raw",
    kinds={"fastapi", "postgres"},
    description="Webhooks as they came in, landed by the ingest API.",
    metadata={"table": "raw.webhook_events"},
)


def normalise(crms: Sequence[str]) -> dg.AssetsDefinition:
    """One step for all tables: a raw record becomes rows of several of them in one transaction."""

    @dg.multi_asset(
        name="raw_to_core",
        specs=[_spec(table, streams, crms) for table, streams in keys.CORE_FED_BY.items()],
        can_subset=True,
    )
    def normalise_raw(context: dg.AssetExecutionContext, crm_elt: CrmElt) -> Iterator[dg.MaterializeResult[None]]:
        async def flow(pool: Pool, keyring: Keyring) -> tuple[list[CsvImport], DrainResult]:
            async with pool.connection() as connection:
                await retry_due(connection)
            imports = await csv_import.run_due(pool)  # their rows land in raw, for the drain that follows
            result = await drain(pool)
            await fold_waiting(pool)
            return imports, result

        with retrying(context):
            imports, result = crm_elt.flow(flow)
        for job in imports:
            context.log.info(f"{job.project_id}: upload {job.upload_id} {job.state}: {csv_import.summary(job)}")
        context.log.info(f"{result.rows} raw rows processed, {result.events} new status events, {result.failed} failed")
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(
                key, metadata={"raw_rows": result.rows, "events": result.events, "failed": result.failed}
            )

    return normalise_raw


normalise_job = dg.define_asset_job(
    "normalise",
    dg.AssetSelection.assets(*(keys.core(table) for table in keys.CORE_FED_BY)).without_checks(),
    description="Imports uploaded files that wait, and applies to core whatever has landed in raw.",
)


def _spec(table: str, streams: Sequence[str], crms: Sequence[str]) -> dg.AssetSpec:
    upstream = [
        keys.raw(crm, stream.name)
        for crm in crms
        for stream in registry.get(crm).capabilities.streams
        if stream.name in streams
    ]
    if "orders" in streams or "stocks" in streams:
        upstream.append(keys.WEBHOOKS)
    return dg.AssetSpec(
        keys.core(table),
        deps=upstream,
        group_name="core",
        kinds={"python", "postgres"},
        description=f"Canonical {table.replace('_', ' ')} of all CRMs, schema core.",
        metadata={"table": f"core.{table}"},
    )
