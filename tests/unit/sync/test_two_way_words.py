"""Statuses in the words of both sides, canonical values, and the flags of a project."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.protocol import Vocabulary
from database.repositories.settings import ProjectRow
from sync.two_way.flags import Flags, flags_of
from sync.two_way.objects import ENTITIES, Entity, moment, money, quantity, sorted_lines, text
from sync.two_way.statuses import KnownStatus, StatusWords

USUAL = Vocabulary({"new": "PENDING", "done": "DELIVERED"}, {"5": "SHIPPED"})
STATUSES = (
    KnownStatus("1", "new", "New", "1"),
    KnownStatus("8", "old_done", "Done once", "4", is_active=False),
    KnownStatus("12", "done", "Done", "4"),
    KnownStatus("20", "posted", "With the carrier", "5"),
    KnownStatus("30", "lost", "Lost", "6"),
)


def test_what_the_settings_say_of_a_status_goes_before_what_it_usually_means() -> None:
    words = StatusWords(STATUSES, {"done": "PROCESSING", "30": "CANCELLED", "Done once": "DELIVERED"}, USUAL)
    assert words.to_vms("1") == "PENDING"  # by its alias, as usual
    assert words.to_vms("12") == "PROCESSING"
    assert words.to_vms("30") == "CANCELLED"
    assert words.to_vms("8") == "DELIVERED"  # by its name
    assert words.to_vms("20") == "SHIPPED"  # by its group
    assert words.to_vms("99", "5") == "SHIPPED"  # not in the dictionary yet
    assert words.to_vms("99") is None
    assert words.to_vms(None) is None


def test_a_status_id_of_the_settings_is_no_group_of_the_same_number() -> None:
    words = StatusWords(STATUSES, {"5": "CANCELLED", "4": "REFUNDED"}, None)
    assert words.to_vms("20") is None
    assert words.to_vms("12") is None


def test_what_is_sent_is_the_status_there_is_then_the_first_of_the_settings_then_the_first_active_one() -> None:
    words = StatusWords(STATUSES, {"done": "DELIVERED", "30": "DELIVERED", "old_done": "DELIVERED"}, USUAL)
    assert words.to_crm("DELIVERED", current="30") == "30"
    assert words.to_crm("DELIVERED", current="1") == "12"
    assert words.to_crm("PENDING") == "1"
    assert words.to_crm("REFUNDED") is None
    usual = StatusWords(STATUSES, {}, Vocabulary({"8": "DELIVERED", "12": "DELIVERED"}))
    assert usual.to_crm("DELIVERED") == "12"  # 8 is not active any more


def test_where_groups_have_codes_of_their_own_the_settings_may_name_them() -> None:
    statuses = (KnownStatus("packed", group_id="assembling"), KnownStatus("posted", group_id="delivery"))
    words = StatusWords(
        statuses,
        {"delivery": "DELIVERED"},
        Vocabulary({"posted": "SHIPPED"}, {"assembling": "PROCESSING", "delivery": "SHIPPED"}, names_groups=True),
    )
    assert words.to_vms("posted") == "DELIVERED"  # the settings' group goes before the usual meaning of the status
    assert words.to_vms("packed") == "PROCESSING"
    assert words.to_vms("new-one", "delivery") == "DELIVERED"
    assert words.to_crm("DELIVERED") == "posted"


def test_of_a_group_the_status_that_usually_means_the_word_is_sent() -> None:
    statuses = (KnownStatus("no-call", group_id="cancel"), KnownStatus("cancel-other", group_id="cancel"))
    usual = Vocabulary({"cancel-other": "CANCELLED"}, {"cancel": "CANCELLED"})
    assert StatusWords(statuses, {}, usual).to_crm("CANCELLED") == "cancel-other"
    assert StatusWords(statuses, {}, usual).to_crm("CANCELLED", current="no-call") == "no-call"
    assert StatusWords(statuses, {"no-call": "CANCELLED"}, usual).to_crm("CANCELLED") == "no-call"
    gone = (statuses[0], replace(statuses[1], is_active=False))
    assert StatusWords(gone, {}, usual).to_crm("CANCELLED") == "no-call"


def test_a_status_that_the_settings_give_two_meanings_is_sent_for_the_one_it_is_read_as() -> None:
    words = StatusWords(STATUSES, {"new": "PENDING", "1": "CONFIRMED"}, None)
    assert words.to_vms("1") == "CONFIRMED"
    assert words.to_crm("CONFIRMED") == "1"
    assert words.to_crm("PENDING") is None


def test_of_two_statuses_of_one_name_the_first_is_sent() -> None:
    twice = (KnownStatus("1", name="New"), KnownStatus("2", name="New"))
    assert StatusWords(twice, {"New": "PENDING"}, None).to_crm("PENDING") == "1"
    twice = (KnownStatus("1", name="New", is_active=False), KnownStatus("2", name="New"))
    assert StatusWords(twice, {"New": "PENDING"}, None).to_crm("PENDING") == "2"


ids = st.sampled_from(["1", "2", "3", "a", "b"])
names = st.none() | ids
meanings = st.sampled_from(["PENDING", "SHIPPED", "DELIVERED"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.builds(KnownStatus, ids, names, names, names, st.booleans()), unique_by=lambda s: s.status_id),
    st.dictionaries(ids, meanings),
    st.builds(Vocabulary, st.dictionaries(ids, meanings), st.dictionaries(ids, meanings)),
    meanings,
    names,
)
def test_a_status_that_is_sent_is_read_as_the_word_it_was_sent_for(
    statuses: list[KnownStatus], own: dict[str, str], usual: Vocabulary, word: str, current: str | None
) -> None:
    words = StatusWords(statuses, own, usual)
    sent = words.to_crm(word, current)
    if sent is not None:
        assert words.to_vms(sent) == word
        assert sent == current or sent in {status.status_id for status in statuses}
    else:
        assert all(words.to_vms(status.status_id) != word for status in statuses)


@pytest.mark.parametrize(
    ("value", "as_money", "as_quantity"),
    [
        ("12.5", "12.50", "12.5"),
        ("3", "3.00", "3"),
        ("1E+2", "100.00", "100"),
        ("0.000", "0.00", "0"),
        ("-0.001", "0.00", "-0.001"),
        ("2.345", "2.35", "2.345"),
        ("1.23456", "1.23", "1.235"),
        ("-0.0", "0.00", "0"),
    ],
)
def test_numbers_are_written_in_one_way_with_the_digits_that_vms_keeps(
    value: str, as_money: str, as_quantity: str
) -> None:
    assert money(Decimal(value)) == as_money
    assert quantity(Decimal(value)) == as_quantity


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=4))
def test_what_is_written_is_read_back_as_the_same(value: Decimal) -> None:
    once = money(value), quantity(value)
    assert None not in once
    assert (money(Decimal(once[0] or "")), quantity(Decimal(once[1] or ""))) == once
    assert abs(Decimal(once[0] or "") - value) <= Decimal("0.005")
    assert abs(Decimal(once[1] or "") - value) <= Decimal("0.0005")


def test_nothing_is_written_as_none_and_text_is_trimmed() -> None:
    assert (money(None), quantity(None), moment(None), text(None), text("  ")) == (None,) * 5
    assert text("  two words ") == "two words"
    assert moment(datetime.fromisoformat("2026-03-01T10:00:00.75+02:00")) == "2026-03-01T08:00:00+00:00"


def test_lines_are_sorted_so_that_their_order_does_not_matter() -> None:
    cup = {"sku": "A-1", "name": "Cup", "quantity": "1", "price": "5.00", "discount": "0.00", "crm_id": "7"}
    wrap = {**cup, "sku": None, "name": "Wrap"}
    assert sorted_lines([cup, wrap]) == sorted_lines([wrap, cup])
    assert "crm_id" not in sorted_lines([cup])[0]


PROJECT = ProjectRow(
    project_id="shop", name="Shop", crm="keycrm", base_url=None, timezone="UTC", region=None, currency="UAH",
    is_enabled=True, disabled_reason=None, near_threshold=Decimal("0.8"), webhook={}, sync={}, options={},
    status_map={}, conflict_policy="newest", vms={}, updated_at=datetime(2026, 3, 1, tzinfo=UTC),
)  # fmt: skip


def sent(flags: Flags) -> list[Entity]:
    return [entity for entity in ENTITIES if flags.sends(entity)]


@pytest.mark.parametrize(
    ("vms", "status_map", "entities", "inbound"),
    [
        ({}, {}, ["customer", "article", "order", "payment"], False),
        ({}, {"new": "PENDING"}, ["customer", "article", "order", "payment"], True),
        ({"outbound_orders": False}, {}, ["customer", "article"], False),
        ({"outbound_customers": False, "inbound": True}, {}, ["article", "order", "payment"], True),
        ({"stock": False, "inbound": False}, {"new": "PENDING"}, ["customer", "order", "payment"], False),
    ],
)
def test_a_project_switches_each_part_on_by_itself(
    vms: dict[str, Any], status_map: dict[str, str], entities: list[str], inbound: bool
) -> None:
    flags = flags_of(replace(PROJECT, vms=vms, status_map=status_map))
    assert (sent(flags), flags.inbound) == (entities, inbound)


def test_the_rest_of_the_flags_have_their_defaults() -> None:
    flags = flags_of(PROJECT)
    assert (flags.dry_run, flags.earlier_orders, flags.skew) == (False, False, timedelta(seconds=5))
    flags = flags_of(replace(PROJECT, vms={"dry_run": True, "earlier_orders": True, "clock_skew_seconds": 0}))
    assert (flags.dry_run, flags.earlier_orders, flags.skew) == (True, True, timedelta(0))
