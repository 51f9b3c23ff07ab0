"""`crm-elt import-csv` as a user meets it, on a real PostgreSQL."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database.environment import Environment
from tests.support.command_line import Cli, command_line

SETTINGS = """
projects:
  - {id: salon, name: Salon, crm: csv, timezone: Europe/Moscow, options: {phone_region: RU, currency: RUB}}
  - {id: shop, name: Shop, crm: keycrm, timezone: UTC, base_url: "http://127.0.0.1:9/v1", credentials: {api_key: key-1}}
"""
HEADER = "date,customer_phone,amount,description\n"


@pytest.fixture
def cli(environment: Environment, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    call = command_line(capfd)
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")
    assert call("apply", str(settings))[0] == 0
    return call


def sales(environment: Environment) -> list[tuple[Any, ...]]:
    with psycopg.connect(str(environment.database_url)) as connection:
        return connection.execute(
            "select phone_e164, amount::text, currency, description from core.transactions order by phone_e164"
        ).fetchall()


def rows(count: int) -> str:
    return "".join(f"15.01.2026,8900{number:07d},{number + 1},x\n" for number in range(count))


def test_rows_go_into_core_and_the_others_are_told(cli: Cli, environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text(HEADER + "15.01.2026,89001112233,1500.50,Стрижка\n15.01.2026,12345,10,\n", encoding="utf-8")
    code, out, err = cli("import-csv", "salon", str(file))
    assert code == 0, err
    assert out.splitlines() == [
        "Imported 1, duplicates 0, errors 1.",
        "Row 3: invalid phone, expected +7XXXXXXXXXX",
    ]
    assert sales(environment) == [("+79001112233", "1500.50", "RUB", "Стрижка")]
    code, out, _ = cli("import-csv", "salon", str(file), "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["summary"], result["state"]) == ("Imported 0, duplicates 1, errors 1", "done")
    assert result["error_rows"] == [
        {
            "row": 3,
            "reason": "invalid phone, expected +7XXXXXXXXXX",
            "message": "Row 3: invalid phone, expected +7XXXXXXXXXX",
        }
    ]
    assert len(sales(environment)) == 1


def test_a_report_of_all_errors_is_written_and_a_few_are_shown(cli: Cli, tmp_path: Path) -> None:
    file, report = tmp_path / "sales.csv", tmp_path / "report.csv"
    file.write_text(HEADER + rows(3) + "bad,row,x,\n" * 1500, encoding="utf-8")
    code, out, err = cli("import-csv", "salon", str(file), "--report", str(report))
    assert code == 0, err
    shown = out.splitlines()
    assert shown[0] == "Imported 3, duplicates 0, errors 1500."
    assert len(shown) == 22
    assert shown[-1] == "... and 1480 more: --report FILE writes all of them."
    with report.open(encoding="utf-8-sig", newline="") as source:
        lines = list(csv.reader(source))
    assert lines[0] == ["row", "reason", "date", "customer_phone", "amount", "description"]
    assert [line[0] for line in lines[1:]] == [str(number) for number in range(5, 1505)]
    assert lines[1][2:] == ["bad", "row", "x", ""]


def test_what_cannot_be_imported_is_one_sentence(cli: Cli, environment: Environment, tmp_path: Path) -> None:
    workbook, large, good = tmp_path / "a.xlsx", tmp_path / "large.csv", tmp_path / "good.csv"
    workbook.write_bytes(b"PK\x03\x04")
    large.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    good.write_text(HEADER + rows(1))
    for words, said in (
        (("salon", str(workbook)), "The file is an Excel workbook or an archive, not CSV: save it as CSV (UTF-8)"),
        (("salon", str(large)), "has over 10 MB: split it and import its parts."),
        (("salon", str(tmp_path / "none.csv")), "there is no such file."),
        (("salon", str(tmp_path)), "this is a folder, name a file in it."),
        (("shop", str(good)), "shop is a project of keycrm: files go to a project with `crm: csv`."),
        (("nobody", str(good)), "There is no project 'nobody' (known: salon, shop)."),
    ):
        code, out, err = cli("import-csv", *words)
        assert (code, out) == (1, "")
        assert said in err
        assert err.startswith("Error: ") or "Importing" in err
    assert sales(environment) == []


def test_the_commands_of_other_crms_say_what_a_csv_project_has_instead(cli: Cli) -> None:
    code, out, err = cli("project", "test", "salon")
    assert (code, out) == (0, "salon: Takes CSV files at /uploads/csv/salon; there is no API to try.\n"), err
    code, _, err = cli("sync", "salon")
    assert code == 1
    assert "salon has no API to pull, its records come as files: upload them." in err
    code, out, _ = cli("project", "list", "--json")
    assert [row["enabled"] for row in json.loads(out)] == [True, True]
