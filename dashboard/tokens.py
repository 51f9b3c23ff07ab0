"""Session tokens: JWT, HS256, signed with keys that follow from the master keys. They say which session, not who.

Tokens for scripts (dashboard.script_tokens) are random, and told apart by how they begin.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import jwt

from database.encryption import Keyring

_ALGORITHM = "HS256"
_ISSUER = "crm-elt"
_PURPOSE = "dashboard session"
SCRIPT_PREFIX = "crm_"
_LONGEST_SCRIPT_TOKEN = 200
"""Characters: what is longer is no token of ours."""


def is_script_token(text: str) -> bool:
    return text.startswith(SCRIPT_PREFIX) and len(text) <= _LONGEST_SCRIPT_TOKEN


def script_hash(token: str) -> bytes:
    """What is stored of a token for scripts. Plain SHA-256 is enough: nobody can guess 256 random bits."""
    return sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Token:
    session_id: UUID
    generation: int
    issued_at: datetime
    expires_at: datetime


class TokenError(Exception):
    """Not a token of ours, or expired. The message is one sentence."""


class Tokens:
    """Signs with the current master key; those of the previous keys are still read while keys are rotated."""

    def __init__(self, keyring: Keyring, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keyring = keyring
        self._now = now

    def issue(self, session_id: UUID, generation: int, expires_at: datetime) -> str:
        key_id, key = next(iter(self._keyring.derived(_PURPOSE).items()))
        claims = {
            "iss": _ISSUER, "sid": str(session_id), "gen": generation, "iat": self._now(), "exp": expires_at,
        }  # fmt: skip
        return jwt.encode(claims, key, _ALGORITHM, headers={"kid": key_id})

    def read(self, text: str) -> Token:
        """Raises TokenError."""
        try:
            key = self._keyring.derived(_PURPOSE).get(str(jwt.get_unverified_header(text).get("kid")))
            if key is None:
                raise TokenError("The session is of an earlier master key: log in again.")
            claims = jwt.decode(
                text, key, [_ALGORITHM], issuer=_ISSUER,
                options={"require": ["iss", "sid", "gen", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )  # fmt: skip
            token = Token(
                UUID(claims["sid"]),
                int(claims["gen"]),
                datetime.fromtimestamp(claims["iat"], UTC),
                datetime.fromtimestamp(claims["exp"], UTC),
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise TokenError("The session cannot be read: log in again.") from None
        if token.expires_at <= self._now():
            raise TokenError("The session has expired: log in again.")
        return token

    def csrf(self, session_id: UUID) -> str:
        """What an unsafe request with the session's cookie must bring along: only who can read our pages knows it."""
        return self._csrf(session_id, next(iter(self._keyring.derived(_PURPOSE).values())))

    def is_csrf(self, session_id: UUID, given: str) -> bool:
        keys = self._keyring.derived(_PURPOSE).values()
        return any(hmac.compare_digest(self._csrf(session_id, key).encode(), given.encode()) for key in keys)

    @staticmethod
    def _csrf(session_id: UUID, key: bytes) -> str:
        return hmac.new(key, b"csrf " + session_id.bytes, sha256).hexdigest()
