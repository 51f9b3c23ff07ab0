"""Manual sync requests: `POST .../sync`, and objects that a webhook asked to be read again."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.requests import jobs, sensors


def definitions() -> dg.Definitions:
    return dg.Definitions(jobs=[jobs.sync_requests], sensors=[sensors.sync_requests_due])
