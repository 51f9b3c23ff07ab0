"""The ingest API as it runs in earnest: a uvicorn process of its own, configured by the environment alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from database.connection import connect
from database.encryption import Keyring
from database.environment import Environment
from sync.settings import apply_settings
from tests.support.uvicorn_process import UvicornProcess

TOKEN = "tok-7f3a91c5e2"
HMAC_SECRET = "hmac-secret-55aa"
SETTINGS = f"""
projects:
  - id: print-shop
    name: Print shop
    crm: keycrm
    base_url: http://127.0.0.1:9/v1
    timezone: Europe/Kyiv
    credentials: {{api_key: key-1}}
    webhook: {{auth: token, secret: {TOKEN}}}
  - id: signed-shop
    name: Signed shop
    crm: keycrm
    base_url: http://127.0.0.1:9/v1
    timezone: Europe/Kyiv
    credentials: {{api_key: key-2}}
    webhook: {{auth: hmac, secret: {HMAC_SECRET}, header: X-Shop-Hash}}
  - id: open-shop
    name: Open shop
    crm: keycrm
    base_url: http://127.0.0.1:9/v1
    timezone: Europe/Kyiv
    credentials: {{api_key: key-3}}
    webhook: {{auth: none}}
  - id: bare-shop
    name: Shop without webhook settings
    crm: keycrm
    base_url: http://127.0.0.1:9/v1
    timezone: Europe/Kyiv
    credentials: {{api_key: key-4}}
"""


def order(order_id: object = 501, **changes: object) -> dict[str, Any]:
    """A webhook as KeyCRM sends it."""
    context = {
        "id": order_id, "source_id": 3, "client_id": 40, "status_group_id": 4, "status_id": 11,
        "status_changed_at": "2026-03-02T09:15:00.000000Z", "grand_total": 1200, "payment_status": "not_paid",
        "created_at": "2026-03-01T08:00:05.000000Z", "updated_at": "2026-03-02T09:15:00.000000Z",
    }  # fmt: skip
    return {"event": "order.change_order_status", "context": {**context, **changes}}


class IngestProcess(UvicornProcess):
    """The ingest API."""

    def __init__(self, folder: Path, database_url: str, home: Path, master_key: str, **settings: object) -> None:
        super().__init__("ingest_api.main:app", folder, database_url, home, master_key, **settings)  # type: ignore[arg-type]


@dataclass
class Ingest:
    process: IngestProcess
    environment: Environment
    client: httpx.Client

    @property
    def database_url(self) -> str:
        assert self.environment.database_url is not None
        return self.environment.database_url

    def send(self, body: object, *, project: str = "print-shop", token: str | None = TOKEN) -> httpx.Response:
        """A webhook of KeyCRM: bytes as they are, anything else as JSON."""
        query = {} if token is None else {"token": token}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.post(f"/webhooks/keycrm/{project}", params=query, **content)  # type: ignore[arg-type]

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        return rows(self.database_url, statement, *values)

    def event(self, response: httpx.Response) -> dict[str, Any]:
        """The raw row of an accepted webhook."""
        assert response.status_code == 200, response.text
        (row,) = self.rows("select * from raw.webhook_events where event_id = %s", response.json()["event_id"])
        return row


def apply(environment: Environment, text: str) -> None:
    """`crm-elt apply`."""

    async def run() -> None:
        assert environment.database_url is not None
        async with await connect(environment.database_url) as connection:
            await apply_settings(
                connection, Keyring.load(environment), text, source="test.yaml", environ={}, actor="test"
            )

    asyncio.run(run())


def rows(url: str, statement: str, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]
