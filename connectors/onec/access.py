"""Requests to a 1C base with its credentials: an infobase user (Basic), or a token (Bearer) of a token URL."""

from __future__ import annotations

import base64
from typing import Any, TypeVar

from connectors.client_credentials import is_fresh, obtain_token
from connectors.errors import ConfigError, ConnectorError
from connectors.http import Answer, Decode, HttpSession, Inspect
from connectors.protocol import Account
from connectors.tokens import Tokens, call_with_tokens

T = TypeVar("T")
BASIC = ("username", "password")
BEARER = ("token_url", "client_id", "client_secret")


class Access:
    def __init__(self, http: HttpSession, account: Account, scope: str | None = None) -> None:
        """Raises ConfigError if neither kind of credentials is set."""
        self.http = http
        self.account = account
        self._scope = scope
        self._basic = None if self.has_token_url else _basic_header(account)

    @property
    def has_token_url(self) -> bool:
        return bool(self.account.credentials.get("token_url", "").strip())

    async def get(self, path: str, *, decode: Decode[T], inspect: Inspect | None = None) -> Answer[T]:
        """`path` with its query. Errors as of `HttpSession.request`; 401 names the credentials that are wrong."""

        def look(status: int, headers: Any, value: Any) -> ConnectorError | None:
            meant = None if inspect is None else inspect(status, headers, value)
            return self._refused() if meant is None and status == 401 else meant

        async def call(authorization: str) -> Answer[T]:
            headers = {"Authorization": authorization}
            return await self.http.request("GET", path, headers=headers, decode=decode, inspect=look)

        async def call_with(tokens: Tokens) -> Answer[T]:
            self.http.add_secret(tokens["access_token"])
            return await call(f"Bearer {tokens['access_token']}")

        if self._basic is not None:
            return await call(self._basic)
        return await call_with_tokens(self.account.tokens, self._obtain, call_with, is_fresh=is_fresh)

    async def prove(self) -> None:
        """Ask for a new token, where there are tokens: a stored one says nothing of the credentials.

        Raises ConnectorError."""
        if self.has_token_url:
            await self.account.tokens.renew(await self.account.tokens.load(), self._obtain)

    async def _obtain(self, _: Tokens) -> Tokens:
        known = {name: self.account.credentials.get(name, "").strip() for name in BEARER}
        if missing := [name for name, value in known.items() if not value]:
            raise ConfigError(f"the credential {', '.join(missing)} is not set")
        return await obtain_token(
            self.http, known["token_url"], known["client_id"], known["client_secret"], scope=self._scope
        )

    def _refused(self) -> ConfigError:
        if self.has_token_url:
            return ConfigError(
                "1C refuses the token that token_url gave to client_id and client_secret; let the base trust it",
                status=401,
            )
        return ConfigError(
            "1C refuses the credentials username and password; check both, and that the user may sign in to the base",
            status=401,
        )


def _basic_header(account: Account) -> str:
    username, password = (account.credentials.get(name, "") for name in BASIC)
    if missing := [name for name, value in zip(BASIC, (username, password), strict=True) if not value.strip()]:
        raise ConfigError(f"the credential {', '.join(missing)} is not set")
    if ":" in username:
        raise ConfigError("the credential username has a colon, which HTTP cannot send: rename the user of the base")
    if not (username + password).isprintable():
        raise ConfigError("the credentials username and password have characters that none has")
    # Names of users are Cyrillic more often than not; 1C reads UTF-8.
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
