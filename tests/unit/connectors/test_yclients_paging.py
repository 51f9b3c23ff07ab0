"""Lists that shift, shrink and clamp their pages while they are read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from connectors.errors import RetryError
from connectors.yclients.paging import SMALLEST_PAGE, Ask, Position, next_page, read_pages

pytestmark = pytest.mark.anyio


@dataclass
class ChangingList:
    """Rows that a test moves, removes and edits between two requests."""

    rows: list[dict[str, Any]]
    clamp: int = 10_000
    before: Callable[[int], None] | None = None
    """Called before each request with its number, from 1."""
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def ask(self, page: int, count: int) -> Sequence[msgspec.Raw]:
        self.asked.append((page, count))
        if self.before is not None:
            self.before(len(self.asked))
        given = min(count, self.clamp)
        return [msgspec.Raw(json.dumps(row).encode()) for row in self.rows[(page - 1) * given : page * given]]

    def move(self, source: int, target: int) -> None:
        """A row is edited, and has another place in the list for it."""
        row = self.rows.pop(source)
        self.rows.insert(target, {**row, "edits": row.get("edits", 0) + 1})


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"id": number} for number in range(1, count + 1)]


async def read_all(listed: ChangingList, position: Position) -> list[int]:
    found = []
    async for page in read_pages("records", listed.ask, position):
        assert not page.problems
        found += [int(record.crm_id) for record in page.records]
    return found


async def exhaust(ask: Ask) -> int:
    return sum([len(page.records) async for page in read_pages("records", ask, Position(50))])


@pytest.mark.parametrize("limit", [2, 3, 5, 8, 20, 50, 300])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 19, 20, 50, 100, 301])
async def test_a_list_at_rest_is_read_once_in_its_order(limit: int, count: int) -> None:
    assert await read_all(ChangingList(numbered(count)), Position(limit)) == list(range(1, count + 1))


@pytest.mark.parametrize(("clamp", "count"), [(25, 25), (25, 26), (25, 130), (50, 400), (200, 200), (200, 1000)])
async def test_a_vendor_that_gives_fewer_rows_than_asked_for_is_read_to_the_end(clamp: int, count: int) -> None:
    listed = ChangingList(numbered(count), clamp=clamp)
    assert await read_all(listed, Position(300)) == list(range(1, count + 1))


async def test_few_rows_cost_one_request_and_many_little_more_than_their_pages() -> None:
    few, many = ChangingList(numbered(19)), ChangingList(numbered(6000))
    await read_all(few, Position(300))
    assert len(few.asked) == 1
    await read_all(many, Position(300))
    assert len(many.asked) <= 6000 / 300 * 1.1 + 1


def test_a_page_begins_before_the_place_and_goes_on_behind_it() -> None:
    for limit in (2, 3, 5, 8, 25, 50, 300):
        for offset in range(1, 1500):
            page, count = next_page(offset, limit)
            start = (page - 1) * count
            assert start < offset <= start + count
            # Not only what is known already, where the limit leaves room for more.
            assert limit < 4 or start + count > offset
            assert count <= max(limit, SMALLEST_PAGE)


async def test_rows_that_move_behind_the_place_hide_no_other() -> None:
    listed = ChangingList(numbered(100))

    def disturb(request: int) -> None:
        if 1 < request < 15:
            for _ in range(6):  # more than two pages have in common
                listed.move(0, len(listed.rows))

    listed.before = disturb
    found = await read_all(listed, Position(10))
    assert set(found) == set(range(1, 101))


async def test_rows_that_vanish_hide_no_other() -> None:
    for gone in (1, 4, 9, 25):
        listed = ChangingList(numbered(60))

        def disturb(request: int, listed: ChangingList = listed, gone: int = gone) -> None:
            if request == 4:
                del listed.rows[:gone]

        listed.before = disturb
        assert set(range(gone + 1, 61)) <= set(await read_all(listed, Position(10)))


async def test_a_list_that_ends_before_the_place_all_of_a_sudden_is_read_again_from_before_it() -> None:
    listed = ChangingList(numbered(60))

    def disturb(request: int) -> None:
        if request == 5:
            del listed.rows[:50]

    listed.before = disturb
    assert set(range(51, 61)) <= set(await read_all(listed, Position(10)))


async def test_in_random_disorder_nothing_that_stays_is_lost() -> None:
    for seed in range(60):
        chance = random.Random(seed)
        listed = ChangingList(numbered(160), clamp=chance.choice([22, 10_000]))
        stays = set(range(1, 161))

        def disturb(
            _: int, listed: ChangingList = listed, stays: set[int] = stays, chance: random.Random = chance
        ) -> None:
            for _ in range(chance.randrange(4)):
                act = chance.random()
                if act < 0.4:
                    listed.move(chance.randrange(len(listed.rows)), chance.randrange(len(listed.rows)))
                elif act < 0.7:
                    stays.discard(listed.rows.pop(chance.randrange(len(listed.rows)))["id"])
                else:
                    listed.rows.insert(chance.randrange(len(listed.rows)), {"id": 1000 + chance.randrange(10**6)})

        listed.before = disturb
        # A row that was edited meanwhile is the next pull's.
        found = set(await read_all(listed, Position(limit=30)))
        unedited = {row["id"] for row in listed.rows if "edits" not in row}
        assert stays & unedited <= found, seed


async def test_reading_goes_on_from_any_page_of_an_interrupted_one() -> None:
    for stop in range(1, 8):
        listed, position, found = ChangingList(numbered(90)), Position(12), []
        reading = read_pages("records", listed.ask, position)
        async for page in reading:
            found += [int(record.crm_id) for record in page.records]
            if len(listed.asked) == stop:
                break
        await reading.aclose()  # type: ignore[attr-defined]
        del listed.rows[:3]
        stored = json.loads(json.dumps(position.as_json()))
        stored["started"] = "2026-03-02T00:00:00Z"
        rest = await read_all(listed, Position.from_json(stored))
        assert set(found + rest) == set(range(1, 91))
        assert len(rest) <= 90 - len(found) + 12


async def test_a_row_without_an_id_is_a_problem_and_stops_nothing() -> None:
    listed = ChangingList([{"id": 1}, {"name": "nobody"}, {"id": 3}, {"id": ""}, *numbered(40)[4:]])
    found, problems = [], []
    async for page in read_pages("records", listed.ask, Position(6)):
        found += [record.crm_id for record in page.records]
        problems += page.problems
    assert found == [str(number) for number in range(1, 41) if number not in (2, 4)]
    assert "records: row 2 of the list cannot be read: it has no id" in problems


async def test_a_list_of_which_each_page_is_the_first_one_does_not_run_for_ever() -> None:
    async def ask(page: int, count: int) -> Sequence[msgspec.Raw]:
        return [msgspec.Raw(b'{"id": %d}' % number) for number in range(1, count + 1)]

    with pytest.raises(RetryError, match="does not end"):
        await exhaust(ask)


async def test_a_list_that_is_another_one_each_time_does_not_run_for_ever() -> None:
    numbers = iter(range(1, 1_000_000))

    async def ask(page: int, count: int) -> Sequence[msgspec.Raw]:
        return [msgspec.Raw(b'{"id": %d}' % next(numbers)) for _ in range(count)]

    with pytest.raises(RetryError, match="faster than it can be read"):
        await exhaust(ask)


@pytest.mark.parametrize(
    "change",
    [{"limit": 0}, {"limit": "8"}, {"offset": -1}, {"full": None}, {"started": None}, {"tail": 7}, {"tail": [[1]]}],
)
def test_a_position_of_nobody_is_none(change: dict[str, Any]) -> None:
    good = {"limit": 8, "offset": 8, "full": 8, "started": "2026-03-02T00:00:00Z", "newest": None, "tail": [["1", "a"]]}
    assert Position.from_json(good).recent == {"1": "a"}
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Position.from_json({**good, **change})
