"""What is YCLIENTS' own, over real HTTP against the simulator. What all connectors share is in tests/conformance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.errors import ConfigError, NotFoundError, PermanentError, RetryError
from connectors.protocol import Account, MappingContext, ReconcilingConnector, WebhookRequest, Window
from connectors.records import Batch, Place, Reversal
from connectors.yclients.simulator import PREFIX, SimulatorState, create_app
from tests.conformance.suite import SECRET, Clock, ids, latest, pull, session
from tests.conformance.test_yclients import COMPANY, PARTNER, SimulatedYclients
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
YCLIENTS = registry.get("yclients")
ZONE = "Asia/Novosibirsk"
HOOK = "https://elt.example.com/webhooks/yclients/salon"


@pytest.fixture
def crm() -> Iterator[SimulatedYclients]:
    clock = Clock()
    state = SimulatorState(
        company_id=COMPANY,
        timezone=ZONE,
        partner_token=PARTNER,
        user_token=SECRET,
        clock=clock,
        per_second=0,
        per_minute=0,
    )
    with serve(create_app(state)) as url:
        yield SimulatedYclients(state, clock, f"{url}{PREFIX}")


async def learned(crm: SimulatedYclients) -> MappingContext:
    """The context with what the dictionary told."""
    async with session(crm.account()) as line:
        [company], _ = await pull(crm, line.http, stream="places")
    batch = YCLIENTS.map_record(crm.account().context, "places", company.crm_id, company.body)
    places = {place.place_id: place for place in batch.places}
    return MappingContext("salon", region="RU", options={"company_id": COMPANY}, places=places)


async def read_one(crm: SimulatedYclients, record_id: int) -> Batch:
    async with session(crm.account()) as line:
        record = await YCLIENTS.read(line.http, crm.account(), "records", str(record_id))
    return YCLIENTS.map_record(await learned(crm), "records", record.crm_id, record.body)


# ------------------------------------------------------------------------------------------------------- what is read


async def test_a_paid_visit_comes_through_as_a_sale_at_its_local_time(crm: SimulatedYclients) -> None:
    colour = crm.state.add_service("Окрашивание", Decimal("4500.50"))
    start = datetime(2026, 3, 2, 5, 30, tzinfo=UTC)
    record = crm.state.add_record([colour, crm.service], client_id=crm.client.id, start=start)
    assert (await read_one(crm, record.id)).reversals[0].external_id == f"YCLIENTS-{record.id}"
    crm.state.pay(record.id)
    batch = await read_one(crm, record.id)
    assert not batch.problems
    [sale] = batch.transactions
    assert (sale.external_id, sale.amount, sale.occurred_at) == (f"YCLIENTS-{record.id}", Decimal("5400.50"), start)
    assert (sale.currency, sale.phone_e164, sale.description) == ("RUB", "+79991234567", "Окрашивание")
    crm.state.refund(record.id)
    assert (await read_one(crm, record.id)).reversals == [Reversal(f"YCLIENTS-{record.id}", crm.clock.now)]


async def test_the_company_tells_its_zone_in_both_products(crm: SimulatedYclients) -> None:
    assert (await learned(crm)).places == {"77": Place("77", "Студия «Миндаль»", ZONE, "RUB")}
    crm.state.is_altegio, crm.state.currency = True, "$"
    assert (await learned(crm)).places == {"77": Place("77", "Студия «Миндаль»", ZONE, None)}


async def test_the_wrong_offset_of_the_summer_does_no_harm(crm: SimulatedYclients) -> None:
    crm.state.timezone, crm.state.wrong_offset = "Europe/Berlin", True
    start = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    record = crm.state.add_record([crm.service], start=start)
    crm.state.pay(record.id)
    async with session(crm.account()) as line:
        body = json.loads((await YCLIENTS.read(line.http, crm.account(), "records", str(record.id))).body)
    assert body["datetime"] == "2026-07-01T12:00:00+01:00"
    assert (await read_one(crm, record.id)).transactions[0].occurred_at == start


async def test_a_deleted_record_is_pulled_as_a_reversal(crm: SimulatedYclients) -> None:
    record_id = crm.add()
    crm.state.pay(int(record_id))
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.clock.advance(hours=1)
        crm.remove(record_id)
        [deleted], _ = await pull(crm, line.http, cursor)
    batch = YCLIENTS.map_record(await learned(crm), "records", deleted.crm_id, deleted.body)
    assert batch.reversals == [Reversal(f"YCLIENTS-{record_id}", crm.clock.now)]
    assert crm.state.requests.find("GET", f"/records/{COMPANY}")[-1].params["with_deleted"] == "1"


async def test_every_stream_reads_one_object_as_it_is_listed(crm: SimulatedYclients) -> None:
    crm.state.pay(int(crm.add()))
    async with session(crm.account()) as line:
        for stream in YCLIENTS.capabilities.streams:
            [listed, *_], _ = await pull(crm, line.http, stream=stream.name)
            record = await YCLIENTS.read(line.http, crm.account(), stream.name, listed.crm_id)
            assert (record.stream, record.crm_id) == (listed.stream, listed.crm_id)
            maps = [YCLIENTS.map_record(crm.account().context, stream.name, x.crm_id, x.body) for x in (record, listed)]
            assert maps[0] == maps[1]
            assert not maps[0].problems


async def test_a_record_that_is_deleted_is_not_found_or_read_as_deleted(crm: SimulatedYclients) -> None:
    record_id = crm.add()
    crm.remove(record_id)
    async with session(crm.account()) as line:
        with pytest.raises(NotFoundError):
            await YCLIENTS.read(line.http, crm.account(), "records", record_id)
    crm.state.shows_deleted = True
    assert (await read_one(crm, int(record_id))).reversals[0].external_id == f"YCLIENTS-{record_id}"


async def test_another_visit_of_the_client_does_not_make_a_record_a_new_one(crm: SimulatedYclients) -> None:
    first = crm.add()
    async with session(crm.account()) as line:
        before, _ = await pull(crm, line.http)
        crm.state.add_record([crm.service], client_id=crm.client.id, attendance=1)
        after, _ = await pull(crm, line.http)
    assert '"success_visits_count":1' in latest(after)[first].body
    assert latest(after)[first].content_hash == latest(before)[first].content_hash


# ---------------------------------------------------------------------------------------------------- what is changed


@pytest.mark.parametrize("filter_zone", [None, "UTC", "Europe/Moscow"])
@pytest.mark.parametrize("company_zone", ["Asia/Novosibirsk", "America/New_York", "Asia/Kamchatka"])
async def test_a_change_is_found_whichever_zone_the_filter_is_read_in(
    crm: SimulatedYclients, filter_zone: str | None, company_zone: str
) -> None:
    crm.state.timezone, crm.state.filter_zone = company_zone, filter_zone
    old = crm.add(at=crm.clock.now - timedelta(days=3))
    crm.add()
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.clock.advance(minutes=1)
        added = crm.add()
        again, _ = await pull(crm, line.http, cursor)
    assert added in ids(again)
    assert old not in ids(again)


async def test_clients_and_payments_are_pulled_by_their_changes(crm: SimulatedYclients) -> None:
    crm.clock.advance(days=2)
    other = crm.state.add_client("Пётр", phone="+79990000002")
    crm.state.pay(int(crm.add()))
    async with session(crm.account()) as line:
        clients, cursor = await pull(crm, line.http, stream="customers")
        payments, paid = await pull(crm, line.http, stream="transactions")
        assert (len(clients), len(payments)) == (2, 1)
        crm.clock.advance(days=2)
        crm.state.change_client(crm.client.id, phone="+79995554433")
        payment = crm.state.pay(int(crm.add()))
        assert ids((await pull(crm, line.http, cursor, stream="customers"))[0]) == [str(crm.client.id), str(other.id)]
        crm.clock.advance(days=2)
        _, cursor = await pull(crm, line.http, cursor, stream="customers")
        assert ids((await pull(crm, line.http, cursor, stream="customers"))[0]) == [str(crm.client.id)]
        found = ids((await pull(crm, line.http, paid, stream="transactions"))[0])
    assert str(payment.id) in found


async def test_the_cursor_of_another_company_is_worth_nothing(crm: SimulatedYclients) -> None:
    known = crm.add(at=crm.clock.now - timedelta(days=30))
    crm.add()
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        assert cursor is not None
        assert known not in ids((await pull(crm, line.http, cursor))[0])
        assert known in ids((await pull(crm, line.http, {**cursor, "company": "78"}))[0])


async def test_days_of_a_backfill_are_the_visits_days_in_the_companys_zone(crm: SimulatedYclients) -> None:
    # 7 hours ahead of UTC: the local day 2026-03-02 is 2026-03-01T17:00Z to 2026-03-02T17:00Z.
    booked = crm.clock.now - timedelta(days=20)
    at = {
        hour: str(crm.state.add_record([crm.service], start=datetime(2026, 3, 1, hour, 59, tzinfo=UTC), at=booked).id)
        for hour in (16, 17, 23)
    }
    async with session(crm.account()) as line:
        local_day = Window(datetime(2026, 3, 1, 17, tzinfo=UTC), datetime(2026, 3, 2, 17, tzinfo=UTC))
        found, cursor = await pull(crm, line.http, window=local_day)
        assert sorted(ids(found)) == sorted([at[17], at[23]])
        assert cursor is None
        utc_day = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
        assert sorted(ids((await pull(crm, line.http, window=utc_day))[0])) == sorted(at.values())
    asked = [entry.params for entry in crm.state.requests.find("GET", f"/records/{COMPANY}")]
    assert [(one["start_date"], one["end_date"]) for one in asked] == [
        ("2026-03-02", "2026-03-02"),
        ("2026-03-01", "2026-03-02"),
    ]


async def test_a_purged_record_hides_none_whatever_the_order_of_the_list(crm: SimulatedYclients) -> None:
    for order in ("id", "-id", "date", "-changed", "changed"):
        crm.state.order = order
        known = crm.seed(40)
        doomed = known[:6] if not order.startswith("-") else known[-6:]

        def purge(count: int, doomed: list[str] = doomed) -> None:
            if count == 2:
                for record_id in doomed:
                    crm.state.purge_record(int(record_id))

        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http, between=purge)
        assert set(known) - set(doomed) <= set(ids(records)), order
        crm.state.records.clear()


async def test_a_vendor_that_clamps_pages_is_read_to_the_end(crm: SimulatedYclients) -> None:
    expected = crm.seed(130)
    crm.state.most_per_page = 25
    account = crm.account(batch_size=300)
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    assert sorted(ids(records)) == sorted(expected)


# --------------------------------------------------------------------------------------------------- which there are


async def listed_ids(crm: SimulatedYclients, stream: str, account: Account | None = None) -> list[str]:
    assert isinstance(YCLIENTS, ReconcilingConnector)
    async with session(account or crm.account()) as line:
        return [one async for page in YCLIENTS.list_ids(line.http, account or crm.account(), stream) for one in page]


async def test_ids_are_those_that_a_full_pull_brings(crm: SimulatedYclients) -> None:
    known = crm.seed(30)
    crm.remove(known[3])
    crm.state.purge_record(int(known[7]))
    assert sorted(await listed_ids(crm, "records")) == sorted(set(known) - {known[7]})
    others = [crm.state.add_client(f"Клиент {number}") for number in range(40)]
    crm.state.delete_client(others[5].id)
    live = {crm.client.id, *(one.id for one in others)} - {others[5].id}
    assert sorted(map(int, await listed_ids(crm, "customers"))) == sorted(live)
    assert {stream.name for stream in YCLIENTS.capabilities.streams if stream.can_list_ids} == {"records", "customers"}


async def test_ids_from_before_since_are_not_missed(crm: SimulatedYclients) -> None:
    old = crm.seed(3)
    crm.clock.advance(days=2)
    account = crm.account(since=crm.clock.now)
    added = crm.seed(12)
    assert sorted(await listed_ids(crm, "records", account)) == sorted(added)
    async with session(account) as line:
        assert sorted(ids((await pull(crm, line.http, account=account))[0])) == sorted(added)
    assert old


async def test_a_company_that_is_not_known_is_no_empty_one(crm: SimulatedYclients) -> None:
    crm.state.says_not_found_when_empty = True
    assert await listed_ids(crm, "records") == []
    account = crm.account(options={"company_id": 78})
    with pytest.raises(ConfigError, match="no company 78"):
        await listed_ids(crm, "records", account)


async def test_an_empty_list_may_say_not_found(crm: SimulatedYclients) -> None:
    crm.state.says_not_found_when_empty = True
    async with session(crm.account()) as line:
        assert (await pull(crm, line.http))[0] == []


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("answers_200", [True, False])
async def test_the_throttle_is_known_by_its_words_and_waited_for_longer_each_time(
    crm: SimulatedYclients, answers_200: bool
) -> None:
    expected = crm.seed(3)
    crm.state.limit_answers_200, crm.state.limit_strikes = answers_200, 3
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sorted(ids(records)) == sorted(expected)
    assert line.slept == [1.0, 2.0, 4.0]
    assert line.limiter.blocked == [1.0, 2.0, 4.0]


async def test_a_throttle_that_lasts_is_a_retry_error(crm: SimulatedYclients) -> None:
    crm.state.limit_strikes = 100
    async with session(crm.account(), retry_attempts=1) as line:
        with pytest.raises(RetryError, match="Превышен лимит") as caught:
            await pull(crm, line.http)
    assert caught.value.status == 429


async def test_the_vendors_own_limits_hold_and_ours_is_within_them(crm: SimulatedYclients) -> None:
    elapsed = 0.0
    for limit, most in zip(crm.state.limits, (5, 200), strict=True):
        limit.requests, limit.clock = most, lambda: elapsed
    requests, seconds = YCLIENTS.capabilities.rate_limit
    assert requests / seconds <= min(5 / 1, 200 / 60)
    crm.seed(3)
    async with session(crm.account(), retry_attempts=0) as line:
        for _ in range(2):
            await pull(crm, line.http)
        with pytest.raises(RetryError):
            await pull(crm, line.http)
        elapsed = 1.0
        await pull(crm, line.http)
    assert YCLIENTS.capabilities.is_limit_per_address


async def test_health_names_the_company_or_the_token_that_is_wrong(crm: SimulatedYclients) -> None:
    async def told(**credentials: str) -> str:
        account = crm.account(credentials={**crm.credentials(SECRET), **credentials})
        async with session(account) as line:
            health = await YCLIENTS.check_health(line.http, account)
        assert health.ok is (not credentials)
        return health.message

    assert "Студия «Миндаль»" in await told()
    assert "refuses partner_token" in await told(partner_token="another")
    assert "refuses user_token" in await told(user_token="another")
    assert "partner_token is not set" in await told(partner_token="")
    assert "characters that no token has" in await told(user_token="two words")


async def test_health_names_a_wrong_company_and_an_ended_licence(crm: SimulatedYclients) -> None:
    async with session(crm.account()) as line:
        for options, told in (({"company_id": 78}, "no company 78"), ({}, "options.company_id is not set")):
            health = await YCLIENTS.check_health(line.http, crm.account(options=options))
            assert not health.ok
            assert told in health.message
        crm.state.licence_ended = True
        health = await YCLIENTS.check_health(line.http, crm.account())
        assert not health.ok
        assert "licence has ended" in health.message
        with pytest.raises(ConfigError, match="licence") as caught:
            await pull(crm, line.http)
        assert caught.value.status == 402


# ----------------------------------------------------------------------------------------------------------- webhooks


async def register(crm: SimulatedYclients, url: str = f"{HOOK}?token=s3cr3t-hook") -> str:
    async with session(crm.account()) as line:
        return await YCLIENTS.register_webhook(line.http, crm.account(), url)


async def test_registering_keeps_the_addresses_and_events_of_other_programs(crm: SimulatedYclients) -> None:
    others = ["https://a.example.com/in?key=1", "https://b.example.com/in"]
    crm.state.set_hooks({"urls": others, "active": 1, "staff": 0, "service": 1, "master": 1, "record": 0})
    said = await register(crm)
    assert crm.state.hooks["urls"] == [*others, f"{HOOK}?token=s3cr3t-hook"]
    on = {name for name, value in crm.state.hooks.items() if value == 1}
    assert on == {"active", "service", "master", "record", "client", "finances_operation"}
    assert HOOK in said
    assert "2 addresses of other programs stay" in said
    for secret in ("s3cr3t", "key=1", "a.example.com"):
        assert secret not in said


async def test_registering_again_changes_nothing_and_a_new_secret_replaces_the_old_one(crm: SimulatedYclients) -> None:
    crm.state.set_hooks({"urls": ["https://b.example.com/in"], "active": 0})
    assert "switched on too" in await register(crm)
    posts = crm.state.requests.count("POST")
    await register(crm)
    assert crm.state.requests.count("POST") == posts
    await register(crm, f"{HOOK}?token=another")
    assert crm.state.hooks["urls"] == ["https://b.example.com/in", f"{HOOK}?token=another"]
    assert "carries no token" in await register(crm, HOOK)


async def test_with_ten_addresses_nothing_is_taken_away_from_anybody(crm: SimulatedYclients) -> None:
    urls = [f"https://{number}.example.com" for number in range(10)]
    crm.state.set_hooks({"urls": urls, "active": 1})
    with pytest.raises(PermanentError, match="10 webhook addresses"):
        await register(crm)
    assert crm.state.hooks["urls"] == urls


async def test_settings_that_cannot_be_read_are_not_replaced(crm: SimulatedYclients) -> None:
    crm.state.hooks["urls"] = "https://a.example.com"
    with pytest.raises(RetryError, match="nothing was changed"):
        await register(crm)
    assert crm.state.requests.count("POST") == 0


@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_what_the_company_sends_is_applied_and_read_again(crm: SimulatedYclients, is_wrapped: bool) -> None:
    await register(crm)
    crm.state.wraps_webhooks = is_wrapped
    record = crm.state.add_record([crm.service], client_id=crm.client.id)
    crm.state.pay(record.id)
    crm.state.refund(record.id)
    crm.state.delete_record(record.id)
    context, told = await learned(crm), []
    for delivery in crm.state.webhooks.deliveries():
        request = WebhookRequest("POST", {}, {}, json.dumps(delivery.payload).encode())
        batch = YCLIENTS.map_webhook(context, None, YCLIENTS.check_webhook(request, context), crm.clock.now)
        assert not batch.problems
        assert batch.rereads
        told.append((len(batch.transactions), len(batch.reversals)))
    # Booked, paid, the payment, its end, unpaid again, deleted.
    assert told == [(0, 1), (1, 0), (0, 0), (0, 0), (0, 1), (0, 1)]


async def test_a_deletion_that_moves_no_time_comes_by_webhook_and_by_no_pull(crm: SimulatedYclients) -> None:
    """What the README says of it: neither the increment nor the list of ids tells."""
    crm.state.deletion_bumps = False
    record_id = crm.add(at=crm.clock.now - timedelta(days=3))
    crm.add()
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        await YCLIENTS.register_webhook(line.http, crm.account(), f"{HOOK}?token=t")
        crm.remove(record_id)
        assert record_id not in ids((await pull(crm, line.http, cursor))[0])
    assert record_id in await listed_ids(crm, "records")
    payload = json.dumps(crm.state.webhooks.deliveries("record")[-1].payload)
    batch = YCLIENTS.map_webhook(await learned(crm), None, payload, crm.clock.now)
    assert batch.reversals == [Reversal(f"YCLIENTS-{record_id}")]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


async def test_a_record_for_people_has_no_name_and_no_phone(crm: SimulatedYclients) -> None:
    record_id = crm.add()
    async with session(crm.account()) as line:
        record = await YCLIENTS.read(line.http, crm.account(), "records", record_id)
    masked = " ".join(texts(json.loads(YCLIENTS.mask_payload(record.body))))
    for personal in ("Шевченко", "1234567", "olena@"):
        assert personal not in masked
    assert "Стрижка" in masked
