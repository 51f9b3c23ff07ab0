"""docs/metrics.md cannot lie: its worked examples are stored, built, and held against the marts and plain Python."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from database.connection import connect
from database.encryption import Keyring
from database.environment import Environment
from sync.settings import apply_settings
from tests.integration.dbt.conftest import Warehouse
from tests.oracle import inputs
from tests.oracle.expected import MARTS, Row
from tests.oracle.metrics import Metrics, seconds

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"
RULES = {  # of section 6 of the design -> the example's first words
    "interval": "An interval runs",
    "ties and late events": "Events take their place",
    "group of an interval": "The group is the event's own",
    "closing and reopening": "A closing status closes",
    "several windows, unlisted weekdays": "Several windows a day",
    "midnight and 24:00": "A window over midnight",
    "overlaps": "Overlapping windows",
    "which calendar": "A group has its own calendar",
    "24/7": "Without any calendar",
    "exceptions": "An exception replaces",
    "DST": "A day on which the clock changes",
    "the other hemisphere": "In the south",
    "skipped and repeated times": "A wall-clock time",
    "stages and their states": "A stage sums",
    "grids": "The grid is",
    "sla_due_at": "The due time",
    "urgent": "Urgent by",
    "cycles, started_at, delivery_entered_at": "A cycle runs",
    "periods": "Periods are",
    "functions": "The functions",
}


@dataclass
class Table:
    """`name` is the relation above it; empty for a table of calls."""

    name: str
    header: list[str]
    rows: list[list[str]]

    def records(self) -> list[dict[str, str]]:
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


@dataclass
class Example:
    project_id: str
    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    def of(self, schema: str) -> list[Table]:
        return [table for table in self.tables if table.name.startswith(schema)]


def examples() -> list[Example]:
    """In the document's order; each has the settings that stand before the first, but for those that it changes."""
    _, _, section = DOCUMENT.read_text().partition("\n## Worked examples\n")
    shared, *parts = re.split(r"^### ", section, flags=re.MULTILINE)
    common = _settings(shared)
    found = []
    for number, part in enumerate(parts, 1):
        title, _, body = part.partition("\n")
        found.append(Example(f"example-{number}", title.strip(), {**common, **_settings(body)}, _tables(body)))
    return found


def _settings(text: str) -> dict[str, Any]:
    block = re.search(r"^```yaml\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    # As text throughout: `apply` reads 08:00 and dates by its own rules, not by YAML's.
    return {} if block is None else dict(yaml.load(block[1], Loader=yaml.BaseLoader))


def _tables(text: str) -> list[Table]:
    found = []
    name = ""
    for is_table, lines in groupby(text.splitlines(), key=lambda line: line.startswith("|")):
        block = list(lines)
        if is_table:
            cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in block]
            found.append(Table(name, cells[0], cells[2:]))
            name = ""
        else:
            captions = [line[1:-1] for line in block if re.fullmatch(r"`[a-z_]+\.[a-z_]+`", line)]
            name = captions[-1] if captions else name
    return found


EXAMPLES = examples()
_IDS = [example.title for example in EXAMPLES]


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse], tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = make_warehouse()
    environment = Environment(database_url=warehouse.url, home=tmp_path_factory.mktemp("home"))
    asyncio.run(_apply(warehouse.url, Keyring.load(environment)))
    with psycopg.connect(warehouse.url) as connection:
        for example in EXAMPLES:
            for table in (*example.of("core."), *example.of("config.")):
                for number, record in enumerate(table.records()):
                    _insert(connection, example, table.name, record, number)
    result = warehouse.build()
    assert [str(failure) for failure in (*result.failed, *result.warnings)] == []
    return warehouse


async def _apply(url: str, keyring: Keyring) -> None:
    projects = [
        {
            "id": each.project_id,
            "name": each.title,
            "crm": "keycrm",
            "credentials": {"api_key": "none"},
            **each.settings,
        }
        for each in EXAMPLES
    ]
    text = yaml.dump({"projects": projects}, allow_unicode=True)
    async with await connect(url) as connection:
        await apply_settings(connection, keyring, text, source=DOCUMENT.name, environ={}, actor="test")


def _insert(
    connection: psycopg.Connection[Any], example: Example, table: str, record: dict[str, str], number: int
) -> None:
    values: dict[str, Any] = {name: None if cell == "null" else cell for name, cell in record.items()}
    values["project_id"] = example.project_id
    if table == "core.order_status_events":
        values |= {"source": "pull", "dedup_key": f"{example.project_id}/{number}"}
    marks = ", ".join(["%s"] * len(values))
    connection.execute(
        f"insert into {table} ({', '.join(values)}) values ({marks})".encode(),
        [str(v) if v else v for v in values.values()],
    )


@pytest.fixture(scope="module")
def metrics(warehouse: Warehouse) -> dict[str, Metrics]:
    return {name: Metrics(project) for name, project in inputs.read(warehouse.url).items()}


def test_every_rule_has_an_example() -> None:
    for rule, words in RULES.items():
        assert [title for title in _IDS if title.startswith(words)], rule
    assert len(EXAMPLES) == len(RULES)
    for example in EXAMPLES:
        assert example.of("marts.") or [table for table in example.tables if table.header == ["call", "result"]]


