"""The demo's amoCRM account: the same for the same arguments, believable, and readable by the connector."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from connectors import registry
from connectors.protocol import Account, MappingContext
from connectors.records import Batch
from demo import crms
from demo.crms import DemoCrm
from demo.crms.amocrm import LEADS, demo_account
from sync.settings.reading import read
from tests.conformance.suite import session
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
AMOCRM = registry.get("amocrm")
FRAGMENT = Path(crms.__file__).with_name("amocrm.yaml").read_text(encoding="utf-8")


async def pulled(demo: DemoCrm) -> Mapping[str, list[Batch]]:
    """What the connector makes of the account, by stream."""
    context = MappingContext("furniture", timezone="Europe/Moscow", region="RU", currency="RUB")
    found: dict[str, list[Batch]] = {}
    with serve(demo.app) as url:
        credentials = {"access_token": demo.variables["MEBEL_TOKEN"]}
        account = Account("furniture", "amocrm", url + demo.api_path, credentials, context, batch_size=250)
        async with session(account) as line:
            for stream in ("statuses", "orders", "customers", "deletions"):
                found[stream] = [
                    AMOCRM.map_record(context, stream, record.crm_id, record.body)
                    async for page in AMOCRM.pull(line.http, account, stream, None)
                    for record in page.records
                ]
    return found


async def test_the_account_is_a_believable_business() -> None:
    found = await pulled(demo_account(NOW, 20))
    assert not [problem for batches in found.values() for batch in batches for problem in batch.problems]
    orders = [batch.orders[0] for batch in found["orders"]]
    deleted = {order.order_id for batch in found["deletions"] for order in batch.orders}
    assert len(orders) + len(deleted) == LEADS
    assert deleted
    sales = [sale for batch in found["orders"] for sale in batch.transactions]
    lost = [order for order in orders if order.status_id is not None and order.status_id.endswith("/143")]
    still_open = [order for order in orders if order.closed_at is None]
    assert len(sales) > 60
    assert len(lost) > 15
    assert len(still_open) > 5
    assert {order.status_group_id for order in orders} == {
        group.status_group_id for batch in found["statuses"] for group in batch.status_groups
    }
    assert all(NOW - timedelta(days=60) <= sale.occurred_at <= NOW and sale.phone_e164 for sale in sales)
    for batch in found["orders"]:
        times = [event.status_changed_at for event in batch.status_events]
        assert times == sorted(times)
        assert times[0] == batch.orders[0].order_created_at
    withdrawn = [
        batch
        for batch in found["orders"]
        if batch.reversals and any((event.status_id or "").endswith("/142") for event in batch.status_events)
    ]
    assert withdrawn  # won once, and no sale any more


async def test_the_same_arguments_give_the_same_account() -> None:
    first, second = [await pulled(demo_account(NOW, 7)) for _ in range(2)]
    assert first == second
    assert first["orders"] != (await pulled(demo_account(NOW, 8)))["orders"]


def test_its_settings_are_valid_and_things_happen_on_it() -> None:
    demo = demo_account(NOW, 20)
    variables = {**demo.variables, "URL": "http://127.0.0.1:9001", "HOOK": "hook-secret"}
    text = yaml.safe_dump({"projects": [yaml.safe_load(FRAGMENT)]}, allow_unicode=True)
    known = {name: registry.get(name).capabilities for name in registry.names()}
    reading = read(text, source="amocrm.yaml", environ=variables, known=known)
    assert reading.problems == []
    assert demo.change is not None
    said = [str(demo.change()) for _ in range(20)]
    assert any("came in" in text for text in said)
    assert any("entered stage" in text for text in said)
