"""How far vms and the CRMs agree: compared every night, and healed where the winner is clear."""

import dagster as dg

from connectors.errors import ConnectorError
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import consistency as rows
from database.repositories.consistency import CheckRow
from orchestration import keys
from orchestration.failures import failure, retrying
from orchestration.resources import CrmElt
from sync.two_way.comparison import Found
from sync.two_way.consistency import TARGET_SHARE, EntityConsistency, check_project

_COUNTS = ("compared", "differing", "healed", "disputed", "missing_at_crm", "missing_in_vms")


@dg.asset(
    key=keys.CONSISTENCY,
    deps=[keys.core(table) for table in ("orders", "customers", "payments", "offers")],
    group_name="two_way",
    kinds={"python", "postgres"},
    description="Both sides of every object that vms and a CRM share, compared: sync.consistency_checks.",
    metadata={"table": "sync.consistency_checks"},
)
def consistency(context: dg.AssetExecutionContext, crm_elt: CrmElt) -> dg.MaterializeResult[None]:
    """All projects in one run: a comparison is a few queries for each 500 objects."""
    failed: list[str] = []

    async def flow(pool: Pool, _: Keyring) -> dict[str, list[EntityConsistency]]:
        async with pool.connection() as connection:
            names = await rows.two_way_projects(connection)
        found = {}
        for name in names:
            try:
                found[name] = await check_project(pool, name)
            except ConnectorError as error:  # this project's settings; the others go on
                failed.append(f"{name}: {error.message}")
        return found

    with retrying(context):
        found = crm_elt.flow(flow)
    if failed:
        raise failure("config", "; ".join(failed))
    total = Found()
    for results in found.values():
        for result in results:
            total.add(result.found)
    return dg.MaterializeResult(
        metadata={
            "projects": len(found),
            **{name: getattr(total, name) for name in _COUNTS},
            "share_differing": round(total.share, 6),
            "by_project": dg.MetadataValue.table(
                [
                    dg.TableRecord({"project": name, **result.as_row()})
                    for name, results in found.items()
                    for result in results
                ],
                schema=_SCHEMA,
            ),
        }
    )


_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("project", "string"),
        dg.TableColumn("entity", "string"),
        *(dg.TableColumn(name, "int") for name in _COUNTS),
        dg.TableColumn("share", "float"),
    ]
)


@dg.asset_check(
    asset=keys.CONSISTENCY,
    name="few_objects_differ",
    description="Of no kind of object of any project do 1 % or more differ between vms and the CRM.",
)
def few_objects_differ(crm_elt: CrmElt) -> dg.AssetCheckResult:
    async def look(connection: Connection) -> list[CheckRow]:
        names = await rows.two_way_projects(connection)
        return [row for name in names for row in await rows.newest(connection, name)]

    shares = {
        f"{row.project_id} {row.entity_type}": row.differing / row.compared
        for row in crm_elt.query(look)
        if row.compared
    }
    return dg.AssetCheckResult(
        passed=all(share < TARGET_SHARE for share in shares.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: round(share, 6) for name, share in shares.items() if share >= TARGET_SHARE},
    )


consistency_job = dg.define_asset_job(
    "consistency",
    dg.AssetSelection.assets(keys.CONSISTENCY),
    description="Compares vms with the CRMs, and sends on what has a clear winner.",
)
