"""config.subscriptions: who downstream may read the feed of sales, and is sent it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from database.connection import Connection
from database.encryption import Keyring, Sealed
from database.repositories import credentials


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    subscription_id: str
    url: str | None
    project_ids: list[str] | None
    is_medical: bool
    sealed: Sealed = field(repr=False)
    is_enabled: bool = True
    disabled_reason: str | None = None
    position: int = 0

    def secret(self, keyring: Keyring) -> str:
        """Raises EncryptionError."""
        return keyring.decrypt(_bound_to(self.subscription_id), "secret", self.sealed)


async def load_all(connection: Connection) -> list[SubscriptionRow]:
    cursor = await connection.execute(
        """
        select subscription_id, url, project_ids, is_medical, key_id, nonce, ciphertext, is_enabled, disabled_reason,
            position
        from config.subscriptions
        order by subscription_id
        """
    )
    return [_row(row) for row in await cursor.fetchall()]


async def upsert(
    connection: Connection,
    keyring: Keyring,
    subscription_id: str,
    *,
    url: str | None,
    project_ids: list[str] | None,
    is_medical: bool,
    secret: str,
) -> None:
    """Make the subscription so. A new one is sent what changes from now on."""
    await credentials.share_keys(connection)
    sealed = keyring.encrypt(_bound_to(subscription_id), "secret", secret)
    await connection.execute(
        """
        insert into config.subscriptions (
            subscription_id, url, project_ids, is_medical, key_id, nonce, ciphertext, position
        )
        values (%s, %s, %s, %s, %s, %s, %s, (select coalesce(max(position), 0) from core.transaction_changes))
        on conflict (subscription_id) do update
            set url = excluded.url, project_ids = excluded.project_ids, is_medical = excluded.is_medical,
                key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
                updated_at = now()
        """,
        [subscription_id, url, project_ids, is_medical, sealed.key_id, sealed.nonce, sealed.ciphertext],
    )


async def set_enabled(connection: Connection, subscription_id: str, *, enabled: bool, reason: str | None) -> bool:
    """Whether there is such a subscription."""
    cursor = await connection.execute(
        """
        update config.subscriptions set is_enabled = %s, disabled_reason = %s, updated_at = now()
        where subscription_id = %s
        """,
        [enabled, reason, subscription_id],
    )
    return cursor.rowcount > 0


async def remove(connection: Connection, subscription_id: str) -> bool:
    """With what waits for it. Whether there was such a subscription."""
    cursor = await connection.execute("delete from config.subscriptions where subscription_id = %s", [subscription_id])
    return cursor.rowcount > 0


async def rotate(connection: Connection, keyring: Keyring) -> int:
    """Encrypt with the current key whatever is under another one. Returns how many. Raises EncryptionError."""
    count = 0
    async with connection.transaction():
        await credentials.share_keys(connection)
        cursor = await connection.execute(
            "select subscription_id, key_id, nonce, ciphertext from config.subscriptions where key_id <> %s for update",
            [keyring.current_key_id],
        )
        for row in await cursor.fetchall():
            bound_to = _bound_to(row["subscription_id"])
            secret = keyring.decrypt(bound_to, "secret", Sealed(row["key_id"], row["nonce"], row["ciphertext"]))
            sealed = keyring.encrypt(bound_to, "secret", secret)
            await connection.execute(
                "update config.subscriptions set key_id = %s, nonce = %s, ciphertext = %s where subscription_id = %s",
                [sealed.key_id, sealed.nonce, sealed.ciphertext, row["subscription_id"]],
            )
            count += 1
    return count


def _bound_to(subscription_id: str) -> str:
    """What the ciphertext is bound to, where that of a credential has its project: no project has a slash."""
    return f"subscription/{subscription_id}"


def _row(row: dict[str, Any]) -> SubscriptionRow:
    sealed = Sealed(row.pop("key_id"), row.pop("nonce"), row.pop("ciphertext"))
    return SubscriptionRow(**row, sealed=sealed)
