"""What commands print: tables and progress for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Protocol

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

# Off a terminal rich assumes 80 columns, which would break words in two.
_PLAIN_WIDTH = 140

console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
_encoder = msgspec.json.Encoder(decimal_format="number")

notes = Console(stderr=True, highlight=False, soft_wrap=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Id of the project.")]


def print_json(value: Any) -> None:
    """One JSON document on stdout; times as ISO 8601, decimals as numbers."""
    sys.stdout.write(msgspec.json.format(_encoder.encode(value), indent=2).decode() + "\n")


@contextmanager
def results_alone(as_json: bool) -> Iterator[None]:
    """With `as_json`, what a command says on its way goes to stderr, so that stdout holds the result alone."""
    console.stderr = as_json
    try:
        yield
    finally:
        console.stderr = False


def counted(number: int, noun: str) -> str:
    """ "1 model", "2 models"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_rows(title: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """A table with a title; numbers to the right. Says so where there are no rows."""
    rows = list(rows)
    if not rows:
        console.print(f"{title}: none")
        return
    names = list(columns or rows[0])
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in names:
        numeric = all(isinstance(row[name], int | float) or _is_decimal(row[name]) for row in rows)
        table.add_column(
            name.replace("_", " "), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold"
        )
    for row in rows:
        table.add_row(*(_text(row[name]) for name in names))
    console.print(table)


def _is_decimal(value: object) -> bool:
    return type(value).__name__ == "Decimal"


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%d %H:%M:%S %Z}".rstrip() if isinstance(value, datetime) else str(value)


class Bar(Protocol):
    """Where long work says how far it is."""

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """`done` of `total` things (None: unknown)."""


class _TerminalBar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, note="")

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total, note=note)


class _PlainLines:
    """Elsewhere than on a terminal: a line at each new tenth of each part of the work, or each thousand things."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._step: tuple[int | None, int] | None = None

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        step = (total, done * 10 // total if total else done // 1000)  # another total: the next part of the work
        if step != self._step:
            self._step = step
            notes.print(f"{self._title}: {done}{f' of {total}' if total else ''} {note}".rstrip(), markup=False)


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Bar]:
    """A progress bar on a terminal, plain lines elsewhere, both on stderr; nothing if `quiet`."""
    if quiet:
        yield _Silent()
    elif notes.is_terminal:
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=notes) as progress:
            yield _TerminalBar(progress, title)
    else:
        yield _PlainLines(title)


class _Silent:
    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Nothing to show: the caller asked for JSON alone."""
