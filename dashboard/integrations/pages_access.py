"""`/integrations/{project}/access`: credentials, whether the project is pulled, access granted in the browser. New
projects."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from connectors import registry
from connectors.errors import ConnectorError
from connectors.protocol import Capabilities
from dashboard.guard import Admin, Viewer
from dashboard.identity import Identity
from dashboard.integrations import acting, definitions, reading
from dashboard.integrations.frame import AREA, Frame, frame, path_of
from dashboard.integrations.workshop import workshop
from dashboard.services import environment_of, services_of
from dashboard.settings.messages import translated as in_words
from dashboard.ui import flash, pages
from dashboard.ui.pages import translated
from database.repositories import credentials
from sync import oauth
from sync.oauth import Grant
from sync.settings import SettingsError, access
from web.problems import ProblemError

_FIELD = "credential."
_VALUES = ("id", "name", "base_url", "timezone", "region", "currency")

router = APIRouter(prefix="/integrations", include_in_schema=False)


@router.get("/{project_id}/access")
async def access_page(request: Request, identity: Viewer, project_id: str) -> Response:
    return await _page(request, await frame(request, identity, project_id))


@router.post("/{project_id}/access/credentials")
async def set_credentials(request: Request, identity: Admin, project_id: str) -> Response:
    """Fields that are left empty stay as they are stored."""
    made = await frame(request, identity, project_id)
    _ = translated(made.page)
    values = _credentials_in(await request.form())
    if not values:
        return await _page(request, made, status=422, problem=_("Give at least one credential."))
    try:
        result = await acting.set_credentials(request, identity, made.row, values)
    except ProblemError as problem:
        if problem.status != 422:
            raise
        return await _page(request, made, status=422, problem=_(problem.detail))
    if not result.changes:
        return flash.redirect(f"{made.base}/access", _("That is what was stored already."), "note")
    said = _("Saved: %(names)s. Test the connection now.") % {"names": ", ".join(sorted(values))}
    return flash.redirect(f"{made.base}/access", said)


@router.get("/{project_id}/oauth")
async def grant_access(request: Request, identity: Admin, project_id: str) -> Response:
    """To the CRM, which asks its owner; it changes nothing here. The redirect back is the ingest API's."""
    made = await frame(request, identity, project_id)
    try:
        address = await acting.oauth_address(request, made.row)
    except ProblemError as problem:
        if problem.status != 422:
            raise
        return flash.redirect(f"{made.base}/access", translated(made.page)(problem.detail), "problem")
    return RedirectResponse(address, 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})


@router.get("/add/project")
async def new_project_page(request: Request, identity: Admin, crm: str = "") -> Response:
    """First which CRM, then what it needs."""
    return await _new_page(request, identity, crm, {}, "")


@router.post("/add/project")
async def add_project(request: Request, identity: Admin) -> Response:
    form = await request.form()
    page = await pages.shell(request, identity, AREA)
    _ = translated(page)
    crm = _text(form, "crm")
    given: dict[str, Any] = {name: _text(form, name).strip() for name in _VALUES}
    typed = _text(form, "options")
    try:
        options = access.read_mapping(typed, "options")
        values = {**{name: value for name, value in given.items() if value}, "crm": crm, "options": options}
        await acting.add_project(request, identity, values, _credentials_in(form))
    except (ProblemError, SettingsError) as problem:
        if isinstance(problem, SettingsError):
            problem = acting.refused(problem)
        if problem.status != 422:
            raise
        wrong = {item["where"]: in_words(item["message"], _) for item in problem.extra.get("problems", [])}
        whole = "; ".join(f"{where}: {text}" if where else text for where, text in wrong.items())
        return await _new_page(request, identity, crm, given, typed, problem=whole or _(problem.detail), wrong=wrong)
    said = _("%(name)s is added. Test the connection now.") % {"name": given["name"]}
    return flash.redirect(path_of(given["id"]), said)


async def _page(request: Request, made: Frame, *, status: int = 200, problem: str | None = None) -> Response:
    async with services_of(request).database() as connection:
        stored = await credentials.describe(connection, made.row.project_id)
    grant, grant_problem = await _grant(request, made)
    return made.answer(
        request, "access.html", tab="access", status=status, problem=problem,
        states=reading.credential_states(made.row, stored), field=_FIELD, grant=grant, grant_problem=grant_problem,
        alternatives=made.capabilities.credential_sets,
        callback=f"{environment_of(request).public_ingest_url}/oauth/{made.row.crm}/callback",
    )  # fmt: skip


async def _grant(request: Request, made: Frame) -> tuple[Grant | None, str | None]:
    """How it stands with access granted in the browser, or why that cannot be told."""
    async with workshop(request) as tools, tools.pool.connection() as connection:
        try:
            return await oauth.grant_of(connection, tools.keyring, made.row.project_id), None
        except ConnectorError as error:
            return None, error.message


async def _new_page(
    request: Request, identity: Identity, crm: str, given: dict[str, Any], options: str, *,
    problem: str | None = None, wrong: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    page = await pages.shell(request, identity, AREA)
    names = registry.names()
    chosen = crm if crm in names else ""
    capabilities = _capabilities(chosen, options) if chosen else None
    fields = [] if capabilities is None else reading.credential_fields(capabilities)
    return pages.answer(
        request, page, "integrations/new.html", status=422 if problem else 200, crms=names, crm=chosen, given=given,
        capabilities=capabilities, fields=fields, field=_FIELD, problem=problem, wrong=wrong or {},
        options=options or (definitions.SKELETON if chosen == definitions.CRM else ""),
    )  # fmt: skip


def _capabilities(crm: str, options: str) -> Capabilities:
    """With the options that were typed, as far as they can be read."""
    general = registry.get(crm).capabilities
    try:
        return general.given(access.read_mapping(options, "options"))
    except SettingsError:
        return general


def _credentials_in(form: FormData) -> dict[str, str]:
    """Those that were typed, by name."""
    return {
        name.removeprefix(_FIELD): value
        for name, value in form.multi_items()
        if name.startswith(_FIELD) and isinstance(value, str) and value.strip()
    }


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
