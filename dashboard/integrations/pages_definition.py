"""`/integrations/{project}/definition`: the definition of a custom CRM, and its sandbox."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import guard
from dashboard.cookies import CSRF_FIELD
from dashboard.guard import FormSender, Viewer
from dashboard.integrations import definitions
from dashboard.integrations.api import require_custom
from dashboard.integrations.definitions import Tried
from dashboard.integrations.frame import Frame, frame
from dashboard.ui import flash
from dashboard.ui.pages import translated
from web.files import form_of, read_body
from web.problems import ProblemError

_MOST_BYTES = 2 * 1024 * 1024
_TOO_LARGE = "Definition and sample together may have at most 2 MB: a few records are enough."

router = APIRouter(prefix="/integrations", include_in_schema=False)


@router.get("/{project_id}/definition")
async def definition_page(request: Request, identity: Viewer, project_id: str) -> Response:
    made = await frame(request, identity, project_id)
    require_custom(made.row)
    return _page(request, made, definitions.text_of(made.row))


@router.post("/{project_id}/definition")
async def act(request: Request, identity: FormSender, project_id: str) -> Response:
    """`action` try: show what the sample becomes; save: keep the definition, tried on the sample if there is one."""
    made = await frame(request, identity, project_id)
    require_custom(made.row)
    _ = translated(made.page)
    fields = await _fields(request)
    guard.require_proof(request, identity, fields.get(CSRF_FIELD))
    text, sample, entity = (fields.get(name, "") for name in ("definition", "sample", "entity"))
    is_saving = fields.get("action") == "save"
    tried: Tried | None = None
    try:
        if sample.strip() or not is_saving:
            tried = await definitions.try_definition(made.row, text, sample, entity)
        if not is_saving:
            return _page(request, made, text, sample, entity, tried=tried)
        may_be_pulled = await definitions.save(request, identity, made.row, text, tried)
    except ProblemError as problem:
        if problem.status != 422:
            raise
        return _page(request, made, text, sample, entity, problem=problem)
    where = f"{made.base}/definition"
    if may_be_pulled:
        return flash.redirect(where, _("Saved: the project is pulled with this definition."))
    said = _("Saved, but the definition has not passed a test: the project is disabled until it has.")
    return flash.redirect(where, said, "note")


async def _fields(request: Request) -> Mapping[str, str]:
    body = await read_body(request, _MOST_BYTES, _TOO_LARGE)
    return (await form_of(body, request.headers.get("content-type", ""))).fields


def _page(
    request: Request, made: Frame, text: str, sample: str = "", entity: str = "", *,
    tried: Tried | None = None, problem: ProblemError | None = None,
) -> Response:  # fmt: skip
    return made.answer(
        request, "definition.html", tab="definition", status=200 if problem is None else 422, text=text, sample=sample,
        entity=entity, entities=tried.entities if tried is not None else definitions.entities_of(made.row), tried=tried,
        problem=None if problem is None else translated(made.page)(problem.detail),
        problems=[] if problem is None else problem.extra.get("problems", []),
    )  # fmt: skip
