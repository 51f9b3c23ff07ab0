"""One call to Renovatio: form in, envelope out. No word of the vendor's gets into an error: it may name a patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.http import HttpSession, decode_json, read_retry_after
from connectors.protocol import Account
from connectors.renovatio.privacy import PLACES, Hasher, Rows, clean_rows

SPURIOUS_SECONDS = 2.0
"""Wait before asking again after "Auth error", which good keys get now and then."""
_RETRIED = frozenset({408, 425, 429})

_log = structlog.get_logger(__name__)


class TooWideError(PermanentError):
    """The server fails on a period: ask for less of it. Raised instead of RetryError where the caller wants that."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that has passed the gate; `code` is set where the vendor means failure, whatever the HTTP status."""

    rows: Rows
    code: str | None = None
    titles: tuple[str, ...] = ()
    """Of clinics, for the health check alone: they are shown to who asks, and never stored."""


async def call(
    http: HttpSession,
    account: Account,
    method: str,
    stream: str,
    params: Mapping[str, object] | None = None,
    *,
    may_be_too_wide: bool = False,
) -> tuple[Rows, datetime | None]:
    """The allow-listed rows of one method, and the server's clock. Raises ConnectorError.

    With `may_be_too_wide` a code 500 is a TooWideError at once; else it is retried as any other failure of the server.
    """
    answered, date = await ask(http, account, method, stream, params, may_be_too_wide=may_be_too_wide)
    return answered.rows, date


async def ask(
    http: HttpSession,
    account: Account,
    method: str,
    stream: str,
    params: Mapping[str, object] | None = None,
    *,
    may_be_too_wide: bool = False,
) -> tuple[Answered, datetime | None]:
    """The same with all that is known of the answer."""
    hasher = Hasher(account.credentials.get("salt"))
    # In the body, as addresses get logged.
    form = {"api_key": _key(account), **(params or {})}

    def decode(body: bytes) -> Answered:
        return _read(body, stream, hasher)

    def inspect(status: int, headers: Mapping[str, str], value: Any) -> ConnectorError | None:
        code = value.code if isinstance(value, Answered) else _code(value)
        return _refusal(status, code, headers, may_be_too_wide)

    try:
        answer = await http.request("POST", f"/{method}", form=form, decode=decode, inspect=inspect)
    except RetryError as error:
        if error.status == 401:
            raise ConfigError(error.message, status=401) from None
        raise
    except NotFoundError as error:
        raise ConfigError(error.message, status=404) from None
    return answer.value, answer.date


async def server_time(http: HttpSession, account: Account) -> datetime | None:
    """The server's clock by the cheapest call; None if it tells none, or refuses that method to this key."""
    try:
        _, date = await call(http, account, "getClinics", PLACES)
    except ConfigError as error:
        if error.status != 403:
            raise
        note_refused("getClinics")
        return None
    return date


def note_refused(method: str) -> None:
    """Rights are given method by method; the connector goes on without this one."""
    _log.warning("renovatio_method_refused", method=method, hint="ask the clinic's administrator for the right to it")


def _read(body: bytes, stream: str, hasher: Hasher) -> Answered:
    """Raises ValueError with a fixed sentence."""
    try:
        value = decode_json(body)
    except (msgspec.MsgspecError, ValueError):
        raise ValueError("it does not parse") from None
    if not isinstance(value, dict) or "error" not in value:
        raise ValueError("it has no field error")
    code = _code(value)
    if code is not None:
        return Answered(Rows(), code)
    data = value.get("data")
    titles = tuple(_titles(data)) if stream == PLACES else ()
    return Answered(clean_rows(data, stream, hasher), None, titles)


def _titles(data: Any) -> list[str]:
    rows = data if isinstance(data, list) else []
    found = (row.get("title") for row in rows if isinstance(row, dict))
    return [title.strip()[:60] for title in found if isinstance(title, str) and title.strip()]


def _code(value: Any) -> str | None:
    """The code of an envelope that says "failed", as text; None of one that says "done", or of something else."""
    if not isinstance(value, dict) or str(value.get("error")).strip().lower() in ("0", "", "none", "false"):
        return None
    data = value.get("data")
    code = str(data.get("code")).strip() if isinstance(data, dict) else ""
    return code if re.fullmatch(r"[0-9]{1,5}", code) else "unknown"


def _refusal(status: int, code: str | None, headers: Mapping[str, str], may_be_too_wide: bool) -> ConnectorError | None:
    is_good = 200 <= status < 300
    if is_good and code is None:
        return None
    # The status goes before the code, but for those two that say nothing by themselves.
    says_nothing = is_good or status == 400
    told = code if says_nothing and code is not None and code.isdigit() else None if is_good else str(status)
    number = int(told) if told is not None else 0
    if number == 401:
        return RetryError(
            "Renovatio refuses the credential api_key (401): copy the key anew from the clinic's administrator",
            status=401,
            retry_after=SPURIOUS_SECONDS,
        )
    if number in (402, 403):
        return ConfigError(
            f"the credential api_key has no right to this method ({number}): ask the clinic's administrator for it",
            status=number,
        )
    if not is_good and 300 <= status < 400:
        return ConfigError(f"the server answers with a redirect ({status}): check base_url", status=status)
    if not is_good and status == 404:
        return NotFoundError("there is no such method at this address (404): check base_url", status=404)
    if number == 500 and may_be_too_wide:
        return TooWideError("the server fails on a period as long as this (500)", status=500)
    if number in _RETRIED or number >= 500:
        return RetryError(f"the server fails ({number})", status=number, retry_after=read_retry_after(headers))
    return PermanentError(
        f"Renovatio refuses the request with the code {told or 'that it does not tell'}", status=number
    )


def _key(account: Account) -> str:
    key = account.credentials.get("api_key", "").strip()
    if not key:
        raise ConfigError("the credential api_key is not set")
    return key
