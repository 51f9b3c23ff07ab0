"""The simulator counts what clients have written, so that tests can tell what was sent twice."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from tests.support.http_server import serve

BUYER = {"full_name": "Buyer Example", "phone": "+380500000001"}


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(api_key="test-key", rate_limit=0)


@pytest.fixture
def api(state: SimulatorState) -> Iterator[httpx.Client]:
    with (
        serve(create_app(state)) as url,
        httpx.Client(base_url=f"{url}/v1", headers={"Authorization": "Bearer test-key"}) as client,
    ):
        yield client


def test_what_is_made_twice_is_named(api: httpx.Client, state: SimulatorState) -> None:
    order = {"source_id": 1, "source_uuid": "A-77", "buyer": BUYER}
    first = api.post("/order", json=order).json()["id"]
    api.post("/order", json={**order, "source_uuid": "A-78"})
    payment = {"amount": 5, "payment_method": "cash", "description": "P-1"}
    api.post(f"/order/{first}/payment", json=payment)
    api.post("/products", json={"name": "Mug", "sku": "mug"})
    assert state.writes.twice() == {}
    assert (state.writes.orders, state.writes.payments) == ({"A-77": 1, "A-78": 1}, {"P-1": 1})
    assert state.writes.buyers == {"+380500000001": 1}  # the second order's buyer was known
    api.post("/order", json={**order, "payments": [payment]})
    api.post("/buyer", json={"full_name": "Buyer Example", "phone": ["+380500000001"]})
    api.post("/products", json={"name": "Mug", "sku": "mug"})
    assert state.writes.twice() == {
        "orders": {"A-77": 2},
        "payments": {"P-1": 2},
        "buyers": {"+380500000001": 2},
        "products": {"mug": 2},
    }


def test_changes_are_kept_one_after_the_other_and_users_changes_are_not_among_them(
    api: httpx.Client, state: SimulatorState
) -> None:
    order = state.add_order(source_uuid="by hand", products=[])
    payment = state.add_payment(order.id, 5, status="not_paid")
    state.catalog.add_product("Mug", sku="mug", price=1)
    state.change_status(order.id, 2)
    assert state.writes.as_json()["orders_created"] == state.writes.as_json()["status_changes"] == 0
    for status_id in (5, 8):
        api.put(f"/order/{order.id}", json={"status_id": status_id})
    api.put(f"/order/{order.id}", json={"shipping": {"tracking_code": "2045"}})
    assert api.put(f"/order/{order.id}", json={"shipping": {"tracking_code": None}}).status_code == 422
    api.put(f"/order/{order.id}/payment/{payment['id']}", json={"status": "paid"})
    api.put("/offers", json={"offers": [{"id": 1, "price": 3}]})
    api.put("/offers/stocks", json={"warehouse_id": 1, "stocks": [{"sku": "mug", "quantity": 4}]})
    writes = state.writes
    assert (writes.statuses, writes.tracking_codes) == ({order.id: [5, 8]}, {order.id: ["2045"]})
    assert (writes.payment_statuses, writes.prices, writes.stocks) == ({payment["id"]: ["paid"]}, {1: [3]}, {1: [4]})


def test_a_write_whose_answer_was_lost_counts_and_a_refused_one_does_not(
    api: httpx.Client, state: SimulatorState
) -> None:
    state.faults.add("server_error", "/order", method="write", is_applied=True)
    assert api.get("/order").status_code == 200
    assert api.post("/order", json={"source_id": 1, "source_uuid": "A-1", "buyer": BUYER}).status_code == 500
    assert api.post("/order", json={"source_id": 99, "source_uuid": "A-2", "buyer": BUYER}).status_code == 422
    assert state.writes.orders == {"A-1": 1}
    address = str(api.base_url).removesuffix("/v1/")
    written = httpx.get(f"{address}/_simulator/counts").json()["written"]
    assert (written["orders_created"], written["buyers_created"], written["made_twice"]) == (1, 1, {})
    httpx.post(f"{address}/_simulator/reset")
    assert state.writes.orders == {}
