"""All that Dagster serves. Loading it reads dbt's manifest and does no other I/O."""

from __future__ import annotations

import dagster as dg

from orchestration.defs import health, marts, normalise, pull, reconcile, requests, two_way
from orchestration.resources import CrmElt


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions.merge(
        pull.definitions(),
        normalise.definitions(),
        requests.definitions(),
        reconcile.definitions(),
        two_way.definitions(),
        marts.definitions(),
        health.definitions(),
        # One process for a run: on two cores a process for each step costs more than it wins.
        dg.Definitions(resources={"crm_elt": CrmElt()}, executor=dg.in_process_executor),
    )
