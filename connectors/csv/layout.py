"""How a file is laid out: its delimiter, and where the columns are that its header names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.csv.decoding import FileRefusedError, decode

REQUIRED = ("date", "customer_phone", "amount")
COLUMNS = (*REQUIRED, "description")
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
LONGEST_LINE = 100_000
"""Characters; what is longer is no row of a table."""

_SYNONYMS = {
    "date": (
        "date", "datetime", "date time", "дата", "дата и время", "дата та час", "дата продажи", "дата продажу",
        "дата покупки", "дата операции", "дата операції", "дата чека",
    ),
    "customer_phone": (
        "customer phone", "phone", "phone number", "client phone", "mobile", "tel", "телефон", "номер телефона",
        "номер телефону", "телефон клиента", "телефон клієнта", "телефон покупателя", "телефон покупця", "тел",
        "мобильный", "мобільний", "мобильный телефон", "мобільний телефон",
    ),
    "amount": (
        "amount", "sum", "total", "price", "сумма", "сума", "сумма чека", "сума чека", "сумма продажи", "сума продажу",
        "сумма руб", "сума грн", "итого", "разом", "всего", "всього", "стоимость", "вартість",
    ),
    "description": (
        "description", "comment", "item", "product", "service", "note", "описание", "опис", "комментарий", "коментар",
        "товар", "услуга", "послуга", "наименование", "найменування", "назначение", "призначення",
    ),
}  # fmt: skip
_COLUMN_OF = {synonym: column for column, synonyms in _SYNONYMS.items() for synonym in synonyms}
_EXCEL_HINT = re.compile(r'"?sep=([,;\t|])"?(?:\r\n|\r|\n)', re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n|\Z")
_HEAD = 200_000
"""Characters in which the header must be."""


@dataclass(frozen=True, slots=True)
class Layout:
    encoding: str
    delimiter: str
    columns: Mapping[str, int]
    """Position of each of `COLUMNS` that the file has."""
    width: int
    """Cells of the header."""


def inspect(content: bytes) -> tuple[str, Layout]:
    """The file's text and layout, without looking at its rows. Raises FileRefusedError."""
    text, encoding = decode(content)
    hint = _EXCEL_HINT.match(text)
    if hint:  # Excel shows no row for it
        text = text[hint.end() :]
    _check_lines(text)
    delimiter, header = _header(text, hint[1] if hint else "".join(DELIMITERS))
    return text, Layout(encoding, delimiter, _places(header), len(header))


def _check_lines(text: str) -> None:
    start, number = 0, 1
    for end in _LINE_END.finditer(text):
        if end.start() - start > LONGEST_LINE:
            raise FileRefusedError(
                f"Line {number} of the file has over {LONGEST_LINE:,} characters, so it is no table of sales: "
                "check how it was exported."
            )
        start, number = end.end(), number + 1


def _header(text: str, delimiters: str) -> tuple[str, list[str]]:
    """The delimiter that makes most of the header, and the header's cells."""
    found = [(delimiter, _first_row(text, delimiter)) for delimiter in delimiters]
    delimiter, header = max(found, key=lambda item: (len(set(map(_column, item[1])) - {None}), len(item[1])))
    if not any(map(_column, header)):
        raise FileRefusedError(
            "The first row is no header: it must name the columns date, customer_phone, amount and, if there is one, "
            "description, separated by a comma, a semicolon or a tab."
        )
    return delimiter, header


def _first_row(text: str, delimiter: str) -> list[str]:
    """The first row that is not blank."""
    try:
        rows = csv.reader(io.StringIO(text[:_HEAD], newline=""), delimiter=delimiter, skipinitialspace=True)
        return next((row for row in rows if any(cell.strip() for cell in row)), [])
    except csv.Error:  # a cell of over 131,072 characters: no header
        return []


def _places(header: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for column in COLUMNS:
        candidates = [place for place, cell in enumerate(header) if _column(cell) == column]
        exact = [place for place in candidates if header[place].strip().casefold() == column]
        chosen = exact or candidates
        if len(chosen) > 1:
            raise FileRefusedError(
                f"The header names {len(chosen)} columns that may be {column}: call one of them {column}, "
                "or leave the others out."
            )
        if chosen:
            places[column] = chosen[0]
    if missing := [column for column in REQUIRED if column not in places]:
        raise FileRefusedError(
            f"The file has no column {' and no column '.join(missing)}: its header must name date, customer_phone and "
            "amount; description is optional."
        )
    return places


def _column(cell: str) -> str | None:
    """Which column a cell of the header names."""
    return _COLUMN_OF.get(" ".join(re.findall(r"[^\W_]+", cell.casefold())))
