"""The dashboard as it runs in earnest, with projects, users and events."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

from dashboard import users
from database.connection import Connection, connect
from database.encryption import new_key
from database.environment import Environment
from database.repositories import stream_events
from database.repositories.stream_events import NewEvent
from database.repositories.users import Role
from tests.support.uvicorn_process import UvicornProcess

PROJECTS = ("print-shop", "mug-shop", "almond")
PASSWORD = "correct horse 1"

T = TypeVar("T")


@dataclass
class Dashboard:
    process: UvicornProcess
    environment: Environment
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def database_url(self) -> str:
        assert self.environment.database_url is not None
        return self.environment.database_url

    @property
    def cookie(self) -> str:
        return f"crm_elt_session_{self.process.port}"

    def do(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async def run() -> T:
            async with await connect(self.database_url) as connection:
                return await work(connection)

        return asyncio.run(run())

    def user(self, *, role: Role = "viewer", projects: list[str] | None = None) -> str:
        """A new user with the usual password; its login."""
        login = f"user-{next(self._numbers)}"
        self.do(lambda c: users.add(c, login, PASSWORD, role, projects, actor="test"))
        return login

    def log_in(self, login: str, password: str = PASSWORD) -> httpx.Response:
        """By JSON, as programs do; each login from an address of its own, as if through a proxy."""
        number = zlib.crc32(login.encode()) % 2**16
        return httpx.post(
            f"{self.url}/login", json={"login": login, "password": password}, timeout=30,
            headers={"x-forwarded-for": f"10.7.{number // 256}.{number % 256}"},
        )  # fmt: skip

    def token(self, login: str) -> str:
        answer = self.log_in(login)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def bearer(self, login: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(login)}"}

    @contextmanager
    def browser(self, login: str) -> Iterator[httpx.Client]:
        """A client with the cookies that a browser gets by the form."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            answer = client.post("/login", data={"login": login, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
            yield client

    def publish(self, *events: tuple[str, str, str]) -> list[int]:
        """Events of (project, kind, id of the CRM), each committed on its own; their ids."""
        return [self.publish_together([event])[0] for event in events]

    def publish_together(self, events: list[tuple[str, str, str]]) -> list[int]:
        async def work(connection: Connection) -> list[int]:
            async with connection.transaction():
                rows = [
                    NewEvent(project, kind, entity_id, "crm", {"order_id": entity_id, "status_id": "4"})  # type: ignore[arg-type]
                    for project, kind, entity_id in events
                ]
                await stream_events.publish(connection, rows)
                cursor = await connection.execute(
                    "select event_id from sync.stream_events order by event_id desc limit %s", [len(rows)]
                )
                return sorted(row["event_id"] for row in await cursor.fetchall())

        return self.do(work)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]

    def execute(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement, values)  # type: ignore[arg-type]


@contextmanager
def dashboard(database_url: str, folder: Path, **settings: object) -> Iterator[Dashboard]:
    """A dashboard on a migrated database, to which three projects are added."""
    environment = Environment(DATABASE_URL=database_url, home=folder, master_key=new_key())  # type: ignore[call-arg]
    process = UvicornProcess(
        "dashboard.main:app", folder, database_url, folder, environment.master_key or "", **settings
    )  # type: ignore[arg-type]
    process.set(dashboard_port=process.port)
    running = Dashboard(process, environment)
    for project in PROJECTS:
        running.execute(
            "insert into config.projects (project_id, name, crm, timezone) values (%s, %s, 'keycrm', 'Europe/Kyiv')",
            project,
            project,
        )
    process.start()
    try:
        yield running
    finally:
        if process.is_running:
            process.stop()
