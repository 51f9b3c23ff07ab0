"""The report of an import as a CSV file that a spreadsheet opens and that runs no formula there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

BOM = "\ufeff"
HEADER = ("row", "reason", "date", "customer_phone", "amount", "description")
_FORMULA = ("=", "+", "-", "@")
_CONTROLS = ("\t", "\r", "\n")


def write_report(rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """Rows as text, one line each; None is an empty cell.

    A text that a spreadsheet could take for a formula begins with an apostrophe, which an upload of it takes off again.
    """
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([_safe(value) for value in row] for row in rows)
    return target.getvalue()


def _safe(value: object) -> object:
    if isinstance(value, str) and (value.startswith(_CONTROLS) or value.lstrip().startswith(_FORMULA)):
        return f"'{value}"
    return value
