"""Adding a CRM takes one package and one registry line: everything else works with it as it is."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest
from fastapi import FastAPI, Request, Response

from connectors import registry
from database.connection import Pool, open_pool
from database.encryption import Keyring
from database.environment import Environment
from orchestration.manifest import prepare_manifest
from sync.process import process_all
from sync.pull import pull_project
from sync.settings import SettingsError, apply_settings
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio

PACKAGE = '''
"""A CRM that nobody has ever heard of."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from connectors import masking, webhook_auth
from connectors.errors import ConfigError, SkipRowError, WebhookUnreadableError
from connectors.protocol import Capabilities, Health, Page, RawRecord, Stream
from connectors.records import Batch, Customer, Order, Reversal, StatusEvent, Transaction, deletion


class Toy:
    crm = "toy"
    capabilities = Capabilities(
        streams=(Stream("orders", is_incremental=True, has_windows=True, can_read_one=True),),
        credentials=("toy_key",),
        options={"shop": str},
    )

    async def pull(self, http, account, stream, cursor, window=None):
        after = 0 if cursor is None or window is not None else cursor["after"]
        rows = await http.request_json("GET", "/orders", params={"after": after}, headers=headers(account))
        if rows:
            yield Page([record(row) for row in rows], None if window else {"after": rows[-1]["version"]})

    async def read(self, http, account, stream, crm_id):
        return record(await http.request_json("GET", f"/orders/{crm_id}", headers=headers(account)))

    def map_record(self, context, stream, crm_id, body):
        row = json.loads(body)
        changed_at = datetime.fromisoformat(row["changed"])
        batch = Batch(
            orders=[Order(crm_id, status_id=row["status"], customer_id=row["who"], grand_total=Decimal(row["total"]),
                          order_created_at=datetime.fromisoformat(row["created"]), source_updated_at=changed_at)],
            status_events=[StatusEvent(crm_id, row["status"], changed_at)],
            customers=[Customer(row["who"], phone_e164=row["phone"], phones=(row["phone"],), is_complete=False)],
        )
        name = f"TOY-{crm_id}"
        if row["status"] == "paid":
            batch.transactions.append(Transaction(name, changed_at, Decimal(row["total"]), customer_id=row["who"],
                                                  phone_e164=row["phone"], source_updated_at=changed_at))
        else:
            batch.reversals.append(Reversal(name, changed_at))
        return batch

    def map_deletion(self, context, stream, crm_id):
        return replace(deletion(stream, crm_id), reversals=[Reversal(f"TOY-{crm_id}")])

    def verify_webhook(self, auth, request):
        webhook_auth.verify(auth, request)

    def check_webhook(self, request, context):
        try:
            if not isinstance(json.loads(request.body), dict):
                raise WebhookUnreadableError("the body is no object")
        except ValueError:
            raise WebhookUnreadableError("the body is not JSON") from None
        return request.body.decode()

    def map_webhook(self, context, event_name, body, received_at):
        row = json.loads(body)
        if "id" not in row:
            raise SkipRowError("it has no id")
        return self.map_record(context, "orders", row["id"], body)

    async def check_health(self, http, account):
        return Health(True, "The toy CRM answers.")

    async def register_webhook(self, http, account, url):
        return f"Enter {url} by hand."

    def mask_payload(self, body):
        return masking.mask_payload(body)


def headers(account):
    if not account.credentials.get("toy_key"):
        raise ConfigError("toy_key is empty")
    return {"X-Toy": account.credentials["toy_key"]}


def record(row):
    body = json.dumps(row, ensure_ascii=False, sort_keys=True)
    return RawRecord("orders", row["id"], body, hashlib.sha256(body.encode()).digest())


