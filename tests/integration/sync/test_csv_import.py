"""The import of CSV files as a job: exact counts whatever dies, replay from raw, memory that does not grow."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors import registry
from connectors.errors import ConfigError
from database.connection import connect, open_pool
from database.encryption import Keyring
from database.repositories import csv_imports, locks, raw
from database.repositories.csv_imports import CsvImport
from sync import csv_import, gateway, relay
from sync.normalise import drain
from sync.process import process_all
from sync.pull import pull_project
from sync.replay import replay_project
from tests.support.world import World

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
HEADER = "date,customer_phone,amount,description\n"
PEAK_MIB = 512


@pytest.fixture
async def world(database_url: str, keyring: Keyring) -> AsyncIterator[World]:
    async with open_pool(database_url, max_size=8) as pool:
        made = World(database_url, pool, keyring)
        made.lookup = registry.get  # type: ignore[method-assign]
        await made.add_project(
            "salon", crm="csv", key="", base_url=None, timezone="Europe/Moscow", region=None, currency=None,
            options={"phone_region": "RU", "currency": "RUB"},
        )  # fmt: skip
        yield made


def rows(count: int, *, start: int = 0, note: str = "x") -> str:
    return "".join(f"2026-01-15,+7900{number:07d},{number + 1}.50,{note}\n" for number in range(start, start + count))


async def land(world: World, text: str, *, delay: float = 0.0) -> int:
    async with world.pool.connection() as connection:
        return await csv_import.land(
            connection, "salon", text.encode(), filename="a.csv", origin="http", delay_seconds=delay
        )


async def state(world: World, upload_id: int) -> CsvImport:
    async with world.pool.connection() as connection:
        job = await csv_imports.get(connection, "salon", upload_id)
    assert job is not None
    return job


async def done_by_anybody(world: World, upload_id: int) -> None:
    """Try until the server has noticed that a killed process's lock is free."""
    async with asyncio.timeout(60):
        while (await state(world, upload_id)).state != "done":
            await csv_import.run_due(world.pool)


async def load(world: World, text: str) -> CsvImport:
    upload_id = await land(world, text)
    await csv_import.run_due(world.pool)
    return await state(world, upload_id)


async def test_rows_become_sales_with_the_projects_zone_and_the_options_currency(world: World) -> None:
    job = await load(world, HEADER + "15.01.2026 09:30,8 (900) 111-22-33,1500.50,Стрижка\n2026-01-16,79001112233,20,\n")
    assert csv_import.summary(job) == "Imported 2, duplicates 0, errors 0"
    await drain(world.pool, "salon")
    first, second = await world.rows("select * from core.transactions order by occurred_at")
    assert first["occurred_at"].isoformat() == "2026-01-15T06:30:00+00:00"
    assert (str(first["amount"]), first["currency"], first["phone_e164"]) == ("1500.50", "RUB", "+79001112233")
    assert (first["description"], first["crm"], first["state"]) == ("Стрижка", "csv", "active")
    assert second["occurred_at"].isoformat() == "2026-01-15T21:00:00+00:00"
    assert second["description"] is None


async def test_a_replay_from_raw_gives_the_same_sales(world: World) -> None:
    await load(world, HEADER + rows(40))
    await drain(world.pool, "salon")
    before = await world.snapshot("salon")
    assert len(before["transactions"]) == 40
    await replay_project(world.pool, "salon")
    assert await world.snapshot("salon") == before


async def test_uploading_again_adds_nothing_anywhere(world: World) -> None:
    text = HEADER + rows(30) + rows(3, note="again") + "2026-01-15,1,1,\n"
    first = await load(world, text)
    await drain(world.pool, "salon")
    assert csv_import.summary(first) == "Imported 30, duplicates 3, errors 1"
    before, counts = await world.snapshot("salon"), await world.counts()
    second = await load(world, text)
    await drain(world.pool, "salon")
    assert csv_import.summary(second) == "Imported 0, duplicates 33, errors 1"
    assert await world.snapshot("salon") == before
    assert await world.counts() == counts


async def test_the_same_sales_in_another_file_and_another_way_of_writing_are_duplicates(world: World) -> None:
    await load(world, HEADER + "2026-01-15,+79001112233,1500.00,Стрижка\n")
    again = await load(world, 'Сумма;Дата;Телефон;Описание\n"1 500,00";15.01.2026;8 900 111-22-33;Стрижка\n')
    assert csv_import.summary(again) == "Imported 0, duplicates 1, errors 0"


