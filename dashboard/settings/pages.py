"""`/settings`: a project's settings by section, for admins to edit and viewers to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dashboard import cursors
from dashboard.guard import Admin, Viewer, visible_project
from dashboard.identity import Identity
from dashboard.numbers import LARGEST_ID, whole
from dashboard.problems import problem_places
from dashboard.routes.preferences import own_page
from dashboard.services import environment_of, services_of
from dashboard.settings import history, sections, week
from dashboard.settings.forms.base import Draft, Fields, at_fields, filled_rows
from dashboard.settings.known import Known, load_known
from dashboard.settings.messages import all_translated, translated
from dashboard.settings.sections import SECTION_PAGES, SectionPage
from dashboard.ui import flash, pages
from dashboard.ui.forms import fields_of
from dashboard.ui.language import translations
from dashboard.ui.pages import Shell
from database.connection import Connection
from database.encryption import Keyring
from database.repositories import audit
from database.repositories.audit import AuditEntry
from database.repositories.settings import ProjectRow
from sync.settings import SettingsError, UnknownProjectError, export_settings
from sync.settings.applying import ApplyResult
from sync.settings.editing import ChangedMeanwhileError, SectionState, edit_section, read_section
from sync.settings.undoing import UndoError, undo
from web.problems import ProblemError

_OWN_FIELDS = ("version", "seen")
_UNDO_REFUSED = 409

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class View:
    """What a section's template shows."""

    fields: Fields
    state: SectionState
    errors: dict[str, list[str]] = field(default_factory=dict)
    """Sentences by field, translated; those of no field under the empty name."""
    meanwhile: list[AuditEntry] | None = None
    """What somebody else has changed since the form was read."""


@router.get("/settings")
async def choose(request: Request, identity: Viewer) -> Response:
    """The projects, each with the links to its sections."""
    page = await pages.shell(request, identity, "settings")
    if len(page.scope) == 1 and page.chosen:
        return RedirectResponse(f"/settings/{next(iter(page.chosen))}", 303, {"cache-control": "no-store"})
    return pages.answer(request, page, "settings/projects.html")


@router.post("/settings/undo/{audit_id}")
async def undo_change(request: Request, identity: Admin, audit_id: int) -> Response:
    """A form: `next`, the page to go back to; `together`, to undo all that was saved at once."""
    form = await request.form()
    onward = own_page(str(form.get("next") or "/settings"))
    language = (await pages.shell(request, identity)).language
    _ = pages.translated(language)
    try:
        done = await undone(request, identity, audit_id, together=bool(form.get("together")))
    except ProblemError as problem:
        if problem.status != _UNDO_REFUSED:
            raise
        return flash.redirect(onward, translated(problem.detail, _), "problem")
    count = len(done.changes)
    text = translations(language).ngettext("Undone: %(count)s change.", "Undone: %(count)s changes.", count)
    return flash.redirect(onward, f"{text % {'count': count}} {_(COUNTS_LATER)}")


@router.get("/settings/{project_id}")
async def overview(request: Request, identity: Viewer, project_id: str) -> Response:
    """All sections of a project, and its last changes."""
    project = await visible_project(services_of(request), identity, project_id)
    page = await pages.shell(request, identity, "settings")
    async with services_of(request).database() as connection:
        found = await history.last_changes(connection, project_id, after=_after(request), limit=50)
    return pages.answer(request, page, "settings/overview.html", project=project, sections=SECTION_PAGES, history=found)


@router.get("/settings/{project_id}/export.yaml")
async def export(request: Request, identity: Viewer, project_id: str) -> Response:
    """The file that `crm-elt apply` takes back; secrets are placeholders."""
    services = services_of(request)
    await visible_project(services, identity, project_id)
    async with services.database() as connection:
        try:
            text = await export_settings(connection, project_id)
        except UnknownProjectError as error:
            raise ProblemError(404, "unknown_project", str(error)) from None
    headers = {"content-disposition": f'attachment; filename="{project_id}.yaml"', **pages.HEADERS}
    return Response(text, media_type="application/yaml", headers=headers)


@router.get("/settings/{project_id}/{section}")
async def section_page(request: Request, identity: Viewer, project_id: str, section: str) -> Response:
    project, shown = await visible_project(services_of(request), identity, project_id), _section(section)
    page = await pages.shell(request, identity, "settings")
    async with services_of(request).database() as connection:
        known = await load_known(connection, project)
        state = await read_section(connection, project_id, section)
    view = View(sections.show(section, state.value, known), state)
    return await _answer(request, page, project, shown, known, view)


