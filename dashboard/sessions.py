"""Logging in, staying logged in, logging out.

A token names a session and its generation. A cookie's token is replaced every few minutes; the one before it holds
until the new one was used, and a minute longer, for requests that were under way. One that is older than that was
copied: the session ends, for whoever has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from dashboard.identity import Identity, identity_of, identity_of_script
from dashboard.passwords import PasswordChecker
from dashboard.problems import UnauthorisedError
from dashboard.throttle import Throttle
from dashboard.tokens import TokenError, Tokens, is_script_token, script_hash
from database.connection import Connection
from database.repositories import script_tokens, sessions, users
from database.repositories.sessions import Kind, SessionRow
from database.repositories.users import Locked
from web.problems import ProblemError

TOKEN_SECONDS = 12 * 3600.0
"""How long one may be away."""
SESSION_SECONDS = 30 * 86400.0
"""After that a password is asked for in any case."""
ROTATE_SECONDS = 600.0
GRACE_SECONDS = 60.0
MOST_FAILURES = 5
LOCK_SECONDS = 900.0
MOST_FAILURES_OF_ADDRESS = 100
"""An office or a proxy may be one address."""
ADDRESS_SECONDS = 300.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """A session with the token that its user is to keep."""

    identity: Identity
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """A request's user."""

    identity: Identity
    new_token: str | None = field(default=None, repr=False)
    """To be kept instead of the one that was sent."""


