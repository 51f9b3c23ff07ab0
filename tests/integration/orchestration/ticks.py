"""Ticks of sensors as the daemon makes them, and runs that go already."""

from __future__ import annotations

from typing import Any

import dagster as dg

from orchestration.resources import CrmElt


def tick_sensor(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"crm_elt": CrmElt()}, sensor_name=sensor.name
    )
    return sensor(context)


def add_run(instance: dg.DagsterInstance, job: str, **run_tags: str) -> None:
    instance.add_run(dg.DagsterRun(job_name=job, tags=run_tags, status=dg.DagsterRunStatus.STARTED))
