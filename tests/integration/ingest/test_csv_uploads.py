"""CSV files over real HTTP: landed before they are answered, small ones imported at once, large ones as a job."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import hmac
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from ingest_process import HMAC_SECRET, TOKEN, Ingest, apply

from database.connection import open_pool
from demo.crms.csv import demo_account
from sync import csv_import

DATE = "date, expected YYYY-MM-DD or DD.MM.YYYY, with or without a time"
HEADER = "date,customer_phone,amount,description\n"
SETTINGS = f"""
projects:
  - id: salon
    name: Salon
    crm: csv
    timezone: Europe/Moscow
    webhook: {{auth: token, secret: {TOKEN}}}
    options: {{phone_region: RU, currency: RUB}}
  - id: signed-salon
    name: Signed salon
    crm: csv
    timezone: Europe/Moscow
    webhook: {{auth: hmac, secret: {HMAC_SECRET}, header: X-Shop-Hash}}
    options: {{phone_region: RU}}
  - id: open-salon
    name: Open salon
    crm: csv
    timezone: Europe/Moscow
    webhook: {{auth: none}}
    options: {{phone_region: RU}}
"""


@pytest.fixture(autouse=True)
def _projects(ingest: Ingest) -> Iterator[None]:
    apply(ingest.environment, SETTINGS)
    yield
    for table in ("raw.csv_uploads", "raw.api_records", "sync.record_hashes", "sync.csv_imports", "sync.raw_queue"):
        ingest.rows(f"delete from {table} returning 1")


def rows(count: int, *, start: int = 0) -> str:
    return "".join(f"2026-01-15,+7900{number:07d},{number + 1}.50,Роза\n" for number in range(start, start + count))


def post(ingest: Ingest, body: str | bytes, project: str = "salon", **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else body.encode()
    given = {"params": {"token": TOKEN}, "headers": {"content-type": "text/csv"}, **options}
    return ingest.client.post(f"/uploads/csv/{project}", content=content, **given)


def get(ingest: Ingest, path: str, token: str = TOKEN) -> httpx.Response:
    return ingest.client.get(path, headers={"X-Webhook-Token": token})


def import_waiting(ingest: Ingest) -> None:
    """As the relay does."""

    async def work() -> None:
        async with open_pool(ingest.database_url) as pool:
            await csv_import.run_due(pool)

    asyncio.run(work())


def test_valid_rows_go_in_and_the_others_are_told_by_row_and_reason(ingest: Ingest) -> None:
    text = HEADER + rows(1) + "2026-01-15,12345,100,bad\n" + rows(1) + "yesterday,+79001112233,-5,\n" + rows(1, start=7)
    answer = post(ingest, text)
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert result["summary"] == "Imported 2, duplicates 1, errors 2"
    assert (result["state"], result["imported"], result["duplicates"], result["errors"]) == ("done", 2, 1, 2)
    assert (result["rows_total"], result["rows_done"], result["percent"]) == (5, 5, 100)
    assert [row["message"] for row in result["error_rows"]] == [
        "Row 3: invalid phone, expected +7XXXXXXXXXX",
        f"Row 5: invalid {DATE}; invalid amount, expected more than 0",
    ]
    stored = ingest.rows("select stream, crm, crm_id, body from raw.api_records where project_id = 'salon' order by 3")
    expected = sorted(
        hashlib.sha256(f"2026-01-15{phone}{amount}salon".encode()).hexdigest()
        for phone, amount in (("+79000000000", "1.50"), ("+79000000007", "8.50"))
    )
    assert [(row["stream"], row["crm"], row["crm_id"]) for row in stored] == [("rows", "csv", e) for e in expected]
    queued = ingest.rows("select sum(cardinality(raw_ids))::int as n from sync.raw_queue where project_id = 'salon'")
    assert queued[0]["n"] == 2


def test_the_file_is_kept_byte_by_byte_and_a_second_upload_of_it_adds_nothing(ingest: Ingest) -> None:
    body = ("\ufeff" + HEADER.replace(",", ";") + rows(25).replace(",", ";")).encode()
    assert post(ingest, body).json()["summary"] == "Imported 25, duplicates 0, errors 0"
    assert post(ingest, body).json()["summary"] == "Imported 0, duplicates 25, errors 0"
    (kept,) = ingest.rows("select content from raw.csv_uploads")
    assert bytes(kept["content"]) == body
    assert ingest.rows("select count(*) as n from raw.api_records")[0]["n"] == 25


def test_a_multipart_file_of_cp1251_with_semicolons_is_read(ingest: Ingest) -> None:
    text = "Дата;Телефон клиента;Сумма;Описание\r\n15.01.2026 9:30;8 (900) 111-22-33;1 500,50;Стрижка\r\n"
    files = {"file": ("C:\\Отчёты\\январь.csv", text.encode("cp1251"), "text/csv")}
    answer = ingest.client.post("/uploads/csv/salon", files=files, headers={"X-Webhook-Token": TOKEN})
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["encoding"], result["delimiter"], result["imported"]) == ("cp1251", ";", 1)
    assert result["filename"] == "январь.csv"


def test_a_form_without_one_file_is_told_what_to_send(ingest: Ingest) -> None:
    headers = {"X-Webhook-Token": TOKEN}
    for files in ({"a": b"1", "b": b"2"}, {"note": (None, b"no file")}):
        answer = ingest.client.post("/uploads/csv/salon", files=files, headers=headers)
        assert answer.status_code == 400
        assert "multipart field `file`" in answer.json()["detail"]
    broken = post(ingest, b"--x\r\nnonsense", headers={**headers, "content-type": "multipart/form-data; boundary=x"})
    assert broken.status_code == 400
    unbounded = post(ingest, b"x", headers={**headers, "content-type": "multipart/form-data"})
    assert unbounded.status_code == 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The file is empty"),
        (b"2026-01-15,+79001112233,100\n", "The first row is no header"),
        (b"date,amount\n2026-01-15,100\n", "The file has no column customer_phone"),
        (b"PK\x03\x04\x14\x00", "an Excel workbook"),
        (b"date,customer_phone,amount\n2026-01-15,+79001112233,1\x00\n", "NUL"),
        (b"date,customer_phone,amount\n2026-01-15,+79001112233,1,\"open\n", "Row 2: a quotation mark is opened"),
        (b"date,customer_phone,amount\n" + b"9" * 200_000, "Line 2 of the file has over 100,000 characters"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_kept_and_told_in_one_sentence(ingest: Ingest, body: bytes, said: str) -> None:
    answer = post(ingest, body)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert said in problem["detail"]
    assert problem["detail"].endswith(".")
    assert ingest.rows("select content from raw.csv_uploads")[0]["content"] == body
    state = get(ingest, problem["status_url"]).json()
    assert (state["state"], state["error"]) == ("failed", problem["detail"])
    assert ingest.rows("select 1 from raw.api_records") == []


def test_a_report_can_be_opened_in_a_spreadsheet_without_running_a_formula(ingest: Ingest) -> None:
    text = HEADER.replace(",", ";") + '2026-01-15;+7900;100;=HYPERLINK("http://evil")\n' + rows(1).replace(",", ";")
    url = post(ingest, text).json()["report_url"]
    answer = get(ingest, url)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert lines == [
        ["row", "reason", "date", "customer_phone", "amount", "description"],
        ["2", "invalid phone, expected +7XXXXXXXXXX", "2026-01-15", "'+7900", "100", '\'=HYPERLINK("http://evil")'],
    ]


def test_a_mended_report_can_be_uploaded_as_it_is(ingest: Ingest) -> None:
    report = get(ingest, post(ingest, HEADER + "2026-01-15,+7900,100,Роза\n").json()["report_url"]).content
    mended = report.replace(b"'+7900", b"'+79001112233")
    assert post(ingest, mended).json()["summary"] == "Imported 1, duplicates 0, errors 0"
    expected = hashlib.sha256(b"2026-01-15+79001112233100.00salon").hexdigest()
    assert [row["crm_id"] for row in ingest.rows("select crm_id from raw.api_records")] == [expected]


def test_a_large_file_is_a_job_that_can_be_asked_for(ingest: Ingest) -> None:
    text = HEADER + rows(30_000) + "2026-01-15,,1,\n"
    assert len(text.encode()) > 1024 * 1024
    answer = post(ingest, text)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["state"], job["imported"], job["percent"]) == ("queued", 0, None)
    assert answer.headers["location"] == job["status_url"]
    assert get(ingest, job["status_url"]).json()["state"] == "queued"
    waiting = get(ingest, job["report_url"])
    assert waiting.status_code == 202
    assert waiting.headers["retry-after"] == "2"
    assert len(bytes(ingest.rows("select content from raw.csv_uploads")[0]["content"])) == len(text.encode())
    import_waiting(ingest)
    done = get(ingest, job["status_url"]).json()
    assert (done["state"], done["percent"], done["rows_total"]) == ("done", 100, 30_001)
    assert done["summary"] == "Imported 30000, duplicates 0, errors 1"
    report = get(ingest, job["report_url"])
    assert report.status_code == 200
    assert report.content.decode("utf-8-sig").splitlines()[1].startswith('30002,"missing phone')


def test_a_large_file_that_cannot_be_read_is_told_at_once_or_by_its_job(ingest: Ingest) -> None:
    filling = rows(30_000)
    assert post(ingest, "date,amount\n" + filling).status_code == 400
    job = post(ingest, HEADER + filling + '2026-01-15,+79001112233,1,"open\n')
    assert job.status_code == 202
    import_waiting(ingest)
    state = get(ingest, job.json()["status_url"]).json()
    assert (state["state"], state["imported"]) == ("failed", 0)
    assert state["error"].startswith("Row 30002: a quotation mark is opened and never closed")
    report = get(ingest, job.json()["report_url"]).content.decode("utf-8-sig").splitlines()
    assert len(report) == 2
    assert "never closed" in report[1]


def test_ten_megabytes_are_taken_and_more_are_refused(ingest: Ingest) -> None:
    limit = 10 * 1024 * 1024
    line = rows(1).encode()
    head = HEADER.encode()
    body = head + line * ((limit - len(head)) // len(line))
    body += b"\n" * (limit - len(body))
    assert len(body) == limit
    assert post(ingest, body).status_code == 202
    for size in (1, 100_000, 3 * 1024 * 1024):
        answer = post(ingest, body + b"\n" * size)
        assert answer.status_code == 413
        assert answer.json()["detail"] == "A CSV file may have at most 10 MB: split it and upload its parts."
    files = {"file": ("sales.csv", body + b"\n")}
    answer = ingest.client.post("/uploads/csv/salon", files=files, headers={"X-Webhook-Token": TOKEN})
    assert answer.status_code == 413
    assert len(ingest.rows("select 1 from sync.csv_imports")) == 1
    assert ingest.process._process is not None
    status = Path(f"/proc/{ingest.process._process.pid}/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]
    sys.stdout.write(f"peak of the ingest API after files of 10 MB: {peak // 1024} MiB (allowed: 512)\n")
    assert peak < 512 * 1024


@pytest.mark.parametrize("path", ["", "/1", "/1/report"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_who_does_not_know_the_token_learns_and_leaves_nothing(ingest: Ingest, path: str, token: str) -> None:
    url = f"/uploads/csv/salon{path}?token={token}"
    answer = ingest.client.get(url) if path else ingest.client.post(url, content=HEADER + rows(1))
    assert answer.status_code == 401
    assert ingest.rows("select 1 from sync.csv_imports") == []


def test_unknown_projects_and_uploads_and_those_of_others_are_not_found(ingest: Ingest) -> None:
    assert post(ingest, HEADER, "nobody").status_code == 404
    assert post(ingest, HEADER, "print-shop").status_code == 404  # of KeyCRM
    assert get(ingest, "/uploads/csv/salon/999999").status_code == 404
    assert get(ingest, f"/uploads/csv/salon/{2**70}").status_code == 404
    assert get(ingest, "/uploads/csv/salon/first").status_code == 400
    theirs = ingest.client.post("/uploads/csv/open-salon", content=HEADER + rows(1)).json()["upload_id"]
    assert get(ingest, f"/uploads/csv/salon/{theirs}").status_code == 404


def test_a_signature_covers_the_whole_body(ingest: Ingest) -> None:
    body = (HEADER + rows(2)).encode()
    good = hmac.new(HMAC_SECRET.encode(), body, hashlib.sha256).hexdigest()
    signed = post(ingest, body, "signed-salon", params={}, headers={"X-Shop-Hash": good})
    assert signed.json()["summary"] == "Imported 2, duplicates 0, errors 0"
    changed = body + rows(1, start=5).encode()
    refused = post(ingest, changed, "signed-salon", params={}, headers={"X-Shop-Hash": good})
    assert refused.status_code == 401


def test_without_proof_one_may_upload_but_reads_nothing_back_later(ingest: Ingest) -> None:
    answer = ingest.client.post("/uploads/csv/open-salon", content=HEADER + rows(1))
    assert answer.json()["imported"] == 1
    for url in (answer.json()["status_url"], answer.json()["report_url"]):
        assert ingest.client.get(url).status_code == 401


def test_a_webhook_to_a_csv_project_is_kept_aside_and_told_where_files_go(ingest: Ingest) -> None:
    answer = ingest.client.post("/webhooks/csv/salon", params={"token": TOKEN}, json={"x": 1})
    assert answer.status_code == 400
    assert "POST the file to /uploads/csv/salon" in answer.json()["detail"]


def test_a_sync_of_a_csv_project_is_refused_in_a_sentence(ingest: Ingest) -> None:
    answer = ingest.client.post("/api/projects/salon/sync", params={"token": TOKEN})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "csv has no API to sync with: its records come as files."


def test_the_demos_till_uploads_its_file(ingest: Ingest) -> None:
    till = demo_account(datetime(2026, 11, 1, 12, tzinfo=UTC), 7)
    assert till.app is None
    assert till.connect is not None
    till.connect(f"{ingest.process.url}/webhooks/csv/salon?token={TOKEN}")
    (job,) = ingest.rows("select state, filename, encoding, imported, duplicates, errors from sync.csv_imports")
    assert (job["state"], job["filename"], job["encoding"]) == ("done", "till.csv", "cp1251")
    assert job["imported"] > 200
    assert (job["duplicates"], job["errors"]) == (1, 3)


def test_no_phone_and_no_token_is_logged(ingest: Ingest) -> None:
    post(ingest, HEADER + "2026-01-15,+7900555,100,Тайна\n")
    log = ingest.process.log()
    assert "csv_uploaded" in log
    for private in ("+7900555", "Тайна", TOKEN):
        assert private not in log
