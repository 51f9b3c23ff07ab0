"""What a caller says it knows already."""

from __future__ import annotations

import pytest

from dashboard import etags


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (None, []),
        ("", []),
        ('"a1"', ["a1"]),
        ('W/"a1", "b2",', ["a1", "b2"]),
        (" * ", ["*"]),
        ("a1", ["a1"]),
    ],
)
def test_tags_are_read_without_quotes_weak_or_not(header: str | None, tags: list[str]) -> None:
    assert etags.listed(header) == tags


@pytest.mark.parametrize(
    ("header", "is_known"),
    [(None, False), ('"a1"', True), ('"other", W/"a1"', True), ("*", True), ('"a"', False), ('"a11"', False)],
)
def test_a_version_is_known_if_the_header_names_it_or_any(header: str | None, is_known: bool) -> None:
    assert etags.is_known(header, "a1") is is_known
