"""Ids as addresses and forms spell them."""

from __future__ import annotations

import pytest

from dashboard.numbers import LARGEST_ID, whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("17", 17), ("007", 7), ("9223372036854775807", LARGEST_ID), ("9223372036854775808", None),
        ("00000000000000000001", None), ("-1", None), ("+1", None), ("1.0", None), ("1e3", None), ("", None),
        (" 1", None), ("٣", None), ("²", None), (None, None),
    ],
)  # fmt: skip
def test_only_plain_digits_that_the_database_can_hold_are_a_number(text: str | None, number: int | None) -> None:
    assert whole(text) == number
