"""HTTP to a CRM: one rate limit per account, retries that honour Retry-After, errors in four words, no secrets in text.

A connector gets an open `HttpSession` and asks for JSON. What is special about a vendor is passed per request: headers,
`decode` for bodies that are not JSON, `inspect` for vendors that say "failed" with status 200.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

import anyio
import httpx
import msgspec
import structlog

from connectors.addresses import GuardedTransport
from connectors.errors import (
    ConfigError,
    ConnectorError,
    NotFoundError,
    PermanentError,
    RetryError,
    UnreachableError,
)
from connectors.masking import mask_text

if TYPE_CHECKING:
    from connectors.protocol import Account

# httpx logs every URL, query and all, at INFO; some CRMs take their key in the query.
logging.getLogger("httpx").addFilter(lambda record: record.levelno >= logging.WARNING)

T = TypeVar("T")
JSON = Any
Params = Mapping[str, object] | Sequence[tuple[str, object]]
Decode = Callable[[bytes], T]
Inspect = Callable[[int, Mapping[str, str], Any], ConnectorError | None]
"""(status, headers, decoded body) -> what the vendor means where the status does not say it; None: it is good."""

MAX_RETRY_AFTER = 3600.0
MAX_WAIT = 120.0
"""Longest sleep between two attempts; where the CRM asks for more, the caller is told and comes back later."""
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Largest body that is read, unpacked."""
_MESSAGE_LENGTH = 200
_EXCHANGE_BYTES = 20_000
_BOM = b"\xef\xbb\xbf"
_FORM = "application/x-www-form-urlencoded"

_log = structlog.get_logger(__name__)
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode_json(content: bytes | str) -> JSON:
    """JSON with exact numbers: fractions are Decimal, whole numbers are int of any size. Raises ValueError."""
    if isinstance(content, str):
        content = content.encode()
    try:
        return _decoder.decode(content.removeprefix(_BOM))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def encode_json(value: JSON) -> bytes:
    """JSON in UTF-8 with exact numbers and no escapes but the needed ones."""
    return _encoder.encode(value)


class RateLimiter(Protocol):
    """Shared by all processes that use an account."""

    async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
        """Wait until one more request is allowed: at most `limit[0]` in any `limit[1]` seconds."""
        ...

    async def block(self, account_key: str, seconds: float) -> None:
        """Let nobody through for that long: the CRM asked for it."""
        ...


class UnlimitedLimiter:
    """Lets everything through: for tests and for CRMs without a limit."""

    async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
        return

    async def block(self, account_key: str, seconds: float) -> None:
        return


def account_key(account: Account, *, is_per_address: bool = False) -> str:
    """Names what a rate limit belongs to: an account, or our IP address. Tokens that are renewed do not change it."""
    credentials = {} if is_per_address else dict(account.credentials)
    if "client_id" in credentials:
        credentials.pop("access_token", None)
        credentials.pop("refresh_token", None)
    parts = [account.crm, account.base_url.rstrip("/").lower(), *(f"{k}={v}" for k, v in sorted(credentials.items()))]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    value: T
    date: datetime | None
    """The server's own clock, from the header Date: whole seconds."""


@dataclass(frozen=True, slots=True)
class _Request:
    client: httpx.AsyncClient
    method: str
    url: str
    name: str
    """For messages."""
    setting: str
    """The one that has the address."""
    content: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    is_write: bool = False


