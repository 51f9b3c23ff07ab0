"""Cursors of lists that go by ids."""

from __future__ import annotations

import pytest

from dashboard import cursors
from web.problems import ProblemError


@pytest.mark.parametrize(("after", "found"), [(None, None), ("", None), ("1", 1), ("9223372036854775807", 2**63 - 1)])
def test_a_page_begins_after_the_id_that_the_page_before_gave(after: str | None, found: int | None) -> None:
    assert cursors.id_of(after) == found


@pytest.mark.parametrize("after", ["0", "-1", "x", "1.5", " 1", "１", "9223372036854775808", "1" * 5000, "1\0"])
def test_what_no_page_gave_is_refused(after: str) -> None:
    with pytest.raises(ProblemError) as caught:
        cursors.id_of(after)
    assert (caught.value.status, caught.value.code) == (400, "invalid_cursor")
