"""What is shared by those who look at it within some seconds."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.analytics.sharing import Shared

pytestmark = pytest.mark.anyio


class World:
    """A clock, and something that is made by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False
        self.shared = Shared[int](fresh=15, kept=300, clock=lambda: self.now)

    async def make(self) -> int:
        await self.gate.wait()
        self.made += 1
        if self.fails:
            raise OSError("away")
        return self.made

    async def get(self, key: str = "all") -> int:
        return await self.shared.get(key, self.make)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world() -> World:
    return World()


async def others_go_on() -> None:
    """A few turns of the loop: all that does not wait for anything ends."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_fresh_is_not_made_again(world: World) -> None:
    assert await world.get() == 1
    world.now = 14.9
    assert await world.get() == 1
    assert await world.get("another") == 2
    assert world.made == 2


async def test_what_is_not_fresh_any_more_is_shown_once_more_while_it_is_made_anew(world: World) -> None:
    await world.get()
    world.now = 20
    world.gate.clear()
    assert [await world.get(), await world.get()] == [1, 1]  # nobody waits
    world.gate.set()
    await others_go_on()
    assert await world.get() == 2
    assert world.made == 2


async def test_what_is_too_old_is_waited_for_and_by_all_for_the_same(world: World) -> None:
    await world.get()
    world.now = 300
    assert await asyncio.gather(world.get(), world.get()) == [2, 2]


async def test_age_counts_from_when_it_was_begun(world: World) -> None:
    world.gate.clear()
    first = asyncio.ensure_future(world.get())
    await asyncio.sleep(0)
    world.now = 400
    world.gate.set()
    assert await first == 1
    assert await world.get() == 2


async def test_a_failure_is_told_to_those_who_wait_and_not_kept(world: World) -> None:
    world.fails = True
    with pytest.raises(OSError, match="away"):
        await world.get()
    world.fails = False
    assert await world.get() == 2
    world.now, world.fails = 20, True
    assert await world.get() == 2  # the one before, while the renewal fails
    await others_go_on()
    world.fails = False
    assert await world.get() == 2
    await others_go_on()
    assert await world.get() == 4
