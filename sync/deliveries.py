"""Sends the changes of sales to subscriptions, signed as Standard Webhooks (standardwebhooks.com) says.

Each sale's versions arrive in order; a version may arrive twice (with the same webhook-id), and none is left out: what
an address does not take within `RETRY_SECONDS` becomes a dead letter, and its owner is alerted once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import structlog

from connectors.http import Scrubber
from connectors.webhook_auth import standard_keys
from database.connection import Pool
from database.encryption import EncryptionError, Keyring
from database.repositories import alerts, dead_letters, feed, subscriptions
from database.repositories.dead_letters import Letter
from database.repositories.feed import Delivery, TransactionChange
from database.repositories.subscriptions import SubscriptionRow

RETRY_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Waits between attempts, as Standard Webhooks suggests: some three days."""
TIMEOUT_SECONDS = 15.0
LEASE_SECONDS = 60.0
"""After so long a sender that died is given up. More than a request may take."""
AT_ONCE = 20
SOURCE = "subscription"
"""Of dead letters; their raw_id is the delivery's id."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    status: int | None
    error: str | None
    """None: the address took it."""


def payload_of(change: TransactionChange) -> dict[str, Any]:
    """What the feed and the webhooks tell of one version: amounts are decimal text, times ISO 8601 in UTC."""
    return {
        "position": change.position,
        "project_id": change.project_id,
        "external_id": change.external_id,
        "state": change.state,
        "crm": change.crm,
        "occurred_at": change.occurred_at.isoformat(),
        "amount": str(change.amount),
        "currency": change.currency,
        "customer_id": change.customer_id,
        "phone_e164": change.phone_e164,
        "email": change.email,
        "description": change.description,
        "order_id": change.order_id,
        "is_medical": change.is_medical,
        "changed_at": change.changed_at.isoformat(),
    }


def message_of(change: TransactionChange) -> bytes:
    """The body of a webhook."""
    return msgspec.json.encode(
        {
            "type": f"transaction.{change.state}",
            "timestamp": change.changed_at.isoformat(),
            "data": payload_of(change),
        }
    )


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: one signature for each secret that is valid now."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digests = [hmac.digest(key, signed, hashlib.sha256) for key in standard_keys(secret)]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


async def send_due(pool: Pool, keyring: Keyring, *, limit: int = 100) -> int:
    """Plan what is new, and try what is due, once each; how many were tried. Raises psycopg.Error."""
    async with pool.connection() as connection:
        await feed.plan_deliveries(connection)
        due = await feed.claim_deliveries(connection, limit, LEASE_SECONDS)
        if not due:
            return 0
        changes = await feed.load_changes(connection, [delivery.position for delivery in due])
        known = {row.subscription_id: row for row in await subscriptions.load_all(connection)}
    slots = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:

        async def work(delivery: Delivery) -> None:
            async with slots:
                row, change = known[delivery.subscription_id], changes[delivery.position]
                await _settle(pool, delivery, row, change, await _send(client, keyring, row, change))

        async with asyncio.TaskGroup() as tasks:
            for delivery in due:
                tasks.create_task(work(delivery))
    return len(due)


async def _send(client: httpx.AsyncClient, keyring: Keyring, row: SubscriptionRow, change: TransactionChange) -> Sent:
    if row.url is None:
        return Sent(None, "the subscription has no address any more")
    try:
        secret = row.secret(keyring)
    except EncryptionError as error:
        return Sent(None, f"its secret cannot be decrypted: {error}")
    body, now = message_of(change), int(time.time())
    message_id = f"{row.subscription_id}.{change.position}"
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, message_id, now, body),
    }
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await client.post(row.url, content=body, headers=headers)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
        return Sent(None, Scrubber([secret]).scrub(f"{type(error).__name__}: {error}")[:300])
    if 200 <= answer.status_code < 300:
        return Sent(answer.status_code, None)
    return Sent(answer.status_code, f"the address answers {answer.status_code}")


async def _settle(pool: Pool, delivery: Delivery, row: SubscriptionRow, change: TransactionChange, sent: Sent) -> None:
    async with pool.connection() as connection, connection.transaction():
        if sent.error is None:
            await feed.finish_delivery(connection, delivery.delivery_id, "sent", status=sent.status)
            await dead_letters.resolve_delivery(connection, change.project_id, delivery.delivery_id)
            return
        if sent.status == 410:
            reason = "its address answered 410 Gone"
            await subscriptions.set_enabled(connection, row.subscription_id, enabled=False, reason=reason)
            await feed.postpone_delivery(
                connection, delivery.delivery_id, 0.0, status=sent.status, error="the address is gone"
            )
            message = f"Subscription {row.subscription_id} was disabled: {reason}."
            await alerts.raise_once(
                connection, change.project_id, "subscription_gone", [(row.subscription_id, message)]
            )
            _log.error("subscription_disabled", subscription=row.subscription_id, reason=reason)
            return
        if delivery.attempts <= len(RETRY_SECONDS):
            wait = RETRY_SECONDS[delivery.attempts - 1] * random.uniform(1.0, 1.1)  # noqa: S311 - jitter
            await feed.postpone_delivery(connection, delivery.delivery_id, wait, status=sent.status, error=sent.error)
            return
        await feed.finish_delivery(connection, delivery.delivery_id, "failed", status=sent.status, error=sent.error)
        letter = Letter(
            SOURCE, "permanent", f"Subscription {row.subscription_id}: {sent.error}", raw_id=delivery.delivery_id,
            stream="transactions", crm_id=change.external_id, payload=message_of(change).decode(),
        )  # fmt: skip
        await dead_letters.open_outbound(connection, change.project_id, letter)
        message = (
            f"Subscription {row.subscription_id} does not take what it is sent ({sent.error}): "
            "see `crm-elt dead-letters list`."
        )
        await alerts.raise_once(connection, change.project_id, "delivery_failed", [(row.subscription_id, message)])
        _log.error("delivery_failed", subscription=row.subscription_id, position=delivery.position, error=sent.error)


def opens(rows: Sequence[SubscriptionRow], keyring: Keyring, given: str) -> SubscriptionRow | None:
    """The enabled subscription of which this is a secret. All are looked at, in constant time each."""
    found = None
    for row in rows:
        try:
            secrets = row.secret(keyring).replace(",", " ").split()
        except EncryptionError as error:
            _log.warning("subscription_secret_unreadable", subscription=row.subscription_id, error=str(error))
            continue
        for secret in secrets:
            if hmac.compare_digest(given.encode(), secret.encode()) and row.is_enabled:
                found = row
    return found
