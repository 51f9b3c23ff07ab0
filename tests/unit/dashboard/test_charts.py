"""Charts: where things stand, worked out by hand, and what is said to those who do not see them."""

from __future__ import annotations

import re

import pytest

from dashboard.ui.charts import Part, Row, Series, bars, lines, shares
from dashboard.ui.charts.scales import Unit, marks, thinned

# The plane of bars and lines: 74 to 610 from left to right, 10 to 214 from top to bottom.


@pytest.mark.parametrize(
    ("highest", "unit", "expected"),
    [
        (0, "count", [0, 1]),
        (3, "count", [0, 1, 2, 3]),
        (41, "count", [0, 20, 40, 60]),
        (0, "seconds", [0, 1]),
        (5400, "seconds", [0, 1800, 3600, 5400]),
        (5 * 86400, "seconds", [0, 172800, 345600, 518400]),
        (0.4, "share", [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_an_axis_has_round_marks_up_to_the_highest_value(highest: float, unit: str, expected: list[float]) -> None:
    assert marks(highest, unit) == expected  # type: ignore[arg-type]


def test_an_axis_never_has_more_than_seven_marks_and_reaches_its_highest_value() -> None:
    units: tuple[Unit, ...] = ("count", "seconds")
    for unit in units:
        for exponent in range(40):
            highest = 1.7**exponent
            found = marks(highest, unit)
            assert len(found) <= 7, (unit, highest)
            assert found[-1] >= highest * (1 - 1e-9)


def test_labels_are_thinned_evenly() -> None:
    assert thinned(7, 10) == [0, 1, 2, 3, 4, 5, 6]
    assert thinned(10, 4) == [0, 3, 6, 9]


def test_a_line_runs_through_its_values_and_leaves_a_gap_where_nothing_is_known() -> None:
    chart = lines("en", "Orders", ["a", "b", "c", "d"], [Series("Shop", [0, 2, None, 4])], "count")
    path = re.findall(r'class="line c1" d="([^"]+)"', chart.svg)
    # Four slots of 134: middles 141, 275, 409, 543; 4 is the highest mark, 204 pixels above 0.
    assert path == ["M141 214L275 112M543 10"]
    assert chart.rows == (("a", "0"), ("b", "2"), ("c", "–"), ("d", "4"))
    assert len(re.findall("<circle", chart.svg)) == 3


def test_bars_of_one_group_stand_side_by_side_about_its_middle() -> None:
    series = [Series("One", [3.0, None], "c1"), Series("Two", [1.5, 3.0], "c2")]
    chart = bars("en", "Orders", ["a", "b"], series, "count")
    found = re.findall(r'class="bar (c\d)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', chart.svg)
    # Two slots of 268: middles 208 and 476; bars of 46 (the widest), a pixel between them. 3 is 204 high.
    assert found == [
        ("c1", "162.0", "10.0", "45.0", "204.0"),
        ("c2", "208.0", "112.0", "45.0", "102.0"),
        ("c2", "476.0", "10.0", "45.0", "204.0"),
    ]


def test_shares_fill_their_row_and_the_row_of_nothing_is_empty() -> None:
    parts = [Part("ok", "ok"), Part("over", "over")]
    chart = shares("en", "SLA", [Row("Print", [3, 1]), Row("Idle", [0, 0])], parts)
    found = re.findall(r'class="share (\w+)" x="([\d.]+)" y="(\d+)" width="([\d.]+)"', chart.svg)
    assert found == [("ok", "170.0", "4", "289.5"), ("over", "459.5", "4", "96.5")]
    assert "75 %".replace(" ", "\u00a0") in chart.svg
    assert 'aria-label="SLA: ok 75\u00a0%, over 25\u00a0%."' in chart.svg


def test_a_chart_says_in_words_what_it_shows_and_in_the_users_language() -> None:
    chart = lines("uk", "Час", ["a", "b"], [Series("Друк", [3600.0, 90000.0])], "seconds")
    assert 'role="img"' in chart.svg
    assert 'aria-label="Час: Друк від 1 год до 1 д 1 год."' in chart.svg
    assert 'aria-label="Empty: no values."' in lines("en", "Empty", ["a"], [Series("x", [None])], "count").svg


def test_names_from_a_crm_cannot_become_markup() -> None:
    evil = '<script>"&'
    for svg in (
        bars("en", evil, [evil], [Series(evil, [1.0])], "count").svg,
        lines("en", evil, [evil], [Series(evil, [1.0])], "count").svg,
        shares("en", evil, [Row(evil, [1])], [Part(evil, "ok")]).svg,
    ):
        assert "<script" not in svg
        assert "&lt;script&gt;" in svg


def test_a_chart_has_no_style_of_its_own() -> None:
    svg = bars("en", "Orders", ["a"], [Series("x", [1.0])], "count").svg
    assert "style" not in svg
    assert "fill=" not in svg


def test_values_must_fit_their_labels() -> None:
    with pytest.raises(ValueError, match="x has 1 values for 2 labels"):
        lines("en", "Orders", ["a", "b"], [Series("x", [1.0])], "count")
    with pytest.raises(ValueError, match="Print has 1 counts for 2 parts"):
        shares("en", "SLA", [Row("Print", [1])], [Part("ok", "ok"), Part("over", "over")])
