"""One sentence for the next page: what a form has done. A cookie that the next page removes."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import RedirectResponse, Response

Kind = Literal["done", "note", "problem"]
_COOKIE = "crm_elt_flash"
_LONGEST = 500
"""Characters: a browser keeps 4096 bytes of a cookie."""
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Flash:
    kind: Kind
    text: str
    """In the user's language already."""


def redirect(to: str, text: str, kind: Kind = "done") -> RedirectResponse:
    """303 to a page of ours (a path), which then shows the sentence."""
    response = RedirectResponse(to, 303, {"cache-control": "no-store"})
    value = base64.urlsafe_b64encode(json.dumps([kind, text[:_LONGEST]], ensure_ascii=False).encode()).decode()
    response.set_cookie(_COOKIE, value, max_age=_SECONDS, httponly=True, samesite="lax", path="/")
    return response


def flash_of(connection: HTTPConnection) -> Flash | None:
    """What the last form left; anything else in the cookie is nothing."""
    value = cookie_parser(connection.headers.get("cookie", "")).get(_COOKIE)
    if not value:
        return None
    try:
        kind, text = json.loads(base64.urlsafe_b64decode(value.strip('"')))
    except (ValueError, TypeError):
        return None
    return Flash(kind, text) if kind in get_args(Kind) and isinstance(text, str) else None


def forget(response: Response) -> None:
    response.delete_cookie(_COOKIE, path="/")
