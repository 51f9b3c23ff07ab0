"""config.credentials: the secrets of each project, encrypted. The webhook secret is the one named `webhook.secret`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg.rows import DictRow

from database.connection import Connection
from database.encryption import Keyring, Sealed
from database.repositories import audit

WEBHOOK_SECRET = "webhook.secret"  # noqa: S105
_ROTATION_LOCK = "crm_elt.credentials"


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """What may be shown of a stored credential."""

    name: str
    key_id: str
    updated_at: datetime


async def load(connection: Connection, keyring: Keyring, project_id: str) -> dict[str, str]:
    """All credentials of a project in clear. Raises EncryptionError if one does not open."""
    return {
        name: keyring.decrypt(project_id, name, sealed)
        for name, sealed in (await load_sealed(connection, project_id)).items()
    }


async def load_sealed(connection: Connection, project_id: str) -> dict[str, Sealed]:
    """All credentials of a project as they are stored."""
    cursor = await connection.execute(
        "select name, key_id, nonce, ciphertext from config.credentials where project_id = %s order by name",
        [project_id],
    )
    return {row["name"]: _sealed(row) for row in await cursor.fetchall()}


async def share_keys(connection: Connection) -> None:
    """Shared with other writers, not with `key_ids_in_use`: a key is not dropped between encrypting and committing."""
    await connection.execute("select pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [_ROTATION_LOCK])


async def store(connection: Connection, keyring: Keyring, project_id: str, values: Mapping[str, str]) -> None:
    """Set these credentials of a project, new or not; its others stay."""
    await share_keys(connection)
    for name, value in values.items():
        sealed = keyring.encrypt(project_id, name, value)
        await connection.execute(
            """
            insert into config.credentials (project_id, name, key_id, nonce, ciphertext)
            values (%s, %s, %s, %s, %s)
            on conflict (project_id, name) do update
                set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
                    updated_at = clock_timestamp()
            """,
            [project_id, name, sealed.key_id, sealed.nonce, sealed.ciphertext],
        )


async def remove(connection: Connection, project_id: str, names: Collection[str]) -> None:
    """Delete these credentials of a project."""
    await connection.execute(
        "delete from config.credentials where project_id = %s and name = any(%s)", [project_id, list(names)]
    )


async def describe(connection: Connection, project_id: str) -> list[CredentialInfo]:
    """Which credentials a project has, since when and under which key; never their values."""
    cursor = await connection.execute(
        "select name, key_id, updated_at from config.credentials where project_id = %s order by name", [project_id]
    )
    return [CredentialInfo(**row) for row in await cursor.fetchall()]


async def rotate(connection: Connection, keyring: Keyring, *, actor: str = "keys rotate") -> int:
    """Encrypt with the current key whatever is under another one, in one transaction per project. Returns how many.

    The connection must be in no transaction. Raises EncryptionError at the first credential that does not open; the
    projects before it are done, and a later call goes on.
    """
    current = keyring.current_key_id
    cursor = await connection.execute(
        "select distinct project_id from config.credentials where key_id <> %s order by project_id", [current]
    )
    projects = [row["project_id"] for row in await cursor.fetchall()]
    return sum([await _rotate_project(connection, keyring, project_id, current, actor) for project_id in projects])


async def key_ids_in_use(connection: Connection) -> set[str]:
    """Ids of the keys that stored credentials need. Until the caller's transaction ends no credential is written,
    so that keys outside the set can be dropped in it."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_ROTATION_LOCK])
    cursor = await connection.execute(
        """
        select key_id from config.credentials
        union select key_id from sync.tokens
        union select key_id from config.subscriptions
        """
    )
    return {row["key_id"] for row in await cursor.fetchall()}


async def drop_unused_keys(connection: Connection, home: Path) -> tuple[str, ...]:
    """Remove from the key file in `home` the previous keys that no stored credential needs. Returns their ids."""
    async with connection.transaction():
        return Keyring.drop_previous(home, await key_ids_in_use(connection))


async def _rotate_project(connection: Connection, keyring: Keyring, project_id: str, current: str, actor: str) -> int:
    async with connection.transaction():
        await share_keys(connection)
        cursor = await connection.execute(
            """
            select name, key_id, nonce, ciphertext
            from config.credentials
            where project_id = %s and key_id <> %s
            order by name
            for update
            """,
            [project_id, current],
        )
        rows = await cursor.fetchall()
        for row in rows:
            name = row["name"]
            sealed = keyring.encrypt(project_id, name, keyring.decrypt(project_id, name, _sealed(row)))
            await connection.execute(  # updated_at stays: the secret is the same
                """
                update config.credentials set key_id = %s, nonce = %s, ciphertext = %s
                where project_id = %s and name = %s
                """,
                [sealed.key_id, sealed.nonce, sealed.ciphertext, project_id, name],
            )
        if rows:
            await audit.record(
                connection,
                actor=actor,
                action="rotated",
                project_id=project_id,
                object="credentials",
                before={row["name"]: row["key_id"] for row in rows},
                after=dict.fromkeys((row["name"] for row in rows), current),
            )
        return len(rows)


def _sealed(row: DictRow) -> Sealed:
    return Sealed(row["key_id"], row["nonce"], row["ciphertext"])
