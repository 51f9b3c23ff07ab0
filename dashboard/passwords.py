"""Passwords: argon2id, a few at once, off the event loop."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dashboard.marks import N_

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 1024
_AT_ONCE = 2
"""Each takes 64 MiB and a core for some 50 ms: a flood of logins waits instead of filling the machine."""

_hasher = PasswordHasher()


def why_weak(password: str, login: str = "") -> str | None:
    """What is wrong with a new password, as a sentence with `%(least)s` or `%(most)s`; None if nothing is."""
    if len(password) < LEAST_CHARACTERS:
        return N_("A password needs at least %(least)s characters.")
    if len(password) > MOST_CHARACTERS:
        return N_("A password may have at most %(most)s characters.")
    if len(set(password)) < 4:
        return N_("The password repeats the same few characters; choose another.")
    if login and password.strip().lower() == login:
        return N_("The password must not be the login.")
    return None


def hash_password(password: str) -> str:
    """The text to store: argon2id with its parameters and salt. Takes some 50 ms."""
    return _hasher.hash(password)


class PasswordChecker:
    """Compares passwords with hashes, at most two at once."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._nobody: str | None = None

    async def is_right(self, password_hash: str, password: str) -> bool:
        if len(password) > MOST_CHARACTERS:
            return False
        async with self._room:
            return await asyncio.to_thread(_verify, password_hash, password)

    async def take_as_long(self, password: str) -> None:
        """What a check costs, for a login that does not exist: the time must not tell."""
        if self._nobody is None:
            self._nobody = await asyncio.to_thread(hash_password, "nobody has this password")
        await self.is_right(self._nobody, password)

    async def renewed(self, password_hash: str, password: str) -> str | None:
        """A new hash of a right password whose parameters are out of date; None if they are not."""
        if not _hasher.check_needs_rehash(password_hash):
            return None
        return await asyncio.to_thread(hash_password, password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
