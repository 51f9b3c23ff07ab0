"""What still differs between vms and the simulated KeyCRM, after both have been heard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from database.repositories import mappings
from sync.projects import load as load_project
from sync.two_way import crm_state, vms_state
from sync.two_way.merge import Agreed, merge
from sync.two_way.objects import ENTITIES
from tests.support.world import World

KEY = "right-key-0123456789"


async def open_differences(world: World) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with world.pool.connection() as connection:
        project = await load_project(connection, "print")
        for entity in ENTITIES:
            rows = await world.rows(
                "select vms_entity_id as v, crm_entity_id as c from sync.mappings where entity_type = %s", entity
            )
            vms = await vms_state.load(connection, project, entity, [row["v"] for row in rows])
            crm = await crm_state.load(connection, project, entity, [row["c"] for row in rows if row["c"]])
            known = await mappings.by_vms_id(connection, "print", entity, list(vms))
            for row in rows:
                assert row["c"] in crm, (entity, row)
                plan = merge(Agreed.of(known[row["v"]]), vms[row["v"]], crm[row["c"]], "newest", timedelta(0))
                if plan.to_vms or plan.to_crm or plan.disputes:
                    found[f"{entity} {row['v']}"] = (dict(plan.to_vms), set(plan.to_crm), plan.disputes)
    return found
