"""Filters of analytics, their cursors, and the sentences that define the numbers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from babel.messages.pofile import read_po

from dashboard.analytics import paging
from dashboard.analytics.definitions import DEFINITIONS
from dashboard.analytics.filters import begins, neighbours, parsed, periods
from web.problems import ProblemError

ROOT = Path(__file__).parents[3]
TODAY = date(2026, 11, 21)  # a Saturday


@pytest.mark.parametrize(
    ("grain", "first"), [("day", date(2026, 10, 23)), ("week", date(2026, 8, 31)), ("month", date(2025, 12, 1))]
)
def test_without_words_a_span_ends_today_and_has_30_days_12_weeks_or_12_months(grain: str, first: date) -> None:
    found = parsed({"grain": grain}, TODAY)
    assert (found.first, found.last, found.errors) == (first, TODAY, {})
    assert len(periods(found)) == {"day": 30, "week": 12, "month": 12}[grain]


def test_a_span_begins_with_the_period_in_which_its_first_day_lies() -> None:
    found = parsed({"grain": "month", "from": "2026-09-17", "to": "2026-11-02"}, TODAY)
    assert periods(found) == [date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"grain": "year"}, "grain"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"from": "2026-11-21", "to": "2026-11-02"}, "from"),
        ({"grain": "day", "from": "2020-01-01"}, "from"),
        ({"urgent": "perhaps"}, "urgent"),
        ({"share": "101"}, "share"),
        ({"share": "nan"}, "share"),
        ({"period": "x"}, "period"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field_and_the_rest_still_serves(query: dict[str, str], field: str) -> None:
    found = parsed(query, TODAY)
    assert list(found.errors) == [field]
    assert found.first <= found.last
    assert 0 <= found.at_least <= 100


def test_a_share_may_be_written_with_a_comma() -> None:
    assert parsed({"share": "2,5"}, TODAY).at_least == 2.5


def test_a_period_before_the_span_widens_it() -> None:
    found = parsed({"grain": "week", "period": "2026-08-05"}, TODAY)
    assert found.period == found.first == date(2026, 8, 3)


def test_steps_lead_to_the_periods_beside_and_not_into_the_future() -> None:
    assert neighbours("month", date(2026, 1, 1), TODAY) == (date(2025, 12, 1), date(2026, 2, 1))
    assert neighbours("week", date(2026, 11, 16), TODAY) == (date(2026, 11, 9), None)
    assert begins("week", date(2026, 11, 22)) == date(2026, 11, 16)


def test_a_cursor_comes_back_as_it_was() -> None:
    key = ("period_start", "project_id", "is_urgent")
    cursor = paging.encoded({"period_start": date(2026, 11, 16), "project_id": "друк", "is_urgent": True}, key)
    assert paging.decoded(cursor, key) == ["2026-11-16", "друк", True]


@pytest.mark.parametrize("cursor", ["x", "e30", "W10", "WzEsMiwiXHUwMDAwIl0", "ä"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        paging.decoded(cursor, ("a", "b", "c"))
    assert refusal.value.status == 400


def descriptions() -> dict[str, str]:
    found = {}
    for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            found[model["name"]] = " ".join(model["description"].split())
            found |= {f"{model['name']}.{each['name']}": each["description"] for each in model["columns"]}
    return found


def test_definitions_are_the_descriptions_of_the_dbt_models_word_for_word() -> None:
    known = descriptions()
    assert {name: known[name] for name in DEFINITIONS} == dict(DEFINITIONS)


@pytest.mark.parametrize("language", ["uk", "ru"])
def test_every_definition_is_translated(language: str) -> None:
    with (ROOT / "dashboard" / "locale" / language / "analytics.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    untranslated = [text for text in DEFINITIONS.values() if not (message := catalogue.get(text)) or not message.string]
    assert untranslated == []