@pytest.mark.parametrize("example", EXAMPLES, ids=_IDS)
def test_the_marts_say_what_the_document_says(warehouse: Warehouse, example: Example) -> None:
    for table in example.of("marts."):
        rows = warehouse.rows(f"select * from {table.name} where project_id = '{example.project_id}'")
        assert _wrong(table, rows) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=_IDS)
def test_plain_python_says_so_too(metrics: dict[str, Metrics], example: Example) -> None:
    for table in example.of("marts."):
        assert _wrong(table, _calculated(metrics[example.project_id], table.name.removeprefix("marts."))) == []


def _calculated(metrics: Metrics, name: str) -> list[Row]:
    if name == "orders_current":
        now = datetime.fromisoformat("2026-01-01T00:00+00")
        return [{"order_id": order_id, **metrics.current(order_id, now)} for order_id in metrics.histories]
    mart = MARTS[name]
    return [{**dict(zip(mart.key[1:], key, strict=True)), **row} for key, row in mart.rows(metrics).items()]


def _wrong(table: Table, rows: list[Row]) -> list[str]:
    """Cells of the document that are not so, and rows that are not there; a row is found by the mart's key."""
    mart = table.name.removeprefix("marts.")
    keys = ("order_id",) if mart == "orders_current" else MARTS[mart].key[1:]
    assert set(keys) <= set(table.header), f"{table.name}: the key {keys} is not whole"
    assert len(table.header) > len(keys)
    wrong = []
    for record in table.records():
        found = [row for row in rows if all(says(record[key], row[key]) for key in keys)]
        if len(found) != 1:
            wrong.append(f"{len(found)} rows for {record}")
            continue
        wrong += [
            f"{name} is {found[0][name]!r} and not {cell}, of {record}"
            for name, cell in record.items()
            if not says(cell, found[0][name])
        ]
    return wrong


def says(cell: str, value: Any) -> bool:
    """Whether a cell means the value. A number may have its hours beside it (`5400 = 1:30:00`), which must agree."""
    if value is None or isinstance(value, bool):
        return cell == {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, datetime):
        return cell != "null" and datetime.fromisoformat(cell) == value
    if isinstance(value, date):
        return cell == value.isoformat()
    if isinstance(value, int | Decimal):
        number, _, hours = cell.partition(" = ")
        return number != "null" and Decimal(number) == value and (not hours or _seconds(hours) == value)
    return cell == value


def _seconds(hours: str) -> int:
    parts = [int(part) for part in hours.split(":")]
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


CALLS = [
    pytest.param(example, row["call"].strip("`"), row["result"], id=row["call"].strip("`").removeprefix("marts."))
    for example in EXAMPLES
    for table in example.tables
    if table.header == ["call", "result"]
    for row in table.records()
]


@pytest.mark.parametrize(("example", "call", "result"), CALLS)
def test_a_function_gives_what_the_document_says(
    warehouse: Warehouse, example: Example, call: str, result: str
) -> None:
    (row,) = warehouse.rows(f"select {call.replace(chr(39) + 'shop', chr(39) + example.project_id)} as value")
    assert says(result, row["value"]), row["value"]


@pytest.mark.parametrize(("example", "call", "result"), CALLS)
def test_plain_python_gives_the_same(metrics: dict[str, Metrics], example: Example, call: str, result: str) -> None:
    name, _, literals = call.removeprefix("marts.").partition("(")
    words = {"null": "None", "true": "True", "false": "False"}
    arguments = ast.literal_eval("(" + re.sub(r"\b(null|true|false)\b", lambda word: words[word[0]], literals))
    calculated = None if arguments[0] != "shop" else _called(metrics[example.project_id], name, *arguments[1:])
    assert says(result, calculated), calculated


def _called(metrics: Metrics, name: str, group: str | None, *arguments: Any) -> Any:
    calendar = metrics.calendar(group)
    if None in arguments:
        return None
    if name == "working_seconds":
        start, end = (datetime.fromisoformat(argument) for argument in arguments)
        return seconds(calendar.worked(start, end)) if start <= end else -seconds(calendar.worked(end, start))
    if name == "add_working_seconds":
        start, added = datetime.fromisoformat(arguments[0]), timedelta(seconds=arguments[1])
        if not added:
            return start
        return calendar.reached(start, added, within=timedelta(days=365)) if added > timedelta(0) else None
    worked, is_urgent = timedelta(seconds=arguments[0]), len(arguments) > 1 and arguments[1]
    limits = metrics.project.limits
    limit = limits.get(("urgent", group or "")) if is_urgent else None
    return metrics.state(worked, limit or limits.get(("normal", group or "")))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3600", Decimal("3600.000001")),
        ("3600 = 2:00:00", Decimal(3600)),
        ("null", Decimal(0)),
        ("0", None),
        ("false", True),
        ("true", "ok"),
        ("2025-06-02 10:00+03", datetime.fromisoformat("2025-06-02 10:00+00")),
        ("null", datetime.fromisoformat("2025-06-02 10:00+00")),
        ("2025-06-02", date(2025, 6, 3)),
        ("ok", "over"),
    ],
)
def test_a_cell_that_is_not_so_is_found(cell: str, value: Any) -> None:
    assert not says(cell, value)
