from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dashboard.tokens import TokenError, Tokens
from database.encryption import Keyring

OLD, NEW = b"o" * 32, b"n" * 32
SESSION = UUID(int=7)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_token_names_its_session_and_generation_and_nothing_else() -> None:
    tokens = Tokens(Keyring([OLD]), now=lambda: NOON)
    text = tokens.issue(SESSION, 3, NOON + timedelta(hours=1))
    read = tokens.read(text)
    assert (read.session_id, read.generation) == (SESSION, 3)
    assert (read.issued_at, read.expires_at) == (NOON, NOON + timedelta(hours=1))
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    assert set(claims) == {"iss", "sid", "gen", "iat", "exp"}


def test_it_holds_until_its_end_and_not_longer() -> None:
    text = Tokens(Keyring([OLD]), now=lambda: NOON).issue(SESSION, 1, NOON + timedelta(seconds=10))
    assert Tokens(Keyring([OLD]), now=lambda: NOON + timedelta(seconds=9)).read(text).generation == 1
    with pytest.raises(TokenError, match="expired"):
        Tokens(Keyring([OLD]), now=lambda: NOON + timedelta(seconds=10)).read(text)


def test_a_token_outlives_a_rotation_of_the_master_key_and_not_the_removal_of_the_old_one() -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    text, csrf = Tokens(Keyring([OLD])).issue(SESSION, 1, end), Tokens(Keyring([OLD])).csrf(SESSION)
    rotated = Tokens(Keyring([NEW, OLD]))
    assert rotated.read(text).session_id == SESSION
    assert rotated.is_csrf(SESSION, csrf)
    assert rotated.issue(SESSION, 1, end).split(".")[0] != text.split(".")[0]  # signed with the new key
    with pytest.raises(TokenError, match="earlier master key"):
        Tokens(Keyring([NEW])).read(text)
    assert not Tokens(Keyring([NEW])).is_csrf(SESSION, csrf)


def test_a_csrf_token_is_of_one_session() -> None:
    tokens = Tokens(Keyring([OLD]))
    assert tokens.is_csrf(SESSION, tokens.csrf(SESSION))
    assert not tokens.is_csrf(UUID(int=8), tokens.csrf(SESSION))
    assert not tokens.is_csrf(SESSION, "")


def test_the_signing_key_is_not_the_master_key() -> None:
    keyring = Keyring([OLD])
    assert OLD not in keyring.derived("dashboard session").values()
    assert keyring.derived("dashboard session") != keyring.derived("something else")
