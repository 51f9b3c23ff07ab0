"""Calls of the YCLIENTS REST API: two tokens in one header, one envelope, refusals that come with status 200."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from connectors.errors import ConfigError, ConnectorError, NotFoundError, RetryError
from connectors.http import Answer, HttpSession, Inspect, Params, decode_json, read_retry_after
from connectors.protocol import Account

BASE_URL = "https://api.yclients.com/api/v1"
RATE_LIMIT = (3, 1.0)
"""The vendor allows 5 requests in a second and 200 in a minute; this is within both."""

_LIMIT_SAID = re.compile(r"превышен лимит|лимит запросов|too many|rate limit|limit exceeded", re.IGNORECASE)
_NOT_FOUND_SAID = re.compile(r"не найден|not found", re.IGNORECASE)
_RIGHTS_SAID = re.compile(r"нет прав|недостаточно прав|нет доступа|доступ запрещ|forbidden|no access", re.IGNORECASE)
_LOGIN_SAID = re.compile(r"авториз|unauthori[sz]ed|токен|token", re.IGNORECASE)
_EMPTY_SAID = re.compile(r"\s*(?:ничего )?не найдено[.!]?\s*|\s*not found[.!]?\s*", re.IGNORECASE)


class Envelope(msgspec.Struct):
    """`meta` is an object, or an empty list where there is nothing to tell. `data` stays as it came."""

    success: Any = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    meta: Any = None


_envelope = msgspec.json.Decoder(Envelope)
_rows = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw] | None)


def company_of(account: Account) -> str:
    """The company that the project is. Raises ConfigError."""
    company = account.options.get("company_id")
    if isinstance(company, bool) or not isinstance(company, int) or company <= 0:
        raise ConfigError("options.company_id is not set: it is the number of the company in the addresses of YCLIENTS")
    return str(company)


def headers_of(account: Account, *, is_partner_only: bool = False) -> dict[str, str]:
    """Both tokens in one header; `is_partner_only` leaves the user out. Raises ConfigError."""
    partner = _token(account, "partner_token")
    authorization = f"Bearer {partner}"
    if not is_partner_only:
        authorization += f", User {_token(account, 'user_token')}"
    host = urlsplit(account.base_url).hostname or ""
    vendor = "api" if host == "alteg.io" or host.endswith(".alteg.io") else "yclients"
    return {"Authorization": authorization, "Accept": f"application/vnd.{vendor}.v2+json"}


async def call(
    http: HttpSession,
    account: Account,
    method: str,
    path: str,
    *,
    params: Params | None = None,
    json: Any = None,
    is_partner_only: bool = False,
) -> msgspec.Raw:
    """`data` of the answer as it came. Calls that read, and those that may be repeated, only.

    Raises RetryError, also for a throttle that answers 200; ConfigError; NotFoundError; PermanentError.
    """
    headers = headers_of(account, is_partner_only=is_partner_only)
    http.add_secret(account.credentials["partner_token"].strip())
    answer: Answer[Envelope | None] = await http.request(
        method, path, params=params, json=json, headers=headers, decode=_envelope.decode, inspect=_inspector()
    )
    # 201, 202 and 204 may come without a body.
    return msgspec.Raw(b"null") if answer.value is None else answer.value.data


async def call_object(
    http: HttpSession, account: Account, method: str, path: str, **settings: Any
) -> tuple[dict[str, Any], bytes]:
    """An answer that is one object: decoded, and as it came. Raises what `call` raises."""
    raw = bytes(await call(http, account, method, path, **settings))
    value = decode_json(raw)
    if isinstance(value, list) and len(value) == 1:  # some calls wrap it
        value = value[0]
        raw = b""
    if not isinstance(value, dict):
        raise RetryError(f"{method} {path}: YCLIENTS answers without the object that was asked for")
    return value, raw


async def call_rows(http: HttpSession, account: Account, method: str, path: str, **settings: Any) -> list[msgspec.Raw]:
    """An answer that is a list. Some lists say "Не найдено" where they are empty. Raises what `call` raises."""
    try:
        data = await call(http, account, method, path, **settings)
    except NotFoundError as error:
        said = error.message.rpartition(": ")[2]
        if _EMPTY_SAID.fullmatch(said):
            return []
        raise ConfigError(f"{error.message} (check options.company_id and base_url)", status=404) from None
    try:
        rows = _rows.decode(data)
    except msgspec.MsgspecError:
        raise RetryError(f"{method} {path}: YCLIENTS answers without the list that was asked for") from None
    # PHP writes a list that was filtered as an object keyed by position.
    return list(rows.values()) if isinstance(rows, dict) else rows or []


def _token(account: Account, name: str) -> str:
    token = account.credentials.get(name, "").strip()
    if not token:
        raise ConfigError(f"the credential {name} is not set")
    if not token.isascii() or not token.isprintable() or "," in token or " " in token:
        raise ConfigError(f"the credential {name} has characters that no token has")
    return token


def _inspector() -> Inspect:
    """Says what an answer means; waits longer with each refusal of the throttle, which names no time."""
    waits: Iterator[float] = (float(2**attempt) for attempt in range(16))

    def inspect(status: int, headers: Mapping[str, str], value: Any) -> ConnectorError | None:
        said = _message(value)
        if status == 429 or (200 <= status < 300 and _is_failure(value) and _LIMIT_SAID.search(said)):
            wait = read_retry_after(headers)
            return RetryError(
                said or "too many requests", status=429, retry_after=next(waits) if wait is None else wait
            )
        if status in (402, 403):
            return ConfigError(
                f"YCLIENTS refuses ({status}{f', {said}' if said else ''}): the company's licence has ended, or "
                "the user of user_token lacks the right",
                status=status,
            )
        if status == 404 and said:
            return NotFoundError(said, status=404)
        return _of_failure(said) if 200 <= status < 300 and _is_failure(value) else None

    return inspect


def _of_failure(said: str) -> ConnectorError:
    """What a failure with a good status is, by its words."""
    if _NOT_FOUND_SAID.search(said):
        return NotFoundError(said, status=404)
    if _RIGHTS_SAID.search(said):
        return ConfigError(f"{said} (the user of user_token lacks the right)", status=403)
    if _LOGIN_SAID.search(said):
        return ConfigError(f"{said} (check the credentials partner_token and user_token)", status=401)
    return RetryError(said or "YCLIENTS says that the call has failed, and not why")


def _is_failure(value: Any) -> bool:
    success = (
        value.success if isinstance(value, Envelope) else value.get("success") if isinstance(value, dict) else None
    )
    return success is not True and success != 1


def _message(value: Any) -> str:
    meta = value.meta if isinstance(value, Envelope) else value.get("meta") if isinstance(value, dict) else None
    said = meta.get("message") if isinstance(meta, dict) else None
    return " ".join(said.split())[:200] if isinstance(said, str) else ""
