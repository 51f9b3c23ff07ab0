"""amoCRM's OAuth2: the address that asks for access, the exchange of its code, and refresh tokens that rotate.

A refresh token is replaced by each refresh. The old one still works until the new pair is first used, which recovers an
answer that was lost: so a new pair is stored before it is used, and one process at a time refreshes
(`connectors.tokens.TokenStore`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from connectors.errors import ConfigError, ConnectorError, RetryError
from connectors.http import HttpSession, decode_json
from connectors.protocol import Account
from connectors.tokens import Tokens
from connectors.values.times import parse_time

TOKEN_PATH = "/oauth2/access_token"  # noqa: S105 - an address
CLIENT = ("client_id", "client_secret", "redirect_uri")
_EARLY = timedelta(minutes=2)
"""A token this near to its end is renewed before it is used."""
_AUTHORISE = "authorise again with `crm-elt oauth amocrm PROJECT`"


def uses_oauth(account: Account) -> bool:
    """Whether the account's tokens rotate; else its access_token is a long-lived one."""
    return all(account.credentials.get(name, "").strip() for name in CLIENT)


def authorize_url(account: Account, state: str) -> str:
    """Where the account's administrator grants access. Raises ConfigError without the integration's credentials."""
    client_id, _, _ = _client(account)
    host = urlsplit(account.base_url).hostname or ""
    # The page that lets one choose among accounts is on the vendor's own host, whichever the account's is.
    vendor = "https://www.kommo.com" if host.endswith(".kommo.com") else "https://www.amocrm.ru"
    parts = urlsplit(account.base_url)
    if not host.endswith((".amocrm.ru", ".amocrm.com", ".kommo.com")):
        vendor = f"{parts.scheme}://{parts.netloc}"
    return f"{vendor}/oauth?{urlencode({'client_id': client_id, 'state': state, 'mode': 'popup'})}"


async def exchange_code(http: HttpSession, account: Account, query: Mapping[str, str]) -> Tokens:
    """The first tokens, for the code of the redirect's query. Raises ConnectorError.

    The redirect names the account that was chosen (`referer`) and the integration (`client_id`): another one than the
    project's is refused.
    """
    client_id, _, _ = _client(account)
    if query.get("error"):
        raise ConfigError(
            "access was not granted in amoCRM: open the address again and press the button that allows it"
        )
    code = query.get("code", "").strip()
    if not code:
        raise ConfigError("amoCRM sent no code: open the address again")
    referer, host = query.get("referer", "").strip().lower(), urlsplit(account.base_url).netloc.lower()
    if referer and referer != host:
        raise ConfigError(f"access was granted to another account than the project's base_url names ({host})")
    if query.get("client_id") not in (None, "", client_id):
        raise ConfigError("the code belongs to another integration than the credential client_id names")
    http.add_secret(code)
    return await _ask(http, account, {"grant_type": "authorization_code", "code": code})


async def refresh(http: HttpSession, account: Account, tokens: Tokens) -> Tokens:
    """A new pair for the stored refresh token, or for that of the credentials where none is stored. Raises
    ConnectorError."""
    old = tokens.get("refresh_token") or account.credentials.get("refresh_token", "").strip()
    if not old:
        raise ConfigError("there is no refresh_token yet: authorise with `crm-elt oauth amocrm PROJECT`")
    http.add_secret(old)
    return await _ask(http, account, {"grant_type": "refresh_token", "refresh_token": old})


def is_fresh(tokens: Tokens) -> bool:
    """Whether the access token can still be used for a while."""
    try:
        return bool(tokens.get("access_token")) and parse_time(tokens["expires_at"]) - _EARLY > datetime.now(UTC)
    except (KeyError, ValueError):
        return False


async def _ask(http: HttpSession, account: Account, grant: Mapping[str, str]) -> Tokens:
    client_id, client_secret, redirect_uri = _client(account)
    asked_at = datetime.now(UTC)
    answer = await http.request(
        "POST",
        TOKEN_PATH,
        json={"client_id": client_id, "client_secret": client_secret, "redirect_uri": redirect_uri, **grant},
        decode=decode_json,
        inspect=_refused,
    )
    value = answer.value
    found = {
        name: text
        for name in ("access_token", "refresh_token")
        if isinstance(value, dict) and isinstance(text := value.get(name), str) and text
    }
    seconds = value.get("expires_in") if isinstance(value, dict) else None
    if len(found) < 2 or type(seconds) is not int or seconds <= 0:
        raise RetryError("amoCRM answered without tokens: check base_url, and try again")
    for token in found.values():
        http.add_secret(token)
    return {**found, "expires_at": (asked_at + timedelta(seconds=seconds)).isoformat()}


def _refused(status: int, headers: Mapping[str, str], body: Any) -> ConnectorError | None:
    if status not in (400, 401, 403):
        return None
    hint = body.get("hint") if isinstance(body, dict) else None
    if status == 403:
        return ConfigError("amoCRM refuses the integration: it may be switched off or blocked, see its page in amoCRM")
    if isinstance(hint, str) and "revoked" in hint.lower():
        return ConfigError(f"the refresh_token was used or revoked: {_AUTHORISE}", status=401)
    return ConfigError(
        f"amoCRM refuses the code or refresh_token, client_id, client_secret or redirect_uri: check "
        f"them, or {_AUTHORISE}",
        status=401,
    )


def _client(account: Account) -> tuple[str, str, str]:
    for name in CLIENT:
        if not account.credentials.get(name, "").strip():
            raise ConfigError(f"the credential {name} is not set")
    first, second, third = (account.credentials[name].strip() for name in CLIENT)
    return first, second, third
