"""OAuth2 of the simulated account: codes that live 20 minutes, refresh tokens that each refresh replaces."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

if TYPE_CHECKING:
    from connectors.amocrm.simulator_state import SimulatorState

ACCESS_LIFE = timedelta(days=1)
REFRESH_LIFE = timedelta(days=90)
CODE_LIFE = timedelta(minutes=20)


class OAuth:
    """Tokens of the account's one integration. An old refresh token works until the new pair is first used."""

    def __init__(self, state: SimulatorState) -> None:
        self._state = state
        self._codes: dict[str, int] = {}
        self._access: dict[str, int] = {}
        self._pairs: dict[str, str] = {}
        self._refresh: dict[str, int] = {}
        self._previous: str | None = None
        self._current: str | None = None
        self._count = 0
        self.refreshes = 0
        """Refresh requests that were answered with tokens."""

    def code(self) -> str:
        """A code as the redirect brings it."""
        code = self._made("code")
        self._codes[code] = self._state.now() + int(CODE_LIFE.total_seconds())
        return code

    def redirect(self, state: str) -> str:
        """Where the browser is sent once access is granted."""
        query = {"code": self.code(), "referer": f"{self._state.subdomain}.amocrm.ru", "state": state}
        query["client_id"] = self._state.client_id
        return f"{self._state.redirect_uri}?{urlencode(query)}"

    def issue(self, *, refresh_token: str | None = None) -> dict[str, Any]:
        """A new pair, the only valid one."""
        self._previous = None
        return self._issue(refresh_token)

    def accepts(self, token: str) -> bool:
        """Whether an access token is valid; using the newest pair's ends the refresh token before it."""
        if token == self._state.access_token:
            return True
        until = self._access.get(token)
        if until is None or until <= self._state.now():
            return False
        if self._current is not None and self._pairs.get(self._current) == token:
            self._previous = None
        return True

    def expire_access(self) -> None:
        """Let all access tokens end now."""
        self._access.clear()

    def token(self, body: Any) -> tuple[int, dict[str, Any]]:
        """Answer to POST /oauth2/access_token: status and body."""
        state = self._state
        if not isinstance(body, dict):
            return 400, _problem(400, "Request is not valid JSON", "Check the request")
        client = (body.get("client_id"), body.get("client_secret"), body.get("redirect_uri"))
        if client != (state.client_id, state.client_secret, state.redirect_uri):
            return 401, _problem(401, "Client authentication failed", None)
        grant = body.get("grant_type")
        if grant == "authorization_code":
            until = self._codes.pop(str(body.get("code")), 0)
            if until <= state.now():
                return 400, _problem(
                    400, "The authorization code is wrong or too old", "Authorization code has expired"
                )
            return 200, self.issue()
        if grant == "refresh_token":
            return self._renewed(str(body.get("refresh_token")))
        return 400, _problem(400, "The grant type is not supported", "Check the grant_type parameter")

    def _renewed(self, given: str) -> tuple[int, dict[str, Any]]:
        if given not in (self._current, self._previous) or self._refresh.get(given, 0) <= self._state.now():
            return 401, _problem(401, "The refresh token is invalid.", "Token has been revoked")
        if given == self._current:
            self._previous = given
        self.refreshes += 1
        return 200, self._issue(None)

    def _issue(self, refresh_token: str | None) -> dict[str, Any]:
        now = self._state.now()
        access, refresh = self._jwt(now), refresh_token or self._made("def50200")
        self._access[access] = now + int(ACCESS_LIFE.total_seconds())
        self._refresh[refresh] = now + int(REFRESH_LIFE.total_seconds())
        self._current, self._pairs[refresh] = refresh, access
        seconds = int(ACCESS_LIFE.total_seconds())
        return {"token_type": "Bearer", "expires_in": seconds, "access_token": access, "refresh_token": refresh}

    def _made(self, prefix: str) -> str:
        self._count += 1
        text = f"{self._state.seed}/{self._state.subdomain}/{prefix}/{self._count}"
        return prefix + hashlib.sha256(text.encode()).hexdigest()

    def _jwt(self, now: int) -> str:
        claims = {"aud": self._state.client_id, "jti": self._made("jti"), "iat": now, "exp": now + 86_400}
        parts = [_base64(msgspec.json.encode(part)) for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
        signed = hmac.digest(self._state.client_secret.encode(), b".".join(parts), "sha256")
        return b".".join([*parts, _base64(signed)]).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _problem(status: int, detail: str, hint: str | None) -> dict[str, Any]:
    body = {"title": "Ошибка авторизации", "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson"}
    return {**({"hint": hint} if hint else {}), **body, "status": status, "detail": detail}
