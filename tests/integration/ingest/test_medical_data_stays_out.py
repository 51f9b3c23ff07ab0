"""A clinic's data goes through every flow there is, and no value that points to a person is in any table or log.

Settings are applied, visits pulled, webhooks sent over HTTP to the ingest API (good, unreadable, refused), visits read
again, records fail and are retried, all is replayed, and the CRM fails in every way while its texts name patients.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec
import psycopg
import pytest
from ingest_process import IngestProcess

from connectors import registry
from connectors.errors import ConnectorError
from connectors.protocol import MappingContext
from connectors.records import Batch
from connectors.renovatio.simulator import PREFIX, SimulatorState, create_app
from connectors.renovatio.simulator_state import Visit
from database.connection import Pool, connect, open_pool
from database.embedded import EmbeddedServer
from database.encryption import Keyring
from database.environment import Environment
from sync import dead_letters, gateway
from sync.normalise import drain
from sync.pull import pull_project
from sync.replay import replay_project
from sync.requests import run_due
from sync.settings import apply_settings
from tests.conformance.suite import everything_logged
from tests.support.http_server import serve
from tests.support.planted import assert_nowhere, found_in, search_database

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY, HOOK = "key-of-the-clinic-55aa77", "hook-of-the-clinic-33bb99"
SALT = "salt-0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PATIENT_ID, VISIT_ID = 918273645, 730145001
PERSON = {
    "surname": "Передонова",
    "name": "Аксинья",
    "phone": "79161234567",
    "phone as people write it": "+7 (916) 123-45-67",
    "e-mail": "aksinya.p@example.org",
    "birth date": "13.07.1974",
    "birth date in ISO": "1974-07-13",
    "doctor": "Зюганцев",
    "service": "Лапароскопия",
    "comment": "аллергия на пенициллин",
    "visit type": "Приём онколога",
    "clinic": "Кабинет Зюганцева",
    "source": "Звонок от Передоновой",
    "patient id": str(PATIENT_ID),
    "visit id": str(VISIT_ID),
    "next visit": str(VISIT_ID + 1),
}
PLANTED = [*PERSON.values(), SALT, KEY, HOOK]
SETTINGS = """
projects:
  - id: clinic
    name: Clinic
    crm: renovatio
    base_url: {url}
    timezone: Europe/Moscow
    currency: RUB
    credentials: {{api_key: {key}, salt: {salt}}}
    webhook: {{auth: token, secret: {hook}}}
    sync: {{since: 2026-01-01, retry_attempts: 1}}
