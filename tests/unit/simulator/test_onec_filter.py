"""The simulated base reads `$filter` as 1C does."""

from __future__ import annotations

import pytest

from connectors.onec.simulator_filter import FilterError, parse_filter
from connectors.onec.simulator_service import number_text

KEY = "11111111-2222-11ee-8000-0050569f0001"
ROW = {"Ref_Key": KEY, "Date": "2026-03-02T09:00:00", "Posted": True, "Сумма": 12.5, "Имя": "О'Генри"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Ref_Key eq guid'{KEY}'", True),
        ("Date ge datetime'2026-03-02T09:00:00'", True),
        ("Date gt datetime'2026-03-02T09:00:00'", False),
        ("Date ge datetime'2026-03-02T00:00:00' and Date lt datetime'2026-03-03T00:00:00'", True),
        ("Posted eq true and not (Сумма lt 12.5)", True),
        ("Posted eq false or Сумма eq 12.5", True),
        ("Posted eq false or Сумма eq 1 and Posted eq true", False),
        ("(Posted eq false or Сумма eq 12.5) and Posted eq true", True),
        ("Имя eq 'О''Генри'", True),
        ("startswith(Имя, 'О') and substringof('Ген', Имя)", True),
        ("Дата ge datetime'2000-01-01T00:00:00'", False),  # misspelt: no error, nothing found
    ],
)
def test_a_filter_says_which_rows_are_meant(text: str, expected: bool) -> None:
    assert parse_filter(text)(ROW) is expected


@pytest.mark.parametrize(
    "text", ["Date", "Date ge", "Date is 5", "(Posted eq true", "Posted eq true)", "Date ge %", ""]
)
def test_what_is_no_filter_is_an_error(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567.89, "1\u00a0234\u00a0567,89"),
        (1250.5, "1\u00a0250,5"),
        (100.0, "100"),
        (0.07, "0,07"),
        (1000, "1\u00a0000"),
    ],
)
def test_a_number_is_written_as_in_a_russian_base(value: float, text: str) -> None:
    assert number_text(value) == text