class Scrubber:
    """Takes secrets out of text."""

    _NAME = r"[\w-]*(?:token|api_?key|secret|password|signature)"
    _VALUE = r"[^&\s\"',;]+"
    _PATTERNS = (
        (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), r"\1 ***"),
        (re.compile(rf"(?i)(?<![\w-])({_NAME})(\"?\s*=\s*\"?){_VALUE}"), r"\1\2***"),
        # A path's last part is no name of a secret: after "POST /access_token: " comes what the CRM answers.
        (re.compile(rf"(?i)(?<![/\w-])({_NAME})(\"?\s*:\s*\"?){_VALUE}"), r"\1\2***"),
    )

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._ordered: list[str] = []
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        # What is shorter than this would be found in innocent words.
        new = {form for secret in secrets if len(secret) >= 4 for form in (secret, quote(secret, safe=""))}
        if not new <= self._secrets:
            self._secrets |= new
            self._ordered = sorted(self._secrets, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        for secret in self._ordered:
            text = text.replace(secret, "***")
        for pattern, replacement in self._PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class HttpSession:
    """An open connection to one account. Use as an async context manager; safe for concurrent requests."""

    def __init__(
        self,
        *,
        base_url: str,
        account_key: str,
        limit: tuple[int, float],
        limiter: RateLimiter,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        retry_attempts: int = 3,
        max_concurrent: int = 10,
        secrets: Iterable[str] = (),
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        is_confidential: bool = False,
        ca_file: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`timeout` is for one attempt, its whole body included; `retry_attempts` are those after the first one;
        `secrets` never appear in an error or a log line, nor, where it `is_confidential`, a word that the CRM says.
        A body larger than `max_response_bytes` is not read. `ca_file` holds the certificates (PEM) of the authority
        that signed the server's, where that is a private one. Raises ConfigError if base_url is no http address, or the
        file cannot be read."""
        self.account_key = account_key
        self.max_concurrent = max(1, max_concurrent)
        self.last_response_date: datetime | None = None
        self._origin, self._prefix = _split_base(base_url)
        self._headers = dict(headers or {})
        self._limit = limit
        self._limiter = limiter
        self._timeout = timeout
        self._retries = max(0, retry_attempts)
        self._slots = anyio.Semaphore(self.max_concurrent)
        self._sleep = sleep
        self._scrubber = Scrubber(secrets)
        self._is_confidential = is_confidential
        self._ca_file = ca_file
        self._max_bytes = max_response_bytes
        self._transport = transport
        self._allowed_hosts: frozenset[str] | None = None
        """None: requests may go to any address."""
        self._client = self._open(self._origin)
        self._others: dict[str, httpx.AsyncClient] = {}
        """By origin: addresses besides the CRM's that the project's settings name."""

    def _open(self, origin: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=self.max_concurrent, max_keepalive_connections=self.max_concurrent)
        verify = _tls(origin, self._ca_file)
        given = self._transport
        transport = given
        if self._allowed_hosts is not None:
            transport = GuardedTransport(
                self._allowed_hosts, lambda: given or httpx.AsyncHTTPTransport(verify=verify, limits=limits)
            )
        return httpx.AsyncClient(
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, 10.0)),
            limits=limits,
            transport=transport,
            follow_redirects=False,  # the key must not follow to another host
            trust_env=not _is_loopback(origin),
            verify=verify,
        )

    async def restrict(self, allowed_hosts: Collection[str], max_response_bytes: int = MAX_RESPONSE_BYTES) -> None:
        """From now on no request goes to an address of this machine or a private network, but to these hosts, and no
        larger body is read. For connectors whose addresses are what somebody wrote into the settings."""
        self._max_bytes = min(max_response_bytes, MAX_RESPONSE_BYTES)
        hosts = frozenset(allowed_hosts)
        if hosts == self._allowed_hosts:
            return
        clients = (self._client, *self._others.values())
        self._allowed_hosts, self._others = hosts, {}
        self._client = self._open(self._origin)
        for client in clients:
            await client.aclose()

    async def __aenter__(self) -> HttpSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in (self._client, *self._others.values()):
            await client.aclose()

    def add_secret(self, secret: str) -> None:
        """Another text that must never be seen: a token that was just fetched."""
        self._scrubber.add(secret)

    def scrub(self, text: str) -> str:
        return self._scrubber.scrub(text)

    async def request_json(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: JSON = None,
        idempotent: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> JSON:
        """The decoded JSON body of a 2xx answer; None if it has no body. Errors as in `request`."""
        answer = await self.request(
            method, path, params=params, json=json, idempotent=idempotent, headers=headers, decode=decode_json
        )
        return answer.value

    async def request(
        self,
        method: str,
        path: str,
        *,
        decode: Decode[T],
        params: Params | None = None,
        json: JSON = None,
        form: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = True,
        inspect: Inspect | None = None,
        accept: frozenset[int] = frozenset(),
        named_by: str | None = None,
        is_write: bool = False,
    ) -> Answer[T]:
        """One request with its retries.

        `path` is below the base URL, or an absolute URL of the same host. `accept` names statuses that are answers
        although they are not 2xx. What is not `idempotent` is repeated after 429 only.

        `named_by` is the setting of the project that has `path` as its value, such as `token_url`: that address alone
        may be on another host. The session's own headers are not sent there. Never give it for what a CRM told.

        `is_write`: an error carries what was sent and what the CRM said to it, for the dead letter. Of reads, whose
        answers may tell of people, no word is kept.

        Raises RetryError (network, 408, 429, 5xx, a 200 that `decode` cannot read), ConfigError (401, 402, 403, a
        redirect), NotFoundError (404), PermanentError (other 4xx).
        """
        client = self._client if named_by is None else self._client_of(path, named_by)
        url = self._url(path, params, is_named=named_by is not None)
        own = self._headers if named_by is None else {}
        sent = {"Accept": "application/json", **own, **(headers or {})}
        self._scrubber.add(*_secrets_of(sent))
        content: bytes | None = None
        if json is not None:
            content, sent["Content-Type"] = encode_json(json), "application/json"
        elif form is not None:
            content, sent["Content-Type"] = _urlencode(form).encode(), _FORM
        name = f"{method} {path.partition('?')[0]}"
        asked = _Request(client, method, url, name, named_by or "base_url", content, sent, is_write)
        for attempt in range(self._retries + 1):
            try:
                return await self._attempt(asked, decode, inspect, accept)
            except RetryError as error:
                wait = error.retry_after
                if wait is None:
                    wait = min(30.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
                if error.status == 429 or error.retry_after is not None:
                    await self._limiter.block(self.account_key, wait)
                if attempt == self._retries or wait > MAX_WAIT or not (idempotent or error.status == 429):
                    raise
                _log.warning(
                    "http_retry",
                    request=self.scrub(name),
                    status=error.status,
                    reason=error.message,
                    wait=round(wait, 2),
                )
                await self._sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(
        self, asked: _Request, decode: Decode[T], inspect: Inspect | None, accept: frozenset[int]
    ) -> Answer[T]:
        name = asked.name
        async with self._slots:
            await self._limiter.acquire(self.account_key, self._limit)
            try:
                with anyio.fail_after(self._timeout):
                    async with asked.client.stream(
                        asked.method, asked.url, content=asked.content, headers=asked.headers
                    ) as response:
                        body = await self._read(name, response)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                where = urlsplit(asked.url).netloc
                why = f" ({error})" if str(error) else ""
                raise UnreachableError(
                    self.scrub(f"{name}: {where} cannot be reached{why}: check {asked.setting} and the network")
                ) from None
            except (TimeoutError, httpx.TimeoutException):
                raise RetryError(self.scrub(f"{name}: no answer within {self._timeout:g} s")) from None
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                # Not chained: an httpx error carries the request, headers and all.
                # It may quote the answer: a line of a body where a header should be.
                said = "" if self._is_confidential else f": {error}"
                raise RetryError(self.scrub(f"{name}: {type(error).__name__}{said}")) from None
        status = response.status_code
        date = _read_date(response.headers.get("date"))
        self.last_response_date = date or self.last_response_date
        if not (200 <= status < 300 or status in accept):
            refused = self._inspected(name, inspect, status, response.headers, _json_or_none(body)) or self._refusal(
                asked, status, response.headers, body
            )
            raise self._with_exchange(refused, asked, body)
        if not body and status != 200:
            return Answer(status, _plain_headers(response.headers), cast(T, None), date)
        try:
            value = decode(body)
        except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as problem:
            said = "" if self._is_confidential else f": {_short(str(problem))}"
            raise RetryError(
                self.scrub(f"{name}: the answer is not the JSON it should be ({len(body)} bytes){said}"),
                status=status,
            ) from None
        if (meant := self._inspected(name, inspect, status, response.headers, value)) is not None:
            raise self._with_exchange(meant, asked, body)
        return Answer(status, _plain_headers(response.headers), value, date)

    async def _read(self, name: str, response: httpx.Response) -> bytes:
        """The body, unpacked. Raises PermanentError as soon as it is too large; of an error page that is, the start."""
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._max_bytes:
                if not response.is_success:
                    break
                most = f"{self._max_bytes / 1024 / 1024:g} MiB"
                raise PermanentError(self.scrub(f"{name}: the answer is larger than {most}: ask for smaller pages"))
            parts.append(part)
        return b"".join(parts)

    def _inspected(
        self, name: str, inspect: Inspect | None, status: int, headers: httpx.Headers, value: Any
    ) -> ConnectorError | None:
        if inspect is None or (error := inspect(status, _plain_headers(headers), value)) is None:
            return None
        message = self.scrub(mask_text(f"{name}: {error.message}"))
        return type(error)(message, status=error.status or status, retry_after=error.retry_after)

    def _refusal(self, asked: _Request, status: int, headers: httpx.Headers, body: bytes) -> ConnectorError:
        said = "" if self._is_confidential else vendor_message(body)
        text = self.scrub(mask_text(f"{asked.name}: the CRM answers {status}{f': {said}' if said else ''}"))
        if status in (401, 402, 403):
            hint = {401: "check the credentials", 402: "the account is not paid", 403: "the credentials lack the right"}
            return ConfigError(f"{text} ({hint[status]})", status=status)
        if 300 <= status < 400:
            return ConfigError(f"{text} (a redirect: check {asked.setting})", status=status)
        if status == 404:
            return NotFoundError(text, status=status)
        if status in (408, 425, 429) or status >= 500:
            return RetryError(text, status=status, retry_after=read_retry_after(headers))
        return PermanentError(text, status=status)

    def _with_exchange(self, error: ConnectorError, asked: _Request, body: bytes) -> ConnectorError:
        """What was asked and answered, for the dead letter of a write."""
        if asked.is_write and not self._is_confidential:
            sent = (asked.content or b"").decode(errors="replace")
            if asked.headers.get("Content-Type") == _FORM:
                sent = unquote(sent)
            error.request = self.scrub(f"{asked.name} {sent[:_EXCHANGE_BYTES]}".strip())
            error.answer = self.scrub(body[:_EXCHANGE_BYTES].decode(errors="replace"))
        return error

    def _client_of(self, url: str, setting: str) -> httpx.AsyncClient:
        """For an address that the settings name. Raises ConfigError if it is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
            raise ConfigError(f"{setting} must be http(s)://host/path, without a user or a fragment")
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        if origin == self._origin.lower():
            return self._client
        if origin not in self._others:
            self._others[origin] = self._open(origin)
        return self._others[origin]

    def _url(self, path: str, params: Params | None, *, is_named: bool = False) -> str:
        if path.startswith(("http://", "https://")):
            parts = urlsplit(path)
            if not is_named and f"{parts.scheme}://{parts.netloc}".lower() != self._origin.lower():
                raise PermanentError("the CRM points to another host; the credentials stay here")
            url = path
        else:
            url = f"{self._origin}{self._prefix}/{path.lstrip('/')}"
        query = _urlencode(params) if params else ""
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks for, given as a number or as an HTTP date; None if it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", value):
        return min(float(value), MAX_RETRY_AFTER)
    until = _read_date(value)
    if until is None:
        return None
    now = _read_date(headers.get("date")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def vendor_message(body: bytes) -> str:
    """What the vendor says went wrong, cut short; empty if it says nothing that people should read (such as HTML)."""
    value = _json_or_none(body)
    found = _find_message(value, 0)
    if isinstance(value, dict) and isinstance(value.get("errors"), dict | list) and value["errors"]:
        found = f"{found or ''} {encode_json(value['errors']).decode()}".strip()
    return _short(found or "")


def _find_message(value: Any, depth: int) -> str | None:
    if not isinstance(value, dict) or depth > 3:
        return None
    for key in (
        "message",
        "errorMsg",
        "errorDescription",
        "detail",
        "desc",
        "error_description",
        "title",
        "value",
        "error",
    ):
        if isinstance(value.get(key), str) and value[key]:
            return cast(str, value[key])
    for key in ("message", "meta", "odata.error", "data", "error"):
        if (found := _find_message(value.get(key), depth + 1)) is not None:
            return found
    return None


def _json_or_none(body: bytes) -> Any:
    try:
        return decode_json(body) if body else None
    except (msgspec.MsgspecError, ValueError):
        return None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 1] + "…"


def _split_base(base_url: str) -> tuple[str, str]:
    parts = urlsplit(base_url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigError("base_url must be http(s)://host/path, without a user, a query or a fragment")
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _tls(origin: str, ca_file: str | None) -> ssl.SSLContext | bool:
    if not origin.startswith("https:"):
        return False  # no TLS to set up
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:  # SSLError is one
        raise ConfigError(
            "the option ca_file names no readable file of certificates in PEM form: check the path"
        ) from None


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _urlencode(params: Params) -> str:
    """Brackets stay as they are: some servers do not decode them in names."""
    pairs = params.items() if isinstance(params, Mapping) else params
    return "&".join(f"{quote(name, safe='[]')}={quote(_as_text(value), safe=',:')}" for name, value in pairs)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _secrets_of(headers: Mapping[str, str]) -> list[str]:
    found = []
    for name, value in headers.items():
        if re.search(r"auth|key|token|secret|cookie", name, re.IGNORECASE):
            found += [value, value.rpartition(" ")[2]]
    return found


def _plain_headers(headers: httpx.Headers) -> dict[str, str]:
    return dict(headers.items())


def _read_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