"""


@dataclass
class Clinic:
    state: SimulatorState
    url: str
    ingest: IngestProcess
    client: httpx.Client
    texts: dict[str, str] = field(default_factory=dict)
    """What people were told, by occasion."""

    def visit(self, number: int, **extra: Any) -> Visit:
        """A completed visit of the planted person, with these fields put over the right ones."""
        patient = self.state.add_patient(
            f"{PERSON['surname']} {PERSON['name']}", patient_id=PATIENT_ID, birth_date=PERSON["birth date"],
            phone=PERSON["phone"], email=PERSON["e-mail"],
        )  # fmt: skip
        self.state._next_id = number - 1
        visit = self.state.add_visit(
            patient, [(PERSON["service"], "2500.50", 1)], doctor=PERSON["doctor"], start=NOW - timedelta(days=3),
            at=NOW - timedelta(hours=3), status="completed", announce=False,
        )  # fmt: skip
        visit.comment, visit.moved_to = PERSON["comment"], VISIT_ID + 1
        visit.extra = {"type": PERSON["visit type"], "source": PERSON["source"], **extra}
        return visit

    def send(self, occasion: str, content: bytes, kind: str, **options: Any) -> int:
        headers = {"content-type": kind, "user-agent": PERSON["e-mail"], "x-note": PERSON["phone"]}
        response = self.client.post(
            f"/webhooks/renovatio/clinic?token={HOOK}", content=content, headers=headers, **options
        )
        self.texts[occasion] = response.text
        return response.status_code


@pytest.fixture
def clinic(environment: Environment, tmp_path: Path) -> Iterator[Clinic]:
    state = SimulatorState(api_key=KEY, clock=lambda: NOW)
    state.add_clinic(PERSON["clinic"])
    state.error_text = (
        f"Пациент {PERSON['surname']} {PERSON['phone']} {PATIENT_ID} уже записан к врачу {PERSON['doctor']}"
    )
    assert environment.database_url is not None
    assert environment.master_key is not None
    ingest = IngestProcess(tmp_path, environment.database_url, tmp_path / "home", environment.master_key)
    with serve(create_app(state)) as url:
        ingest.start()
        try:
            with httpx.Client(base_url=ingest.url, timeout=30) as client:
                yield Clinic(state, url + PREFIX, ingest, client)
        finally:
            ingest.stop()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(database_url, max_size=8) as pool:
        yield pool


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


async def apply(database_url: str, keyring: Keyring, url: str) -> None:
    async with await connect(database_url) as connection:
        text = SETTINGS.format(url=url, key=KEY, salt=SALT, hook=HOOK)
        result = await apply_settings(connection, keyring, text, source="clinic.yaml", environ={}, actor="test")
    assert result.project_ids == ("clinic",)


async def pull(clinic: Clinic, pool: Pool, keyring: Keyring, occasion: str) -> None:
    """A pull that may fail; what it says is kept."""
    try:
        await pull_project(pool, keyring, "clinic")
    except ConnectorError as error:
        clinic.texts[occasion] = "".join(traceback.format_exception(error)) + repr(vars(error))


def plant_records(clinic: Clinic) -> None:
    clinic.visit(VISIT_ID)
    who = f"{PERSON['surname']} {PERSON['name']} {PERSON['phone']}"
    wrong: list[dict[str, Any]] = [
        {"sum_value": who}, {"sum_value": {"of": who}}, {"sum_value": None, "services": [{"title": who, "price": who}]},
        {"sum_value": None, "services": who}, {"time_start": who}, {"time_start": f"{PERSON['birth date']} x"},
        {"status": who, "status_id": who}, {"status": None, "status_id": None}, {"clinic_id": who},
        {"date_updated": who}, {"patient_id": [who]}, {"patient_id": {"id": PATIENT_ID}}, {"patient_id": who},
        {"id": None}, {"id": [who]}, {"id": who},
    ]  # fmt: skip
    for number, extra in enumerate(wrong):
        clinic.visit(VISIT_ID + 100 + number, **extra)


def send_webhooks(clinic: Clinic) -> None:
    state, form = clinic.state, "application/x-www-form-urlencoded"
    row = state.appointment(state.visits[VISIT_ID])
    text = msgspec.json.encode([row]).decode()
    assert clinic.send("good", state.webhooks.encode("update_appointment", [row]), form) == 200
    state.webhooks.is_nested = True
    assert clinic.send("nested", state.webhooks.encode("update_appointment", [row]), form) == 200
    assert clinic.send("JSON", msgspec.json.encode({"event": "update_appointment", "data": [row]}), "text/plain") == 200
    odd_kind = f"application/json; name={PERSON['phone']}"
    assert clinic.send("odd kind", msgspec.json.encode({"event": "new_visit", "data": row}), odd_kind) == 200
    assert clinic.send("a patient", urlencode({"event": "create_patient", "data": text}).encode(), form) == 200
    gone = {**row, "id": VISIT_ID + 1}
    assert clinic.send("gone", msgspec.json.encode({"event": "delete_appointment", "data": [gone]}), form) == 200
    half_form = urlencode({"event": "visit", "data": text[:-9]})
    unreadable = {
        "half": text.encode()[: len(text) // 2],
        "text": str(PERSON).encode(),
        "not UTF-8": str(PERSON).encode("cp1251"),
        "no event": urlencode({"data": text}).encode(),
        "data is text": urlencode({"event": "visit", "data": PERSON["comment"]}).encode(),
        "data is half": half_form.encode(),
        "list": text.encode(),
        "no id": msgspec.json.encode({"event": "visit", "data": [{**row, "id": None}]}),
        "deep": b"[" * 5000 + text.encode(),
        "name as a field": urlencode({PERSON["surname"]: PERSON["phone"], "event": ""}).encode(),
    }
    for occasion, content in unreadable.items():
        assert clinic.send(occasion, content, f"{form}; x={quote(PERSON['surname'])}") == 400
    query = {"event": "update_appointment", "data": text, "token": HOOK}
    assert clinic.client.get("/webhooks/renovatio/clinic", params=query).status_code == 200
    bad = clinic.client.get("/webhooks/renovatio/clinic", params={**query, "data": text[:-5]})
    forged = clinic.client.post("/webhooks/renovatio/clinic?token=wrong", content=text.encode())
    nobody = clinic.client.post(f"/webhooks/renovatio/{PERSON['surname']}?name={PERSON['name']}", content=text.encode())
    large = clinic.client.post(f"/webhooks/renovatio/clinic?token={HOOK}", content=text.encode() * 3000)
    assert [r.status_code for r in (bad, forged, nobody, large)] == [400, 401, 404, 413]
    clinic.texts["refused"] = bad.text + forged.text + nobody.text + large.text


async def fail_in_every_way(clinic: Clinic, pool: Pool, keyring: Keyring) -> None:
    state = clinic.state
    for kind in ("server_error", "unavailable", "bad_gateway", "truncated", "cut", "drop", "too_many"):
        state.faults.add(kind, "/getAppointments", times=2, seconds=0)
        await pull(clinic, pool, keyring, kind)
        state.faults.clear()
    for is_logical in (False, True):
        state.widest, state.is_500_logical = timedelta(0), is_logical
        await pull(clinic, pool, keyring, f"every period fails, logical {is_logical}")
    state.widest = timedelta(days=365)


async def test_no_table_and_no_log_has_a_value_that_points_to_a_person(
    clinic: Clinic, pool: Pool, keyring: Keyring, database_url: str, server: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with everything_logged() as logged:
        await apply(database_url, keyring, clinic.url)
        plant_records(clinic)
        await pull_project(pool, keyring, "clinic")
        clinic.texts["health"] = (await gateway.check_health(pool, keyring, "clinic")).message.replace(
            PERSON["clinic"], "(the clinic's own title is shown to who asks)"
        )
        await asyncio.to_thread(send_webhooks, clinic)
        await drain(pool, "clinic", wait=True)
        for result in await run_due(pool, keyring, single_only=True):
            clinic.texts[f"request {result.request_id}"] = repr(result)
        fails_to_map(monkeypatch)
        clinic.state.change(VISIT_ID, sum_value=Decimal("77.70"), announce=False)
        await pull_project(pool, keyring, "clinic")
        monkeypatch.undo()
        await dead_letters.retry(pool, keyring, project_id="clinic")
        await fail_in_every_way(clinic, pool, keyring)
        await replay_project(pool, "clinic")
        clinic.texts["letters"] = repr(await dead_letters.list_letters(pool, project_id="clinic"))

    hits, searched = await asyncio.to_thread(search_database, database_url, PLANTED)
    assert not hits
    for table in (
        "raw.api_records",
        "raw.webhook_events",
        "raw.rejected",
        "sync.dead_letters",
        "sync.integration_logs",
    ):
        assert searched[table] > 0, f"nothing went through {table}"
    assert rows(database_url, "select count(*) from raw.rejected")[0][0] == 11
    places = {"this process": logged.getvalue(), "the ingest API": clinic.ingest.log(), **clinic.texts}
    assert "http_retry" in places["this process"]
    assert "webhook_refused" in places["the ingest API"]
    assert_nowhere(places, PLANTED)
    assert_nowhere({"PostgreSQL": server.log_file.read_text(errors="replace")}, PLANTED)
    assert len(found_in(state_on_the_wire(clinic), PERSON.values())) >= 14, "the values were not planted"


async def test_what_is_kept_is_the_sale_under_its_hashes(
    clinic: Clinic, pool: Pool, keyring: Keyring, database_url: str
) -> None:
    await apply(database_url, keyring, clinic.url)
    clinic.visit(VISIT_ID)
    await pull_project(pool, keyring, "clinic")
    patient = hashlib.sha256(f"{PATIENT_ID}{SALT}".encode()).hexdigest()
    visit = hashlib.sha256(f"visit:{VISIT_ID}{SALT}".encode()).hexdigest()
    (kept,) = rows(database_url, "select crm_id, body::jsonb from raw.api_records where stream = 'visits'")
    assert kept == (visit, {
        "id": visit, "patient": patient, "clinic_id": "1", "time_start": "27.02.2026 12:00",
        "date_updated": "02.03.2026 09:00", "status": "completed", "status_id": "4", "amount": "2500.50",
    })  # fmt: skip
    sale = "select external_id, customer_id, amount, currency, occurred_at, is_medical, state from core.transactions"
    assert rows(database_url, sale) == [
        (visit, patient, Decimal("2500.50"), "RUB", datetime(2026, 2, 27, 9, tzinfo=UTC), True, "active")
    ]
    person = "select phone_e164, email, description from core.transactions"
    assert rows(database_url, person) == [(None, None, None)]


async def test_a_webhook_brings_the_change_of_a_visit_and_its_end(
    clinic: Clinic, pool: Pool, keyring: Keyring, database_url: str
) -> None:
    await apply(database_url, keyring, clinic.url)
    clinic.visit(VISIT_ID)
    await pull_project(pool, keyring, "clinic")
    target = f"{clinic.ingest.url}/webhooks/renovatio/clinic?token={HOOK}"
    clinic.state.webhooks.add_target(target)

    async def news() -> list[tuple[Any, ...]]:
        await asyncio.to_thread(clinic.state.webhooks.deliver_pending)
        await drain(pool, "clinic", wait=True)
        assert [result.state for result in await run_due(pool, keyring, single_only=True)] == ["done"]
        return rows(database_url, "select state, amount from core.transactions")

    clinic.state.change(VISIT_ID, sum_value=Decimal("3000"))
    assert await news() == [("active", Decimal("3000.00"))]
    clinic.state.change(VISIT_ID, status="refused")
    assert await news() == [("reversed", Decimal("3000.00"))]
    clinic.state.change(VISIT_ID, status="completed")
    assert await news() == [("active", Decimal("3000.00"))]
    clinic.state.delete(VISIT_ID)
    assert await news() == [("reversed", Decimal("3000.00"))]


def fails_to_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that repeats in its error all that mapping was given."""

    def broken(self: object, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        raise RuntimeError(f"{context} {stream} {crm_id} {body}")

    monkeypatch.setattr(type(registry.get("renovatio")), "map_record", broken)


def state_on_the_wire(clinic: Clinic) -> str:
    """What the CRM told while the flows ran."""
    titles = [item.title for item in clinic.state.clinics.values()]
    return repr([clinic.state.appointment(visit) for visit in clinic.state.visits.values()]) + repr(titles)
