"""How orchestrated code reaches crm-elt: environment, database and keys, opened inside the run and never at import."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import dagster as dg

from database.connection import Connection, Pool, connect, open_pool
from database.encryption import Keyring
from database.environment import Environment, load_environment
from database.server import ensure_url
from orchestration import interrupts

T = TypeVar("T")


class CrmElt(dg.ConfigurableResource):  # type: ignore[type-arg]
    """It has no configuration, so that no secret can stand in one: all comes from the environment of the process."""

    def environment(self) -> Environment:
        return load_environment()

    def url(self) -> str:
        return ensure_url(self.environment())

    def query(self, function: Callable[[Connection], Awaitable[T]]) -> T:
        """Result of a function of one connection: for ticks and checks."""

        async def call() -> T:
            async with await connect(self.url(), application="crm-elt dagster tick") as connection:
                return await function(connection)

        return asyncio.run(call())

    def flow(self, function: Callable[[Pool, Keyring], Awaitable[T]]) -> T:
        """Result of a flow of `sync`, given a pool and the keys."""

        async def call() -> T:
            keyring = Keyring.load(self.environment())
            async with open_pool(self.url(), application="crm-elt dagster") as pool:
                return await function(pool, keyring)

        return interrupts.run(call())
