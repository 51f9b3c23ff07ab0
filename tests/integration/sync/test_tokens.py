"""Tokens of a CRM: one process at a time fetches new ones, they are durable before use, and nobody reads them."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping

import pytest

from connectors.errors import ConfigError
from connectors.tokens import Tokens, call_with_tokens
from database.encryption import Keyring
from database.environment import Environment
from database.repositories import credentials, tokens
from sync.tokens import PostgresTokens
from tests.support.world import World

pytestmark = pytest.mark.anyio
NEW_KEY = b"n" * 32
CREDENTIALS = {"client_id": "c", "client_secret": "s3cret-of-the-client"}


class Vendor:
    """Gives a refresh token that works once."""

    def __init__(self) -> None:
        self.valid = "refresh-0"
        self.issued = 0

    async def refresh(self, old: Tokens) -> Tokens:
        given = old.get("refresh_token", "refresh-0")
        if given != self.valid:
            raise ConfigError("the refresh token was used before", status=401)
        await asyncio.sleep(0)
        self.issued += 1
        self.valid = f"refresh-{self.issued}"
        return {"access_token": f"access-{self.issued}", "refresh_token": self.valid}

    async def ask(self, given: Tokens) -> str:
        if given.get("access_token") != f"access-{self.issued}":
            raise ConfigError("the access token is refused", status=401)
        return "answer"


def store(world: World, values: Mapping[str, str] = CREDENTIALS) -> PostgresTokens:
    """As another process would have it."""
    return PostgresTokens(world.pool, world.keyring, "shop", values)


async def test_many_processes_that_are_refused_at_once_refresh_once(world: World) -> None:
    vendor = Vendor()
    first = store(world)
    await first.renew({}, vendor.refresh)
    others = [store(world) for _ in range(5)]
    for other in others:
        await other.load()
    vendor.issued += 1  # the access token has expired; the refresh token is good still
    answers = await asyncio.gather(*(call_with_tokens(other, vendor.refresh, vendor.ask) for other in others))
    assert answers == ["answer"] * 5
    assert vendor.issued == 3


async def test_tokens_are_durable_before_they_are_used(world: World) -> None:
    vendor = Vendor()

    async def use(given: Tokens) -> str:
        assert await store(world).load() == given
        return await vendor.ask(given)

    assert await call_with_tokens(store(world), vendor.refresh, use) == "answer"


async def test_tokens_are_void_when_the_credentials_change(world: World) -> None:
    await store(world).keep({"access_token": "a"})
    assert await store(world).load() == {"access_token": "a"}
    assert await store(world, {**CREDENTIALS, "client_secret": "another"}).load() == {}


async def test_stored_tokens_are_encrypted_and_follow_a_rotation_of_keys(
    world: World, environment: Environment
) -> None:
    await store(world).keep({"access_token": "plain-access-token"})
    (row,) = await world.rows("select * from sync.tokens")
    assert b"plain-access-token" not in bytes(row["ciphertext"])
    assert environment.master_key is not None
    newer = Keyring([NEW_KEY, b64decode(environment.master_key)])
    async with world.pool.connection() as connection:
        assert await tokens.rotate(connection, newer) == 1
        assert await tokens.rotate(connection, newer) == 0
        await credentials.rotate(connection, newer)
        async with connection.transaction():
            assert await credentials.key_ids_in_use(connection) == {newer.current_key_id}
    alone = PostgresTokens(world.pool, Keyring([NEW_KEY]), "shop", CREDENTIALS)
    assert await alone.load() == {"access_token": "plain-access-token"}


async def test_tokens_that_do_not_decrypt_are_told(world: World) -> None:
    await store(world).keep({"access_token": "a"})
    other = PostgresTokens(world.pool, Keyring([b"x" * 32]), "shop", CREDENTIALS)
    with pytest.raises(ConfigError, match="tokens of shop cannot be decrypted"):
        await other.load()


async def test_a_refusal_leaves_what_is_stored(world: World) -> None:
    vendor = Vendor()
    mine = store(world)
    await mine.keep({"access_token": "old", "refresh_token": "used-already"})
    with pytest.raises(ConfigError, match="used before"):
        await call_with_tokens(mine, vendor.refresh, vendor.ask)
    assert await store(world).load() == {"access_token": "old", "refresh_token": "used-already"}