class Sessions:
    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._passwords = PasswordChecker()
        self._unknown = Throttle(MOST_FAILURES, LOCK_SECONDS)
        self._addresses = Throttle(MOST_FAILURES_OF_ADDRESS, ADDRESS_SECONDS)

    async def open(self, connection: Connection, login: str, password: str, address: str, kind: Kind) -> Opened:
        """Raises ProblemError: 401 wrong, 403 disabled, 429 too many failures. Whether a login exists is not told."""
        if seconds := self._addresses.locked_for(address):
            raise _locked(seconds)
        name = normalised(login)
        attempt = await users.begin_attempt(connection, name, most_failures=MOST_FAILURES, lock_seconds=LOCK_SECONDS)
        if isinstance(attempt, Locked):
            self._addresses.fail(address)
            raise _locked((attempt.until - datetime.now(UTC)).total_seconds())
        if attempt is None:
            if seconds := self._unknown.locked_for(name):
                self._addresses.fail(address)
                raise _locked(seconds)
            await self._passwords.take_as_long(password)
            self._unknown.fail(name)
        if attempt is None or not await self._passwords.is_right(attempt.password_hash, password):
            self._addresses.fail(address)
            log.warning("login_failed", user=None if attempt is None else attempt.user_id)
            raise UnauthorisedError("wrong_login", "The login or the password is wrong.")
        if not attempt.is_enabled:
            await users.note_success(connection, attempt.user_id)
            raise ProblemError(403, "disabled", "This user is disabled: ask an admin to enable it.")
        async with connection.transaction():
            await users.note_success(connection, attempt.user_id)
            if renewed := await self._passwords.renewed(attempt.password_hash, password):
                await users.replace_hash(connection, attempt.user_id, attempt.password_hash, renewed)
            session_id, expires_at = await sessions.open_session(
                connection, attempt.user_id, kind, attempt.token_version,
                token_seconds=TOKEN_SECONDS, seconds=SESSION_SECONDS,
            )  # fmt: skip
        row = (await self._load(connection, session_id)).get(session_id)
        if row is None:
            raise UnauthorisedError("session_ended", "The session ended while it was opened: log in again.")
        log.info("logged_in", user=row.user_id, kind=kind)
        return Opened(identity_of(row), self.tokens.issue(session_id, row.generation, expires_at))

    async def authenticate(self, connection: Connection, text: str) -> Known:
        """The user or the script of a token. Raises ProblemError, 401."""
        if is_script_token(text):
            script = await script_tokens.use(connection, script_hash(text))
            if script is None:
                raise UnauthorisedError("not_logged_in", "There is no such token, or it has expired or was revoked.")
            return Known(identity_of_script(script))
        try:
            token = self.tokens.read(text)
        except TokenError as error:
            raise UnauthorisedError("not_logged_in", str(error)) from None
        row = (await self._load(connection, token.session_id)).get(token.session_id)
        if row is None:
            raise UnauthorisedError("session_ended", "The session has ended: log in again.")
        if token.generation == row.generation:
            if not row.is_confirmed:
                await sessions.confirm(connection, row.session_id, row.generation)
            if row.kind == "cookie" and token.issued_at + timedelta(seconds=ROTATE_SECONDS) <= datetime.now(UTC):
                return await self._rotate(connection, row)
            return Known(identity_of(row))
        if token.generation != row.generation - 1 or row.is_settled:
            await sessions.end(connection, row.session_id, "reuse")
            log.warning("token_used_again", user=row.user_id)
            raise UnauthorisedError("session_ended", "The session ended because an old token was used: log in again.")
        if row.kind != "cookie":
            return Known(identity_of(row))
        # The answer that brought the newer token is under way, or was lost.
        return Known(identity_of(row), self.tokens.issue(row.session_id, row.generation, row.token_expires_at))

    async def refresh(self, connection: Connection, identity: Identity) -> Opened:
        """A new token of a bearer's session, before the old one expires. Raises ProblemError, 401."""
        row = (await self._load(connection, identity.session_id)).get(identity.session_id)
        if row is None:
            raise UnauthorisedError("session_ended", "The session has ended: log in again.")
        known = await self._rotate(connection, row)
        if known.new_token is None:
            raise ProblemError(409, "refreshed_already", "The session was refreshed at the same time: use that token.")
        return Opened(known.identity, known.new_token)

    async def close(self, connection: Connection, identity: Identity) -> None:
        """Log out: no token of this session is taken any more. Raises ProblemError, 400, for scripts."""
        if identity.kind == "script":
            raise ProblemError(400, "invalid", "A token for scripts does not log out: an admin revokes it.")
        await sessions.end(connection, identity.session_id, "logout")
        log.info("logged_out", user=identity.user_id)

    async def rights(self, connection: Connection, session_ids: list[UUID]) -> dict[UUID, Identity]:
        """Of these sessions and scripts those that still count, with their rights as they are now."""
        found = await sessions.load(connection, session_ids, grace_seconds=GRACE_SECONDS)
        scripts = await script_tokens.load(connection, session_ids)
        return {
            **{session_id: identity_of(row) for session_id, row in found.items()},
            **{token_id: identity_of_script(row) for token_id, row in scripts.items()},
        }

    async def require_password(self, connection: Connection, login: str, password: str) -> None:
        """That somebody who is logged in knows the password, too: failures count as those of logins do.

        Raises ProblemError: 403 it is wrong, 429 too many failures.
        """
        attempt = await users.begin_attempt(connection, login, most_failures=MOST_FAILURES, lock_seconds=LOCK_SECONDS)
        if isinstance(attempt, Locked):
            raise _locked((attempt.until - datetime.now(UTC)).total_seconds())
        if attempt is None or not await self._passwords.is_right(attempt.password_hash, password):
            raise ProblemError(403, "wrong_password", "The current password is wrong.")

    async def _rotate(self, connection: Connection, row: SessionRow) -> Known:
        rotated = await sessions.rotate(connection, row.session_id, row.generation, token_seconds=TOKEN_SECONDS)
        if rotated is None:  # another request of the same moment did
            return Known(identity_of(row))
        return Known(identity_of(row), self.tokens.issue(row.session_id, *rotated))

    @staticmethod
    async def _load(connection: Connection, session_id: UUID) -> dict[UUID, SessionRow]:
        return await sessions.load(connection, [session_id], grace_seconds=GRACE_SECONDS)


def normalised(login: str) -> str:
    """As it is stored: case and blanks around do not matter."""
    return login.strip().lower()


def _locked(seconds: float) -> ProblemError:
    return ProblemError(
        429, "locked", "Too many logins have failed: try again in %(minutes)s min.",
        values={"minutes": math.ceil(max(seconds, 1) / 60)}, retry_after=math.ceil(max(seconds, 1)),
    )  # fmt: skip
