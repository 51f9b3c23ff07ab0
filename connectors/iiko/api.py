"""Requests to iiko in both dialects: the session token, the organizations, and what a refusal means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.errors import ConfigError, NotFoundError, PermanentError, RetryError
from connectors.http import Answer, HttpSession, decode_json
from connectors.protocol import Account
from connectors.tokens import Tokens, call_with_tokens

BASE_URL = "https://api-ru.iiko.services"
RATE_LIMIT = (100, 60.0)
"""iiko publishes no numbers; this is what one restaurant's sync never needs more than."""
CLOUD, SPEC = "cloud", "spec"
DIALECTS = (CLOUD, SPEC)
_TOKEN = "token"  # noqa: S105 - the name of a field
_V1, _V2 = "/api/1/access_token", "/api/v2/access_token"
_AS_SHOWN = "set anew what iikoWeb shows"
_LONGEST_TOKEN = 8192


@dataclass(frozen=True, slots=True)
class Organization:
    organization_id: str
    name: str
    row: dict[str, Any] = field(repr=False)
    """As iiko gives it."""


def dialect_of(options: Mapping[str, Any]) -> str:
    return str(options.get("dialect") or CLOUD)


class Api:
    """One account over an open session."""

    def __init__(self, http: HttpSession, account: Account) -> None:
        self.http = http
        self.account = account
        self.dialect = dialect_of(account.options)

    @property
    def now(self) -> datetime:
        """The server's clock, as far as an answer has told it."""
        return self.http.last_response_date or datetime.now(UTC)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The decoded body of the answer. Raises ConnectorError."""
        return (await self.request("POST", path, body)).value

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, accept: frozenset[int] = frozenset()
    ) -> Answer[Any]:
        """With the stored token; with a new one where iiko refuses that, once. Raises ConnectorError."""

        async def send(tokens: Tokens) -> Answer[Any]:
            self.http.add_secret(tokens[_TOKEN])
            return await self.http.request(
                method,
                path,
                json=body,
                headers={"Authorization": f"Bearer {tokens[_TOKEN]}"},
                decode=decode_json,
                accept=accept,
            )

        return await call_with_tokens(
            self.account.tokens, self._obtain, send, is_fresh=lambda tokens: bool(tokens.get(_TOKEN))
        )

    async def organizations(self) -> list[Organization]:
        """Those that the settings want, in the order of their ids. Raises ConfigError if one of them is not shown to
        this login, or none is."""
        if self.dialect == SPEC:
            answer = (await self.request("GET", "/api/organization/list")).value
        else:
            wanted = {"returnAdditionalInfo": True, "includeDisabled": False}
            answer = await self.post("/api/1/organizations", wanted)
        rows = answer.get("organizations") if isinstance(answer, dict) else answer
        if not isinstance(rows, list):
            raise RetryError("iiko answers for its organizations with something else")
        shown = {str(row["id"]): row for row in rows if isinstance(row, dict) and row.get("id")}
        chosen = self.account.options.get("organization_ids") or sorted(shown)
        if missing := [one for one in chosen if one not in shown]:
            raise ConfigError(
                f"options.organization_ids: iiko shows no organization {missing[0]} to these credentials; "
                "take it out, or give the API login the right to it"
            )
        if not chosen:
            raise ConfigError("iiko shows no organization to these credentials: give the API login one in iikoWeb")
        return [Organization(one, str(shown[one].get("name") or one), shown[one]) for one in sorted(set(chosen))]

    async def _obtain(self, _: Tokens) -> Tokens:
        """A token of one hour. Raises ConfigError that names the credential which is wrong."""
        given = self.account.credentials
        if self.dialect == SPEC:
            body = {"login": _needed(given, "login"), "password": _needed(given, "password")}
            return await self._login("/api/auth", body, "credentials login and password", "check both")
        if login := given.get("api_login"):
            try:
                return await self._login(_V1, {"apiLogin": login}, "credential api_login")
            except ConfigError as error:
                # Keys that were issued lately are refused here, and the refusal names the path that takes them.
                if not (given.get("app_id") and given.get("client_secret")):
                    if _V2 not in error.message:
                        raise
                    raise ConfigError(
                        "iiko takes this key no longer by itself: set the credentials api_key, app_id and "
                        "client_secret from iikoWeb in place of api_login"
                    ) from None
        elif not given.get("api_key"):
            _needed(given, "api_login")
        app = {"appId": _needed(given, "app_id"), "clientSecret": _needed(given, "client_secret")}
        return await self._login(
            _V2, {"apiKey": given.get("api_key") or login, **app}, "credentials api_key, app_id and client_secret"
        )

    async def _login(self, path: str, body: Mapping[str, Any], names: str, advice: str = _AS_SHOWN) -> Tokens:
        try:
            answer = await self.http.request("POST", path, json=body, decode=_read_token)
        except NotFoundError as error:
            hint = BASE_URL if self.dialect == CLOUD else "the address below which /api/auth answers"
            raise ConfigError(
                f"There is no iiko API at this base_url; it should be {hint}", status=error.status
            ) from None
        except (ConfigError, PermanentError) as error:
            # 400 as well as 401: which one depends on the version.
            raise ConfigError(
                f"iiko refuses the {names}; {advice} ({error.message})",
                status=error.status,
            ) from None
        token = answer.value
        if not isinstance(token, str) or not 0 < len(token) <= _LONGEST_TOKEN:
            raise ConfigError(f"{path} gives no token; check base_url")
        self.http.add_secret(token)
        return {_TOKEN: token}


def vendor_error(value: Any) -> str | None:
    """iiko's word for what went wrong, such as `Common_OrganizationNotFound`."""
    found = value.get("error") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _read_token(content: bytes) -> Any:
    """`{"token": ...}`, a JSON text, or the bare token as plain text. Raises ValueError."""
    try:
        value = decode_json(content)
    except (msgspec.MsgspecError, ValueError):
        text = content.decode().strip()
        if not text or not text.isascii() or not text.isprintable() or any(sign in text for sign in ' <>{"'):
            raise ValueError("neither JSON nor a token") from None
        return text
    return value.get(_TOKEN) if isinstance(value, dict) else value


def _needed(credentials: Mapping[str, str], name: str) -> str:
    if not (value := credentials.get(name)):
        raise ConfigError(f"The credential {name} is not set: it is iiko's key to this account")
    return value
