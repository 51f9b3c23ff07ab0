"""Runs the checks that belong to no build: pulls recent, backlog short, no dead letters."""

from __future__ import annotations

import dagster as dg

from connectors import registry
from orchestration.defs.health import schedules


def definitions() -> dg.Definitions:
    return dg.Definitions(jobs=[schedules.health_job(registry.names())], schedules=[schedules.health])
