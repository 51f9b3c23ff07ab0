"""The database goes away in the middle of a burst: a clear answer, and nothing that was answered is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from burst import Burst
from ingest_process import SETTINGS, TOKEN, IngestProcess, apply, order, rows

from database import migrate
from database.embedded import EmbeddedServer
from database.encryption import new_key
from database.environment import Environment
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that a test may stop."""
    server = EmbeddedServer(tmp_path_factory.mktemp("outage"))
    server.start()
    server.create_database("crm_elt")
    migrate.upgrade(server.url("crm_elt"))
    try:
        yield server
    finally:
        server.stop("immediate")


@pytest.fixture
def environment(own_server: EmbeddedServer, tmp_path: Path) -> Environment:
    environment = Environment(DATABASE_URL=own_server.url("crm_elt"), home=tmp_path, master_key=new_key())  # type: ignore[call-arg]
    apply(environment, SETTINGS)
    return environment


def _process(environment: Environment, folder: Path, **settings: object) -> IngestProcess:
    assert environment.database_url is not None
    assert environment.master_key is not None
    return IngestProcess(folder, environment.database_url, folder, environment.master_key, **settings)


def _assert_stored(environment: Environment, burst: Burst) -> None:
    assert environment.database_url is not None
    stored = rows(
        environment.database_url,
        "select event_id, body from raw.webhook_events where event_id = any(%s)",
        list(burst.answered.values()),
    )
    assert {json.loads(row["body"])["context"]["id"]: row["event_id"] for row in stored} == burst.answered


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_an_outage_in_mid_burst_loses_nothing_that_was_answered(
    own_server: EmbeddedServer, environment: Environment, tmp_path: Path, mode: str
) -> None:
    # Webhooks wait 0.5 s here, not 10: the outage is longer than that, as 30 s are longer than 10.
    process = _process(environment, tmp_path, ingest_wait_seconds=0.5)
    process.start()
    try:
        with Burst(process.url) as burst:
            wait_until(lambda: burst.statuses[200] > 100)
            own_server.stop(mode)
            wait_until(lambda: burst.statuses[503] > 20)
            assert httpx.get(f"{process.url}/health/live").status_code == 200
            ready = httpx.get(f"{process.url}/health/ready", timeout=10)
            assert (ready.status_code, ready.json()["code"]) == (503, "database_away")
            assert "crm_elt_ingest_database_up 0.0" in httpx.get(f"{process.url}/metrics", timeout=10).text
            during = burst.statuses[200]
            own_server.start()
            wait_until(lambda: burst.statuses[200] > during + 100, 30)
            assert httpx.get(f"{process.url}/health/ready", timeout=10).status_code == 200
        assert set(burst.statuses) <= {200, 503}
        assert None not in burst.retry_after
        _assert_stored(environment, burst)
    finally:
        process.stop()


def test_an_outage_shorter_than_the_wait_is_not_even_noticed_by_the_senders(
    own_server: EmbeddedServer, environment: Environment, tmp_path: Path
) -> None:
    process = _process(environment, tmp_path, ingest_wait_seconds=60)
    process.start()
    try:
        with Burst(process.url) as burst:
            wait_until(lambda: burst.statuses[200] > 100)
            own_server.stop("immediate")
            own_server.start()
            before = burst.statuses[200]
            wait_until(lambda: burst.statuses[200] > before + 100, 60)
        assert set(burst.statuses) == {200}
        _assert_stored(environment, burst)
    finally:
        process.stop()


def test_the_server_starts_while_the_database_is_away_and_recovers_by_itself(
    own_server: EmbeddedServer, environment: Environment, tmp_path: Path
) -> None:
    process = _process(environment, tmp_path, ingest_wait_seconds=0.5)
    own_server.stop()
    try:
        process.start()
        address = f"{process.url}/webhooks/keycrm/print-shop?token={TOKEN}"
        refused = httpx.post(address, json=order(), timeout=30)
        assert (refused.status_code, refused.json()["code"]) == (503, "database_away")
        assert refused.headers["retry-after"]
    finally:
        own_server.start()
        try:
            wait_until(lambda: httpx.post(address, json=order(), timeout=30).status_code == 200, 30)
        finally:
            process.stop()


def test_a_database_without_migrations_is_not_ready_and_takes_nothing(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    own_server.create_database("empty")
    process = IngestProcess(tmp_path, own_server.url("empty"), tmp_path, new_key(), ingest_wait_seconds=0.5)
    process.start()
    try:
        ready = httpx.get(f"{process.url}/health/ready", timeout=10)
        assert (ready.status_code, ready.json()["code"]) == (503, "migrations_pending")
        assert "crm-elt migrate" in ready.json()["detail"]
        assert httpx.post(f"{process.url}/webhooks/keycrm/print-shop", json={}, timeout=10).status_code == 503
    finally:
        process.stop()
        own_server.drop_database("empty")


def test_a_flood_of_one_project_is_slowed_down_and_leaves_room_for_the_others(
    own_server: EmbeddedServer, environment: Environment, tmp_path: Path
) -> None:
    process = _process(environment, tmp_path, ingest_queue_limit=4, ingest_wait_seconds=60)
    process.start()

    def send(project: str) -> httpx.Response:
        return httpx.post(f"{process.url}/webhooks/keycrm/{project}?token={TOKEN}", json=order(), timeout=90)

    def waiting() -> float:
        lines = httpx.get(f"{process.url}/metrics", timeout=10).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("crm_elt_ingest_waiting "))

    try:
        with ThreadPoolExecutor(8) as threads, psycopg.connect(own_server.url("crm_elt")) as blocker:
            blocker.execute("lock table raw.webhook_events in access exclusive mode")
            held = []
            # One is in its statement, then half of the queue is the loud project's, the other half another's.
            for count, project in enumerate(["print-shop"] * 3 + ["open-shop"] * 2, start=1):
                held.append(threads.submit(send, project))
                wait_until(lambda count=count: waiting() == count)  # type: ignore[misc]
                if count == 3:
                    busy = send("print-shop")
                    assert (busy.status_code, busy.json()["code"]) == (429, "project_busy")
                    assert busy.headers["retry-after"]
            full = send("open-shop")
            assert full.status_code in (429, 503)
            other = send("print-shop")
            assert (other.status_code, other.json()["code"]) == (503, "overloaded")
            assert other.headers["retry-after"]
            ready = httpx.get(f"{process.url}/health/ready", timeout=10)
            assert (ready.status_code, ready.json()["code"]) == (503, "overloaded")
            blocker.rollback()
            assert [future.result(60).status_code for future in held] == [200] * 5
    finally:
        process.stop()
