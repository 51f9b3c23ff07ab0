"""Sales are sent to subscriptions: signed, in order for each sale, again after a failure, never dropped silently."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from database.repositories import feed, subscriptions
from sync import dead_letters
from sync.deliveries import RETRY_SECONDS, send_due
from sync.pull import pull_project
from tests.support.http_server import serve
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio

KEY = b"a-key-of-thirty-two-bytes-length"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """A loyalty programme: what it was sent, and what it answers."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    def told(self) -> list[tuple[str, str, str]]:
        return [(body["data"]["external_id"], body["type"], body["data"]["amount"]) for body in self.bodies()]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    app, made = FastAPI(), Receiver()

    @app.post("/hook")
    async def hook(request: Request) -> Response:
        made.requests.append((dict(request.headers), await request.body()))
        return Response(status_code=made.answers.pop(0) if made.answers else 204)

    with serve(app) as url:
        made.url = f"{url}/hook"
        yield made


async def subscribe(world: World, receiver: Receiver, name: str = "loyalty", **values: Any) -> None:
    given = {"url": receiver.url, "project_ids": None, "is_medical": False, "secret": SECRET, **values}
    async with world.pool.connection() as connection, connection.transaction():
        await subscriptions.upsert(connection, world.keyring, name, **given)


async def sell(world: World, name: str, at: float, *, paid: bool = True, project: str = "shop", **values: Any) -> None:
    row = {"updated_at": minute(at), "paid_at": minute(at) if paid else None, "total": "10", **values}
    world.crm.put("orders", name, **row)
    await pull_project(world.pool, world.keyring, project, lookup=world.lookup)


async def send(world: World) -> int:
    """Send everything that is due, until nothing is."""
    total = 0
    while count := await send_due(world.pool, world.keyring):
        total += count
    return total


async def pass_time(world: World) -> None:
    await world.execute("update sync.deliveries set not_before = '-infinity' where state = 'waiting'")


async def test_a_sale_is_sent_signed_as_standard_webhooks_says(world: World, receiver: Receiver) -> None:
    await subscribe(world, receiver)
    await sell(world, "1", 1, phone="+380501112233", total="120.5")
    assert await send(world) == 1
    ((headers, body),) = receiver.requests
    timestamp = headers["webhook-timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    message = json.loads(body)
    assert message["type"] == "transaction.active"
    assert message["data"] | {"position": 0, "changed_at": ""} == {
        "position": 0, "project_id": "shop", "external_id": "TOY-1", "state": "active", "crm": "toy",
        "occurred_at": minute(1), "amount": "120.50", "currency": "UAH", "customer_id": None,
        "phone_e164": "+380501112233", "email": None, "description": None, "order_id": "1", "is_medical": False,
        "changed_at": "",
    }  # fmt: skip
    assert await send(world) == 0


async def test_while_a_secret_is_replaced_both_sign(world: World, receiver: Receiver) -> None:
    other = base64.b64encode(b"another-key-of-the-subscription-").decode()
    await subscribe(world, receiver, secret=f"{SECRET} whsec_{other}")
    await sell(world, "1", 1)
    await send(world)
    ((headers, _),) = receiver.requests
    assert len(headers["webhook-signature"].split()) == 2


async def test_versions_of_a_sale_arrive_in_order_even_if_the_first_fails(world: World, receiver: Receiver) -> None:
    await subscribe(world, receiver)
    receiver.answers = [500]
    await sell(world, "1", 1)
    await send(world)
    await sell(world, "1", 2, paid=False)
    await sell(world, "2", 3)
    await send(world)
    assert receiver.told() == [
        ("TOY-1", "transaction.active", "10.00"),
        ("TOY-2", "transaction.active", "10.00"),  # another sale does not wait for it
    ]
    await pass_time(world)
    await send(world)
    assert receiver.told()[2:] == [
        ("TOY-1", "transaction.active", "10.00"),
        ("TOY-1", "transaction.reversed", "10.00"),
    ]
    ids = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert ids[0] == ids[2]  # the same message again has the same id


async def test_a_subscription_gets_its_projects_and_no_health_data(world: World, receiver: Receiver) -> None:
    await world.add_project("other")
    await subscribe(world, receiver, project_ids=["shop"])
    await sell(world, "1", 1)
    await sell(world, "2", 2, medical=True)
    await pull_project(world.pool, world.keyring, "other", lookup=world.lookup)
    await send(world)
    assert [(body["data"]["project_id"], body["data"]["external_id"]) for body in receiver.bodies()] == [
        ("shop", "TOY-1")
    ]


async def test_a_new_subscription_is_sent_what_changes_from_now_on(world: World, receiver: Receiver) -> None:
    await sell(world, "1", 1)
    await subscribe(world, receiver)
    await sell(world, "2", 2)
    await send(world)
    assert [name for name, _, _ in receiver.told()] == ["TOY-2"]


async def test_what_is_never_taken_becomes_a_dead_letter_that_can_be_sent_again(
    world: World, receiver: Receiver
) -> None:
    await subscribe(world, receiver)
    receiver.answers = [503] * (len(RETRY_SECONDS) + 1)
    await sell(world, "1", 1)
    for _ in range(len(RETRY_SECONDS) + 3):
        await send(world)
        await pass_time(world)
    assert len(receiver.requests) == len(RETRY_SECONDS) + 1
    (letter,) = await world.rows("select * from sync.dead_letters")
    assert (letter["direction"], letter["state"]) == ("outbound", "permanently_failed")
    assert "answers 503" in letter["reason"]
    assert await world.value("select count(*) from sync.alerts where kind = 'delivery_failed'") == 1
    again = await dead_letters.retry(world.pool, world.keyring, lookup=world.lookup)
    assert (again.resolved, again.failed) == (1, 0)
    assert receiver.told()[-1] == ("TOY-1", "transaction.active", "10.00")


async def test_the_waits_between_attempts_grow_as_they_should(world: World, receiver: Receiver) -> None:
    await subscribe(world, receiver)
    receiver.answers = [500] * 9
    await sell(world, "1", 1)
    for wait in RETRY_SECONDS[:4]:
        await send(world)
        left = await world.value(
            "select extract(epoch from not_before - clock_timestamp())::float from sync.deliveries"
        )
        assert wait * 0.9 < left <= wait * 1.1
        await pass_time(world)


async def test_an_address_that_is_gone_stops_the_subscription_and_loses_nothing(
    world: World, receiver: Receiver
) -> None:
    await subscribe(world, receiver)
    receiver.answers = [410]
    await sell(world, "1", 1)
    await send(world)
    await sell(world, "2", 2)
    await send(world)
    assert len(receiver.requests) == 1
    async with world.pool.connection() as connection:
        (row,) = await subscriptions.load_all(connection)
        assert (row.is_enabled, row.disabled_reason) == (False, "its address answered 410 Gone")
        await subscriptions.set_enabled(connection, "loyalty", enabled=True, reason=None)
    await send(world)
    assert sorted(name for name, _, _ in receiver.told()[1:]) == ["TOY-1", "TOY-2"]


async def test_a_sender_that_died_is_given_up_after_its_lease(world: World, receiver: Receiver) -> None:
    await subscribe(world, receiver)
    await sell(world, "1", 1)
    async with world.pool.connection() as connection:
        await feed.plan_deliveries(connection)
        assert len(await feed.claim_deliveries(connection, 10, 60.0)) == 1
        assert await feed.claim_deliveries(connection, 10, 60.0) == []
    assert await send(world) == 0
    await pass_time(world)
    assert await send(world) == 1
