"""`/api/settings/...`: the sections of a project's settings as JSON, for programs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from dashboard import etags
from dashboard.guard import Admin, Viewer, visible_project
from dashboard.openapi import refusals
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

_EDIT_REFUSALS = refusals(
    {
        409: ("changed_meanwhile", "`version` is not the stored one; `current` is what the section is now."),
        412: ("changed_meanwhile", "`If-Match` is not the stored version; `current` is what the section is now."),
        422: ("invalid_settings", "The value is refused; `problems` names each place and what is wrong there."),
    }
)
_YAML = """\
projects:
- id: print-shop
  name: Print shop
  crm: keycrm
  timezone: Europe/Kyiv
  credentials:
    api_key: ${PRINT_SHOP_API_KEY}
  sla:
  - group_id: "2"
    limit: "08:00"
"""
ProjectQuery = Annotated[str, Query(alias="project", description="The project, by id.", examples=["print-shop"])]


class SectionAnswer(BaseModel):
    """One section of a project's settings."""

    project_id: str = Field(examples=["print-shop"])
    section: str = Field(description="Name of the section, as in the address.", examples=["sla"])
    version: str = Field(
        description="Another text when the section is another; also the ETag.", examples=["3f2a9c0d5e7b18a4c6d2"]
    )
    value: dict[str, Any] = Field(
        description="As in the file of `crm-elt apply`; what is left out has its default.", examples=[EXAMPLES["sla"]]
    )


class SectionBody(BaseModel):
    """What a section is to be: all of it, what is left out gets its default."""

    model_config = {"extra": "ignore"}  # what GET has answered may be sent back

    value: dict[str, Any] = Field(
        description="All of the section, as in the file of `crm-elt apply`.", examples=[EXAMPLES["sla"]]
    )
    version: str | None = Field(
        None, description="The version that was read; the change is refused if it is another.",
        examples=["3f2a9c0d5e7b18a4c6d2"],
    )  # fmt: skip


class ChangeAnswer(BaseModel):
    """One line of the audit log that a change has made."""

    object: str = Field(examples=["sla group 2 normal"])
    action: str = Field(examples=["changed"])
    before: Any = Field(None, examples=["08:00"])
    after: Any = Field(None, examples=["06:00"])


class AppliedAnswer(BaseModel):
    """What a change has done."""

    project_id: str = Field(examples=["print-shop"])
    changes: list[ChangeAnswer] = Field(description="What is another now; empty: it was so already.")
    notes: list[str] = Field(description="What else is to be done, as sentences.", examples=[[]])


@router.get(
    "/export", summary="Export a project's settings as YAML", response_class=Response,
    responses={200: {
        "description": "YAML; secrets are ${...} placeholders.",
        "content": {"application/yaml": {"schema": {"type": "string"}, "example": _YAML}},
    }},
)  # fmt: skip
async def export(request: Request, identity: Viewer, project_id: ProjectQuery) -> Response:
    """All settings of a project as the file that `crm-elt apply` takes: for a copy, or another server."""
    services = services_of(request)
    await visible_project(services, identity, project_id)
    async with services.database() as connection:
        text = await export_settings(connection, project_id)
    return Response(text, media_type="application/yaml", headers={"cache-control": "no-store"})


@router.post(
    "/undo/{audit_id}", summary="Undo a change of the settings", response_model=AppliedAnswer,
    responses=refusals({409: ("not_undoable", "This was changed again since: undo the later change first.")}),
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
        if etags.is_known(if_none_match, state.version):
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
        versions = [tag for tag in etags.listed(if_match) if tag != "*"]
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
        responses={200: {"content": {"application/json": {"example": {
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


def _applied(result: ApplyResult) -> Response:
    changes = [
        {"object": item.object, "action": item.action, "before": item.before, "after": item.after}
        for item in result.changes
    ]
    return json_answer({"project_id": result.project_ids[0], "changes": changes, "notes": list(result.notes)})
