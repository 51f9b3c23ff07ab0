"""The forms of the settings say the same as the documents they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.settings.forms import address, base, exchange, general, hours, options, rules, sla, statuses
from dashboard.settings.forms.base import Draft
from dashboard.settings.known import Known
from dashboard.settings.sections import SECTION_PAGES, read, show
from database.repositories.dictionaries import NamedGroup, NamedStatus
from sync.settings.hours import WEEKDAYS, format_duration
from sync.settings.problems import Problem

_LETTERS = st.characters(categories=("L", "N", "P", "S"), exclude_characters="\x00")
_IDS = st.text(_LETTERS, min_size=1, max_size=8).filter(lambda text: text not in ("*", "normal", "urgent"))
_NAMES = st.text(_LETTERS, min_size=1, max_size=12)
_LIMITS = st.integers(1, 10**6).map(format_duration)
_TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
_WINDOWS = st.builds("{}-{}".format, _TIMES, _TIMES)
_WEEKS = st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(_WINDOWS, min_size=1, max_size=3, unique=True))

KNOWN = Known(
    {"1": NamedGroup("1", "New", None, True), "2": NamedGroup("2", None, "Own", True)},
    {
        "10": NamedStatus("10", "Came in", None, None, "1", "1", False, False, True),
        "11": NamedStatus("11", "Done", "Finished", "done", "2", "2", True, True, True),
    },
    {"source_id": "number", "site": "text", "pipeline_ids": "list", "fields": "json", "allowed_only": "flag"},
)


def unique(strategy: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=5, unique_by=lambda item: tuple(item.get(key) for key in keys))


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


SLA = st.builds(
    lambda threshold, normal, named: {"near_threshold": threshold, "sla": [*normal, *named]},
    st.sampled_from(["0.8", "0.75"]),
    unique(
        st.builds(
            lambda group, limits: {"group_id": group, **limits},
            _IDS,
            optional(limit=_LIMITS, urgent_limit=_LIMITS).filter(bool),
        ),
        "group_id",
    ),
    unique(st.fixed_dictionaries({"group_id": _IDS, "limit": _LIMITS, "profile": _IDS}), "group_id", "profile"),
)
CYCLES = unique(
    st.builds(
        lambda identity, title, start, end: {"id": identity, "title": title, **start, **end},
        _IDS,
        _NAMES,
        st.fixed_dictionaries({"start_group": _IDS}) | st.fixed_dictionaries({"start_status": _IDS}),
        st.fixed_dictionaries({"end_group": _IDS}) | st.fixed_dictionaries({"end_status": _IDS}),
    ),
    "id",
)
URGENT = unique(
    st.fixed_dictionaries(
        {"match": st.sampled_from(["sku", "offer_id", "product_id"]), "value": _NAMES, "active": st.booleans()}
    ),
    "match",
    "value",
)
HOURS = optional(
    default=_WEEKS,
    groups=st.dictionaries(_IDS, _WEEKS, min_size=1, max_size=3),
    exceptions=st.lists(
        st.builds(
            lambda day, ranges, group: {"date": day.isoformat(), "ranges": ranges, **group},
            st.dates(),
            st.lists(_WINDOWS, max_size=2, unique=True),
            optional(group=_IDS),
        ),
        min_size=1,
        max_size=4,
    ),
)
STATUSES = st.fixed_dictionaries(
    {
        "status_groups": unique(st.fixed_dictionaries({"id": _IDS, "name": _NAMES}), "id"),
        "statuses": unique(
            st.builds(
                lambda identity, item: {"id": identity, **item},
                _IDS | st.sampled_from(["10", "11"]),
                optional(name=_NAMES, group_id=_IDS, is_closing=st.booleans()).filter(bool),
            ),
            "id",
        ),
    }
)
POLICIES = st.sampled_from(["newest", "vms", "crm", "manual"])


def by_key(items: list[dict[str, Any]], *keys: str) -> dict[Any, dict[str, Any]]:
    return {tuple(item.get(key) for key in keys): item for item in items}


def back(section: str, value: Mapping[str, Any], known: Known = KNOWN) -> dict[str, Any]:
    draft = read(section, show(section, value, known), known, value)
    assert draft.problems == []
    return draft.value


@given(SLA)
def test_limits_survive_the_form(value: dict[str, Any]) -> None:
    found = back("sla", value)
    assert found["near_threshold"] == value["near_threshold"]
    assert by_key(found["sla"], "group_id", "profile") == by_key(value["sla"], "group_id", "profile")


@given(CYCLES, st.integers(0, 9))
def test_cycles_survive_the_form(cycles: list[dict[str, Any]], chosen: int) -> None:
    if chosen < len(cycles):
        cycles[chosen] = {**cycles[chosen], "default": True}
    assert back("cycle", {"cycles": cycles}) == {"cycles": cycles}


@given(URGENT)
def test_urgent_rules_survive_the_form(found: list[dict[str, Any]]) -> None:
    assert back("urgent", {"urgent": found}) == {"urgent": found}


@given(HOURS)
@settings(deadline=None)
def test_working_hours_survive_the_form(value: dict[str, Any]) -> None:
    assert back("working-hours", {"working_hours": value}) == {"working_hours": value}


def test_days_written_together_are_written_one_by_one() -> None:
    value = {"working_hours": {"default": {"mon-wed": ["08:00-12:00", "13:00-17:00"], "fri": ["22:00-06:00"]}}}
    fields = hours.show(value)
    assert fields["default.tue"] == "08:00-12:00, 13:00-17:00"
    assert "default.thu" not in fields
    assert hours.read(fields).value["working_hours"]["default"] == {
        "mon": ["08:00-12:00", "13:00-17:00"],
        "tue": ["08:00-12:00", "13:00-17:00"],
        "wed": ["08:00-12:00", "13:00-17:00"],
        "fri": ["22:00-06:00"],
    }


@given(STATUSES)
def test_the_overlay_of_statuses_survives_the_form(value: dict[str, Any]) -> None:
    found = back("statuses", value)
    assert by_key(found["status_groups"], "id") == by_key(value["status_groups"], "id")
    assert by_key(found["statuses"], "id") == by_key(value["statuses"], "id")


@given(st.dictionaries(_IDS, st.sampled_from(["PENDING", "SHIPPED"])))
def test_the_status_map_survives_the_form_in_its_order(value: dict[str, str]) -> None:
    found = back("status-map", {"status_map": value})["status_map"]
    assert list(found.items()) == list(value.items())


@given(POLICIES | st.dictionaries(_IDS, POLICIES, min_size=1))
def test_the_conflict_policy_survives_the_form(value: Any) -> None:
    assert back("conflicts", {"conflict_policy": value}) == {"conflict_policy": value}


_FLAGS = {name: st.booleans() for name in exchange.SYNC_FLAGS}
_NUMBERS = {name: st.integers(1, 99).map(str) for name in exchange.SYNC_NUMBERS}


@given(st.fixed_dictionaries({**_FLAGS, **_NUMBERS}, optional={"since": st.dates().map(str)}))
def test_what_is_pulled_survives_the_form(value: dict[str, Any]) -> None:
    assert back("sync", {"sync": value}) == {"sync": value}


@given(st.none() | st.fixed_dictionaries({name: st.booleans() for name in exchange.VMS_FLAGS}))
def test_the_flags_of_the_two_way_sync_survive_the_form(flags: dict[str, Any] | None) -> None:
    value = {} if flags is None else {"vms": {**flags, "clock_skew_seconds": "7"}}
    assert back("two-way", value) == value


@given(
    unique_ids := st.lists(_IDS, unique=True, max_size=4),
    unique_ids,
    st.none() | st.integers(0, 3650).map(str),
)
def test_the_orders_that_are_shown_survive_the_form(groups: list[str], found: list[str], days: str | None) -> None:
    section = {"hidden_groups": sorted(groups), "hidden_statuses": found, **({"closed_days": days} if days else {})}
    value = back("dashboard", {"dashboard": section})["dashboard"]
    assert sorted(value.pop("hidden_groups")) == section.pop("hidden_groups")
    assert sorted(value.pop("hidden_statuses")) == sorted(section.pop("hidden_statuses"))
    assert value == section


_JSON = st.recursive(
    st.booleans() | st.integers() | _NAMES, lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner), max_leaves=5
)


@given(
    optional(
        source_id=st.integers().map(str),
        site=_NAMES,
        pipeline_ids=st.lists(st.integers() | _NAMES | st.booleans()),
        fields=st.dictionaries(_NAMES, _JSON),
        allowed_only=st.booleans(),
        hidden=_JSON,
        rate_limit=st.fixed_dictionaries({"requests": st.just("7"), "per_seconds": st.just("0.5")}),
    )
)
def test_options_survive_the_form_and_those_that_it_does_not_show_stay(value: dict[str, Any]) -> None:
    found = back("options", {"options": value})["options"]
    assert found == value
    assert {key: [type(item) for item in one] for key, one in found.items() if isinstance(one, list)} == {
        key: [type(item) for item in one] for key, one in value.items() if isinstance(one, list)
    }


_NETWORKS = st.lists(st.ip_addresses().map(str), min_size=1, max_size=3, unique=True)


@given(
    optional(
        base_url=st.just("https://crm.example.com/v1"),
        webhook=optional(
            auth=st.sampled_from(["hmac", "bearer", "standard", "none"]), encoding=st.just("base64"), header=_NAMES,
            prefix=_NAMES, ip_allow=_NETWORKS,
        ).filter(bool),
    )
)  # fmt: skip
def test_the_address_and_the_proof_of_webhooks_survive_the_form(value: dict[str, Any]) -> None:
    assert back("address", value) == value


def test_a_secret_of_webhooks_is_taken_and_never_shown() -> None:
    assert address.show({"webhook": {"auth": "hmac", "secret": "hidden"}}).get("secret") is None
    assert address.read({"auth": "token", "secret": " hidden "}).value == {"webhook": {"secret": "hidden"}}
    assert address.read({"auth": "token", "secret": " "}).value == {}


def test_names_and_zones_survive_the_form() -> None:
    value = {"name": "Print shop", "timezone": "Europe/Kyiv", "currency": "UAH"}
    assert back("general", value) == value


def test_every_section_has_a_form_that_an_empty_value_survives() -> None:
    for section in SECTION_PAGES:
        draft = read(section, show(section, {}, KNOWN), KNOWN, {})
        assert draft.problems == []


def problems_at(draft: Draft, *places: str) -> list[str]:
    found = base.at_fields(draft, [Problem(place, "wrong") for place in places])
    return [name for name, sentences in found.items() for _ in sentences]


@pytest.mark.parametrize(
    ("read_form", "fields", "place", "name"),
    [
        (sla.read, {"row.3.group": "2", "row.3.urgent": "x"}, "sla[0].urgent_limit", "row.3.urgent"),
        (address.read, {"base_url": "x"}, "base_url", "base_url"),
        (address.read, {"encoding": "base64"}, "webhook", "auth"),
        (address.read, {"ip_allow": "x, y"}, "webhook.ip_allow[1]", "ip_allow"),
        (address.read, {"auth": "hmac"}, "webhook.secret", "secret"),
        (sla.read, {"row.3.group": "2", "row.3.grid1": "x", "grid.1.name": "vip"}, "sla[0].limit", "row.3.grid1"),
        (sla.read, {"row.0.normal": "8:00"}, "sla[0].group_id", "row.0.group"),
        (sla.read, {}, "near_threshold", "near_threshold"),
        (rules.read_cycles, {"cycle.1.id": "a", "cycle.1.start": "s:1", "cycle.1.end": "g:"}, "cycles[0].end_group",
         "cycle.1.end"),
        (rules.read_cycles, {"cycle.1.id": "a", "cycle.1.start": "s:1", "cycle.1.end": "g:2"}, "cycles[0]",
         "cycle.1.id"),
        (rules.read_urgent, {"rule.4.match": "sku", "rule.4.value": "x"}, "urgent[0].match", "rule.4.match"),
        (hours.read, {"default.preset": "hours", "default.was": "hours", "default.tue": "1-2, 9-10"},
         "working_hours.default.tue[1]", "default.tue"),
        (hours.read, {"calendar.2.group": "3", "calendar.2.sun": "x"}, 'working_hours.groups["3"].sun[0]',
         "calendar.2.sun"),
        (hours.read, {"calendar.2.group": "*"}, 'working_hours.groups["*"]', "calendar.2.group"),
        (hours.read, {"exception.0.date": "2026-13-01"}, "working_hours.exceptions[0].date", "exception.0.date"),
        (hours.read, {"exception.0.date": "2026-12-01", "exception.0.hours": "x"},
         "working_hours.exceptions[0].ranges[0]", "exception.0.hours"),
        (statuses.read, {"status.7.id": "1"}, "statuses[0]", "status.7.id"),
        (statuses.read_map, {"map.0.crm": "new", "map.0.vms": "NEW"}, "status_map.new", "map.0.vms"),
        (exchange.read_sync, {}, "sync.batch_size", "batch_size"),
        (exchange.read_conflicts, {"policy": "per-field", "field.0.name": "status"}, "conflict_policy.status",
         "field.0.policy"),
        (exchange.read_dashboard, {"closed_days": "x"}, "dashboard.closed_days", "closed_days"),
        (general.read, {}, "timezone", "timezone"),
        (sla.read, {}, "credentials", ""),
    ],
)  # fmt: skip
def test_a_problem_is_told_at_the_field_in_which_it_was_typed(
    read_form: Callable[[dict[str, str]], Draft], fields: dict[str, str], place: str, name: str
) -> None:
    assert problems_at(read_form(fields), place) == [name]


def test_what_a_document_cannot_say_is_told_by_the_form() -> None:
    twice = {"calendar.0.group": "3", "calendar.1.group": "3", "calendar.2.mon": "09:00-18:00"}
    assert [name for name, _ in hours.read(twice).problems] == ["calendar.1.group", "calendar.2.group"]
    same = {"map.0.crm": "a", "map.0.vms": "PENDING", "map.1.crm": "a", "map.1.vms": "SHIPPED"}
    assert [name for name, _ in statuses.read_map(same).problems] == ["map.1.crm"]
    assert [name for name, _ in options.read({"option.fields": "{"}, {"fields": "json"}, {}).problems] == [
        "option.fields"
    ]
    assert [name for name, _ in rules.read_cycles({"cycle.0.id": "a", "cycle.0.start": "g:1"}).problems] == [
        "cycle.0.end"
    ]


def test_rows_that_are_to_be_removed_and_empty_rows_are_left_out() -> None:
    fields = {
        "rule.0.match": "sku", "rule.0.value": "A", "rule.0.active": "on", "rule.0.remove": "on",
        "rule.1.match": "sku", "rule.1.value": "B", "rule.2.match": "sku", "rule.2.value": " ", "rule.2.active": "on",
    }  # fmt: skip
    assert rules.read_urgent(fields).value == {"urgent": [{"match": "sku", "value": "B", "active": False}]}


def test_a_preset_replaces_the_hours_of_a_calendar() -> None:
    fields = {"calendar.0.group": "3", "calendar.0.preset": "office", "calendar.0.sat": "10:00-12:00"}
    week = {day: ["09:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
    assert hours.read({**fields, "default.preset": "always", "default.was": "always"}).value == {
        "working_hours": {"groups": {"3": week}}
    }


def test_hours_written_below_24_7_count() -> None:
    fields = {"default.preset": "always", "default.was": "always", "default.mon": "09:00-10:00"}
    assert hours.read(fields).value == {"working_hours": {"default": {"mon": ["09:00-10:00"]}}}
    assert hours.read({**fields, "default.was": "hours"}).value == {"working_hours": {}}
