"""`crm-elt import-csv PROJECT FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, ProjectArgument, console, print_json, progress_bar
from commands.stack import Stack, require_project, run
from connectors.csv.report import BOM, write_report
from database.connection import Pool
from database.repositories import csv_imports, locks
from database.repositories.csv_imports import CsvImport, ErrorRow
from sync import csv_import
from sync.normalise import drain

_SHOWN = 20
_PAGE = 1000
_DELAY_SECONDS = 600.0
"""How long the relay leaves the upload to this command; what it leaves when it is killed is imported then."""


def add_to(application: typer.Typer) -> None:
    application.command("import-csv")(import_csv)


def import_csv(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Columns: date, customer_phone, amount, description.")],
    report: Annotated[
        Path | None, typer.Option(help="Write the rows that are no sales, with the reasons, to this CSV file.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Import a CSV file of sales: valid rows go in, the others are told by row number and reason."""
    if not file.is_file():
        raise CommandError(
            f"{file}: {'this is a folder, name a file in it' if file.is_dir() else 'there is no such file'}."
        )
    if file.stat().st_size > csv_import.MOST_BYTES:
        raise CommandError(f"{file} has over 10 MB: split it and import its parts.")
    content = file.read_bytes()

    async def work(stack: Stack) -> tuple[CsvImport, list[ErrorRow]]:
        async with stack.pool() as pool:
            row = await require_project(pool, project)
            if row.crm != csv_import.CRM:
                raise CommandError(f"{project} is a project of {row.crm}: files go to a project with `crm: csv`.")
            job = await _import(pool, project, content, file.name, as_json=as_json)
            await drain(pool, project, wait=True)
            if report is not None:
                await _write(pool, job, report)
            async with pool.connection() as connection:
                return job, await csv_imports.errors(connection, project, job.upload_id, limit=_SHOWN)

    job, errors = run(work)
    if as_json:
        print_json(csv_import.describe(job, errors))
    elif job.state == "done":
        console.print(f"{csv_import.summary(job)}.")
        for row in errors:
            console.print(csv_import.message_of(row), markup=False, soft_wrap=True)
        if job.errors > len(errors):
            console.print(f"... and {job.errors - len(errors)} more: --report FILE writes all of them.")
    if job.state != "done":
        raise CommandError(f"{file}: {job.error_message}")


async def _import(pool: Pool, project: str, content: bytes, filename: str, *, as_json: bool) -> CsvImport:
    async with locks.own_connection(pool) as connection:
        upload_id = await csv_import.land(
            connection, project, content, filename=filename, origin="cli", delay_seconds=_DELAY_SECONDS
        )
        with progress_bar(f"Importing {filename}", quiet=as_json) as bar:
            await csv_import.run_upload(
                connection, upload_id, progress=lambda job: bar.update(job.rows_done, job.rows_total, "rows")
            )
        job = await csv_imports.get(connection, project, upload_id)
    assert job is not None
    return job


async def _write(pool: Pool, job: CsvImport, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as target:
        target.write(BOM)
        async for lines in csv_import.report_pages(pool.connection, job, _PAGE):
            target.write(write_report(lines, job.delimiter or ","))
