"""Filters of orders as they stand in addresses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from dashboard.orders.choices import Choice, choices
from dashboard.orders.query import OrderFilter, OrderQuery, days
from dashboard.orders.reading import Names
from database.repositories.orders import Filter, Sort
from database.repositories.status_names import GroupName, StatusName

KYIV = ZoneInfo("Europe/Kyiv")


def wanted(zone: ZoneInfo = KYIV, **given: object) -> Filter:
    return OrderFilter.model_validate(given).filter(None, zone)


def test_empty_fields_of_a_form_are_no_filter() -> None:
    fields = {"number": " ", "status": "", "group": "", "state": [""], "urgent": "", "by": "", "from": "", "sort": ""}
    assert wanted(**fields) == Filter()
    assert not OrderFilter.model_validate(fields).is_narrow


def test_each_parameter_is_a_part_of_the_filter() -> None:
    given = {"number": " 77 ", "status": "3", "group": "2", "state": ["over", "near"], "urgent": "yes", "closed": "no"}
    assert wanted(**given) == Filter(
        order_prefix="77", status="3", group="2", states=frozenset({"over", "near"}), is_urgent=True, is_closed=False
    )


def test_yes_and_no_are_true_and_false_too() -> None:
    assert wanted(urgent="true", closed="false") == wanted(urgent="yes", closed="no") != Filter()


def test_days_are_those_of_the_zone_and_the_last_one_is_included() -> None:
    # Kyiv: UTC+3 until 25 October 2026, then UTC+2.
    period = wanted(**{"from": "2026-10-24", "to": "2026-10-26"})
    assert period.created_from == datetime(2026, 10, 23, 21, tzinfo=UTC)
    assert period.created_to == datetime(2026, 10, 26, 22, tzinfo=UTC)
    changed = wanted(by="changed", to="2026-10-26")
    assert (changed.changed_from, changed.changed_to) == (None, datetime(2026, 10, 26, 22, tzinfo=UTC))
    assert changed.created_to is None
    assert days(period, KYIV) == (date(2026, 10, 24), date(2026, 10, 26))
    assert days(Filter(), KYIV) == (None, None)


def test_instants_are_exact() -> None:
    period = wanted(**{"from": "2026-11-01T06:30:00+02:00", "to": "2026-11-02T00:00:00Z"})
    assert period.created_from == datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    assert period.created_to == datetime(2026, 11, 2, tzinfo=UTC)


def test_the_same_filter_can_be_written_for_an_address_without_a_zone() -> None:
    query = OrderFilter.model_validate(
        {"number": "7", "state": ["over"], "by": "changed", "from": "2026-11-01", "to": "2026-11-02", "sort": "due"}
    )
    written = query.parameters(["b", "a"], KYIV)
    assert written == [
        ("project", "b"), ("project", "a"), ("number", "7"), ("state", "over"), ("by", "changed"),
        ("from", "2026-10-31T22:00:00Z"), ("to", "2026-11-02T22:00:00Z"),
    ]  # fmt: skip
    again: dict[str, object] = {name: value for name, value in written if name not in ("project", "state")}
    assert OrderFilter.model_validate({**again, "state": ["over"]}).filter(None, UTC) == query.filter(None, KYIV)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"from": "yesterday"}, "from"), ({"to": "2026-02-30"}, "to"), ({"to": "2026-11-01T00:00:00"}, "to"),
        ({"from": "0001-01-01"}, "from"), ({"to": "9999-12-31"}, "to"), ({"state": ["late"]}, "state"),
        ({"urgent": "perhaps"}, "urgent"), ({"number": "1\0"}, "number"), ({"number": "1" * 201}, "number"),
        ({"sort": "price"}, "sort"), ({"order": "up"}, "order"), ({"color": "red"}, "color"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(given: dict[str, object], name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OrderFilter.model_validate(given)
    assert caught.value.errors()[0]["loc"][0] == name


def test_a_page_begins_after_one_place_or_before_one() -> None:
    assert OrderQuery.model_validate({"after": "a", "before": ""}).cursor == "a"
    assert OrderQuery.model_validate({"before": "b"}).cursor == "b"
    assert OrderQuery().cursor is None
    with pytest.raises(ValidationError, match="send after or before, not both"):
        OrderQuery.model_validate({"after": "a", "before": "b"})
    with pytest.raises(ValidationError, match="cursor"):
        OrderQuery.model_validate({"cursor": "a"})


@pytest.mark.parametrize("limit", [0, 501, "many"])
def test_a_page_has_1_to_500_orders(limit: object) -> None:
    with pytest.raises(ValidationError):
        OrderQuery.model_validate({"limit": limit})


def test_the_newest_come_first_and_of_due_times_the_earliest() -> None:
    assert OrderFilter().sorting() == Sort("changed", descending=True)
    assert OrderFilter(sort="created").sorting() == Sort("created", descending=True)
    assert OrderFilter(sort="due").sorting() == Sort("due", descending=False)
    assert OrderFilter(sort="due", order="desc").sorting() == Sort("due", descending=True)
    assert OrderFilter(order="asc").sorting() == Sort("changed", descending=False)


def status(project: str, status_id: str, name: str | None) -> StatusName:
    return StatusName(project, status_id, name, None, "1", "New", False, False, True)


def test_projects_share_a_choice_where_they_share_an_id_and_what_is_chosen_is_offered() -> None:
    known = Names(
        [status("a", "1", "New"), status("b", "1", "Neu"), status("b", "2", None), status("c", "1", "New")],
        [GroupName("a", "1", "Start", False)],
    )
    made = choices(known, OrderFilter(status="99"))
    assert made.statuses == [Choice("1", "New / Neu"), Choice("2", "2"), Choice("99", "99")]
    assert made.groups == [Choice("1", "Start")]