@router.post("/settings/{project_id}/{section}")
async def save_section(request: Request, identity: Admin, project_id: str, section: str) -> Response:
    """The section's form. What is wrong is said beside its fields, what was typed stays."""
    services = services_of(request)
    project, shown = await visible_project(services, identity, project_id), _section(section)
    form = await fields_of(request)
    version, seen = form.get("version"), form.get("seen", "")
    fields = {name: value for name, value in form.items() if name not in _OWN_FIELDS}
    page = await pages.shell(request, identity, "settings")
    _ = pages.translated(page)
    async with services.database() as connection:
        known = await load_known(connection, project)
        state = await read_section(connection, project_id, section)
        draft = sections.read(section, fields, known, state.value)
        try:
            result = await _save(request, connection, identity, state, draft, version, whole(seen) or 0)
        except ChangedMeanwhileError as error:
            view = View(fields, error.state, meanwhile=error.changes)
        except SettingsError as error:
            # The version that was read stays: who mends a field must not overwrite what came in between.
            kept = SectionState(project_id, section, state.value, version or state.version, whole(seen) or 0)
            view = View(fields, kept, all_translated(at_fields(draft, error.problems), _))
        else:
            return flash.redirect(f"/settings/{project_id}/{section}", _said(page, shown, result))
    status = 422 if view.meanwhile is None else 409
    return await _answer(request, page, project, shown, known, view, status=status)


COUNTS_LATER = (
    "Figures follow with the next build of the marts: Dagster starts one within about two minutes,"
    " crm-elt build does it at once."
)


async def undone(request: Request, identity: Identity, audit_id: int, *, together: bool) -> ApplyResult:
    """Undo for pages and programs. Raises ProblemError: 404 no such entry, 409 it cannot be undone."""
    services = services_of(request)
    unknown = ProblemError(404, "unknown_entry", "There is no such entry in the audit log.")
    if audit_id > LARGEST_ID:
        raise unknown
    async with services.database() as connection:
        entry = await audit.entry(connection, audit_id)
        if entry is None or not _may_see(identity, entry):
            raise unknown
        try:
            return await undo(connection, keyring_of(request), audit_id, identity.actor, together=together)
        except (LookupError, UnknownProjectError):
            raise unknown from None
        except UndoError as error:
            raise ProblemError(_UNDO_REFUSED, "not_undoable", str(error)) from None
        except SettingsError as error:
            raise ProblemError(
                _UNDO_REFUSED, "not_undoable", "What was there before does not fit the settings of today.",
                problems=problem_places(error),
            ) from None  # fmt: skip


def keyring_of(request: Request) -> Keyring:
    """Seals a new webhook secret, and tells stored secrets from others."""
    return Keyring.load(environment_of(request))


def _may_see(identity: Identity, entry: AuditEntry) -> bool:
    """As in the list of the audit log: entries of no project are for admins of all."""
    return identity.sees_all if entry.project_id is None else identity.may_see(entry.project_id)


async def _save(
    request: Request, connection: Connection, identity: Identity, state: SectionState, draft: Draft,
    version: str | None, seen: int,
) -> ApplyResult:  # fmt: skip
    if draft.problems:  # the form already tells what is wrong
        raise SettingsError([])
    return await edit_section(
        connection, keyring_of(request), state.project_id, state.section, draft.value, identity.actor,
        version=version, seen=seen,
    )  # fmt: skip


def _section(name: str) -> SectionPage:
    if name not in SECTION_PAGES:
        raise ProblemError(404, "unknown_section", "There is no such section of the settings.")
    return SECTION_PAGES[name]


def _said(page: Shell, shown: SectionPage, result: ApplyResult) -> str:
    _ = pages.translated(page)
    count = len(result.changes)
    if not count:
        return _("Nothing was changed.")
    text = translations(page.language).ngettext("Saved: %(count)s change.", "Saved: %(count)s changes.", count)
    told = [text % {"count": count}]
    if shown.is_measured:
        told.append(_(COUNTS_LATER))
    if shown.name == "address":
        own = f"{result.project_ids[0]}: "
        told += [f"{_(note.removeprefix(own))}." for note in result.notes if note.startswith(own)]
    return " ".join(told)


def _after(request: Request) -> int | None:
    """Where the page of last changes begins. Raises ProblemError, 400."""
    return cursors.id_of(request.query_params.get("after"))


async def _answer(
    request: Request, page: Shell, project: ProjectRow, shown: SectionPage, known: Known, view: View, *,
    status: int = 200,
) -> Response:  # fmt: skip
    async with services_of(request).database() as connection:
        found = await history.last_changes(connection, project.project_id, section=shown.name, after=_after(request))
    context: dict[str, Any] = {
        "project": project, "section": shown, "sections": SECTION_PAGES, "known": known, "view": view,
        "history": found, "rows": lambda name: filled_rows(view.fields, name),
        "week": lambda name: week.week_of(view.fields, name),
    }  # fmt: skip
    return pages.answer(request, page, shown.template, status=status, **context)
