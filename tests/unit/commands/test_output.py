from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from commands.output import console, print_json, print_rows, progress_bar, results_alone


def test_json_keeps_cyrillic_decimals_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(
        [{"name": "Виробництво 🚚", "hours": Decimal("1.50"), "at": datetime(2026, 1, 2, tzinfo=UTC), "no": None}]
    )
    text = capsys.readouterr().out
    assert "Виробництво 🚚" in text
    assert json.loads(text) == [{"name": "Виробництво 🚚", "hours": 1.5, "at": "2026-01-02T00:00:00Z", "no": None}]


def test_a_table_shows_each_row_and_a_dash_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(
        "Stages", [{"stage": "New", "orders": 3, "share": None}, {"stage": "Готово", "orders": 12, "share": True}]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Stages"
    assert any("New" in line and "3" in line and "-" in line for line in lines)
    assert any("Готово" in line and "12" in line and "yes" in line for line in lines)


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows("Stages", [])
    assert capsys.readouterr().out == "Stages: none\n"


def test_progress_off_a_terminal_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Pulling") as bar:
        for done in range(101):
            bar.update(done, 100)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[:2] == ["Pulling: 0 of 100", "Pulling: 10 of 100"]
    assert len(captured.err.splitlines()) == 11


def test_progress_off_a_terminal_tells_each_part_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Pulling") as bar:
        for part, total in (("statuses", 13), ("orders", 904), ("customers", 590)):
            bar.update(total, total, part)
    assert capsys.readouterr().err.splitlines() == [
        "Pulling: 13 of 13 statuses", "Pulling: 904 of 904 orders", "Pulling: 590 of 590 customers",
    ]  # fmt: skip


def test_with_json_stdout_holds_the_result_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with results_alone(True):
        console.print("on the way")
        print_json({"done": True})
    console.print("afterwards")
    captured = capsys.readouterr()
    assert json.loads(captured.out.removesuffix("afterwards\n")) == {"done": True}
    assert captured.err == "on the way\n"


def test_quiet_progress_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Pulling", quiet=True) as bar:
        bar.update(1, 2)
    assert capsys.readouterr().err == ""
