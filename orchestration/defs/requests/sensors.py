"""Starts manual sync requests: project-wide ones at once, single objects where the relay has left them."""

from datetime import timedelta

import dagster as dg

from database.repositories import watch
from database.repositories.watch import DueRequest
from orchestration import tags
from orchestration.defs.requests.jobs import SINGLE_AFTER_SECONDS, RequestsConfig, run_requests, sync_requests
from orchestration.resources import CrmElt
from orchestration.running import in_progress, run_key

MOST_RUNS = 10
"""Run requests of one tick."""


@dg.sensor(
    job=sync_requests,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts manual sync requests; those for one object only when the relay has left them for a minute.",
)
def sync_requests_due(context: dg.SensorEvaluationContext, crm_elt: CrmElt) -> dg.SensorResult | dg.SkipReason:
    due = crm_elt.query(
        lambda connection: watch.due_requests(
            connection, single_older_than=timedelta(seconds=SINGLE_AFTER_SECONDS), limit=200
        )
    )
    going = {run.tags.get(tags.REQUEST) for run in in_progress(context.instance, sync_requests.name)}
    wanted = [request for request in due if not request.is_single and str(request.request_id) not in going]
    runs = [_project_wide(request) for request in wanted[:MOST_RUNS]]
    singles = [request for request in due if request.is_single]
    if singles and "single" not in going:
        runs.append(_singles(singles))
    if not runs:
        return dg.SkipReason("No request waits, or its run goes already.")
    return dg.SensorResult(run_requests=runs, cursor=str(max(request.request_id for request in due)))


def _project_wide(request: DueRequest) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=run_key(f"request-{request.request_id}"),
        run_config=_config(RequestsConfig(request_id=request.request_id)),
        tags={tags.PROJECT: request.project_id, tags.REQUEST: str(request.request_id)},
    )


def _singles(requests: list[DueRequest]) -> dg.RunRequest:
    projects = sorted({request.project_id for request in requests})
    return dg.RunRequest(
        run_key=run_key(f"single-{requests[0].request_id}"),
        run_config=_config(RequestsConfig()),
        tags={tags.PROJECT: ",".join(projects)[:200], tags.REQUEST: "single"},
    )


def _config(config: RequestsConfig) -> dg.RunConfig:
    return dg.RunConfig(ops={run_requests.name: config})
