"""What is iiko's own, over real HTTP against the simulator. What all connectors share is in tests/conformance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.errors import ConfigError, NotFoundError, PermanentError
from connectors.iiko.cloud import BY_DATE, BY_REVISION
from connectors.iiko.simulator import SimulatorState, create_app
from connectors.iiko.simulator_webhooks import Target
from connectors.protocol import Account, MappingContext, RawRecord, WebhookAuth, WebhookRequest, Window
from connectors.records import Transaction
from connectors.tokens import MemoryTokens
from tests.conformance.suite import SECRET, Clock, everything_logged, ids, pull, session
from tests.conformance.test_iiko import SimulatedIiko, SimulatedSpecIiko
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
IIKO = registry.get("iiko")
APP = ("key-issued-lately", "7f000000-0000-4000-8000-000000000001", "client-secret-of-the-app")
APP_CREDENTIALS = dict(zip(("api_key", "app_id", "client_secret"), APP, strict=True))
INFO = "/api/1/loyalty/iiko/customer/info"


@pytest.fixture
def crm() -> Iterator[SimulatedIiko]:
    clock = Clock()
    state = SimulatorState(api_login=SECRET, app=APP, clock=clock)
    with serve(create_app(state)) as url:
        yield SimulatedIiko(state, clock, url)


@pytest.fixture
def spec() -> Iterator[SimulatedSpecIiko]:
    clock = Clock()
    state = SimulatorState(api_login="crm-elt", password=SECRET, clock=clock)
    with serve(create_app(state)) as url:
        yield SimulatedSpecIiko(state, clock, url)


async def sales(crm: SimulatedIiko, records: list[RawRecord], account: Account | None = None) -> dict[str, Transaction]:
    """What records come to, read with the places that the CRM tells."""
    account = account or crm.account()
    async with session(account) as line:
        dictionary, _ = await pull(crm, line.http, account=account, stream="places")
    places = {
        place.place_id: place
        for record in dictionary
        for place in IIKO.map_record(account.context, "places", record.crm_id, record.body).places
    }
    context = MappingContext("cafe", region="RU", places=places)
    found = {}
    for record in records:
        batch = IIKO.map_record(context, "orders", record.crm_id, record.body)
        assert not batch.problems
        found |= {sale.external_id.removeprefix("IIKO-"): sale for sale in batch.transactions}
    return found


# ------------------------------------------------------------------------------------------------------------- tokens


async def test_a_key_that_the_first_version_refuses_gets_its_token_from_the_second(crm: SimulatedIiko) -> None:
    crm.state.tokens.is_v1_refused = True
    expected = crm.seed(2)
    account = crm.account(credentials={"api_login": APP[0], "app_id": APP[1], "client_secret": APP[2]})
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    assert sorted(ids(records)) == sorted(expected)
    assert crm.state.requests.count("POST", "/api/1/access_token", status=400) == 1
    assert crm.state.requests.count("POST", "/api/v2/access_token", status=200) == 1


async def test_a_project_with_an_app_alone_asks_the_second_version_alone(crm: SimulatedIiko) -> None:
    account = crm.account(credentials=APP_CREDENTIALS)
    async with session(account) as line:
        health = await IIKO.check_health(line.http, account)
    assert health.ok
    assert health.message == "iiko accepts the credentials; they open Кафе на Арбате"
    assert crm.state.requests.count(path="/api/1/access_token") == 0


async def test_a_refused_login_says_which_credentials_take_its_place(crm: SimulatedIiko) -> None:
    crm.state.tokens.is_v1_refused = True
    async with session(crm.account()) as line:
        health = await IIKO.check_health(line.http, crm.account())
    assert not health.ok
    assert "set the credentials api_key, app_id and client_secret" in health.message


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ({"api_login": "wrong-login"}, "refuses the credential api_login"),
        ({**APP_CREDENTIALS, "client_secret": "wrong"}, "refuses the credentials api_key, app_id and client_secret"),
        ({"api_key": "only-a-key"}, "credential app_id is not set"),
        ({}, "credential api_login is not set"),
    ],
)
async def test_health_names_the_credential_that_is_wrong(
    crm: SimulatedIiko, credentials: dict[str, str], named: str
) -> None:
    account = crm.account(credentials=credentials)
    async with session(account) as line:
        health = await IIKO.check_health(line.http, account)
    assert not health.ok
    assert named in health.message
    assert "wrong-login" not in health.message


@pytest.mark.parametrize("dialect", ["crm", "spec"])
async def test_a_token_lasts_an_hour_and_is_renewed_once(dialect: str, request: pytest.FixtureRequest) -> None:
    one: SimulatedIiko = request.getfixturevalue(dialect)
    account = one.account(tokens=MemoryTokens())
    one.seed(1)
    async with session(account) as line:
        _, cursor = await pull(one, line.http, account=account)
        one.clock.advance(minutes=50)
        await pull(one, line.http, cursor, account=account)
        assert one.state.tokens.issued == 1
        one.clock.advance(minutes=11)
        await pull(one, line.http, cursor, account=account)
        assert one.state.tokens.issued == 2
        assert len(one.state.requests.find(status=401)) == 1
        assert line.slept == []


async def test_a_token_that_is_refused_as_soon_as_it_is_given_ends_in_a_config_error(crm: SimulatedIiko) -> None:
    crm.state.tokens.is_good = lambda _: False  # type: ignore[method-assign]
    async with session(crm.account()) as line:
        with pytest.raises(ConfigError):
            await pull(crm, line.http)
    assert crm.state.tokens.issued == 2
    assert crm.state.requests.count("POST", "/api/1/organizations", status=401) == 2


async def test_a_bare_token_in_plain_text_is_taken(spec: SimulatedSpecIiko) -> None:
    spec.state.tokens.is_plain_text = True
    expected = spec.seed(1)
    async with session(spec.account()) as line:
        records, _ = await pull(spec, line.http)
    assert ids(records) == expected


# ------------------------------------------------------------------------------------------------ seed and revisions


async def test_a_seed_asks_day_by_day_and_what_follows_asks_by_revision(crm: SimulatedIiko) -> None:
    days = [crm.add(at=crm.clock.now - timedelta(days=number, hours=1)) for number in range(6)]
    async with session(crm.account()) as line:
        records, cursor = await pull(crm, line.http)
        assert sorted(ids(records)) == sorted(days)
        asked = [entry.body for entry in crm.state.requests.find(path=BY_DATE)]
        # 12:00 in Moscow; 7 days back, less an hour.
        assert asked[0]["deliveryDateFrom"] == "2026-03-02 00:00:00.000"
        assert "deliveryDateTo" not in asked[0]
        assert asked[1]["deliveryDateFrom"] == "2026-03-01 00:00:00.000"
        assert asked[1]["deliveryDateTo"] == "2026-03-01 23:59:59.999"
        assert asked[-1]["deliveryDateFrom"] == "2026-02-23 13:00:00.000"
        assert len(asked) == 8
        crm.clock.advance(minutes=5)
        crm.state.set_status(days[3], "Cancelled")
        more, _ = await pull(crm, line.http, cursor)
    assert ids(more) == [days[3]]
    assert crm.state.requests.count(path=BY_DATE) == 8
    assert crm.state.requests.count(path=BY_REVISION) == 1


@pytest.mark.parametrize(("hours", "seeds"), [(2.5, 1), (3.5, 2)])
async def test_after_a_gap_of_three_hours_everything_is_seeded_anew(
    crm: SimulatedIiko, hours: float, seeds: int
) -> None:
    [order_id] = crm.seed(1)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.clock.advance(minutes=1)
        crm.touch(order_id)
        added = crm.add()
        crm.clock.advance(hours=hours)
        more, cursor = await pull(crm, line.http, cursor)
        assert sorted(ids(more)) == sorted([order_id, added])
        assert crm.state.requests.count(path=BY_DATE) == 8 * seeds
        assert crm.state.requests.count(path=BY_REVISION, status=400) == 0
        crm.clock.advance(minutes=5)
        crm.touch(added)
        more, _ = await pull(crm, line.http, cursor)
    assert ids(more) == [added]


async def test_a_revision_that_iiko_refuses_is_followed_by_a_seed(crm: SimulatedIiko) -> None:
    [order_id] = crm.seed(1)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.touch(order_id, at=crm.clock.now - timedelta(hours=4))
        more, cursor = await pull(crm, line.http, cursor)
        assert crm.state.requests.count(path=BY_REVISION, status=400) == 1
        assert ids(more) == [order_id]


async def test_what_changes_during_a_seed_is_in_the_first_list_by_revision(crm: SimulatedIiko) -> None:
    known = [crm.add(at=crm.clock.now - timedelta(days=number)) for number in range(3)]

    def disturb(count: int) -> None:
        if count == 2:  # today has been read
            crm.clock.advance(seconds=20)
            crm.state.update(known[0], sum=1.5)

    async with session(crm.account()) as line:
        records, cursor = await pull(crm, line.http, between=disturb)
        more, _ = await pull(crm, line.http, cursor)
    assert known[0] in ids(more)
    assert (await sales(crm, records))[known[0]].amount == Decimal("740.00")
    assert (await sales(crm, more))[known[0]].amount == Decimal("1.50")


async def test_orders_for_the_days_to_come_are_seeded(crm: SimulatedIiko) -> None:
    order = crm.state.add_order(deliver_at=crm.clock.now + timedelta(days=5))
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert ids(records) == [order.order_id]


async def test_each_organization_has_its_own_revision_and_a_new_one_is_seeded(crm: SimulatedIiko) -> None:
    first = crm.add()
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        second = crm.state.add_organization("Пиццерия", zone="Asia/Vladivostok")
        order = crm.state.add_order(organization_id=second.organization_id, at=crm.clock.now - timedelta(days=4))
        crm.clock.advance(minutes=5)
        crm.touch(first)
        more, cursor = await pull(crm, line.http, cursor)
        assert sorted(ids(more)) == sorted([first, order.order_id])
        asked = crm.state.requests.find(path=BY_DATE)[8:]
        assert {tuple(entry.body["organizationIds"]) for entry in asked} == {(second.organization_id,)}
        assert asked[0].body["deliveryDateFrom"] == "2026-03-02 00:00:00.000"  # 19:05 there
        more, _ = await pull(crm, line.http, cursor)
    assert more == []


async def test_only_the_chosen_organizations_are_read(crm: SimulatedIiko) -> None:
    second = crm.state.add_organization("Пиццерия")
    expected = crm.state.add_order(organization_id=second.organization_id).order_id
    crm.add()
    account = crm.account(options={"organization_ids": [second.organization_id]})
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
        places, _ = await pull(crm, line.http, account=account, stream="places")
    assert ids(records) == [expected]
    assert ids(places) == [second.organization_id]


@pytest.mark.parametrize("dialect", ["crm", "spec"])
async def test_an_organization_that_the_login_does_not_see_is_a_config_error(
    dialect: str, request: pytest.FixtureRequest
) -> None:
    one: SimulatedIiko = request.getfixturevalue(dialect)
    account = one.account(options={**one.options, "organization_ids": ["11111111-0000-4000-8000-000000000000"]})
    async with session(account) as line:
        with pytest.raises(ConfigError, match="organization_ids"):
            await pull(one, line.http, account=account)


async def test_a_window_beyond_seven_days_is_refused_and_not_cut_short(crm: SimulatedIiko) -> None:
    crm.seed(1)
    window = Window(crm.clock.now - timedelta(days=8), crm.clock.now)
    async with session(crm.account()) as line:
        with pytest.raises(PermanentError, match="last 7 days"):
            await pull(crm, line.http, window=window)


async def test_no_order_of_the_hour_that_comes_twice_falls_between_two_windows(crm: SimulatedIiko) -> None:
    crm.clock.now = datetime(2026, 10, 26, 9, tzinfo=UTC)
    berlin = crm.state.add_organization("Берлин", zone="Europe/Berlin")
    times = [datetime(2026, 10, 25, 0, tzinfo=UTC) + timedelta(minutes=minutes) for minutes in range(-75, 180, 15)]
    orders = [crm.state.add_order(organization_id=berlin.organization_id, at=at).order_id for at in times]
    middle = datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )  # 02:30 on the clock, which shows 02:15 once before and once after
    async with session(crm.account()) as line:
        first, _ = await pull(crm, line.http, window=Window(middle - timedelta(hours=6), middle))
        second, _ = await pull(crm, line.http, window=Window(middle, middle + timedelta(hours=6)))
    assert sorted(ids(first + second)) == sorted(orders)


async def test_a_window_that_begins_where_the_list_does_is_read_whole(crm: SimulatedIiko) -> None:
    start = crm.clock.now - timedelta(days=6, hours=23)
    first, before = crm.add(at=start), crm.add(at=start - timedelta(minutes=1))
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http, window=Window(start, start + timedelta(hours=1)))
        seeded, _ = await pull(crm, line.http)
    assert ids(records) == [first]
    assert before not in ids(seeded)


async def test_terminals_in_several_zones_are_seeded_from_where_all_of_them_are_listed(crm: SimulatedIiko) -> None:
    east = crm.state.add_terminal(crm.organization.organization_id, "Омск", zone="Asia/Omsk")  # 3 hours ahead
    orders = [
        crm.state.add_order(terminal_id=terminal, at=crm.clock.now - timedelta(hours=hours)).order_id
        for terminal in (None, east.terminal_id)
        for hours in (0, 6 * 24)
    ]
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sorted(ids(records)) == sorted(orders)


async def test_organizations_in_several_zones_are_each_seeded_from_where_all_of_them_are_listed(
    crm: SimulatedIiko,
) -> None:
    east = crm.state.add_organization("Владивосток", zone="Asia/Vladivostok")
    orders = [
        crm.state.add_order(organization_id=one, at=crm.clock.now - timedelta(hours=hours)).order_id
        for one in (crm.organization.organization_id, east.organization_id)
        for hours in (0, 6 * 24)
    ]
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sorted(ids(records)) == sorted(orders)


async def test_a_window_is_exact_where_organizations_are_hours_apart(crm: SimulatedIiko) -> None:
    east = crm.state.add_organization("Владивосток", zone="Asia/Vladivostok")
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    expected, outside = [], []
    for organization in (crm.organization, east):
        for minutes, found in ((0, expected), (1439, expected), (-1, outside), (1440, outside)):
            order = crm.state.add_order(
                organization_id=organization.organization_id, at=midnight + timedelta(minutes=minutes)
            )
            found.append(order.order_id)
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http, window=Window(midnight, midnight + timedelta(days=1)))
    assert sorted(ids(records)) == sorted(expected)


async def test_failures_of_every_kind_at_random_still_end_with_exactly_the_right_rows(crm: SimulatedIiko) -> None:
    expected = [crm.add(at=crm.clock.now - timedelta(hours=number)) for number in range(120)]
    for kind in ("too_many", "server_error", "bad_gateway", "truncated", "cut", "drop", "duplicate_page"):
        crm.state.faults.add(kind, "/api/1", times=None, probability=0.05, seconds=1)
    async with session(crm.account(), retry_attempts=6) as line:
        records, cursor = await pull(crm, line.http)
        for crm_id in expected[:40]:
            crm.touch(crm_id)
            more, cursor = await pull(crm, line.http, cursor)
            assert ids(more) == [crm_id]
    assert sorted(ids(records)) == sorted(expected)
    assert line.slept


# ------------------------------------------------------------------------------------------------- orders and guests


async def test_an_order_comes_through_with_sum_zone_currency_and_items(crm: SimulatedIiko) -> None:
    east = crm.state.add_organization("Суши", zone="Asia/Vladivostok", currency="KZT")
    order = crm.state.add_order(
        [
            {"name": "Суп", "price": 400, "amount": 2, "modifiers": [{"name": "Хлеб", "price": 90}]},
            {"halves": ["Маргарита", "Пепперони"], "price": 650, "modifiers": [{"name": "Сыр", "price": 60}]},
            {"name": "Вино", "price": 900, "is_deleted": True},
            {"service": "Доставка", "cost": 200},
        ],
        organization_id=east.organization_id,
        phone="8 (999) 000-11-22",
        discounts=[{"name": "Лояльность 10", "percent": 10}],
        at=datetime(2026, 3, 1, 20, 30, tzinfo=UTC),
        status="Closed",
    )
    async with session(crm.account()) as line:
        record = await IIKO.read(line.http, crm.account(), "orders", order.order_id)
    sale = (await sales(crm, [record]))[order.order_id]
    assert sale.occurred_at == datetime(2026, 3, 1, 20, 30, tzinfo=UTC)
    assert '"whenClosed":"2026-03-02 06:30:00.000"' in record.body
    # (800 + 90 + 650 + 60 + 200) less a tenth
    assert (sale.amount, sale.currency) == (Decimal("1620.00"), "KZT")
    assert sale.phone_e164 == "+79990001122"
    assert sale.description == ("Суп x2 (Хлеб), Маргарита / Пепперони (Сыр), Доставка; discounts: Лояльность 10 180.00")


async def test_a_terminals_own_zone_goes_before_the_organizations(crm: SimulatedIiko) -> None:
    owner = crm.organization.organization_id
    terminal = crm.state.add_terminal(owner, "Омск", zone="Asia/Omsk", shown_zone="Omsk Standard Time", is_asleep=True)
    order = crm.state.add_order(terminal_id=terminal.terminal_id, phone="+79990001122", status="Closed")
    async with session(crm.account()) as line:
        record = await IIKO.read(line.http, crm.account(), "orders", order.order_id)
    assert '"whenClosed":"2026-03-02 15:00:00.000"' in record.body
    assert (await sales(crm, [record]))[order.order_id].occurred_at == crm.clock.now


async def test_a_phone_that_the_order_lacks_comes_from_the_guests_profile_asked_for_once(crm: SimulatedIiko) -> None:
    lost = crm.state.add_guest("Борис")
    anonymous = crm.state.add_guest("Ева", phone="+79995550000", is_anonymized=True)
    orders = [crm.add() for _ in range(3)]
    others = [crm.state.add_order(guest_id=one, status="Closed").order_id for one in (lost, anonymous)]
    open_order = crm.state.add_order(guest_id=crm.guest).order_id
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    found = await sales(crm, records)
    assert [found[one].phone_e164 for one in orders] == ["+79990001122"] * 3
    assert [found[one].phone_e164 for one in others] == [None, None]
    assert open_order not in found
    assert crm.state.requests.count(path=INFO) == 3
    body = next(record.body for record in records if record.crm_id == orders[0])
    assert "walletBalances" not in body


async def test_a_loyalty_card_leads_to_the_phone(spec: SimulatedSpecIiko) -> None:
    spec.state.add_guest("Игорь", phone="+79995554433", email="i@example.com", card="8800")
    by_card = spec.state.add_order(card="8800", status="Closed", is_table=True).order_id
    unknown = spec.state.add_order(card="0000", status="Closed").order_id
    async with session(spec.account()) as line:
        records, _ = await pull(spec, line.http)
    found = await sales(spec, records)
    assert (found[by_card].phone_e164, found[by_card].email) == ("+79995554433", "i@example.com")
    assert found[by_card].customer_id is not None
    assert found[unknown].phone_e164 is None


async def test_without_a_loyalty_programme_guests_are_asked_for_once_per_organization(crm: SimulatedIiko) -> None:
    crm.organization.has_loyalty = False
    guests = [crm.state.add_guest(f"Гость {number}", phone="+79995554433") for number in range(4)]
    orders = [crm.state.add_order(guest_id=guest, status="Closed").order_id for guest in guests]
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sorted(await sales(crm, records)) == sorted(orders)
    assert crm.state.requests.count(path=INFO) == 1


async def test_sales_are_read_without_phones_where_the_login_may_not_read_guests(crm: SimulatedIiko) -> None:
    crm.state.may_read_guests = False
    orders = crm.seed(3)
    with everything_logged() as output:
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
    assert sorted(await sales(crm, records)) == sorted(orders)
    assert output.getvalue().count("guests_not_readable") == 1


async def test_a_cancelled_and_a_deleted_order_undo_their_sales(crm: SimulatedIiko) -> None:
    cancelled, deleted = crm.seed(2)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.clock.advance(minutes=5)
        crm.state.set_status(cancelled, "Cancelled")
        crm.state.delete(deleted)
        records, _ = await pull(crm, line.http, cursor)
    undone = {
        reversal.external_id
        for record in records
        for reversal in IIKO.map_record(crm.account().context, "orders", record.crm_id, record.body).reversals
    }
    assert undone == {f"IIKO-{cancelled}", f"IIKO-{deleted}"}


async def test_an_order_that_is_being_created_is_stored_and_means_nothing_yet(crm: SimulatedIiko) -> None:
    order = crm.state.add_order()
    order.creation_status = "InProgress"
    async with session(crm.account()) as line:
        [record], _ = await pull(crm, line.http)
    batch = IIKO.map_record(crm.account().context, "orders", record.crm_id, record.body)
    assert not batch.transactions
    assert not batch.reversals
    assert not batch.problems


async def test_a_tables_order_is_read_by_id_alone(crm: SimulatedIiko) -> None:
    order = crm.state.add_order(is_table=True, phone="+79990001122", status="Closed")
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
        assert records == []
        record = await IIKO.read(line.http, crm.account(), "orders", order.order_id)
    assert order.order_id in await sales(crm, [record])


async def test_an_order_that_an_older_till_cannot_tell_is_no_order_that_is_gone(crm: SimulatedIiko) -> None:
    delivery, table = crm.add(), crm.state.add_order(is_table=True).order_id
    crm.state.has_order_by_id = False
    async with session(crm.account()) as line:
        assert (await IIKO.read(line.http, crm.account(), "orders", delivery)).crm_id == delivery
        with pytest.raises(PermanentError) as caught:
            await IIKO.read(line.http, crm.account(), "orders", table)
    assert not isinstance(caught.value, NotFoundError)


# ------------------------------------------------------------------------------------------------------ dialect spec


async def test_an_order_that_is_closed_days_later_is_found_by_the_daily_look_back(spec: SimulatedSpecIiko) -> None:
    order = spec.state.add_order(phone="+79990001122")
    async with session(spec.account()) as line:
        [record], cursor = await pull(spec, line.http)
        assert await sales(spec, [record]) == {}
        for _ in range(3):
            spec.clock.advance(hours=23)
            _, cursor = await pull(spec, line.http, cursor)
        spec.clock.advance(minutes=1)
        spec.state.set_status(order.order_id, "Closed")
        near, cursor = await pull(spec, line.http, cursor)
        assert near == []
        spec.clock.advance(hours=24)
        far, _ = await pull(spec, line.http, cursor)
    assert list(await sales(spec, far)) == [order.order_id]


@pytest.mark.parametrize("meaning", ["created", "changed"])
async def test_whatever_date_from_means_an_order_of_the_day_is_followed(spec: SimulatedSpecIiko, meaning: Any) -> None:
    spec.state.date_from = meaning
    order = spec.state.add_order(phone="+79990001122")
    async with session(spec.account()) as line:
        _, cursor = await pull(spec, line.http)
        spec.clock.advance(hours=9)
        spec.state.set_status(order.order_id, "Closed")
        records, cursor = await pull(spec, line.http, cursor)
        assert list(await sales(spec, records)) == [order.order_id]
        spec.clock.advance(hours=1)
        spec.state.set_status(order.order_id, "Cancelled")
        records, _ = await pull(spec, line.http, cursor)
    assert await sales(spec, records) == {}
    assert ids(records) == [order.order_id]


async def test_date_from_is_on_the_clock_that_is_furthest_behind(spec: SimulatedSpecIiko) -> None:
    spec.state.add_organization("Владивосток", zone="Asia/Vladivostok")
    account = spec.account(since=datetime(2026, 3, 1, 12, tzinfo=UTC))
    async with session(account) as line:
        await pull(spec, line.http, account=account)
    [asked] = spec.state.requests.find(path="/api/orders/list")
    assert asked.body == {"dateFrom": "2026-03-01 15:00:00.000"}


async def test_other_organizations_in_the_list_are_left_out(spec: SimulatedSpecIiko) -> None:
    second = spec.state.add_organization("Пиццерия")
    expected = spec.state.add_order(organization_id=second.organization_id).order_id
    spec.add()
    account = spec.account(options={**spec.options, "organization_ids": [second.organization_id]})
    async with session(account) as line:
        records, cursor = await pull(spec, line.http, account=account)
        assert ids(records) == [expected]
        everything, _ = await pull(spec, line.http, cursor)  # another choice of organizations: all is read again
    assert len(everything) == 2


# ---------------------------------------------------------------------------------------------------------- webhooks


async def test_webhooks_are_registered_with_the_secret_as_their_token_and_come_back_with_it(crm: SimulatedIiko) -> None:
    url = "https://elt.example.com/webhooks/iiko/cafe"
    async with session(crm.account()) as line:
        said = await IIKO.register_webhook(line.http, crm.account(), f"{url}?token=wh00k%2Dsecret")
        again = await IIKO.register_webhook(line.http, crm.account(), f"{url}?token=wh00k%2Dsecret")
    assert said == again == f"iiko sends the orders of Кафе на Арбате to {url}"
    target = crm.state.webhooks.targets[crm.organization.organization_id]
    assert (target.url, target.token) == (url, "wh00k-secret")
    crm.state.add_order(phone="+79990001122", status="Closed")
    sent = [delivery.events[0]["eventInfo"]["order"]["status"] for delivery in crm.state.webhooks.deliveries]
    assert sent == ["Closed"]
    request = WebhookRequest("POST", {"authorization": f"Bearer {target.token}"}, {}, b"[]")
    IIKO.verify_webhook(WebhookAuth("bearer", "wh00k-secret"), request)


async def test_what_another_program_registered_is_left_alone(crm: SimulatedIiko) -> None:
    second = crm.state.add_organization("Пиццерия")
    other = Target("https://other.example.com/hook", "theirs")
    crm.state.webhooks.targets[crm.organization.organization_id] = other
    async with session(crm.account()) as line:
        with pytest.raises(PermanentError) as caught:
            await IIKO.register_webhook(line.http, crm.account(), "https://elt.example.com/webhooks/iiko/cafe?token=x1")
    assert "Кафе на Арбате sends its webhooks elsewhere already" in caught.value.message
    assert "other.example.com" not in caught.value.message
    assert crm.state.webhooks.targets[crm.organization.organization_id] is other
    assert crm.state.webhooks.targets[second.organization_id].token == "x1"