async def test_a_new_description_of_a_known_sale_is_an_update_and_no_second_sale(world: World) -> None:
    await load(world, HEADER + "2026-01-15,+79001112233,1500,Стрижка\n")
    job = await load(world, HEADER + "2026-01-15,+79001112233,1500,Стрижка и укладка\n")
    assert csv_import.summary(job) == "Imported 0, updated 1, duplicates 0, errors 0"
    await drain(world.pool, "salon")
    assert [row["description"] for row in await world.rows("select description from core.transactions")] == [
        "Стрижка и укладка"
    ]


async def test_an_import_that_breaks_off_goes_on_with_exact_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.csv.reading.CHUNK_ROWS", 10)
    # Row 2 comes again in the last chunk, with another text: it is a duplicate for who begins in the middle, too.
    upload_id = await land(world, HEADER + rows(35) + "bad,row,0,\n" + rows(1, note="other"))
    landing, calls = raw.land_api_records, 0

    async def lose_the_database(*arguments: Any, **options: Any) -> raw.Landed:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise psycopg.OperationalError("the server closed the connection")
        return await landing(*arguments, **options)

    monkeypatch.setattr("sync.csv_import.raw.land_api_records", lose_the_database)
    with pytest.raises(psycopg.OperationalError):
        await csv_import.run_due(world.pool)
    broken = await state(world, upload_id)
    assert (broken.state, broken.rows_done, broken.imported, broken.last_row) == ("running", 20, 20, 21)
    (done,) = await csv_import.run_due(world.pool)
    assert (done.state, done.attempts, done.rows_total, done.rows_done) == ("done", 2, 37, 37)
    assert csv_import.summary(done) == "Imported 35, duplicates 1, errors 1"
    assert await world.value("select count(*) from raw.api_records") == 35
    assert [row["row_number"] for row in await world.rows("select row_number from sync.csv_import_errors")] == [37]
    runs = await world.rows("select state, kind from sync.runs order by run_id")
    assert [(run["state"], run["kind"]) for run in runs] == [("abandoned", "import"), ("success", "import")]


async def test_a_killed_import_goes_on_with_exact_counts(world: World) -> None:
    upload_id = await land(world, HEADER + rows(6000) + "bad,row,0,\n" * 10 + rows(5, note="other"))
    child = """
import asyncio, sys
from connectors.csv import reading
from database.connection import open_pool
from sync import csv_import
reading.CHUNK_ROWS = 50
async def main():
    async with open_pool(sys.argv[1]) as pool:
        await csv_import.run_due(pool)
asyncio.run(main())
"""
    for _ in range(2):
        before = (await state(world, upload_id)).rows_done
        process = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-c", child, world.url], cwd=ROOT)
        try:
            async with asyncio.timeout(60):
                while (await state(world, upload_id)).rows_done < before + 500:
                    assert process.poll() is None
                    await asyncio.sleep(0.01)
        finally:
            process.kill()
            process.wait()
    await done_by_anybody(world, upload_id)
    done = await state(world, upload_id)
    assert (done.state, done.rows_done) == ("done", 6015)
    assert csv_import.summary(done) == "Imported 6000, duplicates 5, errors 10"
    assert await world.value("select count(*) from raw.api_records") == 6000
    assert await world.value("select count(*) from sync.csv_import_errors") == 10


async def test_told_to_stop_it_leaves_the_rest_to_the_next_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.csv.reading.CHUNK_ROWS", 10)
    upload_id = await land(world, HEADER + rows(25))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3  # twice before the first chunk, then after each

    (left,) = await csv_import.run_due(world.pool, stop=stop)
    assert (left.state, left.attempts, left.rows_done) == ("queued", 0, 20)
    (done,) = await csv_import.run_due(world.pool)
    assert (done.upload_id, done.state, done.imported) == (upload_id, "done", 25)


async def test_an_upload_that_kills_its_process_again_and_again_is_given_up(world: World) -> None:
    upload_id = await land(world, HEADER + rows(1))
    await world.execute("update sync.csv_imports set attempts = %s", csv_import.MOST_ATTEMPTS)
    await csv_import.run_due(world.pool)
    job = await state(world, upload_id)
    assert (job.state, job.error_word) == ("failed", "permanent")
    assert "broke off 5 times" in (job.error_message or "")


async def test_a_bug_fails_the_file_and_not_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await land(world, HEADER + rows(1))
    second = await land(world, HEADER + rows(2))
    landing = raw.land_api_records

    async def break_the_first(connection: Any, project: str, crm: str, stream: str, run: Any, records: Any) -> Any:
        if len(records) == 1:
            raise KeyError("a bug")
        return await landing(connection, project, crm, stream, run, records)

    monkeypatch.setattr("sync.csv_import.raw.land_api_records", break_the_first)
    await csv_import.run_due(world.pool)
    failed, done = await state(world, first), await state(world, second)
    assert (failed.state, failed.imported, failed.rows_done) == ("failed", 0, 0)
    assert failed.error_message == "Unexpected error: KeyError; the log of the process says more."
    assert (done.state, done.imported) == ("done", 2)


