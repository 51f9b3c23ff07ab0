"""Tokens that a CRM gives for a while: session tokens, OAuth2 access and refresh tokens.

They belong to a project, not to a process: a refresh token that is used twice locks the account out. So they live in a
store that all processes share, which keeps them encrypted and lets one process at a time fetch new ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import anyio

from connectors.errors import ConfigError

T = TypeVar("T")
Tokens = Mapping[str, str]
"""By name, such as access_token, refresh_token, expires_at; empty: there are none yet."""
Obtain = Callable[[Tokens], Awaitable[Tokens]]
"""Asks the CRM for new tokens, given those that are stored now."""


class TokenStore(Protocol):
    """One project's tokens."""

    async def load(self) -> Tokens:
        """What is stored."""
        ...

    async def renew(self, stale: Tokens, obtain: Obtain) -> Tokens:
        """Tokens other than `stale`: those that somebody else has stored meanwhile, else what `obtain` brings, durable
        before it is returned. One caller at a time in all processes. Errors of `obtain` pass through."""
        ...


class MemoryTokens:
    """Keeps tokens in this process only: for tests, and for accounts that are tried before they are stored."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens: Tokens = dict(tokens or {})
        self._lock = anyio.Lock()

    async def load(self) -> Tokens:
        return self._tokens

    async def renew(self, stale: Tokens, obtain: Obtain) -> Tokens:
        async with self._lock:
            if dict(self._tokens) == dict(stale):
                self._tokens = dict(await obtain(self._tokens))
            return self._tokens


async def call_with_tokens(
    store: TokenStore,
    obtain: Obtain,
    call: Callable[[Tokens], Awaitable[T]],
    *,
    is_fresh: Callable[[Tokens], bool] = bool,
) -> T:
    """`call` with the stored tokens; with new ones first if these are not fresh, and once more with new ones if the CRM
    refuses them (ConfigError with status 401)."""
    tokens = await store.load()
    if not is_fresh(tokens):
        tokens = await store.renew(tokens, obtain)
    try:
        return await call(tokens)
    except ConfigError as error:
        if error.status != 401:
            raise
    return await call(await store.renew(tokens, obtain))
