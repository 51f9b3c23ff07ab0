"""The demo's seeded accounts."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import phonenumbers
import pytest

from connectors.keycrm.simulator_bodies import ORDER_INCLUDES, order_body, read_includes
from connectors.keycrm.simulator_values import read_time, stamp
from demo.seed import SeededAccount, live_changes, seed_account
from demo.seed_profiles import PROFILES

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
ORDERS = {"print-shop": 900, "gift-shop": 600}


@pytest.fixture(scope="module", params=sorted(PROFILES))
def account(request: pytest.FixtureRequest) -> SeededAccount:
    """Read it, do not change it."""
    return seed_account(request.param, NOW, ORDERS[request.param], 20)


def _dump(account: SeededAccount) -> bytes:
    state = account.state
    state.clock = lambda: NOW
    everything = read_includes(",".join(ORDER_INCLUDES), ORDER_INCLUDES)
    return msgspec.json.encode(
        [
            [order_body(state, order, everything) for order in state.orders],
            [buyer.fields for buyer in state.buyers],
            [offer.fields for offer in state.catalog.offers],
            [status.fields for status in state.dictionaries["statuses"]],
            [past.payload for past in account.history],
        ]
    )


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_same_now_and_seed_give_the_same_account_and_another_seed_another(profile: str) -> None:
    first = _dump(seed_account(profile, NOW, 60, 1))
    assert first == _dump(seed_account(profile, NOW, 60, 1))
    assert first != _dump(seed_account(profile, NOW, 60, 2))


def test_every_orders_past_leads_to_where_it_stands(account: SeededAccount) -> None:
    assert len(account.state.orders) == ORDERS[account.name]
    for order in account.state.orders:
        changes = account.changes[order.id]
        assert order.fields["created_at"] == stamp(changes[0].at)
        assert order.fields["status_id"] == changes[-1].status_id
        assert order.fields["status_changed_at"] == stamp(changes[-1].at)
        assert all(earlier.at <= later.at for earlier, later in itertools.pairwise(changes))
        assert all(earlier.status_id != later.status_id for earlier, later in itertools.pairwise(changes))
        assert order.fields["status_changed_at"] <= order.fields["updated_at"] <= stamp(NOW)
        assert order.fields["ordered_at"] <= order.fields["created_at"]


def test_the_history_holds_each_status_change_as_the_webhook_it_was(account: SeededAccount) -> None:
    assert all(earlier.at <= later.at for earlier, later in itertools.pairwise(account.history))
    told: dict[int, list[tuple[int, str]]] = {}
    for past in account.history:
        payload = past.payload
        context = payload["context"]
        assert payload["event"] == past.event
        assert context["id"] == past.order_id
        assert context["status_changed_at"] <= context["updated_at"] <= stamp(NOW)
        if past.event == "order.change_order_status":
            told.setdefault(past.order_id, []).append((context["status_id"], context["status_changed_at"]))
            status = account.state.status(context["status_id"])
            assert context["status_group_id"] == status["group_id"]
            assert (context["closed_at"] is not None) == status["is_closing_order"]
    assert told == {
        order_id: [(change.status_id, stamp(change.at)) for change in changes]
        for order_id, changes in account.changes.items()
    }


def test_there_is_something_of_everything(account: SeededAccount) -> None:
    state = account.state
    orders = list(state.orders)
    assert {order.fields["status_id"] for order in orders} == set(state.dictionaries["statuses"].rows)
    assert {order.fields["payment_status"] for order in orders} == {"not_paid", "part_paid", "paid", "overpaid"}
    closing = {status.id for status in state.dictionaries["statuses"] if status.fields["is_closing_order"]}
    reopened = [c for c in account.changes.values() if any(change.status_id in closing for change in c[:-1])]
    assert len(reopened) >= 5
    repeated = [c for c in account.changes.values() if max(Counter(x.status_id for x in c).values()) > 1]
    assert len(repeated) >= 5
    urgent = [
        order for order in orders if any(line["offer_id"] in account.profile.urgent_offers for line in order.lines)
    ]
    assert 0.03 < len(urgent) / len(orders) < 0.25
    comments = [order.fields["manager_comment"] or "" for order in orders]
    assert any("fbclid=" in text and "utm_source=" in text for text in comments)
    assert any(order.marketing is not None for order in orders)
    has_nobodys = any(order.fields["client_id"] is None for order in orders)
    assert has_nobodys == (account.name == "gift-shop")  # a warehouse keeps the print shop's, and wants customers
    assert any(line["offer_id"] is None for order in orders for line in order.lines)
    assert any(order.shipping["tracking_code"] is not None for order in orders)
    recent = [order for order in orders if read_time(order.fields["created_at"]) > NOW - timedelta(days=91)]
    assert len(recent) / len(orders) > 0.97


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("now", ["2026-11-22 21:30", "2027-01-01 03:00", "2027-03-31 09:15", "2027-07-07 12:00"])
def test_at_any_time_of_day_and_year_orders_stand_in_every_group(profile: str, now: str) -> None:
    account = seed_account(profile, read_time(now), ORDERS[profile], 21)
    groups = Counter(order.fields["status_group_id"] for order in account.state.orders)
    assert set(groups) == {1, 2, 3, 4, 5, 6}


def test_some_orders_live_through_a_change_of_the_clocks_and_through_holidays(account: SeededAccount) -> None:
    zone = ZoneInfo(account.profile.timezone)
    spans = [(changes[0].at.astimezone(zone), changes[-1].at.astimezone(zone)) for changes in account.changes.values()]
    assert any(first.utcoffset() != last.utcoffset() for first, last in spans)
    assert any(
        first.date() < datetime(year, month, day).date() < last.date()
        for first, last in spans
        for year in (2026,)
        for month, day in account.profile.holidays
    )


def test_staff_works_in_the_shops_hours_alone(account: SeededAccount) -> None:
    shop, zone = account.profile, ZoneInfo(account.profile.timezone)
    around_the_clock = {step.to for steps in shop.steps.values() for step in steps if step.is_round_the_clock}
    around_the_clock |= {step.to for _, step in shop.reopenings.values() if step.is_round_the_clock}
    moves = [change for changes in account.changes.values() for change in changes[1:]]
    assert len(moves) > 1000
    for change in moves:
        if change.status_id in around_the_clock:
            continue
        local = change.at.astimezone(zone)
        opens, closes = shop.hours[local.weekday()]
        assert opens <= local.time() <= closes
        assert (local.month, local.day) not in shop.holidays


def test_phones_are_invented_and_valid_and_emails_are_of_example_com(account: SeededAccount) -> None:
    region = account.profile.country[1]
    phones = [phone for buyer in account.state.buyers for phone in buyer.fields["phone"]]
    assert len(phones) > 100
    for phone in phones:
        parsed = phonenumbers.parse(phone, region)
        assert phonenumbers.is_valid_number(parsed), phone
        assert phonenumbers.region_code_for_number(parsed) == region
        assert str(parsed.national_number)[2:4] in {"00", "05", "50"}, "out of the block of zeros"
    emails = [email for buyer in account.state.buyers for email in buyer.fields["email"]]
    assert emails
    assert all(email.endswith("@example.com") for email in emails)


def test_the_urgent_items_are_the_ones_that_the_demos_settings_name() -> None:
    account = seed_account("print-shop", NOW, 10, 1)
    catalog = account.state.catalog
    assert catalog.offer_of_sku("Термінове виготовлення") is not None
    assert 16 in catalog.offers.rows
    assert set(account.profile.urgent_offers) == {16, catalog.offer_of_sku("Термінове виготовлення").id}  # type: ignore[union-attr]
    gifts = seed_account("gift-shop", NOW, 10, 1)
    assert gifts.state.catalog.offer_of_sku("EXPRESS").id in gifts.profile.urgent_offers  # type: ignore[union-attr]


def test_live_changes_move_orders_on_and_send_webhooks() -> None:
    account = seed_account("print-shop", NOW, 120, 5)
    state = account.state
    tick = itertools.count(1)
    state.clock = lambda: NOW + timedelta(seconds=next(tick))
    state.webhooks.add_target("http://127.0.0.1:9/")
    before = len(state.orders)
    changes = list(live_changes(account, 200))
    kinds = Counter(change.kind for change in changes)
    assert set(kinds) == {"status", "order", "payment", "stock"}
    assert len(state.orders) == before + kinds["order"]
    sent = Counter(delivery.event for delivery in state.webhooks.deliveries())
    assert sent["order.change_order_status"] == kinds["status"] + kinds["order"]
    assert sent["order.change_payment_status"] == kinds["payment"]
    assert sent["stock"] == kinds["stock"]
    for order in state.orders:
        changes_of = account.changes[order.id]
        assert order.fields["status_id"] == changes_of[-1].status_id
        assert order.fields["status_changed_at"] == stamp(changes_of[-1].at)


def test_live_changes_also_move_orders_that_somebody_else_made() -> None:
    account = seed_account("print-shop", NOW, 20, 5)
    state = account.state
    buyer = state.add_buyer("Olena", phones=["+380671112233"])
    others = {state.add_order(buyer=buyer, products=[], at=NOW).id for _ in range(30)}
    tick = itertools.count(1)
    state.clock = lambda: NOW + timedelta(seconds=next(tick))
    moved = others & {change.order_id for change in live_changes(account, 200) if change.kind == "status"}
    assert moved
    for order_id in moved:
        path = account.changes[order_id]
        assert path[0].at == NOW
        assert path[-1].status_id == state.orders.rows[order_id].fields["status_id"]


def test_live_changes_never_move_one_order_twice_in_one_second() -> None:
    account = seed_account("gift-shop", NOW, 20, 5)
    account.state.clock = lambda: NOW + timedelta(hours=1)
    moved = [change.order_id for change in live_changes(account, 300) if change.kind == "status"]
    assert moved
    assert len(moved) == len(set(moved))


def test_a_tick_lets_things_happen_on_the_account() -> None:
    account = seed_account("gift-shop", NOW, 20, 5)
    assert account.state.on_tick is not None
    assert len(account.state.on_tick(3)) == 3


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(KeyError):
        seed_account("bakery", NOW, 10, 1)