connector = Toy()
'''
SETTINGS = """
projects:
  - id: toy-shop
    name: Toy shop
    crm: toy
    base_url: {url}
    timezone: Europe/Kyiv
    currency: UAH
    credentials: {{toy_key: "{key}"}}
    webhook: {{auth: token, secret: toy-webhook-secret}}
    options: {{shop: main}}
"""


def row(number: int, status: str, version: int, minute: int) -> dict[str, object]:
    return {
        "id": str(number), "status": status, "total": f"{number}00.50", "who": f"c{number}",
        "phone": f"+38050000000{number}", "created": "2026-03-02T08:00:00+00:00",
        "changed": f"2026-03-02T09:{minute:02}:00+00:00", "version": version,
    }  # fmt: skip


@pytest.fixture
def vendor() -> Iterator[str]:
    """The toy vendor's API: two orders, one of them paid."""
    app = FastAPI()
    rows = [row(1, "new", 1, 0), row(2, "paid", 2, 5)]

    @app.get("/orders", response_model=None)
    async def orders(request: Request, after: int) -> Response | list[dict[str, object]]:
        if request.headers.get("x-toy") != "toy-key-1":
            return Response(status_code=401)
        return [one for one in rows if int(str(one["version"])) > after]

    with serve(app) as url:
        yield url


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package and the line."""
    package = tmp_path / "packages" / "toycrm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setitem(registry._PACKAGES, "toy", "toycrm")
    yield
    sys.modules.pop("toycrm", None)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(database_url, max_size=8) as opened:
        yield opened


async def apply(pool: Pool, keyring: Keyring, text: str) -> None:
    async with pool.connection() as connection:
        await apply_settings(connection, keyring, text, source="settings.yaml", environ={}, actor="test")


async def rows_of(pool: Pool, query: str) -> list[tuple[object, ...]]:
    async with pool.connection() as connection:
        return [tuple(found.values()) for found in await (await connection.execute(query)).fetchall()]


async def test_settings_pull_webhooks_and_core_work_with_it(
    toy: None, vendor: str, pool: Pool, keyring: Keyring, environment: Environment
) -> None:
    with pytest.raises(SettingsError, match="toy has no such option"):
        await apply(pool, keyring, SETTINGS.format(url=vendor, key="toy-key-1").replace("shop: main", "shelf: main"))
    await apply(pool, keyring, SETTINGS.format(url=vendor, key="toy-key-1"))

    result = await pull_project(pool, keyring, "toy-shop")
    assert [(one.stream, one.counts.new) for one in result.streams] == [("orders", 2)]
    assert [one.counts.seen for one in (await pull_project(pool, keyring, "toy-shop")).streams] == [0]
    orders = "select order_id, status_id, grand_total::text, currency from core.orders order by 1"
    assert await rows_of(pool, orders) == [("1", "new", "100.50", "UAH"), ("2", "paid", "200.50", "UAH")]
    sales = "select external_id, crm, amount::text, phone_e164, state from core.transactions order by 1"
    assert await rows_of(pool, sales) == [("TOY-2", "toy", "200.50", "+380500000002", "active")]

    from ingest_api.main import create_app  # reads the environment when it is imported

    with serve(create_app(environment)) as url:
        address = f"{url}/webhooks/toy/toy-shop"
        async with httpx.AsyncClient(timeout=30) as client:
            assert (await client.post(address, json=row(1, "paid", 3, 30))).status_code == 401
            address += "?token=toy-webhook-secret"
            assert (await client.post(address, content=b"no json")).status_code == 400
            answers = [
                await client.post(address, json=payload)
                for payload in (row(1, "paid", 3, 30), row(2, "refunded", 4, 40))
            ]
        for answer in answers:
            assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
    await process_all(pool)
    assert await rows_of(pool, sales) == [
        ("TOY-1", "toy", "100.50", "+380500000001", "active"),
        ("TOY-2", "toy", "200.50", "+380500000002", "reversed"),
    ]
    events = "select order_id, status_id, source from core.order_status_events order by status_changed_at"
    assert await rows_of(pool, events) == [
        ("1", "new", "pull"), ("2", "paid", "pull"), ("1", "paid", "webhook"), ("2", "refunded", "webhook"),
    ]  # fmt: skip
    assert await rows_of(pool, "select customer_id, phone_e164 from core.customers order by 1") == [
        ("c1", "+380500000001"), ("c2", "+380500000002"),
    ]  # fmt: skip
    assert await rows_of(pool, "select reason from raw.rejected where project_id = 'toy-shop'") == [
        ("the body is not JSON",)
    ]


def test_dagster_has_its_assets_jobs_schedules_and_pool(toy: None, environment: Environment, database_url: str) -> None:
    prepare_manifest(environment, database_url)
    from orchestration.definitions import defs

    definitions = defs()
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["raw", "toy", "orders"]))
    assert node.pools == {"crm_toy"}
    assert isinstance(node.partitions_def, dg.MultiPartitionsDefinition)
    core = definitions.resolve_asset_graph().get(dg.AssetKey(["core", "orders"]))
    assert dg.AssetKey(["raw", "toy", "orders"]) in core.parent_keys
    repository = definitions.get_repository_def()
    assert "toy_pull" in {job.name for job in repository.get_all_jobs()}
    assert "toy_new" in {schedule.name for schedule in repository.schedule_defs}


async def test_without_the_line_there_is_no_such_crm(pool: Pool, keyring: Keyring) -> None:
    with pytest.raises(SettingsError, match='no connector for "toy"'):
        await apply(pool, keyring, SETTINGS.format(url="http://127.0.0.1:9", key="k"))
