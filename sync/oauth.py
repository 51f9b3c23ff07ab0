"""Access that a CRM grants in the browser: the address to open, and the tokens that the redirect back brings.

The state that travels with the browser is sealed with the master key: it names the project, expires, and cannot be made
by anybody else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from connectors import registry
from connectors.errors import ConfigError
from connectors.protocol import OAuthConnector
from connectors.values.times import parse_time
from database.connection import Connection, Pool
from database.encryption import EncryptionError, Keyring, Sealed
from database.repositories import credentials, tokens
from sync import projects
from sync.gateway import ProjectAccount, open_account, open_session
from sync.projects import Lookup
from sync.tokens import PostgresTokens, issued_for

STATE_LIFE = timedelta(minutes=30)
_NAME = "oauth.state"
"""What the sealed state is bound to, beside the project."""
_LONGEST = 2000

_log = structlog.get_logger(__name__)


class StateError(Exception):
    """The state is not ours, is too old, or is of another CRM. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Granted:
    project_id: str
    message: str
    """One sentence: which account it is."""
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """How a project stands with the access that its CRM grants in the browser; no token."""

    missing: tuple[str, ...]
    """Credentials that must be set before access can be asked for."""
    has_tokens: bool
    expires_at: datetime | None
    """When the access token does; it is renewed by itself."""


class _State(msgspec.Struct, array_like=True):
    project_id: str
    key_id: str
    nonce: bytes
    ciphertext: bytes


class _Content(msgspec.Struct, array_like=True):
    crm: str
    until: int


async def authorize_url(
    pool: Pool,
    keyring: Keyring,
    crm: str,
    project_id: str,
    *,
    now: datetime | None = None,
    lookup: Lookup = registry.get,
) -> str:
    """The address where the project's CRM grants access. Raises ConfigError."""
    account, connector = await _open(pool, keyring, crm, project_id, lookup)
    return connector.authorize_url(account, make_state(keyring, crm, project_id, now or datetime.now(UTC)))


async def grant_of(
    connection: Connection, keyring: Keyring, project_id: str, *, lookup: Lookup = registry.get
) -> Grant | None:
    """None where the project's CRM grants nothing in a browser. Raises ConfigError, EncryptionError."""
    project = await projects.load(connection, project_id, lookup)
    if not isinstance(project.connector, OAuthConnector):
        return None
    secrets = await credentials.load(connection, keyring, project_id)
    secrets.pop(credentials.WEBHOOK_SECRET, None)
    stored = await tokens.load(connection, keyring, project_id, issued_for(secrets))
    expires_at = stored.get("expires_at")
    # The set without a token is the one of the client that asks for tokens.
    clients = [names for names in project.capabilities.credential_sets if "client_id" in names]
    missing = tuple(name for names in clients[:1] for name in names if not secrets.get(name))
    return Grant(missing, bool(stored), None if expires_at is None else parse_time(expires_at))


async def finish(
    pool: Pool,
    keyring: Keyring,
    crm: str,
    query: Mapping[str, str],
    *,
    now: datetime | None = None,
    lookup: Lookup = registry.get,
) -> Granted:
    """Take what the redirect brought, and store the tokens. Raises StateError, ConnectorError."""
    project_id = read_state(keyring, crm, query.get("state", ""), now or datetime.now(UTC))
    return await finish_by_hand(pool, keyring, crm, project_id, query, lookup=lookup)


async def finish_by_hand(
    pool: Pool, keyring: Keyring, crm: str, project_id: str, query: Mapping[str, str], *, lookup: Lookup = registry.get
) -> Granted:
    """The same for a project that the caller may name. Raises ConnectorError."""
    account, connector = await _open(pool, keyring, crm, project_id, lookup)
    async with open_session(pool, account) as http:
        fresh = await connector.exchange_code(http, account, query)
        store = PostgresTokens(pool, keyring, project_id, account.credentials)
        await store.keep(fresh)
        health = await connector.check_health(http, account)
    async with pool.connection() as connection:
        is_enabled = (await projects.load(connection, project_id, lookup)).row.is_enabled
    _log.info("oauth_granted", project_id=project_id, crm=crm, is_healthy=health.ok)
    return Granted(project_id, health.message, is_enabled)


def make_state(keyring: Keyring, crm: str, project_id: str, now: datetime) -> str:
    """A sealed state for the project, valid for STATE_LIFE."""
    content = msgspec.json.encode(_Content(crm, int((now + STATE_LIFE).timestamp()))).decode()
    sealed = keyring.encrypt(project_id, _NAME, content)
    state = _State(project_id, sealed.key_id, sealed.nonce, sealed.ciphertext)
    return base64.urlsafe_b64encode(msgspec.json.encode(state)).decode().rstrip("=")


def read_state(keyring: Keyring, crm: str, text: str, now: datetime) -> str:
    """The project of a state. Raises StateError."""
    again = "run `crm-elt oauth CRM PROJECT` and open the new address"
    try:
        if not text or len(text) > _LONGEST:
            raise StateError(f"The address has no state of this stack: {again}.")
        state = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_State)
        opened = keyring.decrypt(state.project_id, _NAME, Sealed(state.key_id, state.nonce, state.ciphertext))
        content = msgspec.json.decode(opened, type=_Content)
    except (msgspec.MsgspecError, binascii.Error, ValueError, EncryptionError):
        raise StateError(f"The address has no state of this stack: {again}.") from None
    if content.crm != crm:
        raise StateError(f"The state belongs to another CRM: {again}.")
    if now.timestamp() > content.until:
        raise StateError(f"The address was opened too long ago: {again}.")
    return state.project_id


async def _open(
    pool: Pool, keyring: Keyring, crm: str, project_id: str, lookup: Lookup
) -> tuple[ProjectAccount, OAuthConnector]:
    async with pool.connection() as connection:
        account = await open_account(pool, connection, keyring, project_id, lookup)
    if account.crm != crm:
        raise ConfigError(f"{project_id} is a project of {account.crm}, not of {crm}.")
    connector = projects.connector_of(crm, lookup)
    if not isinstance(connector, OAuthConnector):
        raise ConfigError(f"{crm} takes its credentials from the settings; there is nothing to grant in a browser.")
    return account, connector
