"""`/api/settings/...`: the sections of a project's settings as JSON, for programs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from dashboard.guard import Admin, Viewer, visible_project
from dashboard.problems import problem_places
from dashboard.services import services_of
from dashboard.settings.examples import EXAMPLES
from dashboard.settings.pages import keyring_of, undone
from dashboard.settings.sections import SECTION_PAGES, SectionPage
from sync.settings import SettingsError, export_settings
from sync.settings.applying import ApplyResult
from sync.settings.editing import ChangedMeanwhileError, SectionState, edit_section, read_section
from web.answers import json_answer
from web.problems import ProblemError

router = APIRouter(prefix="/api/settings", tags=["settings"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Nobody is logged in."},
    404: {"description": "There is no such project that you may see."},
}
_EDIT_REFUSALS: dict[int | str, dict[str, Any]] = {
    **_REFUSALS,
    400: {"description": "The body is no JSON object of `value`."},
    403: {"description": "Only an admin may do this."},
    409: {"description": "`version` is not the stored one: somebody changed the section; `current` is what it is now."},
    412: {"description": "The same, where `If-Match` told the version."},
    422: {"description": "The value is refused; `problems` names each place and what is wrong there."},
}

ProjectQuery = Annotated[str, Query(alias="project", description="Id of the project.", examples=["print-shop"])]


class SectionAnswer(BaseModel):
    """One section of a project's settings."""

    project_id: str = Field(examples=["print-shop"])
    section: str = Field(examples=["sla"])
    version: str = Field(description="Another text when the section is another; also the ETag.")
    value: dict[str, Any] = Field(description="As in the file of `crm-elt apply`; what is left out has its default.")


class SectionBody(BaseModel):
    """What a section is to be: all of it, what is left out gets its default."""

    model_config = {"extra": "ignore"}  # what GET has answered may be sent back

    value: dict[str, Any]
    version: str | None = Field(None, description="The version that was read; the change is refused if it is another.")


class ChangeAnswer(BaseModel):
    object: str = Field(examples=["sla group 2 normal"])
    action: str = Field(examples=["changed"])
    before: Any = Field(None, examples=["08:00"])
    after: Any = Field(None, examples=["06:00"])


class AppliedAnswer(BaseModel):
    """What a change has done."""

    project_id: str
    changes: list[ChangeAnswer]
    notes: list[str]


@router.get("/export", summary="The settings of a project as the YAML that `crm-elt apply` takes", responses={
    **_REFUSALS, 200: {"content": {"application/yaml": {}}, "description": "Secrets are ${...} placeholders."},
})  # fmt: skip
async def export(request: Request, identity: Viewer, project_id: ProjectQuery) -> Response:
    services = services_of(request)
    await visible_project(services, identity, project_id)
    async with services.database() as connection:
        text = await export_settings(connection, project_id)
    return Response(text, media_type="application/yaml", headers={"cache-control": "no-store"})


@router.post(
    "/undo/{audit_id}", summary="Undo a change of the settings", response_model=AppliedAnswer,
    responses={
        **_REFUSALS, 403: _EDIT_REFUSALS[403],
        409: {"description": "It is no change of a setting, or the setting was changed again since."},
    },
)  # fmt: skip
async def undo(
    request: Request, identity: Admin, audit_id: Annotated[int, Path(ge=1, description="Of the audit log.")],
    together: Annotated[bool, Query(description="Undo all that was saved at once.")] = False,
) -> Response:  # fmt: skip
    """Puts the value before back, by the same checks as every change, and writes that to the audit log."""
    return _applied(await undone(request, identity, audit_id, together=together))


def _add_section(shown: SectionPage) -> None:
    """GET and PUT of a section, each with its own description and example."""
    example = EXAMPLES[shown.name]

    async def get_section(
        request: Request, identity: Viewer, project_id: ProjectQuery,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:  # fmt: skip
        services = services_of(request)
        await visible_project(services, identity, project_id)
        async with services.database() as connection:
            state = await read_section(connection, project_id, shown.name)
        if if_none_match is not None and state.version in _tags(if_none_match):
            return Response(status_code=304, headers=_headers(state))
        answer = json_answer(_state(state))
        answer.headers.update(_headers(state))
        return answer

    async def put_section(
        request: Request, identity: Admin, project_id: ProjectQuery,
        body: SectionBody = Body(examples=[{"value": example}]),  # noqa: B008 - a local name in an annotation is lost
        if_match: Annotated[str | None, Header(description="The ETag that GET has answered.")] = None,
    ) -> Response:  # fmt: skip
        services = services_of(request)
        await visible_project(services, identity, project_id)
        versions = [] if if_match is None or if_match.strip() == "*" else _tags(if_match)
        version = versions[0] if versions else body.version
        async with services.database() as connection:
            try:
                result = await edit_section(
                    connection, keyring_of(request), project_id, shown.name, body.value, identity.actor,
                    version=version,
                )  # fmt: skip
            except ChangedMeanwhileError as error:
                status = 412 if versions else 409
                raise ProblemError(status, "changed_meanwhile", str(error), current=_state(error.state)) from None
            except SettingsError as error:
                raise ProblemError(
                    422, "invalid_settings", "These settings are refused; nothing was changed.",
                    problems=problem_places(error),
                ) from None  # fmt: skip
            state = await read_section(connection, project_id, shown.name)
        answer = _applied(result)
        answer.headers.update(_headers(state))
        return answer

    name = shown.name.replace("-", "_")
    describe = f"{shown.about}\n\n"
    router.add_api_route(
        f"/{shown.name}", get_section, methods=["GET"], response_model=SectionAnswer, operation_id=f"get_{name}",
        summary=f"Settings: {shown.title}", description=f"{describe}ETag is the version; If-None-Match is honoured.",
        responses={**_REFUSALS, 200: {"content": {"application/json": {"example": {
            "project_id": "print-shop", "section": shown.name, "version": "3f2a9c0d5e7b18a4c6d2", "value": example,
        }}}}, 304: {"description": "It is as it was."}},
    )  # fmt: skip
    router.add_api_route(
        f"/{shown.name}", put_section, methods=["PUT"], response_model=AppliedAnswer, operation_id=f"put_{name}",
        summary=f"Change the settings: {shown.title}", responses=_EDIT_REFUSALS,
        description=f"{describe}The value is checked and applied as by `crm-elt apply`, the change is audited.",
    )  # fmt: skip


for _shown in SECTION_PAGES.values():
    _add_section(_shown)


def _state(state: SectionState) -> dict[str, Any]:
    return {
        "project_id": state.project_id,
        "section": state.section,
        "version": state.version,
        "value": state.value,
    }


def _headers(state: SectionState) -> dict[str, str]:
    return {"etag": f'"{state.version}"', "cache-control": "no-cache"}


def _tags(header: str) -> list[str]:
    """The versions of an If-Match or If-None-Match."""
    return [part.strip().removeprefix("W/").strip('"') for part in header.split(",") if part.strip()]


def _applied(result: ApplyResult) -> Response:
    changes = [
        {"object": item.object, "action": item.action, "before": item.before, "after": item.after}
        for item in result.changes
    ]
    return json_answer({"project_id": result.project_ids[0], "changes": changes, "notes": list(result.notes)})
