"""Five hundred listeners on one process: all hear, over few connections to the database, until their rights end."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from dashboard_process import Dashboard

from dashboard import users
from database.connection import connect

pytestmark = pytest.mark.anyio

LISTENERS = 500
AT_ONCE = 50
SECONDS = 120.0

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def opened(dash: Dashboard, token: str, room: asyncio.Semaphore) -> Stream:
    """A stream whose first position has arrived."""
    parts = urlsplit(dash.url)
    async with room:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        request = f"GET /api/stream/orders HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {token}\r\n\r\n"
        writer.write(request.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"id: ")
    return reader, writer


async def test_five_hundred_listen_to_one_process(dash: Dashboard) -> None:
    login = await asyncio.to_thread(dash.user)
    token = await asyncio.to_thread(dash.token, login)
    room = asyncio.Semaphore(AT_ONCE)
    async with asyncio.timeout(SECONDS):
        streams = await asyncio.gather(*(opened(dash, token, room) for _ in range(LISTENERS)))
        await asyncio.to_thread(dash.publish, ("almond", "order", "first"), ("almond", "order", "second"))
        for entity_id in (b"first", b"second"):
            await asyncio.gather(*(reader.readuntil(b'"entity_id":"%b"' % entity_id) for reader, _ in streams))
        [row] = await asyncio.to_thread(
            dash.rows,
            "select count(*) as n from pg_stat_activity where application_name like 'crm-elt dashboard%%'"
            " and datname = current_database()",
        )
        assert row["n"] <= 1 + 8 + 4
        async with await connect(dash.database_url) as connection:
            await users.set_enabled(connection, login, is_enabled=False, actor="test")
        await asyncio.gather(*(reader.readuntil(b"event: end\n") for reader, _ in streams))
    for _, writer in streams:
        writer.close()
