"""sync.tokens: what a CRM has given for a while, encrypted, one row per project."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from database.connection import Connection
from database.encryption import Keyring, Sealed
from database.repositories import credentials

NAME = "tokens"
"""What the ciphertext is bound to, beside the project."""


def lock_name(project_id: str) -> str:
    """Held by the one who asks the CRM for new tokens."""
    return f"tokens.{project_id}"


async def load(connection: Connection, keyring: Keyring, project_id: str, issued_for: bytes) -> dict[str, str]:
    """The stored tokens; none if they were got with other credentials. Raises EncryptionError."""
    cursor = await connection.execute(
        "select key_id, nonce, ciphertext from sync.tokens where project_id = %s and issued_for = %s",
        [project_id, issued_for],
    )
    row = await cursor.fetchone()
    if row is None:
        return {}
    opened = keyring.decrypt(project_id, NAME, Sealed(row["key_id"], row["nonce"], row["ciphertext"]))
    return msgspec.json.decode(opened, type=dict[str, str])


async def store(
    connection: Connection, keyring: Keyring, project_id: str, issued_for: bytes, tokens: Mapping[str, str]
) -> None:
    """Keep these tokens in place of all others of the project, in the caller's transaction."""
    await credentials.share_keys(connection)
    sealed = keyring.encrypt(project_id, NAME, msgspec.json.encode(dict(tokens)).decode())
    await connection.execute(
        """
        insert into sync.tokens (project_id, key_id, nonce, ciphertext, issued_for)
        values (%s, %s, %s, %s, %s)
        on conflict (project_id) do update
            set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
                issued_for = excluded.issued_for, updated_at = clock_timestamp()
        """,
        [project_id, sealed.key_id, sealed.nonce, sealed.ciphertext, issued_for],
    )


async def rotate(connection: Connection, keyring: Keyring) -> int:
    """Encrypt with the current key whatever is under another one. Returns how many. Raises EncryptionError."""
    count = 0
    async with connection.transaction():
        await credentials.share_keys(connection)
        cursor = await connection.execute(
            "select project_id, key_id, nonce, ciphertext from sync.tokens where key_id <> %s for update",
            [keyring.current_key_id],
        )
        for row in await cursor.fetchall():
            project_id = row["project_id"]
            opened = keyring.decrypt(project_id, NAME, Sealed(row["key_id"], row["nonce"], row["ciphertext"]))
            sealed = keyring.encrypt(project_id, NAME, opened)
            await connection.execute(
                "update sync.tokens set key_id = %s, nonce = %s, ciphertext = %s where project_id = %s",
                [sealed.key_id, sealed.nonce, sealed.ciphertext, project_id],
            )
            count += 1
    return count
