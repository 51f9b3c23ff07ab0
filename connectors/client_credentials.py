"""OAuth2 client credentials: an access token from a token URL that the project's settings name."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from connectors.errors import ConfigError, NotFoundError, PermanentError
from connectors.http import HttpSession, decode_json
from connectors.tokens import Tokens
from connectors.values.times import parse_time

_LONGEST = timedelta(days=366)
_MARGIN = timedelta(seconds=30)


def is_fresh(tokens: Tokens, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> bool:
    """Whether there is an access token that is not about to expire. Without a known end it is good until refused."""
    if not tokens.get("access_token"):
        return False
    try:
        return "expires_at" not in tokens or now() < parse_time(tokens["expires_at"]) - _MARGIN
    except ValueError:
        return False


async def obtain_token(
    http: HttpSession,
    token_url: str,
    client_id: str,
    client_secret: str,
    *,
    scope: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Tokens:
    """`access_token`, and `expires_at` where the server tells. The client is named in a Basic header, as RFC 6749 wants
    it of every server, then in the form, which is all that some take.

    Raises ConfigError that names the wrong credential; RetryError.
    """
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    try:
        answer = await _ask(http, token_url, form, {"Authorization": _basic(client_id, client_secret)})
    except (ConfigError, PermanentError) as error:
        if error.status not in (400, 401):
            raise _explained(error) from None
        try:
            answer = await _ask(http, token_url, {**form, "client_id": client_id, "client_secret": client_secret}, {})
        except (ConfigError, PermanentError) as second:
            raise _explained(second) from None
    return _read(http, answer, now())


async def _ask(http: HttpSession, url: str, form: Mapping[str, object], headers: Mapping[str, str]) -> Any:
    answer = await http.request("POST", url, form=form, headers=headers, decode=decode_json, named_by="token_url")
    return answer.value


def _read(http: HttpSession, answer: Any, now: datetime) -> Tokens:
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise ConfigError("the answer of token_url has no access_token; check token_url")
    http.add_secret(token)
    kind = answer.get("token_type")
    if isinstance(kind, str) and kind.lower() != "bearer":
        raise ConfigError(f"token_url gives tokens of the type {kind[:40]!r}; only Bearer is known here")
    seconds = _seconds(answer.get("expires_in"))
    return {"access_token": token} | ({} if seconds is None else {"expires_at": (now + seconds).isoformat()})


def _seconds(value: Any) -> timedelta | None:
    """`expires_in` as a number or a text; None if it says nothing."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        seconds = Decimal(value)
        return timedelta(seconds=float(seconds)) if 0 < seconds <= _LONGEST.total_seconds() else None
    except InvalidOperation:
        return None


def _basic(client_id: str, client_secret: str) -> str:
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _explained(error: ConfigError | PermanentError) -> ConfigError:
    if isinstance(error, NotFoundError):
        return ConfigError("there is nothing at token_url: check it", status=error.status)
    if error.status in (400, 401, 403):
        return ConfigError(
            f"token_url refuses client_id and client_secret; check both ({error.message})", status=error.status
        )
    return ConfigError(error.message, status=error.status)
