"""Language and theme of this browser: for people who are logged in and for the login page."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dashboard.guard import require_own_origin
from dashboard.services import services_of
from dashboard.ui import preferences
from dashboard.ui.language import language_of
from web.files import read_body
from web.problems import ProblemError

_BODY_BYTES = 8 * 1024

router = APIRouter()


@router.post("/preferences", include_in_schema=False)
async def choose(request: Request) -> Response:
    """A form: `language` (en, uk, ru), `theme` (auto, light, dark), `next` (the page to go back to)."""
    require_own_origin(services_of(request), request)
    content = await read_body(request, _BODY_BYTES, "Preferences are a few words long.")
    try:
        fields = {name: values[-1] for name, values in parse_qs(content.decode(), max_num_fields=20).items()}
    except ValueError:
        raise ProblemError(400, "invalid", "The form cannot be read.") from None
    response = RedirectResponse(own_page(fields.get("next")), 303, {"cache-control": "no-store"})
    theme = preferences.theme_of(fields.get("theme"))
    preferences.keep(response, language=language_of(fields.get("language")), theme=theme)
    return response


def own_page(wish: str | None) -> str:
    """A path of ours to go to, `/` for anything else: nobody is led away by a link to us."""
    is_path = wish is not None and wish.startswith("/") and not wish.startswith(("//", "/\\")) and wish.isprintable()
    return wish if is_path and wish is not None else "/"
