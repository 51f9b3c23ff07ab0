"""The nightly comparison of what the CRMs have with what is here."""

from __future__ import annotations

import dagster as dg

from connectors import registry
from orchestration.defs.reconcile import jobs, schedules


def definitions() -> dg.Definitions:
    crms = [crm for crm in registry.names() if schedules.can_reconcile(crm)]
    return dg.Definitions(jobs=[jobs.reconcile], schedules=[schedules.nightly(crms)])
