"""The demo's clinic is believable, the same for the same seed, and its settings fit the connector."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import msgspec
import pytest
import yaml
from fastapi import FastAPI, Request

from connectors.renovatio.simulator import PREFIX
from demo.crms.renovatio import demo_account
from sync.settings.applying import registered
from sync.settings.reading import parse
from tests.support.http_server import serve
from tests.support.waiting import wait_until

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
FRAGMENT = Path(__file__).parents[3] / "demo" / "crms" / "renovatio.yaml"


def visits(seed: int) -> list[dict[str, Any]]:
    account = demo_account(NOW, seed)
    form = {"api_key": account.variables["CLINIC_KEY"], "date_from": "01.12.2025", "date_to": "01.04.2026"}
    with serve(account.app) as url:
        answer = httpx.post(f"{url}{account.api_path}/getAppointments", data=form, trust_env=False).json()
    assert answer["error"] == 0
    return list(answer["data"])


def test_two_months_of_visits_end_as_visits_do() -> None:
    rows = visits(1)
    assert 200 < len(rows) < 500
    counts = Counter(row["status"] for row in rows)
    assert set(counts) == {"completed", "refused"}
    assert 0.05 < counts["refused"] / len(rows) < 0.25
    assert {row["clinic_id"] for row in rows} == {1, 2}
    assert all(float(row["sum_value"]) > 0 for row in rows)
    times = [datetime.strptime(row["time_start"], "%d.%m.%Y %H:%M") for row in rows]
    assert max(times) < NOW.replace(tzinfo=None)
    assert max(times) - min(times) > timedelta(days=55)
    reduced = [row for row in rows if float(row["sum_value"]) < sum(float(s["price"]) for s in row["services"])]
    assert reduced


def test_the_same_seed_gives_the_same_clinic_and_another_another() -> None:
    assert msgspec.json.encode(visits(1)) == msgspec.json.encode(visits(1))
    assert visits(1) != visits(2)
    assert demo_account(NOW, 1).variables == demo_account(NOW, 1).variables


def test_the_settings_fit_the_connector_and_the_variables_are_all_given() -> None:
    account = demo_account(NOW, 1)
    text = FRAGMENT.read_text(encoding="utf-8")
    environ = {**account.variables, "URL": f"http://127.0.0.1:1{account.api_path}", "HOOK": "hook-of-the-demo"}
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(environ)
    [project] = parse(_as_file(text), source="renovatio.yaml", environ=environ, known=registered())
    assert (project.crm, account.api_path) == ("renovatio", PREFIX)


def test_something_happens_there_and_its_webhook_is_told() -> None:
    account = demo_account(NOW, 1)
    assert account.connect is not None
    assert account.change is not None
    received: list[dict[str, str]] = []
    receiver = FastAPI()

    @receiver.post("/hook")
    async def hook(request: Request) -> dict[str, str]:
        received.append(dict(parse_qsl((await request.body()).decode())))
        return {}

    with serve(receiver) as url:
        account.connect(f"{url}/hook")
        account.change()
        wait_until(lambda: received, what="the webhook")
    [notification] = received
    assert notification["event"] == "create_appointment"
    assert [row["status"] for row in msgspec.json.decode(notification["data"])] == ["completed"]


def _as_file(entry: str) -> str:
    return yaml.safe_dump({"projects": [yaml.safe_load(entry)]}, allow_unicode=True)


@pytest.mark.parametrize("seed", [3, 4])
def test_no_visit_is_in_the_future(seed: int) -> None:
    assert all(
        datetime.strptime(row["date_updated"], "%d.%m.%Y %H:%M") <= datetime(2026, 3, 2, 19, 30) for row in visits(seed)
    )
