"""What every connector must do, whatever its CRM: one suite, which each inherits with an adapter to its simulator.

class TestKeyCrm(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedCrm]: ...
"""

from __future__ import annotations

import io
import json
import logging
import random
import traceback
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import structlog

from connectors.errors import (
    ConfigError,
    ConnectorError,
    NotFoundError,
    RetryError,
    SkipRowError,
    WebhookRefusedError,
    WebhookUnreadableError,
)
from connectors.http import HttpSession
from connectors.protocol import (
    Account,
    Capabilities,
    Connector,
    Cursor,
    Page,
    RawRecord,
    WebhookAuth,
    WebhookRequest,
    Window,
)

Fault = Literal["too_many", "server_error", "unavailable", "bad_gateway", "timeout", "drop", "cut", "truncated"]
SECRET = "s3cr3t-Key+of/the=account"
WEBHOOK_SECRET = "wh00k-secret-of-the-project"


@dataclass
class Clock:
    """The simulated CRM's clock, which only tests move."""

    now: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


class SimulatedCrm(ABC):
    """One account in a running simulator. `stream` is the CRM's main stream: what its orders are."""

    connector: Connector
    clock: Clock
    stream: str = "orders"
    page_size: int
    """Rows in a full page of an account made by `account()`."""
    scheme: str = "token"
    """How this CRM's webhooks are usually verified."""
    has_deletion = True
    says_how_long = True
    """Whether its refusal of too many requests tells how long to wait."""
    step: timedelta = timedelta(minutes=1)
    """How far apart `seed` puts records; where pages are periods of time, so that `page_size` of them fill one."""
    waits_for_a_wrong_key: tuple[float, ...] = ()
    """Seconds slept before a wrong key is believed to be one: at a vendor that refuses good ones now and then."""
    is_paged = True
    """Whether a pull asks for the stream more than once; else faults strike its only request."""
    lookback = timedelta(0)
    """How far back a pull reads what the one before it has read: where the API may compare with another time."""

    @property
    def capabilities(self) -> Capabilities:
        """Of an account made by `account()`."""
        return self.connector.capabilities.given(self.account().options)

    @abstractmethod
    def account(self, **changes: Any) -> Account:
        """The account with SECRET as its key (whichever credential that is), with fields replaced by `changes`."""

    @abstractmethod
    def credentials(self, secret: str) -> Mapping[str, str]:
        """Credentials with another key."""

    @abstractmethod
    def add(self, *, at: datetime | None = None) -> str:
        """A new record; its id."""

    @abstractmethod
    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        """Change a record so that its content and its time of change differ."""

    @abstractmethod
    def remove(self, crm_id: str) -> None: ...

    @abstractmethod
    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        """Let the next requests for the stream fail."""

    @abstractmethod
    def repeat_a_page(self) -> None:
        """Let the second page of the next pull come as the first one again."""

    @abstractmethod
    def requests(self) -> int:
        """How many requests the simulator has got."""

    @abstractmethod
    def webhook(self) -> WebhookRequest:
        """A webhook about a record, as the CRM sends it, without authentication."""

    @abstractmethod
    def is_in_window(self, crm_id: str, window: Window) -> bool:
        """Whether a backfill of the window must bring the record."""

    def seed(self, count: int) -> list[str]:
        """Records a step apart, the last one a step ago, on a clock well after them."""
        ids = []
        for _ in range(count):
            ids.append(self.add(at=self.clock.now))
            self.clock.now += self.step
        return ids


@dataclass
class RecordingLimiter:
    acquired: int = 0
    blocked: list[float] = field(default_factory=list)

    async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
        self.acquired += 1

    async def block(self, account_key: str, seconds: float) -> None:
        self.blocked.append(seconds)


@dataclass
class Line:
    """A session with what it did."""

    http: HttpSession
    limiter: RecordingLimiter
    slept: list[float]


