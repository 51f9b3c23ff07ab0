"""One account's API: its token on each request, and what amoCRM's refusals mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.amocrm import oauth
from connectors.errors import ConfigError, ConnectorError, NotFoundError, RetryError
from connectors.http import Answer, HttpSession, decode_json, read_retry_after
from connectors.protocol import Account
from connectors.tokens import Tokens, call_with_tokens

PREFIX = "/api/v4"
MOST_PER_PAGE = 250
LEAST_PER_PAGE = 10
"""Pages are not made smaller than this where the API fails on large ones."""
PAUSE = 5.0
"""Seconds to wait where amoCRM says "too many" and not for how long: it blocks who goes on asking."""
Params = Sequence[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list."""

    rows: list[Any]
    has_more: bool
    date: datetime | None


class Api:
    """Asks amoCRM for one account. All methods raise ConnectorError and nothing else."""

    def __init__(self, http: HttpSession, account: Account) -> None:
        self.http = http
        self.account = account
        self._is_known = False

    async def get(self, path: str, params: Params = ()) -> Answer[Any]:
        """The answer to GET; its value is None where nothing was found (204)."""
        return await self.send("GET", path, params=params)

    async def send(self, method: str, path: str, *, params: Params = (), json: Any = None) -> Answer[Any]:
        async def call(tokens: Tokens) -> Answer[Any]:
            token = tokens["access_token"]
            self.http.add_secret(token)
            return await self.http.request(
                method,
                PREFIX + path,
                params=params,
                json=json,
                headers={"Authorization": f"Bearer {token}"},
                decode=decode_json,
                inspect=_meaning,
            )

        if not oauth.uses_oauth(self.account):
            return await call({"access_token": _long_lived(self.account)})

        async def obtain(tokens: Tokens) -> Tokens:
            return await oauth.refresh(self.http, self.account, tokens)

        return await call_with_tokens(self.account.tokens, obtain, call, is_fresh=oauth.is_fresh)

    async def page(self, path: str, key: str, params: Params, page: int, limit: int) -> Listed:
        """A page of a list whose rows stand under `_embedded.KEY`."""
        try:
            answer = await self.get(path, [*params, ("page", page), ("limit", limit)])
        except NotFoundError as error:
            raise ConfigError(
                f"{error.message} (there is no such list: base_url should be https://SUBDOMAIN.amocrm.ru)", status=404
            ) from None
        value = answer.value
        if value is None:  # 204: nothing here, or nothing any more
            return Listed([], False, answer.date)
        rows = value.get("_embedded", {}).get(key) if isinstance(value, dict) else None
        if not isinstance(rows, list):
            raise RetryError(f"{path}: the answer is no list of {key}")
        links = value.get("_links")
        has_more = isinstance(links, dict) and isinstance(links.get("next"), dict)
        return Listed(rows, has_more, answer.date)


def _long_lived(account: Account) -> str:
    token = account.credentials.get("access_token", "").strip()
    if not token:
        raise ConfigError(
            "neither the credential access_token is set nor client_id, client_secret, redirect_uri of an integration"
        )
    if not token.isascii() or not token.isprintable():
        raise ConfigError("the credential access_token has characters that no token has")
    return token


def _meaning(status: int, headers: Mapping[str, str], body: Any) -> ConnectorError | None:
    """What the status does not say by itself."""
    if status == 401:
        return ConfigError("amoCRM refuses the access_token; it has expired or was revoked", status=401)
    if status == 402:
        return ConfigError("the amoCRM account is not paid")
    if status == 403:
        # Blocked for too many requests, or without rights: asking again makes the block longer.
        return ConfigError(
            "amoCRM answers 403: the integration is blocked or lacks the right; the project is stopped, ask amoCRM's "
            "support, then enable the project again"
        )
    if status == 429:
        said = body.get("retry_after") if isinstance(body, dict) else None
        seconds = float(said) if type(said) is int and 0 < said <= 86_400 else None
        return RetryError(
            "amoCRM answers 429: too many requests", retry_after=seconds or read_retry_after(headers) or PAUSE
        )
    return None