async def test_two_files_with_the_same_sales_at_once_count_each_sale_as_new_once(world: World) -> None:
    ids = [await land(world, HEADER + rows(500, note=note)) for note in ("x", "x") for _ in range(2)]
    await asyncio.gather(*(csv_import.run_due(world.pool) for _ in range(4)))
    jobs = [await state(world, upload_id) for upload_id in ids]
    assert {job.state for job in jobs} == {"done"}
    assert sum(job.imported for job in jobs) == 500
    assert sum(job.duplicates for job in jobs) == 1500
    assert await world.value("select count(*) from raw.api_records") == 500


async def test_who_landed_an_upload_has_it_for_itself_for_a_while(world: World) -> None:
    upload_id = await land(world, HEADER + rows(1), delay=60)
    assert await csv_import.run_due(world.pool) == []
    async with locks.own_connection(world.pool) as mine, locks.own_connection(world.pool) as other:
        assert await csv_imports.claim(mine, upload_id) is not None
        assert await csv_imports.claim(other, upload_id) is None
        await csv_imports.release(mine, upload_id)
        assert await csv_imports.claim(other, upload_id) is not None


async def test_the_relay_imports_what_waits_and_brings_it_into_core(world: World) -> None:
    upload_id = await land(world, HEADER + rows(2500))
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(world.url, world.keyring, stop=stop))
    try:
        async with asyncio.timeout(60):
            while await world.value("select count(*) from core.transactions") < 2500:
                assert not task.done()
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)
    assert (await state(world, upload_id)).state == "done"


async def test_process_imports_what_waits_too(world: World) -> None:
    await land(world, HEADER + rows(3))
    assert (await process_all(world.pool)).rows == 3
    assert await world.value("select count(*) from core.transactions") == 3


async def test_a_row_that_no_longer_reads_is_a_dead_letter_and_its_sale_is_reversed(world: World) -> None:
    await load(world, HEADER + "2026-01-15,89001112233,10,\n")
    await drain(world.pool, "salon")
    await world.execute("update config.projects set options = '{}'")  # 8900... is no phone without a region
    await replay_project(world.pool, "salon")
    assert await world.value("select state from core.transactions") == "reversed"
    assert "invalid phone" in await world.value("select reason from sync.dead_letters")


async def test_there_is_nothing_to_pull_and_asking_for_it_leaves_the_project_enabled(world: World) -> None:
    with pytest.raises(ConfigError, match="no API to pull, its records come as files"):
        await pull_project(world.pool, world.keyring, "salon")
    assert await world.value("select is_enabled from config.projects")
    health = await gateway.check_health(world.pool, world.keyring, "salon")
    assert (health.ok, health.message) == (
        True, "Takes CSV files at /uploads/csv/salon; there is no API to try.",
    )  # fmt: skip
    said = await gateway.register_webhook(world.pool, world.keyring, "salon", "https://elt.example.com")
    assert "https://elt.example.com/uploads/csv/salon" in said


async def test_fifty_thousand_rows_are_imported_within_the_memory_that_is_allowed(world: World) -> None:
    """A process of its own, since the peak of this one is of all tests before."""
    text = HEADER + "".join(
        f"2026-01-{1 + number % 28:02d} 10:{number % 60:02d},8900{number:07d},{number}.99,Стрижка и укладка {number}\n"
        for number in range(1, 50_001)
    )
    upload_id = await land(world, text)
    child = """
import asyncio, sys
from benchmarks.memory import peak_mib
from database.connection import open_pool
from sync import csv_import
async def main():
    async with open_pool(sys.argv[1]) as pool:
        (job,) = await csv_import.run_due(pool)
        assert job.state == "done", job
asyncio.run(main())
print(peak_mib())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", child, world.url], cwd=ROOT, env=os.environ.copy(), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    peak = float(done.stdout.split()[-1])
    sys.stdout.write(f"peak of importing 50,000 rows: {peak:.0f} MiB (allowed: 512)\n")
    assert csv_import.summary(await state(world, upload_id)) == "Imported 50000, duplicates 0, errors 0"
    assert 0 < peak < PEAK_MIB


async def test_a_connection_that_is_lost_while_waiting_frees_the_upload(world: World) -> None:
    upload_id = await land(world, HEADER + rows(1))
    holder = await connect(world.url)
    assert await csv_imports.claim(holder) is not None
    assert await csv_import.run_due(world.pool) == []
    await holder.close()
    (job,) = await csv_import.run_due(world.pool)
    assert (job.upload_id, job.imported) == (upload_id, 1)
