"""The way from a project's settings to its CRM: account, HTTP session, webhook verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors import registry
from connectors.errors import ConfigError, ConnectorError
from connectors.http import HttpSession, account_key
from connectors.protocol import Account, Connector, Health, WebhookAuth
from database.connection import Connection, Pool
from database.encryption import EncryptionError, Keyring
from database.repositories import credentials, settings
from database.repositories.credentials import WEBHOOK_SECRET
from database.repositories.rate_limits import PostgresRateLimiter
from database.repositories.settings import ProjectRow
from sync import projects
from sync.projects import Lookup
from sync.settings.rows import SYNC_DEFAULTS
from sync.tokens import PostgresTokens

_NO_ADDRESS = "http://no-api.invalid"
"""Of a project without an API, which asks nothing of its session; names under `invalid` never resolve."""


@dataclass(frozen=True, slots=True)
class ProjectAccount(Account):
    """An account with what its HTTP session needs."""

    limit: tuple[int, float] = (60, 60.0)
    is_limit_per_address: bool = False
    retry_attempts: int = 3
    max_concurrent: int = 10
    timeout: float = 30.0
    is_medical: bool = False


async def open_account(
    pool: Pool, connection: Connection, keyring: Keyring, project_id: str, lookup: Lookup = registry.get
) -> ProjectAccount:
    """The account of a project, credentials in clear; its tokens are fetched and stored through the pool.

    Raises ConfigError if there is no such project or connector, or a credential is missing or does not decrypt.
    """
    project = await projects.load(connection, project_id, lookup)
    row, capabilities = project.row, project.capabilities
    try:
        secrets = await credentials.load(connection, keyring, project_id)
    except EncryptionError as error:
        raise ConfigError(f"The credentials of {project_id} cannot be decrypted: {error}") from None
    if missing := capabilities.missing_credentials(secrets):
        raise ConfigError(
            f"{project_id} lacks the credential {', '.join(missing)}: set it and run `crm-elt apply` again."
        )
    base_url = row.base_url or capabilities.default_base_url or (None if capabilities.has_api else _NO_ADDRESS)
    if base_url is None:
        raise ConfigError(f"{project_id} has no base_url, and {row.crm} has no usual one: set it in the settings.")
    secrets.pop(WEBHOOK_SECRET, None)
    pull = {**SYNC_DEFAULTS, **row.sync}
    return ProjectAccount(
        project_id=project_id,
        crm=row.crm,
        base_url=base_url,
        credentials=secrets,
        context=project.context,
        options=row.options,
        batch_size=int(pull["batch_size"]),
        since=_time(pull["since"], row.timezone),
        tokens=PostgresTokens(pool, keyring, project_id, secrets),
        limit=_limit(row.options, capabilities.rate_limit),
        is_limit_per_address=capabilities.is_limit_per_address,
        retry_attempts=int(pull["retry_attempts"]),
        max_concurrent=int(pull["max_concurrent_requests"]),
        timeout=capabilities.timeout,
        is_medical=capabilities.is_medical,
    )


def open_session(pool: Pool, account: ProjectAccount, *, retry_attempts: int | None = None) -> HttpSession:
    """A session that keeps the account's rate limit together with all other processes. `retry_attempts`: instead of the
    project's. Raises ConfigError."""
    return HttpSession(
        base_url=account.base_url,
        account_key=account_key(account, is_per_address=account.is_limit_per_address),
        limit=account.limit,
        limiter=PostgresRateLimiter(pool),
        retry_attempts=account.retry_attempts if retry_attempts is None else retry_attempts,
        max_concurrent=account.max_concurrent,
        timeout=account.timeout,
        secrets=tuple(account.credentials.values()),
        is_confidential=account.is_medical,
        ca_file=account.options.get("ca_file"),
    )


async def webhook_auth(connection: Connection, keyring: Keyring, project_id: str) -> WebhookAuth:
    """How the project's webhooks are verified; without settings for it, none is.

    Raises ConfigError if there is no such project or its secret does not decrypt.
    """
    row = await settings.load_project(connection, project_id)
    if row is None:
        raise ConfigError(f"There is no project {project_id!r}: add it with `crm-elt apply`.")
    try:
        secrets = await credentials.load(connection, keyring, project_id)
    except EncryptionError as error:
        raise ConfigError(f"The webhook secret of {project_id} cannot be decrypted: {error}") from None
    return _webhook_auth(row, secrets)


async def check_health(pool: Pool, keyring: Keyring, project_id: str, lookup: Lookup = registry.get) -> Health:
    """Try the project's credentials with one cheap call."""
    try:
        async with pool.connection() as connection:
            account = await open_account(pool, connection, keyring, project_id, lookup)
        async with open_session(pool, account) as http:
            return await _connector(account, lookup).check_health(http, account)
    except ConnectorError as error:
        return Health(False, error.message)


async def register_webhook(
    pool: Pool, keyring: Keyring, project_id: str, url: str, lookup: Lookup = registry.get
) -> str:
    """Register the ingest API, whose public address is `url`, at the CRM; a sentence on what was done or is to do.

    Where the CRM is to send the project's secret as it is, the address carries it as `token`. Raises ConnectorError.
    """
    async with pool.connection() as connection:
        account = await open_account(pool, connection, keyring, project_id, lookup)
        auth = await webhook_auth(connection, keyring, project_id)
    target = f"{url.rstrip('/')}/webhooks/{account.crm}/{project_id}"
    async with open_session(pool, account) as http:
        if auth.secret and auth.scheme in ("token", "bearer"):
            http.add_secret(auth.secret)
            target += f"?token={quote(auth.secret, safe='')}"
        return await _connector(account, lookup).register_webhook(http, account, target)


def _connector(account: Account, lookup: Lookup) -> Connector:
    return projects.connector_of(account.crm, lookup)


def _webhook_auth(row: ProjectRow, secrets: Mapping[str, str]) -> WebhookAuth:
    webhook = row.webhook
    return WebhookAuth(
        scheme=webhook.get("auth") or "unset",
        secret=secrets.get(WEBHOOK_SECRET),
        header=(webhook.get("header") or "").lower() or None,
        encoding=webhook.get("encoding") or "hex",
        prefix=webhook.get("prefix") or "",
        ip_allow=tuple(webhook.get("ip_allow") or ()),
    )


def _limit(options: Mapping[str, Any], default: tuple[int, float]) -> tuple[int, float]:
    own = options.get("rate_limit")
    return default if not own else (int(own["requests"]), float(own["per_seconds"]))


def _time(value: str | None, timezone: str) -> datetime | None:
    """A day or time as in the settings: in the project's zone, unless it has an offset."""
    if value is None:
        return None
    time = datetime.fromisoformat(value)
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)
