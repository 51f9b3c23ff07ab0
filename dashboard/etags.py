"""What `If-Match` and `If-None-Match` name; pure."""

from __future__ import annotations


def listed(header: str | None) -> list[str]:
    """The tags of a header without their quotes, weak or not; `*` stays `*`."""
    return [part.strip().removeprefix("W/").strip('"') for part in (header or "").split(",") if part.strip()]


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller has this version already: 304. `tag` is without quotes."""
    known = listed(if_none_match)
    return "*" in known or tag in known
