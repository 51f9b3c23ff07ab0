"""Cells and lines of the exported CSV; bars and due times of the list."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dashboard.orders.bars import SlaBar, due, sla_bar
from dashboard.orders.export import cell, lines

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1+1", "＝1", "=HYPERLINK(\"http://x\",\"y\")", "-"],
)  # fmt: skip
def test_no_text_is_a_formula(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize("text", ["10482", "New = good", "a-1", "1+1", "Нове", ""])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_values_are_written_for_programs() -> None:
    at = datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert [cell(value) for value in (None, True, False, 7, Decimal("-1.50"), at)] == [
        "", "true", "false", "7", "-1.50", "2026-11-01T00:00:00Z",
    ]  # fmt: skip


def test_lines_are_read_back_by_any_reader_of_csv() -> None:
    rows = [["a,b", 'say "no"', "two\nlines", "Ґудзик; 5"], ["", "x", "y", "z"]]
    assert list(csv.reader(io.StringIO(lines(rows).decode(), newline=""))) == rows


def test_a_bar_shows_worked_time_and_where_the_limit_was() -> None:
    assert sla_bar(Decimal(1800), 7200) == SlaBar(25.0, None)
    assert sla_bar(7200, 7200) == SlaBar(100.0, None)
    assert sla_bar(14400, 7200) == SlaBar(100.0, 50.0)
    assert sla_bar(None, 7200) is None
    assert sla_bar(5, None) is None


def test_a_due_time_is_ahead_or_passed_or_reached_while_nobody_works() -> None:
    hour = timedelta(hours=1)
    assert due(NOW + hour, "ok", NOW) == ("in", 3600)
    assert due(NOW - hour, "over", NOW) == ("over", 3600)
    assert due(NOW - hour, "near", NOW) == ("now", 0)
    assert due(None, None, NOW) is None
