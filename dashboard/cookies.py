"""The session's cookies. Ports share cookies, so that their names hold the port: two stacks stand side by side."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
_STATE = "crm_elt_set_cookies"


class Cookies:
    def __init__(self, port: int) -> None:
        self.session = f"crm_elt_session_{port}"
        self.csrf = f"crm_elt_csrf_{port}"
        """Our scripts read it and send it back as a header."""

    def token(self, connection: HTTPConnection) -> str | None:
        """The session's token, if the request brings one."""
        return cookie_parser(connection.headers.get("cookie", "")).get(self.session) or None

    def keep(self, connection: HTTPConnection, token: str, csrf: str, expires_at: datetime) -> None:
        """Let the answer to this request set the cookies."""
        seconds = max(0, int((expires_at - datetime.now(UTC)).total_seconds()))
        response = Response()
        is_secure = connection.url.scheme in ("https", "wss")
        response.set_cookie(
            self.session, token, max_age=seconds, httponly=True, secure=is_secure, samesite="lax", path="/"
        )
        response.set_cookie(
            self.csrf, csrf, max_age=seconds, httponly=False, secure=is_secure, samesite="strict", path="/"
        )
        self._set(connection, response)

    def drop(self, connection: HTTPConnection) -> None:
        """Let the answer to this request remove the cookies."""
        response = Response()
        for name in (self.session, self.csrf):
            response.delete_cookie(name, path="/")
        self._set(connection, response)

    @staticmethod
    def _set(connection: HTTPConnection, response: Response) -> None:
        lines = [value for name, value in response.raw_headers if name == b"set-cookie"]
        setattr(connection.state, _STATE, lines)


class CookieMiddleware:
    """Adds what `Cookies` has noted for a request to whatever answer it gets, be it a stream or a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for line in scope.get("state", {}).get(_STATE, ()):
                    headers.append("set-cookie", line.decode("latin-1"))
            await send(message)

        await self._app(scope, receive, send_with_cookies)
