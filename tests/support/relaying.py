"""A relay in the test's own process, and waiting for what it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sync import relay
from tests.support.world import World


@asynccontextmanager
async def running_relay(world: World, name: str = "test") -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(world.url, world.keyring, stop=stop, lookup=world.lookup, instance=name))
    try:
        await until(lambda: is_beating(world), task)
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def is_beating(world: World) -> bool:
    return bool(await world.value("select count(*) from sync.heartbeats where process = 'relay'"))


async def until(
    condition: Callable[[], Awaitable[bool]], task: asyncio.Task[Any] | None = None, seconds: float = 30
) -> float:
    """Seconds until the condition holds."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await condition():
            if task is not None and task.done():
                task.result()
                raise AssertionError("the relay ended")
            await asyncio.sleep(0.01)
    return time.monotonic() - started
