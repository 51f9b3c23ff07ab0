"""The two pages that a login needs; plain HTML, nothing from elsewhere."""

from __future__ import annotations

import html

from dashboard.cookies import CSRF_FIELD
from dashboard.identity import Identity

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:15vh auto;padding:0 1rem}"
    "label{display:block;margin:.75rem 0}"
    "input{display:block;width:100%;font:inherit;padding:.4rem;box-sizing:border-box}"
    "button{font:inherit;padding:.4rem 1rem}"
)


def login(problem: str | None = None) -> str:
    """The form, with what was wrong with the last attempt."""
    said = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return _page(
        "Log in",
        f'{said}<form method="post" action="/login">'
        '<label>Login <input name="login" autocomplete="username" required autofocus></label>'
        '<label>Password <input name="password" type="password" autocomplete="current-password" required></label>'
        "<button>Log in</button></form>",
    )


def home(identity: Identity, csrf: str) -> str:
    """Who is logged in, and the way out."""
    projects = "all projects" if identity.project_ids is None else ", ".join(sorted(identity.project_ids)) or "none"
    return _page(
        "crm-elt",
        f"<p>{html.escape(identity.login)}, {identity.role}: {html.escape(projects)}</p>"
        '<form method="post" action="/logout">'
        f'<input type="hidden" name="{CSRF_FIELD}" value="{html.escape(csrf)}"><button>Log out</button></form>',
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>{body}</html>"
    )
