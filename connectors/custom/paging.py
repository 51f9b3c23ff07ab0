"""Reads an entity's list page by page, by whichever of the ways its definition names.

By offset, a page begins with the last row of the page before: if that is not there, rows have left the list meanwhile,
and reading goes back until it meets a row it knows. A cursor or a link to the next page is the vendor's to keep right.
Page numbers cannot be checked like that: what is deleted while they are read can hide a neighbour until it changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin

from connectors.custom.documents import element_text, is_element
from connectors.custom.expressions import Expression
from connectors.custom.shapes import Paging
from connectors.errors import ConfigError, RetryError

RECENT = 40
"""Ids of the rows read last that are remembered, across an interruption too."""
_SAME_PAGES = 3
"""So many times the very same rows, and the list does not move."""
_MOST_BACK = 200
_LONGEST_LINK = 4_000

Params = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """Where reading goes on; JSON, so that it can be stored."""

    number: int = 0
    """Page number, or offset of the next row."""
    token: str = ""
    """Cursor, or address of the next page; empty: the first page."""
    recent: tuple[str, ...] = ()
    """Ids of the rows before that place, the last one last."""
    has_full_page: bool = False
    """Whether some page had as many rows as were asked for: then a shorter one is the last."""

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number, "token": self.token, "recent": list(self.recent), "full": self.has_full_page,
        }  # fmt: skip

    @staticmethod
    def read(stored: Any) -> Place | None:
        """None if it is no stored place."""
        match stored:
            case {"number": int(number), "token": str(token), "recent": list(recent), "full": bool(full)} if (
                number >= 0 and all(isinstance(one, str) for one in recent)
            ):
                return Place(number, token, tuple(recent), full)
        return None


@dataclass(frozen=True)
class Listed:
    """One page as the vendor gave it."""

    url: str
    """The address that was asked."""
    answer: Any
    ids: tuple[str, ...]
    """Of its rows, in order; empty text for a row without one."""
    rows: Any
    """Whatever `fetch` makes of the rows; handed back."""


@dataclass
class Step:
    """A page to hand on: its rows from `skip` on, and where reading goes on after it (None: it is the last)."""

    listed: Listed
    skip: frozenset[str]
    place: Place | None
    total: int | None = None


Fetch = Callable[[str | None, Params], Awaitable[Listed]]
"""(address of the page; None: that of the list, parameters of paging) -> the page."""


@dataclass
class _Walk:
    paging: Paging
    place: Place
    same: int = 0
    backs: int = 0
    last_ids: tuple[str, ...] = field(default=())


async def walk(paging: Paging, place: Place | None, fetch: Fetch) -> AsyncIterator[Step]:
    """The pages from a place on. Raises ConfigError if the list does not move."""
    first = Place(number=paging.start if paging.type == "page" else 0)
    state = _Walk(paging, place or first)
    size = {} if paging.size_param is None else {paging.size_param: str(paging.size)}
    while True:
        step = await _offset_page(state, fetch) if paging.type == "offset" else await _page(state, fetch, size)
        if step is None:
            continue
        yield step
        if step.place is None:
            return
        state.place = step.place
        _must_move(state, step.listed)


async def _page(state: _Walk, fetch: Fetch, size: Params) -> Step:
    paging, place = state.paging, state.place
    if paging.type == "page":
        listed = await fetch(None, {paging.param: str(place.number), **size})
    elif paging.type == "cursor":
        listed = await fetch(None, {**({paging.param: place.token} if place.token else {}), **size})
    elif paging.type == "next_link" and place.token:
        listed = await fetch(place.token, {})
    else:
        listed = await fetch(None, size)
    total = _whole(paging.total, listed.answer)
    count = len(listed.ids)
    is_full = paging.size is not None and count >= paging.size
    after: Place | None = replace(place, number=place.number + 1, has_full_page=place.has_full_page or is_full)
    if paging.type == "none" or (paging.type == "page" and _is_last(state, place.number, count, total)):
        after = None
    elif paging.type in ("cursor", "next_link"):
        token = _token(paging, listed)
        is_end = not token or (not count and token == place.token)
        after = None if is_end or after is None else replace(after, token=token)
    return Step(listed, frozenset(), after, total)


def _is_last(state: _Walk, number: int, count: int, total: int | None) -> bool:
    paging = state.paging
    if count == 0:
        return True
    if paging.size is None:
        return False
    if total is not None and (state.place.has_full_page or count >= paging.size):
        return (number - paging.start + 1) * paging.size >= total
    # A page may be short because the vendor gives fewer rows than asked for; then none is ever full.
    return count < paging.size and state.place.has_full_page


async def _offset_page(state: _Walk, fetch: Fetch) -> Step | None:
    """A page that begins one row before its place, to see that nothing has moved; None: it went back instead."""
    paging, place = state.paging, state.place
    overlap = 1 if place.number > 0 and place.recent else 0
    begin = place.number - overlap
    size = {} if paging.size_param is None else {paging.size_param: str(paging.size)}
    listed = await fetch(None, {paging.param: str(begin), **size})
    known = frozenset(place.recent)
    if overlap and begin > 0 and known.isdisjoint(listed.ids):
        # Rows before this place have left the list: what is here now was further on.
        state.backs += 1
        if state.backs > _MOST_BACK:
            raise RetryError("the list changes faster than it can be read: try again later, or use another pagination")
        back = max(0, begin - max(len(place.recent) // 2, 1))
        state.place = replace(place, number=back + 1 if back else 0, recent=place.recent if back else ())
        return None
    total, count = _whole(paging.total, listed.answer), len(listed.ids)
    is_full = paging.size is not None and count >= paging.size
    end = begin + count
    new = [one for one in listed.ids if one and one not in known]
    is_last = count == 0 or (not new and count <= overlap)
    if total is not None:
        is_last = is_last or end >= total
    elif paging.size is not None and count < paging.size and (place.has_full_page or is_full):
        is_last = True
    after = None
    if not is_last:
        recent = (*place.recent, *new)[-RECENT:]
        after = Place(end, "", recent, place.has_full_page or is_full)
    return Step(listed, known, after, total)


def _must_move(state: _Walk, listed: Listed) -> None:
    state.same = state.same + 1 if listed.ids and listed.ids == state.last_ids else 0
    state.last_ids = listed.ids
    if state.same >= _SAME_PAGES:
        raise ConfigError(
            f"the same page comes again and again: the vendor does not know the way of pagination "
            f"{state.paging.type!r} as it is defined; correct `pagination`"
        )


def _token(paging: Paging, listed: Listed) -> str:
    found = _first(paging.next, listed.answer)
    if found is None or isinstance(found, bool | dict | list):
        return ""
    text = str(found).strip()
    if len(text) > _LONGEST_LINK:
        raise ConfigError("pagination.next gives a text of over 4,000 characters: check where it points to")
    return urljoin(listed.url, text) if text and paging.type == "next_link" else text


def _whole(expression: Expression | None, answer: Any) -> int | None:
    found = _first(expression, answer)
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    if isinstance(found, Decimal) and found == found.to_integral_value():
        return int(found)
    return int(found) if isinstance(found, str) and found.strip().isdecimal() and len(found) < 18 else None


def _first(expression: Expression | None, answer: Any) -> Any:
    if expression is None:
        return None
    try:
        found = expression.matches(answer)
    except ValueError:
        return None
    if not found:
        return None
    value = found[0][1]
    return element_text(value) if is_element(value) else value
