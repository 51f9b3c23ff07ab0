"""What is 1C's own with standard OData, over real HTTP against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors import registry
from connectors.errors import ConfigError, NotFoundError, PermanentError
from connectors.onec.simulator import SimulatorState, create_app
from connectors.onec.simulator_state import CUSTOMERS, DOCUMENT, ITEMS
from connectors.protocol import Account, RawRecord, ReconcilingConnector, Window
from connectors.records import Batch
from tests.conformance.suite import SECRET, Clock, ids, pull, session
from tests.conformance.test_onec import ODATA_OPTIONS, SimulatedOData
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
ONEC = registry.get("onec")
assert isinstance(ONEC, ReconcilingConnector)
ROOT = "/trade/odata/standard.odata"


@pytest.fixture
def crm() -> Iterator[SimulatedOData]:
    clock = Clock()
    state = SimulatorState(password=SECRET, clock=clock)
    with serve(create_app(state)) as url:
        yield SimulatedOData(state, clock, url)


def account_with(crm: SimulatedOData, *, fields: dict[str, str] | None = None, **options: Any) -> Account:
    known = {**ODATA_OPTIONS, **options}
    if fields:
        known["fields"] = {**ODATA_OPTIONS["fields"], **fields}  # type: ignore[dict-item]
    return crm.account(options=known)


def mapped(account: Account, records: list[RawRecord]) -> dict[str, Batch]:
    return {
        record.crm_id: ONEC.map_record(account.context, "transactions", record.crm_id, record.body)
        for record in records
    }


async def test_a_document_comes_through_with_all_that_belongs_to_it(crm: SimulatedOData) -> None:
    tea, bun = crm.state.add_item("Чай"), crm.state.add_item("Булочка")
    customer = crm.state.add_customer("Иванов", "8 (999) 123-45-67")
    at = datetime(2026, 3, 2, 8, 30, 15, tzinfo=UTC)
    key = crm.state.add_document([(tea, 2, 625.25), (bun, 1, 1200000.0)], customer=customer, at=at)
    account = account_with(crm, fields={"phone": "Контрагент.КонтактнаяИнформация.НомерТелефона"})
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    assert '"Date":"2026-03-02T11:30:15"' in records[0].body  # Moscow
    [sale] = mapped(account, records)[key].transactions
    assert sale.external_id == f"1C-{key}"
    assert sale.occurred_at == at
    assert sale.amount == Decimal("1201250.50")
    assert sale.customer_id == customer
    assert sale.phone_e164 == "+79991234567"
    assert sale.description == "Чай, Булочка"


async def test_names_of_items_are_asked_for_in_short_questions_and_once_each(crm: SimulatedOData) -> None:
    items = [crm.state.add_item(f"Товар {number}") for number in range(45)]
    keys = [
        crm.state.add_document([(item, 1, 1.0) for item in items[start : start + 9] + items[:2]])
        for start in range(0, 45, 9)
    ]
    account = crm.account(batch_size=100)
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    asked = crm.state.requests.find("GET", f"{ROOT}/{ITEMS}")
    assert [entry.params["$filter"].count("Ref_Key") for entry in asked] == [20, 20, 5]
    assert max(len(entry.query) for entry in asked) < 2048
    assert mapped(account, records)[keys[4]].transactions[0].description == ", ".join(
        f"Товар {number}" for number in (*range(36, 45), 0, 1)
    )


async def test_an_item_that_the_base_does_not_have_has_no_name(crm: SimulatedOData) -> None:
    tea, gone = crm.state.add_item("Чай"), crm.state.add_item("Кофе")
    key = crm.state.add_document([(gone, 1, 1.0), (tea, 1, 1.0)])
    del crm.state.entities[ITEMS][gone]
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert mapped(crm.account(), records)[key].transactions[0].description == "Чай"


@pytest.mark.parametrize("undo", ["unpost", "mark_deleted"])
async def test_a_sale_that_is_undone_comes_as_its_reversal_and_posted_again_as_a_sale(
    crm: SimulatedOData, undo: str
) -> None:
    key, _ = crm.add(), crm.add()
    async with session(crm.account()) as line:
        first, cursor = await pull(crm, line.http)
        crm.clock.advance(hours=5)
        getattr(crm.state, undo)(key)
        second, cursor = await pull(crm, line.http, cursor)
        crm.state.change(key, Posted=True, DeletionMark=False)
        third, _ = await pull(crm, line.http, cursor)
        batches = [mapped(crm.account(), records)[key] for records in (first, second, third)]
        # By the content alone the third is the first again: it must not pass for known.
        hashes = [next(one.content_hash for one in records if one.crm_id == key) for records in (first, third)]
    assert [len(batch.transactions) for batch in batches] == [1, 0, 1]
    assert [reversal.external_id for reversal in batches[1].reversals] == [f"1C-{key}"]
    assert hashes[0] != hashes[1]


async def test_once_a_day_a_pull_reaches_further_back(crm: SimulatedOData) -> None:
    old = crm.add()
    crm.clock.advance(days=20)
    new = crm.add()
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.state.change(old, СуммаДокумента=7.5)
        near, cursor = await pull(crm, line.http, cursor)
        assert cursor is not None
        yesterday = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
        deep, _ = await pull(crm, line.http, {**cursor, "deep_at": yesterday})
        short = account_with(crm, look_back_days=5)
        shallow, _ = await pull(crm, line.http, {**cursor, "deep_at": yesterday}, account=short)
    assert (ids(near), ids(deep), ids(shallow)) == ([new], [old, new], [new])
    assert mapped(crm.account(), deep)[old].transactions[0].amount == Decimal("7.50")


async def test_a_document_of_the_future_does_not_hide_those_of_today(crm: SimulatedOData) -> None:
    future = crm.add(at=crm.clock.now + timedelta(days=400))
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.clock.advance(hours=1)
        today = crm.add()
        again, _ = await pull(crm, line.http, cursor)
    assert set(ids(again)) == {today, future}


async def test_a_document_that_goes_away_among_many_of_one_second_hides_none(crm: SimulatedOData) -> None:
    instant = crm.clock.now
    known = sorted(crm.add(at=instant) for _ in range(4 * crm.page_size))

    def remove(count: int) -> None:
        if count == 2:
            for key in known[:3]:
                crm.remove(key)

    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http, between=remove)
    assert set(known[3:]) <= set(ids(records))


async def test_failures_of_every_kind_now_and_then_end_with_exactly_the_right_documents(crm: SimulatedOData) -> None:
    expected = [crm.add(at=crm.clock.now + timedelta(seconds=step // 3)) for step in range(600)]
    for kind in ("too_many", "server_error", "truncated", "cut", "duplicate_page"):
        crm.state.faults.add(kind, ROOT, times=None, probability=0.06)
    account = crm.account(batch_size=10)
    async with session(account) as line:
        records, cursor = await pull(crm, line.http, account=account)
    assert sorted(ids(records)) == sorted(expected)
    assert cursor is not None
    assert cursor["watermark"] == "2026-03-02T12:00:00"  # the base's clock: what is ahead of it does not count
    struck = [fault.strikes for fault in crm.state.faults.active()]
    assert min(struck) > 0
    assert sum(struck) > 5


async def test_days_of_a_zone_with_summer_time_share_no_document_and_lose_none() -> None:
    clock, zone = Clock(datetime(2025, 11, 1, tzinfo=UTC)), ZoneInfo("Europe/Kyiv")
    state = SimulatorState(password=SECRET, clock=clock, timezone="Europe/Kyiv")
    start = datetime(2025, 10, 25, 12, 10, tzinfo=UTC)
    keys = [state.add_document(at=start + timedelta(minutes=20 * step)) for step in range(90)]  # over 26 October
    with serve(create_app(state)) as url:
        crm = SimulatedOData(state, clock, url)
        account = account_with(crm, timezone="Europe/Kyiv")
        days = [datetime(2025, 10, day, tzinfo=zone).astimezone(UTC) for day in (25, 26, 27)]
        async with session(account) as line:
            found = []
            for first, after in ((days[0], days[1]), (days[1], days[2])):
                records, _ = await pull(crm, line.http, account=account, window=Window(first, after))
                found.append(ids(records))
    assert sorted(found[0] + found[1]) == sorted(keys)
    # Kyiv's midnight is 21:00 UTC on the 25th: 12:10 to 20:50 are of that day.
    assert found[0] == keys[:27]


async def test_what_is_undone_of_any_age_is_found_once_a_day_though_the_pull_is_cut(crm: SimulatedOData) -> None:
    old = [crm.add(at=crm.clock.now + timedelta(minutes=step)) for step in range(40)]
    crm.clock.advance(days=300)
    new = crm.add()
    undone = old[3:17]
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        for key in undone:
            crm.state.unpost(key)
        near, cursor = await pull(crm, line.http, cursor)
        assert cursor is not None
        yesterday = {**cursor, "deep_at": (datetime.now(UTC) - timedelta(hours=25)).isoformat()}
        for stop in (1, 2, 3):
            first, place = await pull(crm, line.http, yesterday, pages=stop)
            rest, end = await pull(crm, line.http, place)
            assert set(ids(first + rest)) == {*undone, new}
            assert len(rest) <= len(undone) + 2 - 4 * stop
            assert end is not None
            assert end["watermark"] == cursor["watermark"]
            again, _ = await pull(crm, line.http, end)
            assert ids(again) == [new]
        recent = replace(crm.account(), since=crm.clock.now - timedelta(days=1))
        nothing_older, _ = await pull(crm, line.http, yesterday, account=recent)
    assert ids(near) == ids(nothing_older) == [new]
    assert all(mapped(crm.account(), first + rest)[key].reversals for key in undone)


async def test_all_documents_that_there_are_are_listed_once(crm: SimulatedOData) -> None:
    known = [crm.add(at=crm.clock.now + timedelta(minutes=step)) for step in range(2300)]
    crm.state.unpost(known[1000])
    crm.state.mark_deleted(known[5])
    crm.state.delete(known[7])
    async with session(crm.account()) as line:
        pages = [page async for page in ONEC.list_ids(line.http, crm.account(), "transactions")]
        late = replace(crm.account(), since=crm.clock.now + timedelta(minutes=2200))
        after = [page async for page in ONEC.list_ids(line.http, late, "transactions")]
    assert len(pages) == 3
    assert [key for page in pages for key in page] == known[:7] + known[8:]
    assert [key for page in after for key in page] == known[2200:]


async def test_an_undone_document_is_read_as_what_it_is_and_one_that_is_gone_is_not_found(crm: SimulatedOData) -> None:
    undone, gone = crm.add(), crm.add()
    crm.state.unpost(undone)
    crm.state.delete(gone)
    async with session(crm.account()) as line:
        record = await ONEC.read(line.http, crm.account(), "transactions", undone.upper())
        assert mapped(crm.account(), [record])[undone].reversals
        with pytest.raises(NotFoundError):
            await ONEC.read(line.http, crm.account(), "transactions", gone)
        crm.state.ignores_filters = True
        with pytest.raises(NotFoundError):
            await ONEC.read(line.http, crm.account(), "transactions", gone)


async def test_a_document_may_be_known_by_a_text_of_its_own(crm: SimulatedOData) -> None:
    keys = [crm.add(), crm.add()]
    crm.state.change(keys[1], Номер="О'Генри 7")
    crm.state.change(keys[0], Номер="6")
    account = account_with(crm, fields={"id": "Номер"})
    async with session(account) as line:
        record = await ONEC.read(line.http, account, "transactions", "О'Генри 7")
        with pytest.raises(NotFoundError):
            await ONEC.read(line.http, account, "transactions", "О'Генри")
        pages = [page async for page in ONEC.list_ids(line.http, account, "transactions")]
    [sale] = mapped(account, [record])["О'Генри 7"].transactions
    assert sale.external_id == "1C-О'Генри 7"
    assert [crm_id for page in pages for crm_id in page] == ["6", "О'Генри 7"]


async def test_where_the_user_may_not_see_all_it_is_said_and_can_be_put_up_with(crm: SimulatedOData) -> None:
    key = crm.add()
    crm.state.is_restricted = True
    async with session(crm.account()) as line:
        with pytest.raises(ConfigError, match=r"options\.allowed_only"):
            await pull(crm, line.http)
        account = account_with(crm, allowed_only=True)
        records, _ = await pull(crm, line.http, account=account)
    assert ids(records) == [key]


@pytest.mark.parametrize(("entity", "setting"), [(DOCUMENT, "options.document"), (ITEMS, "options.catalog")])
async def test_what_is_not_published_is_a_config_error_that_names_the_option(
    crm: SimulatedOData, entity: str, setting: str
) -> None:
    crm.add()
    crm.state.published.discard(entity)
    async with session(crm.account()) as line:
        with pytest.raises(ConfigError, match=f"no {entity}; check {setting}"):
            await pull(crm, line.http)
        health = await ONEC.check_health(line.http, crm.account())
    assert not health.ok
    assert setting in health.message


@pytest.mark.parametrize("field", ["id", "date", "amount"])
async def test_a_misspelt_field_is_noticed(crm: SimulatedOData, field: str) -> None:
    crm.add()
    account = account_with(crm, fields={field: "Опечатка"})
    async with session(account) as line:
        with pytest.raises(ConfigError, match=r"options\.fields"):
            await pull(crm, line.http, account=account)
        health = await ONEC.check_health(line.http, account)
    assert not health.ok
    assert f"options.fields.{field}" in health.message


async def test_a_misspelt_date_that_makes_every_filter_empty_is_noticed(crm: SimulatedOData) -> None:
    """As seen live: no error, an empty list. The order is not complained of either."""
    crm.add()
    account = replace(account_with(crm, fields={"date": "Дата"}), since=crm.clock.now - timedelta(days=1))
    async with session(account) as line:
        with pytest.raises(ConfigError, match=r"no field Дата; check options\.fields\.date"):
            await pull(crm, line.http, account=account)


async def test_a_base_that_ignores_filters_is_noticed(crm: SimulatedOData) -> None:
    crm.add()
    crm.clock.advance(days=10)
    crm.add()
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.state.ignores_filters = True
        with pytest.raises(ConfigError, match="other dates, or in another order"):
            await pull(crm, line.http, cursor)


async def test_an_error_of_the_bases_own_code_is_not_retried(crm: SimulatedOData) -> None:
    crm.add()
    crm.state.breaks = True
    async with session(crm.account()) as line:
        with pytest.raises(PermanentError, match="the base fails: Деление на 0"):
            await pull(crm, line.http)
    assert line.slept == []


async def test_base_url_may_name_the_odata_itself(crm: SimulatedOData) -> None:
    key = crm.add()
    account = crm.account(base_url=f"{crm.server}{ROOT}/")
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    assert ids(records) == [key]


async def test_health_names_the_document_and_the_base(crm: SimulatedOData) -> None:
    async with session(crm.account()) as line:
        health = await ONEC.check_health(line.http, crm.account())
    assert health.ok
    assert DOCUMENT in health.message
    assert "/trade" in health.message
    assert CUSTOMERS not in health.message


async def test_wrong_options_are_a_config_error_before_anything_is_asked(crm: SimulatedOData) -> None:
    account = crm.account(options={"dialect": "odata"})
    async with session(account) as line:
        with pytest.raises(ConfigError, match=r"options\.fields\.amount"):
            await pull(crm, line.http, account=account)
        assert "options.fields.amount" in (await ONEC.check_health(line.http, account)).message
    assert crm.requests() == 0
