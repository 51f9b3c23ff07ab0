"""`/api/integrations*`: how the CRMs' synchronisation fares, and what admins do with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dashboard import cursors, guard
from dashboard.capabilities import capabilities_of
from dashboard.guard import Admin, Viewer
from dashboard.identity import Identity
from dashboard.integrations import acting, answers, definitions, reading, schemas
from dashboard.openapi import refusals
from dashboard.services import environment_of, services_of
from dashboard.ui.preferences import preferences_of
from database.repositories import credentials, integrations, logs, settings, webhook_statistics
from database.repositories.settings import ProjectRow
from web.problems import ProblemError

REFUSED = refusals({422: ("invalid", "It cannot be done so; the sentence says why.")})
_SLOW = refusals({504: ("crm_slow", "The CRM has not answered within a minute: try again later.")})
_MOST = 500

router = APIRouter(prefix=answers.PREFIX)

After = Annotated[str | None, Query(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=_MOST)]


async def project_of(request: Request, identity: Identity, project_id: str) -> ProjectRow:
    return await guard.visible_project(services_of(request), identity, project_id)


@router.get("", summary="Integrations that you may see")
async def list_integrations(
    request: Request, identity: Viewer, after: After = None, limit: Limit = 100
) -> schemas.IntegrationList:
    """Projects by id, each with its state and how its synchronisation fares."""
    async with services_of(request).database() as connection:
        rows = [row for row in await settings.list_projects(connection) if identity.may_see(row.project_id)]
        rows = [row for row in rows if after is None or row.project_id > after]
        shown = rows[:limit]
        found = await integrations.statistics(connection, [row.project_id for row in shown]) or {}
    items = [answers.integration(row, _address(request, row), found.get(row.project_id)) for row in shown]
    return schemas.IntegrationList(items=items, next=shown[-1].project_id if len(rows) > limit else None)


@router.get("/{project_id}", summary="One integration")
async def one_integration(request: Request, identity: Viewer, project_id: str) -> schemas.Integration:
    """A project's access to its CRM; no secret."""
    row = await project_of(request, identity, project_id)
    async with services_of(request).database() as connection:
        found = await integrations.statistics(connection, [project_id]) or {}
    return answers.integration(row, _address(request, row), found.get(project_id))


@router.put(
    "/{project_id}/state",
    summary="Enable or disable",
    responses={**REFUSED, **refusals({409: ("untried", "Its definition has not passed a test: test it first.")})},
)
async def set_state(request: Request, identity: Admin, project_id: str, body: schemas.StateBody) -> schemas.StateAnswer:
    """A disabled project is not pulled; its webhooks are still kept."""
    row = await project_of(request, identity, project_id)
    changed = await acting.set_state(request, identity, row, enabled=body.is_enabled, reason=body.reason)
    return schemas.StateAnswer(project_id=project_id, is_enabled=body.is_enabled, has_changed=changed)


@router.post("/{project_id}/test", summary="Test the connection", responses={**REFUSED, **_SLOW})
async def test(request: Request, identity: Admin, project_id: str) -> schemas.TestAnswer:
    """Tries the credentials with one cheap call; 200 with `ok` false if the CRM refuses them."""
    row = await project_of(request, identity, project_id)
    trial = await acting.test(request, identity, row)
    return schemas.TestAnswer(
        project_id=project_id, ok=trial.health.ok, message=trial.health.message, is_enabled_now=trial.is_enabled_now
    )


@router.post("/{project_id}/syncs", status_code=202, summary="Synchronise now", responses=REFUSED)
async def start_sync(
    request: Request, response: Response, identity: Admin, project_id: str, body: schemas.SyncBody | None = None
) -> schemas.SyncAnswer:
    """Queues a pull; `status_url` tells how far it is."""
    row = await project_of(request, identity, project_id)
    wish = body or schemas.SyncBody()
    request_id = await acting.queue_sync(request, identity, row, since=wish.since, full=wish.full, stream=wish.stream)
    answer = await sync_state(request, identity, project_id, request_id)
    response.headers["location"] = answer.status_url
    return answer


@router.get("/{project_id}/syncs/{request_id}", summary="How far a synchronisation is")
async def sync_state(request: Request, identity: Viewer, project_id: str, request_id: int) -> schemas.SyncAnswer:
    """Ask again every second or two until `is_over`."""
    await project_of(request, identity, project_id)
    async with services_of(request).database() as connection:
        state = await reading.sync_state(connection, project_id, request_id)
    if state is None:
        raise ProblemError(404, "unknown_request", "This project has no such synchronisation.")
    return answers.sync(state, preferences_of(request).language)


