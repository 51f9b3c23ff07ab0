"""The rows of a file, by pandas and in chunks, each with the number that a spreadsheet shows for it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.csv.decoding import FileRefusedError
from connectors.csv.layout import DELIMITERS, Layout, inspect
from connectors.csv.rows import Cells

CHUNK_ROWS = 2000
_BEYOND = 4
"""Cells that are read beyond the header's, to notice rows that are too long."""
_LOOKED_AT = 20
"""Rows that must agree before the file as a whole is called wrong."""
_DATE = re.compile(r'["\s]*(?:\d{4}-\d\d-\d\d|\d{1,2}\.\d{1,2}\.\d{4})', re.ASCII)
_UNCLOSED = re.compile(r"EOF inside string starting at row (\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """As a spreadsheet counts: the header is row 1, blank rows count."""
    cells: Cells
    problem: str | None = None
    """What is wrong with the row as a row of a table."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file that can be read."""

    text: str
    layout: Layout
    rows: int
    """Rows below the header that are not blank."""

    def chunks(self) -> Iterator[list[Line]]:
        """All rows that are not blank."""
        rows = _rows(self.text, self.layout)
        while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
            yield [_line(number, cells, self.layout) for number, cells in chunk]


def open_file(content: bytes) -> CsvFile:
    """Read it once to see that it can be read to its end. Raises FileRefusedError."""
    text, layout = inspect(content)
    rows = _rows(text, layout)
    first = list(itertools.islice(rows, _LOOKED_AT))
    _check_delimiter([cells for _, cells in first], layout)
    return CsvFile(text, layout, len(first) + sum(1 for _ in rows))


def _rows(text: str, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row below the header that is not blank; some cells more than the header has."""
    header_was_seen = False
    for number, cells in enumerate(_all_rows(text, layout)):  # row 0 is ours, see there
        if number and any(cells):
            if header_was_seen:
                yield number, cells
            header_was_seen = True


def _all_rows(text: str, layout: Layout) -> Iterator[list[str]]:
    import pandas as pd  # takes half a second and 60 MB: only who reads a file pays

    width = layout.width + _BEYOND
    # pandas takes the width of a table from its first row, and with `usecols` neither shorter nor longer rows stop it.
    widest = layout.delimiter * (width - 1) + "\n"
    options: dict[str, Any] = {
        "sep": layout.delimiter, "header": None, "names": range(width), "usecols": range(width), "index_col": False,
        "dtype": str, "na_filter": False, "skip_blank_lines": False, "skipinitialspace": True,
    }  # fmt: skip
    try:
        with pd.read_csv(io.StringIO(widest + text, newline=""), chunksize=CHUNK_ROWS, **options) as frames:
            for frame in frames:
                yield from ([cell.strip() for cell in row] for row in frame.to_numpy().tolist())
    except pd.errors.ParserError as error:
        unclosed = _UNCLOSED.search(str(error))
        if unclosed is None:
            raise FileRefusedError("The file cannot be read as a table: check how it was exported.") from None
        raise FileRefusedError(
            f"Row {unclosed[1]}: a quotation mark is opened and never closed, so no row can be told from the next: "
            "close or remove it and upload the file again."
        ) from None


def _line(number: int, row: Sequence[str], layout: Layout) -> Line:
    places = layout.columns
    cells = Cells(*(row[places[name]] if name in places else "" for name in Cells.__dataclass_fields__))
    problem = None
    if any(_holds_rows(cell, layout) for cell in row):
        problem = "a quotation mark is not closed, so the rows after it were taken for a part of it"
    elif any(row[layout.width :]):
        problem = (
            f"more cells than the header has, expected quotation marks around text with {DELIMITERS[layout.delimiter]}"
        )
    return Line(number, cells, problem)


def _holds_rows(cell: str, layout: Layout) -> bool:
    """Whether a cell of several lines has rows of the table in it."""
    if "\n" not in cell and "\r" not in cell:
        return False
    date, last = layout.columns["date"], max(layout.columns[name] for name in ("date", "customer_phone", "amount"))
    pieces = (line.split(layout.delimiter) for line in cell.splitlines())
    return any(len(parts) > last and _DATE.match(parts[date]) for parts in pieces)


def _check_delimiter(rows: Sequence[Sequence[str]], layout: Layout) -> None:
    if not rows or any(sum(map(bool, cells)) > 1 for cells in rows):
        return
    for other, name in DELIMITERS.items():
        if other != layout.delimiter and all(any(cell.count(other) > 1 for cell in cells) for cells in rows):
            raise FileRefusedError(
                f"The header is separated by {DELIMITERS[layout.delimiter]} and the rows by {name}: "
                "use one of them in the whole file."
            )
