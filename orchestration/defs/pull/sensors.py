"""Keeps the partitions equal to the active projects."""

import dagster as dg

from connectors import registry
from database.connection import Connection
from database.repositories.settings import ProjectRow, list_projects
from orchestration import partitions
from orchestration.resources import CrmElt
from orchestration.running import projects_in_use


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds a partition for each active project, and removes those of projects disabled or deleted.",
)
def active_projects(context: dg.SensorEvaluationContext, crm_elt: CrmElt) -> dg.SensorResult | dg.SkipReason:
    async def active(connection: Connection) -> list[ProjectRow]:
        return await list_projects(connection, enabled_only=True)

    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    rows = crm_elt.query(active)
    for crm in registry.names():
        wanted = {row.project_id for row in rows if row.crm == crm}
        known = set(context.instance.get_dynamic_partitions(partitions.projects_name(crm)))
        definition = partitions.projects(crm)
        if wanted - known:
            requests.append(definition.build_add_request(sorted(wanted - known)))
        if leaving := known - wanted:
            # Dagster gives a whole backfill up if one of its partitions goes away.
            used = projects_in_use(context.instance)
            if used is not None and leaving - used:
                requests.append(definition.build_delete_request(sorted(leaving - used)))
    if not requests:
        return dg.SkipReason("The partitions are the active projects, or one that is not is still in use.")
    return dg.SensorResult(dynamic_partitions_requests=requests)