@router.get("/{project_id}/logs", summary="Log entries")
async def log_entries(
    request: Request, identity: Viewer, project_id: str,
    level: Annotated[schemas.Level | None, Query(description="Only entries of this level; all without it.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> schemas.LogList:  # fmt: skip
    """The newest first, of one level or all."""
    await project_of(request, identity, project_id)
    async with services_of(request).database() as connection:
        entries = await logs.newest(
            connection, project_id, level=level, before_id=cursors.id_of(after), limit=limit + 1
        )
    items = [answers.log_entry(project_id, entry) for entry in entries[:limit]]
    return schemas.LogList(items=items, next=str(items[-1].log_id) if len(entries) > limit else None)


@router.get("/{project_id}/statistics", summary="How synchronisation fares")
async def statistics(request: Request, identity: Viewer, project_id: str) -> schemas.StatisticsAnswer:
    """Totals, and the last 30 days one by one."""
    row = await project_of(request, identity, project_id)
    async with services_of(request).database() as connection:
        found = await integrations.statistics(connection, [project_id]) or {}
        days = await integrations.run_days(connection, project_id, row.timezone)
    totals = found.get(project_id)
    return schemas.StatisticsAnswer(
        project_id=project_id,
        statistics=None if totals is None else schemas.StatisticsModel.model_validate(totals),
        days=[schemas.RunDayModel.model_validate(day) for day in days],
    )


@router.get("/{project_id}/webhooks", summary="Statistics of webhooks")
async def webhooks(request: Request, identity: Viewer, project_id: str) -> schemas.WebhookAnswer:
    """Received, duplicate, late and refused webhooks, up to this moment."""
    await project_of(request, identity, project_id)
    async with services_of(request).database() as connection:
        found = await webhook_statistics.read(connection, project_id)
    return schemas.WebhookAnswer(
        project_id=project_id,
        received=found.received,
        duplicates=found.duplicates,
        late=found.late,
        refused=found.refused,
        refused_by_code=dict(found.refused_by_code),
        last_received_at=found.last_received_at,
        last_refused_at=found.last_refused_at,
        days=[schemas.WebhookDayModel.model_validate(day) for day in found.days],
    )


@router.get("/{project_id}/webhooks/payloads", summary="The last payloads, masked")
async def payloads(
    request: Request, identity: Viewer, project_id: str, after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> schemas.PayloadList:  # fmt: skip
    """Names, phones, e-mails, addresses and secrets are masked. Of medical projects there are none."""
    row = await project_of(request, identity, project_id)
    if capabilities_of(row).is_medical:
        return schemas.PayloadList(items=[], next=None, is_medical=True)
    async with services_of(request).database() as connection:
        found = await webhook_statistics.newest_payloads(
            connection, project_id, before_id=cursors.id_of(after), limit=limit + 1
        )
    items = [answers.payload(project_id, reading.masked(row, one)) for one in found[:limit]]
    return schemas.PayloadList(
        items=items, next=str(items[-1].event_id) if len(found) > limit else None, is_medical=False
    )


@router.post(
    "/{project_id}/webhooks/secret",
    status_code=201,
    summary="A new webhook secret",
    responses={
        **REFUSED,
        **refusals({409: ("no_secret", "The webhooks of this project need no secret: set webhook.auth first.")}),
    },
)
async def new_secret(request: Request, response: Response, identity: Admin, project_id: str) -> schemas.SecretAnswer:
    """Replaces the secret by a random one, which is shown this once. The old one is refused from now on."""
    row = await project_of(request, identity, project_id)
    secret, address = await acting.new_secret(request, identity, row)
    response.headers["cache-control"] = "no-store"
    return schemas.SecretAnswer(project_id=project_id, secret=secret, webhook_address=address)


@router.get("/{project_id}/credentials", summary="Which credentials are set")
async def list_credentials(request: Request, identity: Viewer, project_id: str) -> schemas.CredentialList:
    """Names, and since when they are set; values are never given."""
    row = await project_of(request, identity, project_id)
    async with services_of(request).database() as connection:
        stored = await credentials.describe(connection, project_id)
    states = reading.credential_states(row, stored)
    return schemas.CredentialList(
        project_id=project_id, items=[schemas.CredentialModel.model_validate(state) for state in states]
    )


@router.put("/{project_id}/credentials", summary="Replace credentials", responses=REFUSED)
async def put_credentials(
    request: Request, identity: Admin, project_id: str, body: schemas.CredentialsBody
) -> schemas.CredentialList:
    """Those that are not named stay. Checked and audited as `crm-elt apply` does, without the values."""
    row = await project_of(request, identity, project_id)
    await acting.set_credentials(request, identity, row, body.values)
    return await list_credentials(request, identity, project_id)


@router.post("/{project_id}/definition/trial", summary="Try a definition on a sample", responses=REFUSED)
async def try_definition(
    request: Request, identity: Admin, project_id: str, body: schemas.TrialBody
) -> schemas.TrialAnswer:
    """What each field of each record becomes, or why it becomes nothing. Stores nothing."""
    row = await project_of(request, identity, project_id)
    require_custom(row)
    tried = await definitions.try_definition(row, definitions.as_text(body.definition), body.sample, body.entity)
    return schemas.TrialAnswer(
        project_id=project_id,
        entity=tried.outcome.entity,
        is_passed=tried.is_passed,
        records=[schemas.RecordModel.model_validate(record) for record in tried.shown.records],
    )


def require_custom(row: ProjectRow) -> None:
    """Raises ProblemError, 404, for a project without a definition."""
    if row.crm != definitions.CRM:
        raise ProblemError(404, "no_definition", f"{row.crm} has a connector of its own: there is nothing to define.")


def _address(request: Request, row: ProjectRow) -> str:
    token = reading.TOKEN_PLACE if row.webhook.get("auth") == "token" else None
    return reading.address_with(row, environment_of(request), token)
