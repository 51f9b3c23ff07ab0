"""A project's tokens in PostgreSQL: one process at a time fetches new ones, durable before they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from connectors.errors import ConfigError
from connectors.tokens import Obtain, Tokens
from database.connection import Connection, Pool
from database.encryption import EncryptionError, Keyring
from database.repositories import locks, tokens


def issued_for(credentials: Mapping[str, str]) -> bytes:
    """What tokens are stored with: other credentials make them void."""
    parts = (f"{name}\x00{value}" for name, value in sorted(credentials.items()))
    return hashlib.sha256("\x01".join(parts).encode()).digest()


class PostgresTokens:
    """Implements connectors.tokens.TokenStore for one project, as long as its credentials stay what they are."""

    def __init__(self, pool: Pool, keyring: Keyring, project_id: str, credentials: Mapping[str, str]) -> None:
        self._pool = pool
        self._keyring = keyring
        self._project_id = project_id
        self._issued_for = issued_for(credentials)
        self._seen: Tokens | None = None

    async def load(self) -> Tokens:
        """What is stored; what this process saw last, until `renew`. Raises ConfigError if it does not decrypt."""
        if self._seen is None:
            async with self._pool.connection() as connection:
                self._seen = await self._stored(connection)
        return self._seen

    async def renew(self, stale: Tokens, obtain: Obtain) -> Tokens:
        """As TokenStore says. The CRM is asked while the project's token lock is held, outside the pool."""
        async with locks.own_connection(self._pool) as connection, connection.transaction():
            await locks.wait_transaction(connection, tokens.lock_name(self._project_id))
            stored = await self._stored(connection)
            if stored != dict(stale):
                self._seen = stored
                return stored
            fresh = dict(await obtain(stored))
            await tokens.store(connection, self._keyring, self._project_id, self._issued_for, fresh)
        self._seen = fresh
        return fresh

    async def keep(self, fresh: Tokens) -> None:
        """Store tokens that came another way, as from an authorisation in the browser."""
        async with locks.own_connection(self._pool) as connection, connection.transaction():
            await locks.wait_transaction(connection, tokens.lock_name(self._project_id))
            await tokens.store(connection, self._keyring, self._project_id, self._issued_for, fresh)
        self._seen = dict(fresh)

    async def _stored(self, connection: Connection) -> dict[str, str]:
        try:
            return await tokens.load(connection, self._keyring, self._project_id, self._issued_for)
        except EncryptionError as error:
            raise ConfigError(f"The tokens of {self._project_id} cannot be decrypted: {error}") from None
