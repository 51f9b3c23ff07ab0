"""A fresh database with a toy CRM and projects of it, for tests of the flows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from database.connection import Pool
from database.encryption import Keyring
from database.repositories import credentials, settings
from database.repositories.settings import ProjectValues
from tests.support.toy_crm import ToyCrm


class World:
    """What most tests need, with short names."""

    def __init__(self, url: str, pool: Pool, keyring: Keyring) -> None:
        self.url, self.pool, self.keyring = url, pool, keyring
        self.crm = ToyCrm()

    def lookup(self, crm: str) -> Any:
        return {"toy": self.crm}[crm]

    async def add_project(self, project_id: str = "shop", *, key: str = "k-0123456789", **values: Any) -> None:
        given = {
            "name": project_id,
            "crm": "toy",
            "base_url": "http://127.0.0.1:9",
            "timezone": "Europe/Kyiv",
            "region": "UA",
            "currency": "UAH",
            "near_threshold": Decimal("0.8"),
            "webhook": {},
            "sync": {},
            "options": {},
            "status_map": {},
            "conflict_policy": "newest",
            **values,
        }
        async with self.pool.connection() as connection, connection.transaction():
            await settings.upsert_project(connection, project_id, ProjectValues(**given))
            if key:
                name = "api_key" if given["crm"] == "keycrm" else "key"
                await credentials.store(connection, self.keyring, project_id, {name: key})

    async def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def value(self, query: str, *parameters: Any) -> Any:
        rows = await self.rows(query, *parameters)
        return next(iter(rows[0].values()))

    async def execute(self, statement: str, *parameters: Any) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(statement, parameters)

    async def webhook(self, *bodies: str, project_id: str = "shop", crm: str = "toy") -> list[int]:
        """Land webhooks as the ingest API does."""
        async with self.pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(
                """
                insert into raw.webhook_events (project_id, crm, content_hash, body)
                select %s, %s, sha256(convert_to(body, 'UTF8')), body from unnest(%s::text[]) as b (body)
                returning event_id
                """,
                [project_id, crm, list(bodies)],
            )
            ids = [row["event_id"] for row in await cursor.fetchall()]
            await connection.execute(
                "insert into sync.raw_queue (project_id, source, raw_ids) values (%s, 'webhook', %s)", [project_id, ids]
            )
        return ids

    async def snapshot(self, project_id: str = "shop") -> dict[str, list[dict[str, Any]]]:
        """A project's core without surrogate keys and times of writing."""
        skipped = {"event_id", "ingested_at", "updated_at"}
        tables = await self.rows("select table_name from information_schema.tables where table_schema = 'core'")
        found = {}
        for table in sorted(row["table_name"] for row in tables):
            rows = await self.rows(f"select * from core.{table} where project_id = %s", project_id)
            found[table] = sorted(
                ({name: value for name, value in row.items() if name not in skipped} for row in rows), key=repr
            )
        return found

    async def counts(self) -> dict[str, int]:
        """Rows of every table of raw and core."""
        tables = await self.rows(
            "select table_schema || '.' || table_name as name from information_schema.tables"
            " where table_schema in ('raw', 'core')"
        )
        return {row["name"]: await self.value(f"select count(*) from {row['name']}") for row in tables}
