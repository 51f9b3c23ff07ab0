"""A page around an area's template: who is logged in, navigation, chosen projects, preferences, what a form said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Request
from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse

from dashboard.identity import Identity
from dashboard.services import environment_of, services_of
from dashboard.ui import flash, formats, static
from dashboard.ui.language import LANGUAGES, NAMES, Language, translations
from dashboard.ui.navigation import ENTRIES, with_projects
from dashboard.ui.preferences import THEMES, Preferences, preferences_of
from dashboard.ui.templating import render, render_block
from database.repositories import settings

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
}


class Sentence(Protocol):
    """What can be said in any language: `web.problems.ProblemError`, `dashboard.users.UserError`."""

    sentence: str
    values: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class ProjectName:
    """What a page shows of a project."""

    project_id: str
    name: str
    crm: str
    zone: ZoneInfo
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page knows besides its own data."""

    area: str
    """A name of dashboard.ui.navigation.ENTRIES; empty outside."""
    identity: Identity | None
    csrf: str
    preferences: Preferences
    projects: dict[str, ProjectName]
    """All that the user may see, by id, in order of their names."""
    chosen: frozenset[str]
    """Of these the ones that the address names; empty: all."""
    path: str
    query: QueryParams

    @property
    def language(self) -> Language:
        return self.preferences.language

    @property
    def scope(self) -> frozenset[str]:
        """Ids of the projects that the page is about: those chosen, else all that may be seen."""
        return self.chosen or frozenset(self.projects)

    def link(self, path: str) -> str:
        """To another page, for the same projects."""
        return with_projects(path, self.chosen)

    def this_page(self, **changes: Any) -> str:
        """This page with other query parameters: None removes one, a list repeats it."""
        kept = [(name, value) for name, value in self.query.multi_items() if name not in changes]
        for name, value in changes.items():
            values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
            kept += [(name, str(item)) for item in values]
        query = urlencode(kept)
        return f"{self.path}?{query}" if query else self.path

    def zone_of(self, project_id: str | None) -> ZoneInfo:
        """In which instants of this project are shown: the viewer's, else the project's, else UTC."""
        if self.preferences.zone is not None:
            return self.preferences.zone
        return self.project_zone(project_id)

    def project_zone(self, project_id: str | None) -> ZoneInfo:
        project = self.projects.get(project_id or "")
        return project.zone if project is not None else ZoneInfo("UTC")


async def shell(request: Request, identity: Identity | None, area: str = "") -> Shell:
    """Loads the projects that the user may see. Raises ProblemError: 503 the database is away."""
    services = services_of(request)
    projects: dict[str, ProjectName] = {}
    if identity is not None:
        async with services.database() as connection:
            rows = await settings.list_projects(connection)
        seen = [row for row in rows if identity.may_see(row.project_id)]
        for row in sorted(seen, key=lambda row: (row.name.casefold(), row.project_id)):
            projects[row.project_id] = ProjectName(
                row.project_id, row.name, row.crm, ZoneInfo(row.timezone), row.is_enabled
            )
    csrf = "" if identity is None else services.sessions.tokens.csrf(identity.session_id)
    chosen = frozenset(request.query_params.getlist("project")) & projects.keys()
    return Shell(
        area, identity, csrf, preferences_of(request), projects, chosen, request.url.path, request.query_params
    )


def answer(request: Request, page: Shell, template: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """The page of an area's template, which extends `ui/page.html`."""
    said = flash.flash_of(request)
    text = render(template, page.language, {**_shared(request, page), "flash": said, **context})
    response = HTMLResponse(text, status, HEADERS)
    if said is not None:
        flash.forget(response)
    return response


def part(request: Request, page: Shell, template: str, block: str, /, **context: Any) -> HTMLResponse:
    """One block of a page's template, for a script that renews that part alone."""
    text = render_block(template, block, page.language, {**_shared(request, page), "flash": None, **context})
    return HTMLResponse(text, 200, HEADERS)


def translated(page: Shell | Language) -> Callable[[str], str]:
    """For sentences made in Python: `_ = translated(page)`, then `_("Saved.")`."""
    return translations(page if isinstance(page, str) else page.language).gettext


def said(page: Shell | Language, error: Sentence) -> str:
    """The sentence of a refusal, in the page's language."""
    text = translated(page)(error.sentence)
    return text % error.values if error.values else text


def _shared(request: Request, page: Shell) -> dict[str, Any]:
    environment = environment_of(request)
    entries = [item for item in ENTRIES if not item.is_for_admins or (page.identity and page.identity.is_admin)]
    return {
        "page": page,
        "identity": page.identity,
        "is_admin": page.identity is not None and page.identity.is_admin,
        "csrf": page.csrf,
        "entries": entries,
        "elsewhere": {"docs": environment.public_docs_url, "dagster": environment.public_dagster_url},
        "languages": [(code, NAMES[code]) for code in LANGUAGES],
        "themes": THEMES,
        "asset": lambda name: static.address(request.app.state.static_files, name),
        "clock": _clock(page),
    }


def _clock(page: Shell) -> Callable[[datetime | None, str | None], dict[str, str]]:
    def texts(at: datetime | None, project_id: str | None = None) -> dict[str, str]:
        """For the macro `instant`: what is shown, the project's own time for hovering, and ISO 8601."""
        if at is None:
            return {"shown": formats.NOTHING, "title": "", "iso": ""}
        zone = page.project_zone(project_id)
        there = formats.instant(at, zone, page.language)
        return {
            "shown": formats.instant(at, page.zone_of(project_id), page.language),
            "title": f"{there} {zone.key}",
            "iso": formats.iso(at),
        }

    return texts


def visible_ids(page: Shell) -> Sequence[str]:
    """Ids of the page's projects, sorted, for queries."""
    return sorted(page.scope)
