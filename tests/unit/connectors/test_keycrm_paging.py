"""Paging on answers that no simulator gives."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import registry
from connectors.errors import RetryError
from connectors.http import HttpSession, UnlimitedLimiter, decode_json
from connectors.keycrm.paging import straddling_page, to_record
from connectors.protocol import Account, MappingContext, Page, Window

pytestmark = pytest.mark.anyio
KEYCRM = registry.get("keycrm")
DATE = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def no_sleep(seconds: float) -> None:
    return


def order(order_id: int, at: datetime = DATE - timedelta(days=1), **fields: Any) -> dict[str, Any]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"id": order_id, "updated_at": stamp, "created_at": stamp, "ordered_at": stamp, **fields}


def account(**changes: Any) -> Account:
    values: dict[str, Any] = {"credentials": {"api_key": "the-key"}, "batch_size": 50, **changes}
    return Account(project_id="p", crm="keycrm", base_url="http://crm/v1", context=MappingContext("p"), **values)


def answer(rows: list[Any], *, total: int | None = None, date: datetime | None = DATE, **fields: Any) -> httpx.Response:
    headers = {} if date is None else {"date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    body = {"data": rows, **({} if total is None else {"total": total}), **fields}
    return httpx.Response(200, content=json.dumps(body).encode(), headers=headers)


class Crm:
    def __init__(self, reply: Callable[[dict[str, str]], httpx.Response]) -> None:
        self.asked: list[dict[str, str]] = []
        self._reply = reply

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer the-key"
        params = dict(request.url.params)
        self.asked.append(params)
        return self._reply(params)

    async def pull_one(self, cursor: Any, batch_size: int) -> Page:
        """The next page alone: a pull that is killed after each page."""
        async with self._session() as http:
            pages = KEYCRM.pull(http, account(batch_size=batch_size), "orders", cursor)
            page = await anext(pages)
            await pages.aclose()  # type: ignore[attr-defined]
            return page

    def _session(self) -> HttpSession:
        return HttpSession(
            base_url="http://crm/v1",
            account_key="a",
            limit=(60, 60),
            limiter=UnlimitedLimiter(),
            transport=httpx.MockTransport(self),
            sleep=no_sleep,
            retry_attempts=1,
        )

    async def pull(
        self, stream: str = "orders", cursor: Any = None, window: Window | None = None, **changes: Any
    ) -> list[Page]:
        async with self._session() as http:
            return [page async for page in KEYCRM.pull(http, account(**changes), stream, cursor, window)]


def of_list(rows: list[Any], **fields: Any) -> Callable[[dict[str, str]], httpx.Response]:
    def reply(params: dict[str, str]) -> httpx.Response:
        page, limit = int(params["page"]), int(params["limit"])
        return answer(rows[(page - 1) * limit : page * limit], total=len(rows), **fields)

    return reply


def ids(pages: list[Page]) -> list[str]:
    return [record.crm_id for page in pages for record in page.records]


@given(st.integers(1, 200_000), st.integers(1, 50))
def test_a_straddling_page_begins_before_the_offset_and_ends_behind_it(offset: int, limit: int) -> None:
    page, size = straddling_page(offset, limit)
    assert (page - 1) * size < offset < page * size
    assert size <= max(limit, 50)


async def test_orders_are_asked_for_with_includes_sorted_and_by_source() -> None:
    crm = Crm(of_list([]))
    await crm.pull(options={"source_id": 2})
    assert crm.asked == [
        {"include": "buyer,products.offer,manager,marketing,payments,shipping", "sort": "id", "filter[source_id]": "2",
         "page": "1", "limit": "50"}
    ]  # fmt: skip


async def test_sort_is_sent_only_where_it_is_documented() -> None:
    for stream in ("customers", "products", "offers", "stocks"):
        crm = Crm(of_list([]))
        await crm.pull(stream)
        assert crm.asked == [{"page": "1", "limit": "50"}]


async def test_a_pull_from_a_watermark_reaches_back_and_has_no_upper_end() -> None:
    crm = Crm(of_list([]))
    cursor = {"scope": "", "watermark": "2026-03-02T09:00:00.900000+00:00"}
    [page] = await crm.pull(cursor=cursor)
    assert crm.asked[0]["filter[updated_between]"] == "2026-03-02 08:55:00,2037-12-31 23:59:59"
    assert page.cursor == cursor


async def test_the_watermark_is_the_newest_change_seen_but_not_beyond_the_start_of_the_pull() -> None:
    [page] = await Crm(of_list([order(1, DATE - timedelta(hours=1))])).pull()
    assert page.cursor == {"scope": "", "watermark": "2026-03-02T11:00:00+00:00"}
    [page] = await Crm(of_list([order(1, DATE + timedelta(minutes=9))])).pull()
    assert page.cursor == {"scope": "", "watermark": "2026-03-02T11:59:30+00:00"}


async def test_the_watermark_never_goes_back() -> None:
    cursor = {"scope": "", "watermark": "2026-03-02T11:00:00+00:00"}
    [page] = await Crm(of_list([order(1, DATE - timedelta(hours=2))])).pull(cursor=cursor)
    assert page.cursor == cursor


async def test_without_a_date_header_our_own_clock_starts_the_pull() -> None:
    [page] = await Crm(lambda params: answer([order(1, datetime(2200, 1, 1, tzinfo=UTC))], date=None)).pull()
    assert page.cursor is not None
    assert datetime.fromisoformat(page.cursor["watermark"]) < datetime.now(UTC)


async def test_another_source_filter_starts_anew() -> None:
    crm = Crm(of_list([]))
    await crm.pull(cursor={"scope": "", "watermark": "2026-03-02T09:00:00+00:00"}, options={"source_id": 2})
    assert "filter[updated_between]" not in crm.asked[0]


async def test_a_list_that_repeats_its_page_for_ever_is_a_retry_error() -> None:
    crm = Crm(lambda params: answer([order(i) for i in range(1, 51)], total=1000))
    with pytest.raises(RetryError, match="repeats"):
        await crm.pull()
    assert len(crm.asked) < 20


async def test_a_vendor_that_gives_fewer_rows_than_asked_for_is_read_to_the_end() -> None:
    rows = [order(i) for i in range(1, 101)]

    def reply(params: dict[str, str]) -> httpx.Response:
        page = int(params["page"])
        return answer(rows[(page - 1) * 15 : page * 15], total=100, per_page="15")

    assert sorted(map(int, ids(await Crm(reply).pull()))) == list(range(1, 101))


async def test_no_page_beyond_the_end_is_asked_for() -> None:
    crm = Crm(of_list([order(i) for i in range(1, 124)]))
    await crm.pull()
    assert sorted(int(params["page"]) for params in crm.asked) == [1, 2, 3]


async def test_a_list_without_a_total_is_read_to_the_end() -> None:
    rows = [order(i) for i in range(1, 121)]
    crm = Crm(lambda p: answer(rows[(int(p["page"]) - 1) * 50 : int(p["page"]) * 50]))
    assert len(set(ids(await crm.pull()))) == 120


async def test_rows_that_came_as_an_object_are_rows() -> None:
    pages = await Crm(
        lambda params: httpx.Response(200, json={"data": {"0": order(1), "2": order(3)}, "total": 2})
    ).pull()
    assert ids(pages) == ["1", "3"]


async def test_rows_that_are_no_records_are_told_and_the_others_read() -> None:
    [page] = await Crm(
        lambda params: answer([order(1), 7, {"x": 1}, {"id": None}, {"id": [1]}, order(2)], total=6)
    ).pull()
    assert ids([page]) == ["1", "2"]
    assert len(page.problems) == 4
    assert page.problems[0] == "/order: row 2 of the list cannot be read: it is not an object"


@pytest.mark.parametrize("body", [[], {"data": 7}, {"data": None}, {"message": "hi"}, {"total": 3}, "x"])
async def test_a_200_that_is_no_list_is_a_retry_error(body: Any) -> None:
    with pytest.raises(RetryError):
        await Crm(lambda params: httpx.Response(200, json=body)).pull()


async def test_an_unsorted_list_that_shrinks_is_read_with_overlap() -> None:
    rows = [order(i) for i in range(200, 0, -1)]
    removed: list[int] = []

    def reply(params: dict[str, str]) -> httpx.Response:
        page, limit = int(params["page"]), int(params["limit"])
        found = answer(rows[(page - 1) * limit : page * limit], total=len(rows))
        if not removed:
            removed.extend(row["id"] for row in rows[:20])
            del rows[:20]
        return found

    found = set(map(int, ids(await Crm(reply).pull("customers"))))
    assert set(range(1, 201)) - set(removed) <= found


async def test_a_window_includes_its_start_and_excludes_its_end_to_the_microsecond() -> None:
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    step = timedelta(microseconds=1)
    rows = [order(1, start), order(2, end - step), order(3, end), order(4, end + step), order(5, start + step)]
    crm = Crm(of_list(rows))
    pages = await crm.pull(window=Window(start, end))
    assert crm.asked[0]["filter[created_between]"] == "2026-03-01 00:00:00,2026-03-02 00:00:00"
    assert ids(pages) == ["1", "2", "5"]
    crm = Crm(of_list([order(1, start), order(2, start + 2 * step), order(3, start + 9 * step)]))
    pages = await crm.pull(window=Window(start + step, start + 9 * step))
    assert crm.asked[0]["filter[created_between]"] == "2026-03-01 00:00:00,2026-03-01 00:00:01"
    assert ids(pages) == ["2"]


async def test_a_window_in_another_offset_is_asked_for_in_utc() -> None:
    crm = Crm(of_list([]))
    kyiv = datetime.fromisoformat("2026-03-01T00:00:00+02:00")
    await crm.pull(window=Window(kyiv, kyiv + timedelta(days=1)))
    assert crm.asked[0]["filter[created_between]"] == "2026-02-28 22:00:00,2026-03-01 22:00:00"


def test_a_record_keeps_its_text_but_for_escapes() -> None:
    plain = b'{"id": 1, "price": 10.10, "big": 12345678901234567890123}'
    assert to_record("orders", json.loads(plain), plain).body == plain.decode()
    escaped = b'{"id":1,"name":"\\u041e\\u043b\\u0435\\u043d\\u0430 \\ud83d\\ude00","price":10.10}'
    assert to_record("orders", decode_json(escaped), escaped).body == '{"id":1,"name":"Олена 😀","price":10.10}'


def test_the_hash_leaves_out_what_changes_by_itself_and_nothing_else() -> None:
    def digest(**changes: Any) -> bytes:
        products = [{"id": 1, "price": 5, "offer": {"id": 2, "quantity": 3}}]
        row = {**order(1), "products": products, "last_synced_at": "a", **changes}
        return to_record("orders", row).content_hash

    assert digest() == digest(last_synced_at="b")
    row = order(1)
    assert to_record("orders", row).content_hash == to_record("orders", dict(reversed(row.items()))).content_hash
    assert digest() == digest(products=[{"id": 1, "price": 5, "offer": {"id": 2, "quantity": 9}}])
    assert digest() != digest(products=[{"id": 1, "price": 6, "offer": {"id": 2, "quantity": 3}}])
    assert digest() != digest(manager_comment="x")
    assert digest() != digest(updated_at="2026-03-02T12:00:00Z")


class Shifting:
    """An account that changes between any two requests: orders are added, changed and deleted."""

    def __init__(self, seed: int, count: int, changes: int) -> None:
        self.chance = random.Random(seed)
        self.now = DATE
        # Half of them have not changed for long: they are not in the list until they do.
        self.rows = {i: DATE - timedelta(days=i % 2 * 100, minutes=count - i) for i in range(1, count + 1)}
        self.next_id = count + 1
        self.changes = changes

    def disturb(self) -> None:
        self.now += timedelta(seconds=10)
        for _ in range(self.chance.randrange(self.changes + 1)):
            what = self.chance.choice(("add", "touch", "delete", "delete"))
            if what == "add":
                self.rows[self.next_id] = self.now
                self.next_id += 1
            elif self.rows and what == "touch":
                self.rows[self.chance.choice(list(self.rows))] = self.now
            elif self.rows:
                del self.rows[self.chance.choice(list(self.rows))]

    def reply(self, params: dict[str, str]) -> httpx.Response:
        low = params.get("filter[updated_between]", "2000-01-01 00:00:00").partition(",")[0]
        since = datetime.fromisoformat(low).replace(tzinfo=UTC)
        listed = sorted(order_id for order_id, at in self.rows.items() if at >= since)
        page, limit = int(params["page"]), int(params["limit"])
        found = [order(i, self.rows[i], v=1) for i in listed[(page - 1) * limit : page * limit]]
        reply = answer(found, total=len(listed), date=self.now)
        self.disturb()
        return reply


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 10, 50])
async def test_a_list_that_only_grows_and_shrinks_by_deletion_is_never_read_with_a_gap(batch_size: int) -> None:
    for seed in range(40):
        crm = Shifting(seed, 60, changes=2)
        start = crm.now
        pages = await Crm(crm.reply).pull(batch_size=batch_size, since=None)
        found = set(map(int, ids(pages)))
        # What changed since the start is the next pull's; all else that is still there must have been read.
        assert {order_id for order_id, at in crm.rows.items() if at < start} <= found, seed


@pytest.mark.parametrize("batch_size", [3, 10])
async def test_what_a_changing_account_hides_in_one_pull_the_next_one_finds(batch_size: int) -> None:
    for seed in range(40):
        crm = Shifting(seed, 60, changes=2)
        pages = await Crm(crm.reply).pull(batch_size=batch_size)
        crm.changes = 0
        crm.now += timedelta(hours=1)
        pages += await Crm(crm.reply).pull(batch_size=batch_size, cursor=pages[-1].cursor)
        newest = {record.crm_id: json.loads(record.body)["updated_at"] for page in pages for record in page.records}
        for order_id, at in crm.rows.items():
            assert newest[str(order_id)] == order(order_id, at)["updated_at"], seed


@pytest.mark.parametrize("batch_size", [3, 10])
async def test_a_pull_that_is_killed_after_each_page_is_read_without_a_gap_too(batch_size: int) -> None:
    for seed in range(30):
        crm = Shifting(seed, 60, changes=2)
        start = crm.now
        found: set[int] = set()
        cursor: Any = None
        for _ in range(500):
            page = await Crm(crm.reply).pull_one(cursor, batch_size)
            found |= {int(record.crm_id) for record in page.records}
            cursor = json.loads(json.dumps(page.cursor))
            if "pull" not in cursor:
                break
        assert "pull" not in cursor
        assert {order_id for order_id, at in crm.rows.items() if at < start} <= found, seed
