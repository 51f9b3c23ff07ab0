from __future__ import annotations

from typing import Any

import pytest

from dashboard.sessions import MOST_FAILURES_OF_ADDRESS, Sessions
from dashboard.tokens import Tokens
from database.encryption import Keyring
from web.problems import ProblemError

pytestmark = pytest.mark.anyio


async def test_an_address_that_tries_many_logins_is_refused_before_the_database_is_asked() -> None:
    sessions = Sessions(Tokens(Keyring([b"k" * 32])))
    for _ in range(MOST_FAILURES_OF_ADDRESS):
        sessions._addresses.fail("203.0.113.9")
    no_database: Any = None
    with pytest.raises(ProblemError) as refused:
        await sessions.open(no_database, "ann", "correct horse 1", "203.0.113.9", "bearer")
    assert (refused.value.status, refused.value.code) == (429, "locked")
    with pytest.raises(AttributeError):  # another address gets as far as the database
        await sessions.open(no_database, "ann", "correct horse 1", "203.0.113.10", "bearer")