@asynccontextmanager
async def session(account: Account, **settings: Any) -> AsyncIterator[Line]:
    limiter, slept = RecordingLimiter(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    values: dict[str, Any] = {
        "base_url": account.base_url,
        "account_key": "account",
        "limit": (60, 60.0),
        "limiter": limiter,
        "secrets": tuple(account.credentials.values()),
        "sleep": sleep,
        "timeout": 10.0,
    }
    async with HttpSession(**{**values, **settings}) as http:
        yield Line(http, limiter, slept)


def stored(cursor: Cursor | None) -> Cursor | None:
    """A cursor as it comes back from the database."""
    return None if cursor is None else json.loads(json.dumps(cursor))


async def pull(
    crm: SimulatedCrm,
    http: HttpSession,
    cursor: Cursor | None = None,
    *,
    account: Account | None = None,
    stream: str | None = None,
    window: Window | None = None,
    between: Callable[[int], None] | None = None,
    pages: int | None = None,
) -> tuple[list[RawRecord], Cursor | None]:
    """Records and last cursor of a pull. `between` is called after each page; `pages` breaks off after so many."""
    records: list[RawRecord] = []
    count = 0
    reading = crm.connector.pull(http, account or crm.account(), stream or crm.stream, stored(cursor), window)
    async for page in reading:
        assert isinstance(page, Page)
        assert not page.problems
        records += page.records
        cursor = page.cursor if page.cursor is not None else cursor
        count += 1
        if between is not None:
            between(count)
        if pages is not None and count >= pages:
            break
    await reading.aclose()  # type: ignore[attr-defined]
    return records, stored(cursor)


def ids(records: Sequence[RawRecord]) -> list[str]:
    return [record.crm_id for record in records]


def latest(records: Sequence[RawRecord]) -> dict[str, RawRecord]:
    return {record.crm_id: record for record in records}


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """All that any logger writes, at the lowest level."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    configuration = structlog.get_config()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(output),
        processors=[structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=False,
    )
    try:
        yield output
    finally:
        structlog.configure(**configuration)
        root.removeHandler(handler)
        root.setLevel(level)


class ConnectorConformance:
    pytestmark = pytest.mark.anyio

    # ------------------------------------------------------------------------------------------------- connection

    async def test_health_is_good_with_the_right_key(self, crm: SimulatedCrm) -> None:
        async with session(crm.account()) as line:
            health = await crm.connector.check_health(line.http, crm.account())
        assert health.ok
        assert health.message

    async def test_health_says_what_is_wrong_with_a_wrong_key(self, crm: SimulatedCrm) -> None:
        account = crm.account(credentials=crm.credentials("not-the-key-at-all"))
        async with session(account) as line:
            health = await crm.connector.check_health(line.http, account)
        assert not health.ok
        names = {"key", "token", *crm.capabilities.credential_names}
        assert any(name in health.message for name in names)
        assert "not-the-key-at-all" not in health.message
        assert ": ***" not in health.message, "a word of the sentence was taken for a secret"

    async def test_health_of_an_address_where_nothing_answers_is_bad_and_no_exception(self, crm: SimulatedCrm) -> None:
        account = crm.account(base_url="http://127.0.0.1:1/nothing")
        async with session(account, retry_attempts=0) as line:
            health = await crm.connector.check_health(line.http, account)
        assert not health.ok

    async def test_a_wrong_key_is_a_config_error_and_is_not_retried_without_reason(self, crm: SimulatedCrm) -> None:
        account = crm.account(credentials=crm.credentials("not-the-key-at-all"))
        async with session(account) as line:
            with pytest.raises(ConfigError) as caught:
                await pull(crm, line.http, account=account)
        assert caught.value.word == "config"
        assert line.slept == list(crm.waits_for_a_wrong_key)

    async def test_an_empty_credential_is_a_config_error(self, crm: SimulatedCrm) -> None:
        account = crm.account(credentials=crm.credentials(""))
        async with session(account) as line:
            with pytest.raises(ConfigError):
                await pull(crm, line.http, account=account)

    async def test_a_wrong_address_is_a_config_error(self, crm: SimulatedCrm) -> None:
        account = crm.account(base_url=crm.account().base_url + "/wrong")
        async with session(account, retry_attempts=0) as line:
            with pytest.raises(ConfigError):
                await pull(crm, line.http, account=account)

    # --------------------------------------------------------------------------------------------------- pulling

    async def test_every_stream_can_be_pulled_and_mapped(self, crm: SimulatedCrm) -> None:
        crm.seed(3)
        async with session(crm.account()) as line:
            for stream in crm.capabilities.streams:
                records, cursor = await pull(crm, line.http, stream=stream.name)
                assert (cursor is not None) == stream.is_incremental
                for record in records:
                    assert record.stream == stream.name
                    assert len(record.content_hash) == 32
                    batch = crm.connector.map_record(crm.account().context, stream.name, record.crm_id, record.body)
                    assert not batch.problems

    async def test_a_pull_brings_all_pages_each_record_once(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(2 * crm.page_size + 1)
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
        assert sorted(ids(records)) == sorted(expected)

    async def test_a_last_page_that_is_full_ends_the_pull(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(2 * crm.page_size)
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
        assert sorted(ids(records)) == sorted(expected)

    async def test_an_empty_account_gives_a_cursor_that_later_finds_what_is_new(self, crm: SimulatedCrm) -> None:
        async with session(crm.account()) as line:
            records, cursor = await pull(crm, line.http)
            assert records == []
            crm.clock.advance(hours=1)
            expected = crm.seed(1)
            records, _ = await pull(crm, line.http, cursor)
        assert ids(records) == expected

    async def test_the_stored_text_is_the_record_with_letters_as_they_are(self, crm: SimulatedCrm) -> None:
        crm.seed(1)
        async with session(crm.account()) as line:
            [record], _ = await pull(crm, line.http)
        assert isinstance(json.loads(record.body), dict)
        assert "\\u04" not in record.body

    async def test_a_pull_goes_on_after_any_page_it_was_interrupted_at(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(4 * crm.page_size + 2)
        async with session(crm.account()) as line:
            for stop in range(1, 5):
                first, cursor = await pull(crm, line.http, pages=stop)
                rest, _ = await pull(crm, line.http, cursor)
                assert set(ids(first + rest)) == set(expected)
                if crm.is_paged:
                    assert len(rest) <= len(expected) - (stop - 1) * crm.page_size

    async def test_a_second_pull_brings_little_and_the_same_content_has_the_same_hash(self, crm: SimulatedCrm) -> None:
        crm.seed(3 * crm.page_size)
        crm.clock.now += max(timedelta(hours=2), crm.lookback + timedelta(minutes=1))
        if crm.lookback:
            crm.seed(1)  # it may count from the newest record
        async with session(crm.account()) as line:
            first, cursor = await pull(crm, line.http)
            again, _ = await pull(crm, line.http, cursor)
        assert len(again) < len(first)
        known = latest(first)
        assert all(record.content_hash == known[record.crm_id].content_hash for record in again)

    async def test_a_second_pull_brings_what_was_added_and_changed(self, crm: SimulatedCrm) -> None:
        known = crm.seed(3 * crm.page_size)
        crm.clock.advance(hours=2)
        async with session(crm.account()) as line:
            first, cursor = await pull(crm, line.http)
            crm.clock.advance(hours=1)
            crm.touch(known[0])
            added = crm.add()
            again, _ = await pull(crm, line.http, cursor)
        assert {known[0], added} <= set(ids(again))
        assert latest(again)[known[0]].content_hash != latest(first)[known[0]].content_hash

    async def test_nothing_older_than_since_is_pulled(self, crm: SimulatedCrm) -> None:
        known = crm.seed(4)
        crm.clock.advance(days=2)
        since = crm.clock.now
        crm.clock.advance(minutes=1)
        added = crm.add()
        account = crm.account(since=since)
        async with session(account) as line:
            records, _ = await pull(crm, line.http, account=account)
        assert ids(records) == [added]
        assert known

    async def test_many_records_of_one_instant_are_all_read_and_the_pull_ends(self, crm: SimulatedCrm) -> None:
        instant = crm.clock.now
        expected = [crm.add(at=instant) for _ in range(3 * crm.page_size + 1)]
        crm.clock.advance(hours=1)
        async with session(crm.account()) as line:
            first, cursor = await pull(crm, line.http)
            again, _ = await pull(crm, line.http, cursor)
        assert set(ids(first)) == set(expected)
        assert set(ids(again)) <= set(expected)

    async def test_a_record_of_the_watermarks_own_instant_that_comes_later_is_read(self, crm: SimulatedCrm) -> None:
        crm.seed(2)
        instant = crm.clock.now
        crm.add(at=instant)
        crm.clock.advance(hours=1)
        async with session(crm.account()) as line:
            _, cursor = await pull(crm, line.http)
            late = crm.add(at=instant)
            again, _ = await pull(crm, line.http, cursor)
        assert late in ids(again)

    async def test_a_cursor_of_nobody_starts_anew(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(2)
        async with session(crm.account()) as line:
            for cursor in ({}, {"pull": 7}, {"watermark": "yesterday"}, {"pull": {"page": -1}}, {"watermark": {}}):
                records, _ = await pull(crm, line.http, cursor)
                assert set(ids(records)) == set(expected)

    async def test_a_window_brings_its_records_and_no_cursor(self, crm: SimulatedCrm) -> None:
        if not crm.capabilities.stream(crm.stream).has_windows:
            pytest.skip("this CRM has no windows")
        known = crm.seed(3 * crm.page_size)
        start = crm.clock.now - 2 * crm.page_size * crm.step
        window = Window(start, start + (crm.page_size + 1) * crm.step)
        crm.clock.advance(hours=1)
        async with session(crm.account()) as line:
            reading = crm.connector.pull(line.http, crm.account(), crm.stream, None, window)
            pages = [page async for page in reading]
        found = [record.crm_id for page in pages for record in page.records]
        assert all(page.cursor is None for page in pages)
        assert sorted(found) == sorted(crm_id for crm_id in known if crm.is_in_window(crm_id, window))
        assert len(found) == crm.page_size + 1

    async def test_neighbouring_windows_share_no_record_and_lose_none(self, crm: SimulatedCrm) -> None:
        if not crm.capabilities.stream(crm.stream).has_windows:
            pytest.skip("this CRM has no windows")
        known = crm.seed(6)
        start = crm.clock.now - 6 * crm.step
        middle = start + 3 * crm.step
        async with session(crm.account()) as line:
            first, _ = await pull(crm, line.http, window=Window(start, middle))
            second, _ = await pull(crm, line.http, window=Window(middle, crm.clock.now))
        assert sorted(ids(first) + ids(second)) == sorted(known)

    # --------------------------------------------------------------------------------- while the data is changing

    async def test_what_changes_during_a_pull_is_in_it_or_in_the_next_one(self, crm: SimulatedCrm) -> None:
        chance = random.Random(7)
        live = crm.seed(6 * crm.page_size)
        crm.clock.advance(hours=1)

        def disturb(_: int) -> None:
            crm.clock.advance(seconds=20)
            live.append(crm.add())
            crm.touch(chance.choice(live))
            if crm.has_deletion:
                crm.remove(live.pop(chance.randrange(len(live))))

        async with session(crm.account()) as line:
            records, cursor = await pull(crm, line.http, between=disturb)
            crm.clock.advance(hours=1)
            more, _ = await pull(crm, line.http, cursor)
            known = latest(records + more)
            assert set(live) <= set(known)
            for crm_id in live if crm.capabilities.stream(crm.stream).can_read_one else ():
                now = await crm.connector.read(line.http, crm.account(), crm.stream, crm_id)
                assert now.content_hash == known[crm_id].content_hash

    async def test_a_record_that_is_deleted_during_a_pull_hides_no_other(self, crm: SimulatedCrm) -> None:
        if not crm.has_deletion:
            pytest.skip("nothing is deleted at this CRM")
        for page in (1, 2, 3):
            known = crm.seed(5 * crm.page_size)
            doomed = known[: crm.page_size + 1]

            def delete(count: int, page: int = page, doomed: list[str] = doomed) -> None:
                if count == page:
                    for crm_id in doomed:
                        crm.remove(crm_id)

            async with session(crm.account()) as line:
                records, _ = await pull(crm, line.http, between=delete)
            assert set(known) - set(doomed) <= set(ids(records))

    async def test_a_deletion_that_a_new_record_covers_up_hides_no_other(self, crm: SimulatedCrm) -> None:
        if not crm.has_deletion:
            pytest.skip("nothing is deleted at this CRM")
        known = crm.seed(4 * crm.page_size)
        crm.clock.advance(hours=1)

        def swap(count: int) -> None:
            if count == 1:
                crm.clock.advance(seconds=30)
                crm.remove(known[0])
                crm.add()

        async with session(crm.account(), max_concurrent=1) as line:
            records, _ = await pull(crm, line.http, between=swap)
        assert set(known[1:]) <= set(ids(records))

    async def test_a_page_that_comes_twice_hides_no_record(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(3 * crm.page_size + 1)
        crm.repeat_a_page()
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
        assert set(ids(records)) == set(expected)

    # ---------------------------------------------------------------------------------------------------- failures

    async def test_too_many_requests_are_waited_for_as_long_as_the_crm_asks(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(2)
        crm.fail("too_many", seconds=7)
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
        assert set(ids(records)) == set(expected)
        assert line.slept == line.limiter.blocked
        if crm.says_how_long:
            assert line.slept == [7.0]
        else:
            assert len(line.slept) == 1

    @pytest.mark.parametrize("fault", ["server_error", "unavailable", "bad_gateway", "truncated", "cut", "drop"])
    async def test_a_failure_that_passes_loses_nothing(self, crm: SimulatedCrm, fault: Fault) -> None:
        expected = crm.seed(2 * crm.page_size)
        crm.fail(fault, times=2, skip=1 if crm.is_paged else 0)
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
        assert sorted(set(ids(records))) == sorted(expected)
        assert len(line.slept) == 2

    async def test_a_crm_that_does_not_answer_in_time_is_asked_again(self, crm: SimulatedCrm) -> None:
        expected = crm.seed(2)
        crm.fail("timeout", seconds=30)
        async with session(crm.account(), timeout=0.5) as line:
            records, _ = await pull(crm, line.http)
        assert set(ids(records)) == set(expected)
        assert len(line.slept) == 1

    async def test_a_failure_that_lasts_is_a_retry_error_and_the_pull_goes_on_from_its_cursor(
        self, crm: SimulatedCrm
    ) -> None:
        expected = crm.seed(3 * crm.page_size + 1)
        seen: list[RawRecord] = []
        cursor: Cursor | None = None
        failure: RetryError | None = None
        crm.fail("server_error", times=100, skip=2 if crm.is_paged else 0)
        async with session(crm.account(), retry_attempts=2, max_concurrent=1) as line:
            try:
                async for page in crm.connector.pull(line.http, crm.account(), crm.stream, None):
                    seen += page.records
                    cursor = page.cursor
            except RetryError as error:
                failure = error
            assert failure is not None
            assert len(line.slept) == 2
            assert bool(seen) is crm.is_paged
            crm.fail("server_error", times=0)
            rest, _ = await pull(crm, line.http, stored(cursor))
        assert sorted(set(ids(seen + rest))) == sorted(expected)

    async def test_each_attempt_asks_the_shared_limiter(self, crm: SimulatedCrm) -> None:
        crm.seed(2 * crm.page_size + 1)
        crm.fail("server_error", times=1)
        async with session(crm.account()) as line:
            await pull(crm, line.http)
        assert line.limiter.acquired == crm.requests()

    # ------------------------------------------------------------------------------------------------ single reads

    async def test_one_record_reads_as_it_is_pulled(self, crm: SimulatedCrm) -> None:
        known = crm.seed(2)
        async with session(crm.account()) as line:
            if not crm.capabilities.stream(crm.stream).can_read_one:
                with pytest.raises(ConnectorError):
                    await crm.connector.read(line.http, crm.account(), crm.stream, known[0])
                return
            records, _ = await pull(crm, line.http)
            record = await crm.connector.read(line.http, crm.account(), crm.stream, known[0])
        assert record.crm_id == known[0]
        assert record.content_hash == latest(records)[known[0]].content_hash

    @pytest.mark.parametrize("crm_id", ["999999999", "../users", "", "1?x=1", "1/../2", "ї", "9" * 400])
    async def test_a_record_that_is_not_there_is_not_found(self, crm: SimulatedCrm, crm_id: str) -> None:
        crm.seed(1)
        async with session(crm.account()) as line:
            for stream in crm.capabilities.streams:
                if stream.can_read_one:
                    with pytest.raises(NotFoundError):
                        await crm.connector.read(line.http, crm.account(), stream.name, crm_id)

    # ---------------------------------------------------------------------------------------------------- webhooks

    def _auth(self, crm: SimulatedCrm) -> WebhookAuth:
        return WebhookAuth(scheme=crm.scheme, secret=WEBHOOK_SECRET)

    def test_a_good_webhook_is_accepted_stored_and_mapped(self, crm: SimulatedCrm) -> None:
        request = authenticated(crm.webhook(), crm.scheme)
        crm.connector.verify_webhook(self._auth(crm), request)
        body = crm.connector.check_webhook(request, crm.account().context)
        batch = crm.connector.map_webhook(crm.account().context, None, body, crm.clock.now)
        assert batch.rereads or batch.orders or batch.status_events or batch.transactions
        assert not batch.problems

    def test_the_same_webhook_maps_to_the_same_records(self, crm: SimulatedCrm) -> None:
        body = crm.connector.check_webhook(crm.webhook(), crm.account().context)
        first, second = (crm.connector.map_webhook(crm.account().context, None, body, crm.clock.now) for _ in range(2))
        assert first == second

    @pytest.mark.parametrize("secret", [None, "", WEBHOOK_SECRET[:-1], WEBHOOK_SECRET + "x", "ї"])
    def test_a_forged_webhook_is_refused(self, crm: SimulatedCrm, secret: str | None) -> None:
        request = crm.webhook() if secret is None else authenticated(crm.webhook(), crm.scheme, secret)
        with pytest.raises(WebhookRefusedError):
            crm.connector.verify_webhook(self._auth(crm), request)

    def test_a_project_without_webhook_settings_refuses_every_webhook(self, crm: SimulatedCrm) -> None:
        for auth in (WebhookAuth(scheme="unset"), WebhookAuth(scheme=crm.scheme), WebhookAuth(scheme="tokens")):
            with pytest.raises(WebhookRefusedError):
                crm.connector.verify_webhook(auth, authenticated(crm.webhook(), crm.scheme))

    def test_an_old_signature_is_refused(self, crm: SimulatedCrm) -> None:
        auth = WebhookAuth(scheme="standard", secret=WEBHOOK_SECRET)
        now = datetime.now(UTC)
        crm.connector.verify_webhook(auth, signed(crm.webhook(), now - timedelta(minutes=4)))
        for moment in (now - timedelta(minutes=6), now + timedelta(minutes=6)):
            with pytest.raises(WebhookRefusedError):
                crm.connector.verify_webhook(auth, signed(crm.webhook(), moment))

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"\xff\xfe", b'{"a":"\x00"}', b'"text"', b"7", b"null", b"[" * 100_000, b'{"event":"order'],
        ids=["empty", "half", "not UTF-8", "NUL", "text", "number", "null", "deep", "cut"],
    )
    def test_a_malformed_webhook_is_unreadable(self, crm: SimulatedCrm, body: bytes) -> None:
        with pytest.raises(WebhookUnreadableError):
            crm.connector.check_webhook(replace(crm.webhook(), body=body, query={}), crm.account().context)

    @pytest.mark.parametrize("body", ["{}", "[]", '[{"x":1}]', '{"event":7}', '{"event":"e","context":[]}', "7", "{"])
    def test_a_webhook_of_the_wrong_shape_raises_nothing_but_skip_row(self, crm: SimulatedCrm, body: str) -> None:
        for name in (None, *crm.capabilities.webhook_events):
            with suppress(SkipRowError):
                crm.connector.map_webhook(crm.account().context, name, body, crm.clock.now)

    def test_a_payload_for_people_has_no_personal_data(self, crm: SimulatedCrm) -> None:
        masked = crm.connector.mask_payload(
            '{"buyer":{"full_name":"Олена Шевченко","phone":"+380501234567","email":"olena@example.com"},'
            '"comment":"call 050 123 45 67 or write to olena@example.com","id":501}'
        )
        assert json.loads(masked)["id"] == 501
        for personal in ("Шевченко", "0501234567", "123 45 67", "olena@"):
            assert personal not in masked

    async def test_register_webhook_says_what_was_done_or_what_to_do(self, crm: SimulatedCrm) -> None:
        url = f"https://elt.example.com/webhooks/{crm.connector.crm}/shop"
        async with session(crm.account()) as line:
            said = await crm.connector.register_webhook(line.http, crm.account(), f"{url}?token={WEBHOOK_SECRET}")
        assert url in said
        assert WEBHOOK_SECRET not in said

    # ----------------------------------------------------------------------------------------------------- secrets

    async def test_no_secret_is_in_any_log_line_or_error(self, crm: SimulatedCrm) -> None:
        crm.seed(2 * crm.page_size)
        faults: tuple[Fault, ...] = ("too_many", "server_error", "bad_gateway", "truncated", "cut", "drop", "timeout")
        texts: list[str] = []
        wrong = crm.account(credentials=crm.credentials(SECRET + "-wrong"))
        nowhere = crm.account(base_url="http://127.0.0.1:1/v1")
        with everything_logged() as output:
            for account, settings in ((crm.account(), {"timeout": 0.5}), (wrong, {}), (nowhere, {})):
                async with session(account, retry_attempts=1, **settings) as line:
                    for fault in faults:
                        crm.fail(fault, times=2, seconds=1)
                        try:
                            await pull(crm, line.http, account=account)
                        except ConnectorError as error:
                            texts += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
                    texts += [repr(await crm.connector.check_health(line.http, account)), repr(account)]
        assert len(texts) > 3 * len(faults)
        assert "http_retry" in output.getvalue()
        for text in (*texts, output.getvalue()):
            assert SECRET not in text
            assert "s3cr3t" not in text


def authenticated(request: WebhookRequest, scheme: str, secret: str = WEBHOOK_SECRET) -> WebhookRequest:
    """The request as a sender with that secret would send it."""
    if scheme == "token":
        return replace(request, query={**request.query, "token": secret})
    if scheme == "bearer":
        return replace(request, headers={**request.headers, "authorization": f"Bearer {secret}"})
    raise ValueError(scheme)


def signed(request: WebhookRequest, at: datetime, secret: str = WEBHOOK_SECRET) -> WebhookRequest:
    """The request with the signature of a Standard Webhook."""
    import base64
    import hashlib
    import hmac

    timestamp = str(int(at.timestamp()))
    content = b".".join((b"msg_1", timestamp.encode(), request.body))
    signature = base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    return replace(request, headers={**request.headers, **headers})
