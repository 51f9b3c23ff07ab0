"""A public client, generated from the vendor's own specification, runs unchanged against the simulator.

It refuses answers in which a documented field is missing or of another type: so the simulator answers as iiko does. And
what the connector asks passes the client's models of requests: so iiko understands it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors import registry
from connectors.iiko.simulator import SimulatorState, create_app
from tests.conformance.suite import SECRET, Clock, pull, session
from tests.conformance.test_iiko import SimulatedIiko
from tests.support.http_server import serve

iikocloudapi = pytest.importorskip("iikocloudapi", reason="the public client iikocloudapi is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the first version's login
    from iikocloudapi.models import common, delivery, general, loyalty, orders, webhooks
    from iikocloudapi.webhooks import parse_webhook, verify_webhook_token

pytestmark = pytest.mark.anyio
IIKO = registry.get("iiko")
APP = ("api-key", "7f000000-0000-4000-8000-000000000001", "client-secret")


@pytest.fixture
def crm() -> Iterator[SimulatedIiko]:
    clock = Clock()
    state = SimulatorState(api_login=SECRET, app=APP, clock=clock)
    with serve(create_app(state)) as url:
        yield SimulatedIiko(state, clock, url)


def fill(crm: SimulatedIiko) -> dict[str, str]:
    """Orders of every form; their ids by name."""
    items: list[dict[str, Any]] = [
        {"name": "Суп", "price": 400, "amount": 2, "modifiers": [{"name": "Хлеб", "price": 90}]},
        {"halves": ["Маргарита", "Пепперони"], "price": 650, "modifiers": [{"name": "Сыр", "price": 60}]},
        {"service": "Доставка", "cost": 200},
        {"name": "Вино", "price": 900, "is_deleted": True},
    ]
    discounts = [{"name": "Лояльность 10", "percent": 10}]
    state = crm.state
    state.add_terminal(crm.organization.organization_id, "Бар", zone="Asia/Omsk", is_asleep=True)
    creating = state.add_order()
    creating.creation_status = "InProgress"
    return {
        "closed": state.add_order(items, guest_id=crm.guest, discounts=discounts, status="Closed").order_id,
        "cancelled": state.add_order(one_time_name="Пётр", phone="+79990001122", status="Cancelled").order_id,
        "table": state.add_order(items, is_table=True, guest_id=crm.guest, status="Closed").order_id,
        "creating": creating.order_id,
    }


async def test_the_public_client_reads_the_simulated_account(crm: SimulatedIiko) -> None:
    known = fill(crm)
    ours = [crm.organization.organization_id]
    auth = iikocloudapi.AppAuth(*APP)
    async with iikocloudapi.IikoCloud(auth=auth, base_url=crm.account().base_url) as client:
        [simple] = (await client.organizations()).organizations
        [extended] = (await client.organizations(return_additional_info=True)).organizations
        assert (simple.name, extended.currency_iso_name) == ("Кафе на Арбате", "RUB")
        groups = await client.terminal_groups(organization_ids=ours)
        assert groups.terminal_groups[0].items[0].time_zone == "Europe/Moscow"
        assert groups.terminal_groups_in_sleep[0].items[0].name == "Бар"
        seeded = await client.deliveries.by_delivery_date_and_status(
            organization_ids=ours, delivery_date_from=crm.clock.now.replace(tzinfo=None) - timedelta(days=1)
        )
        [listed] = seeded.orders_by_organizations
        assert {order.id for order in listed.orders} == {known["closed"], known["cancelled"], known["creating"]}
        crm.state.set_status(known["cancelled"], "Closed")
        changed = await client.deliveries.by_revision(organization_ids=ours, start_revision=seeded.max_revision)
        assert [order.id for order in changed.orders_by_organizations[0].orders] == [known["cancelled"]]
        [read] = (await client.deliveries.by_id(organization_id=ours[0], order_ids=[known["closed"]])).orders
        # (800 + 90 + 650 + 60 + 200) less a tenth
        assert float(read.order.sum) == 1620.0
        [table] = (await client.order.by_id(organization_ids=ours, order_ids=[known["table"]])).orders
        assert table.order.status == "Closed"
        guest = await client.loyalty.customer.info(
            body={"type": "cardNumber", "cardNumber": "7700", "organizationId": ours[0]}
        )
        assert guest.phone == "+79990001122"
        with pytest.raises(iikocloudapi.BadRequest) as caught:
            await client.loyalty.customer.info(body={"type": "phone", "phone": "+70", "organizationId": ours[0]})
        assert caught.value.error == "Validation_IncorrectPhone"
        crm.clock.advance(minutes=61)
        await client.organizations()
        assert crm.state.tokens.issued == 2


async def test_the_public_client_takes_the_simulated_webhooks(crm: SimulatedIiko) -> None:
    async with session(crm.account()) as line:
        await IIKO.register_webhook(line.http, crm.account(), "https://elt.example.com/webhooks/iiko/cafe?token=t0ken")
    fill(crm)
    target = crm.state.webhooks.targets[crm.organization.organization_id]
    assert verify_webhook_token(f"Bearer {target.token}", "t0ken")
    names = [
        type(event).__name__
        for sent in crm.state.webhooks.deliveries
        for event in parse_webhook(json.dumps(sent.events))
    ]
    assert set(names) == {"DeliveryOrderUpdateEvent", "TableOrderUpdateEvent"}


async def test_what_the_connector_asks_is_what_the_specification_has(crm: SimulatedIiko) -> None:
    known = fill(crm)
    models = {
        "/api/1/organizations": common.GetOrganizationsRequest,
        "/api/1/terminal_groups": general.TerminalGroupsRequest,
        "/api/1/deliveries/by_delivery_date_and_status": delivery.OrdersByDeliveryDateAndStatusRequest,
        "/api/1/deliveries/by_revision": delivery.OrdersByRevisionRequest,
        "/api/1/deliveries/by_id": delivery.OrdersByIdRequest,
        "/api/1/order/by_id": orders.GetTableOrdersByIdRequest,
        "/api/1/loyalty/iiko/customer/info": loyalty.GetCustomerInfoByIdRequest,
        "/api/1/webhooks/settings": webhooks.GetWebHookSettingsRequest,
        "/api/1/webhooks/update_settings": webhooks.UpdateWebHookSettingsRequest,
    }
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        await pull(crm, line.http, cursor)
        await IIKO.read(line.http, crm.account(), "orders", known["table"])
        await IIKO.register_webhook(line.http, crm.account(), "https://elt.example.com/webhooks/iiko/cafe?token=t0ken")
    asked = {}
    for entry in crm.state.requests.find():
        if entry.path in models:
            asked[entry.path] = models[entry.path].model_validate(entry.body)
    assert set(asked) == set(models)
