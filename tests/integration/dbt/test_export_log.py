"""`crm-elt export-log`: what it writes, read back by pm4py and by an XML parser, against the marts."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pm4py
import pytest

from commands.application import application
from commands.failures import exit_code_of
from database.connection import connect
from database.encryption import new_key
from database.repositories import event_log
from sync.event_log import CSV_COLUMNS
from tests.integration.dbt.conftest import Warehouse
from tests.oracle import generated

pytestmark = pytest.mark.filterwarnings("ignore:Install the optional requirement")  # pm4py's, of a faster reader

PROJECT = "p0"
XES = "{http://www.xes-standard.org/}"
# What XML must escape or cannot hold, what CSV must quote, and what is not ASCII.
NAMES = {"1": 'Нове <b>&"замовлення"</b> 🚚', "2": "a, b\nc\td", "6": "відміна\x0b 'так'"}


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=7, orders_per_project=60)
    for status, name in NAMES.items():
        quoted = name.replace("'", "''")
        warehouse.execute(f"update core.statuses set name = '{quoted}' where status_id = '{status}'")
    warehouse.execute("update core.orders set manager_id = 'Олена & Co' where order_id::integer % 2 = 0")
    assert warehouse.build(select="+agg_status_transitions +agg_variants").models > 10
    return warehouse


@pytest.fixture
def cli(
    warehouse: Warehouse, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("DATABASE_URL", warehouse.url)
    monkeypatch.setenv("CRM_ELT_HOME", str(tmp_path))
    monkeypatch.setenv("CRM_ELT_MASTER_KEY", new_key())

    def call(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = exit_code_of(application, list(words), debug=False)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


Cli = Callable[..., tuple[int, str, str]]


def export(cli: Cli, path: Path) -> Path:
    code, out, err = cli("export-log", PROJECT, "--format", path.suffix[1:], "--output", str(path))
    assert (code, out) == (0, ""), err
    assert f"written to {path}" in err.replace("\n", "")
    return path


def visits(warehouse: Warehouse) -> list[dict[str, Any]]:
    return warehouse.rows(
        "select i.*, coalesce(status_name, i.status_id) as activity, manager_id"
        " from marts.fct_order_status_intervals i left join core.orders using (project_id, order_id)"
        f" where project_id = '{PROJECT}' order by order_id, interval_number"
    )


def written_in_xml(text: str) -> str:
    return text.replace("\x0b", "\ufffd")


def test_pm4py_reads_the_xes_and_finds_the_events_of_the_marts(cli: Cli, warehouse: Warehouse, tmp_path: Path) -> None:
    log = pm4py.read_xes(str(export(cli, tmp_path / "log.xes")))
    found = [
        (row["case:concept:name"], row["concept:name"], row["time:timestamp"].to_pydatetime(), row["status_id"])
        for row in log.to_dict("records")
    ]
    expected = [
        (row["order_id"], written_in_xml(row["activity"]), row["entered_at"], row["status_id"])
        for row in visits(warehouse)
    ]
    assert len(expected) > 200
    assert {written_in_xml(name) for name in NAMES.values()} <= {row[1] for row in expected}
    assert found == expected
    assert set(log["org:resource"].dropna()) == {"Олена & Co"}
    assert {type(value) for value in log["case:is_urgent"]} == {bool}
    assert set(log["lifecycle:transition"]) == {"complete"}


def test_pm4py_reads_the_csv_and_finds_the_same(cli: Cli, warehouse: Warehouse, tmp_path: Path) -> None:
    log = read_csv(export(cli, tmp_path / "log.csv"))
    found = [
        (row["case:concept:name"], row["concept:name"], row["time:timestamp"].to_pydatetime(), row["is_urgent"])
        for row in log.to_dict("records")
    ]
    expected = [(row["order_id"], row["activity"], row["entered_at"], row["is_urgent"]) for row in visits(warehouse)]
    assert sorted(found) == sorted(expected)


def test_the_graph_that_pm4py_discovers_is_agg_status_transitions(
    cli: Cli, warehouse: Warehouse, tmp_path: Path
) -> None:
    graph, starts, _ = pm4py.discover_dfg(pm4py.read_xes(str(export(cli, tmp_path / "log.xes"))))
    expected: Counter[tuple[str, str]] = Counter()
    for row in warehouse.rows(f"select * from marts.agg_status_transitions where project_id = '{PROJECT}'"):
        origin = row["from_status_name"] or row["from_status_id"]
        target = row["to_status_name"] or row["to_status_id"]
        expected[written_in_xml(origin), written_in_xml(target)] += row["transitions"]
    assert {("", activity): count for activity, count in starts.items()} | dict(graph) == dict(expected)


def read_csv(path: Path) -> pd.DataFrame:
    """As docs/process-mining.md says. Ids of statuses are numbers here: pm4py takes text alone for an activity."""
    return pm4py.format_dataframe(
        pd.read_csv(path, dtype={"activity": str, "status_id": str}),
        case_id="case_id", activity_key="activity", timestamp_key="timestamp",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "read"), [("log.xes", lambda path: pm4py.read_xes(str(path))), ("log.csv", read_csv)])
def test_the_variants_that_pm4py_finds_are_those_of_agg_variants(
    name: str, read: Callable[[Path], pd.DataFrame], cli: Cli, warehouse: Warehouse, tmp_path: Path
) -> None:
    found = pm4py.get_variants(read(export(cli, tmp_path / name)), activity_key="status_id")
    expected: Counter[tuple[str, ...]] = Counter()
    for row in warehouse.rows(f"select * from marts.agg_variants where project_id = '{PROJECT}'"):
        expected[tuple(row["status_ids"])] += row["orders"]
    assert dict(found) == dict(expected)


def test_the_xes_keeps_the_rules_of_its_schema(cli: Cli, tmp_path: Path) -> None:
    root = ET.parse(export(cli, tmp_path / "log.xes")).getroot()
    assert root.tag == f"{XES}log"
    assert re.fullmatch(r"\d+(\.\d+)?", root.attrib["xes.version"])
    kinds = [part.tag.removeprefix(XES) for part in root]
    rank = {"extension": 0, "global": 1, "classifier": 2, "string": 3, "trace": 4}
    assert [rank[kind] for kind in kinds] == sorted(rank[kind] for kind in kinds)
    assert {scope.attrib["scope"] for scope in root.iter(f"{XES}global")} == {"trace", "event"}
    prefixes = {part.attrib["prefix"] for part in root.iter(f"{XES}extension")}
    values: dict[str, Callable[[str], Any]] = {
        "string": str, "date": datetime.fromisoformat, "int": int,
        "boolean": {"true": True, "false": False}.__getitem__,
    }  # fmt: skip
    for trace in root.iter(f"{XES}trace"):
        parts = [part.tag.removeprefix(XES) for part in trace]
        assert parts.index("event") == len([part for part in parts if part != "event"]), "attributes come first"
        for owner in (trace, *trace.iter(f"{XES}event")):
            attributes = [part for part in owner if part.tag != f"{XES}event"]
            keys = [part.attrib["key"] for part in attributes]
            assert len(set(keys)) == len(keys), "a key stands once"
            assert all(re.fullmatch(r"[A-Za-z_][\w.:-]*", key) for key in keys)
            assert {key.partition(":")[0] for key in keys if ":" in key} <= prefixes
            for part in attributes:
                values[part.tag.removeprefix(XES)](part.attrib["value"])
    for scope, owners in (("trace", root.iter(f"{XES}trace")), ("event", root.iter(f"{XES}event"))):
        declared = next(part for part in root.iter(f"{XES}global") if part.attrib["scope"] == scope)
        wanted = {part.attrib["key"] for part in declared}
        assert all(wanted <= {part.attrib.get("key") for part in owner} for owner in owners), "globals are everywhere"


def test_without_a_file_the_csv_goes_to_standard_output_and_nothing_else_does(cli: Cli, warehouse: Warehouse) -> None:
    code, out, err = cli("export-log", PROJECT)
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [(row["case_id"], int(row["event_number"]), row["activity"], row["resource"] or None) for row in rows] == [
        (row["order_id"], row["interval_number"], row["activity"], row["manager_id"]) for row in visits(warehouse)
    ]


def test_a_reader_that_has_seen_enough_is_no_failure(cli: Cli) -> None:
    """As in `crm-elt export-log p0 --format xes | head -1`."""
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "export-log", PROJECT, "--format", "xes"],
        env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"<?xml")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_project_without_orders_gives_a_log_without_cases(cli: Cli, warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.execute(
        "insert into config.projects (project_id, name, crm, timezone) values ('none', 'None', 'keycrm', 'UTC')"
        " on conflict do nothing"
    )
    code, _, err = cli("export-log", "none", "--format", "xes", "--output", str(tmp_path / "none.xes"))
    assert code == 0
    assert "0 events of 0 orders" in err
    assert len(ET.parse(tmp_path / "none.xes").getroot().findall(f"{XES}trace")) == 0


def spaced(message: str) -> str:
    """Without the line breaks of a narrow terminal."""
    return " ".join(message.split())


def test_what_cannot_be_exported_is_told_in_a_sentence_and_leaves_no_file(
    cli: Cli, make_warehouse: Callable[[], Warehouse], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.xes"
    code, _, err = cli("export-log", "nobody", "--output", str(path))
    assert code == 1
    assert "'nobody'" in err
    code, _, err = cli("export-log", PROJECT, "--format", "ocel")
    assert code == 2
    code, _, err = cli("export-log", PROJECT, "--output", str(tmp_path / "no" / "folder.csv"))
    assert code == 1
    assert "folder.csv cannot be written (No such file or directory): name another file with --output." in spaced(err)
    (tmp_path / "log").mkdir()
    code, _, err = cli("export-log", PROJECT, "--output", str(tmp_path / "log"))
    assert code == 1
    assert f"{tmp_path}/log is a folder: name a file in it with --output." in spaced(err)
    not_built = make_warehouse()
    generated.fill(not_built.url, seed=7, orders_per_project=1)
    monkeypatch.setenv("DATABASE_URL", not_built.url)
    path.write_text("of yesterday")
    code, _, err = cli("export-log", PROJECT, "--output", str(path))
    assert code == 1
    assert "crm-elt build" in err
    assert path.read_text() == "of yesterday"
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


@pytest.mark.anyio
async def test_the_log_is_read_in_batches_from_a_cursor_of_the_server(warehouse: Warehouse) -> None:
    sizes = []
    async with await connect(warehouse.url) as connection, connection.transaction():
        async for batch in event_log.read(connection, PROJECT, batch=50):
            sizes.append(len(batch))
            cursors = await (await connection.execute("select name from pg_cursors where name <> ''")).fetchall()
            assert [row["name"] for row in cursors] == ["event_log"]
        assert sum(sizes) == await event_log.count(connection, PROJECT)
    assert set(sizes[:-1]) == {50}
