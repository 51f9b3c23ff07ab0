"""What can go wrong with the simulated API, over real HTTP; the rate limit; the controls."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from demo.seed import seed_account
from tests.support.http_server import serve

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def state() -> SimulatorState:
    state = SimulatorState(clock=lambda: NOON, rate_limit=0)
    for position in range(40):
        state.add_order(at=NOON - timedelta(minutes=40 - position), announce=False)
    return state


@pytest.fixture
def url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield url


@pytest.fixture
def api(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}/v1", headers={"Authorization": "Bearer test-key"}, timeout=10) as client:
        yield client


def test_over_the_limit_is_a_429_that_says_when_to_come_back(api: httpx.Client, state: SimulatorState) -> None:
    now = 1000.0
    state.throttle.requests, state.throttle.clock = 2, lambda: now
    assert api.get("/users").headers["x-ratelimit-remaining"] == "1"
    answer = api.get("/users")
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("2", "0")
    now = 1018.5
    refused = api.get("/users")
    assert refused.status_code == 429
    assert refused.json() == {"message": "Too Many Attempts."}
    assert refused.headers["retry-after"] == "42", "whole seconds, rounded up"
    now = 1060.0
    assert api.get("/users").status_code == 200
    assert state.requests.count(status=429) == 1


def test_without_a_limit_no_limit_is_told(api: httpx.Client) -> None:
    assert "x-ratelimit-limit" not in api.get("/users").headers


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("too_many", 429, "application/json"),
        ("server_error", 500, "application/json"),
        ("unavailable", 503, "application/json"),
        ("bad_gateway", 502, "text/html"),
    ],
)
def test_an_error_strikes_as_often_as_told_and_then_all_is_well(
    api: httpx.Client, state: SimulatorState, kind: str, status: int, content_type: str
) -> None:
    state.faults.add(kind, "/order", times=2, seconds=7)  # type: ignore[arg-type]
    assert api.get("/users").status_code == 200
    for _ in range(2):
        response = api.get("/order")
        assert response.status_code == status
        assert response.headers["content-type"].startswith(content_type)
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)
    assert api.get("/order").status_code == 200
    assert [entry.fault for entry in state.requests.find("GET", "/order")] == [kind, kind, None]
    assert [entry.status for entry in state.requests.find("GET", "/order")] == [status, status, 200]


def test_a_write_may_be_done_although_its_answer_is_an_error(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("server_error", "/order", method="PUT", is_applied=True)
    state.faults.add("drop", "/order", method="PUT", is_applied=True)
    assert api.put("/order/1", json={"status_id": 5}).status_code == 500
    assert state.orders.rows[1].fields["status_id"] == 5
    with pytest.raises(httpx.RemoteProtocolError):
        api.put("/order/1", json={"status_id": 12})
    assert state.orders.rows[1].fields["status_id"] == 12
    assert [entry.body for entry in state.requests.find("PUT", "/order/1")] == [{"status_id": 5}, {"status_id": 12}]


def test_a_write_that_was_struck_before_is_not_done(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("server_error", "/order", method="PUT")
    assert api.put("/order/1", json={"status_id": 5}).status_code == 500
    assert state.orders.rows[1].fields["status_id"] == 1


def test_a_dropped_connection_ends_without_an_answer(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("drop")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.get("/order")
    assert state.requests.find("GET", "/order")[0].status is None
    assert api.get("/order").status_code == 200


def test_a_connection_cut_in_the_body_ends_before_the_promised_length(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("cut")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        api.get("/order")


def test_a_truncated_answer_is_whole_http_and_half_json(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("truncated")
    response = api.get("/order")
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert len(api.get("/order").json()["data"]) == 15


def test_a_timeout_hangs_until_the_client_gives_up(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("timeout", seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        api.get("/order", timeout=0.2)
    assert api.get("/order").status_code == 200


def test_a_timeout_that_the_client_outwaits_ends_without_an_answer(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("timeout", seconds=0.05)
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/order")


def test_a_slow_answer_is_the_right_one(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("slow", seconds=0.2)
    started = time.monotonic()
    assert api.get("/order").json()["total"] == 40
    assert time.monotonic() - started >= 0.2


def test_a_duplicated_page_comes_twice_and_no_order_is_lost(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("duplicate_page", "/order")
    pages = []
    page: int | None = 1
    while page is not None:
        body = api.get("/order", params={"page": page, "limit": 10, "sort": "id"}).json()
        pages.append([row["id"] for row in body["data"]])
        assert body["current_page"] == page
        page = page + 1 if body["next_page_url"] else None
    assert pages[1] == pages[0]
    assert len(pages) == 5
    assert sorted({order_id for ids in pages for order_id in ids}) == list(range(1, 41))
    again = api.get("/order", params={"page": 1, "limit": 10, "sort": "id"}).json()
    assert again["last_page"] == 4


def test_orders_may_come_without_the_time_of_their_status(api: httpx.Client, state: SimulatorState) -> None:
    state.faults.add("no_status_changed_at", "/order", times=2)
    assert all("status_changed_at" not in row for row in api.get("/order").json()["data"])
    assert "status_changed_at" not in api.get("/order/1").json()
    assert "status_changed_at" in api.get("/order/1").json()


# --------------------------------------------------------------------------------------------------------- the controls


def test_faults_are_switched_and_counted_from_outside(api: httpx.Client, url: str) -> None:
    added = httpx.post(f"{url}/_simulator/faults", json={"kind": "server_error", "path": "/order", "times": None})
    assert added.status_code == 201
    assert api.get("/order").status_code == 500
    assert httpx.get(f"{url}/_simulator/faults").json()[0]["strikes"] == 1
    assert httpx.delete(f"{url}/_simulator/faults").status_code == 200
    assert api.get("/order").status_code == 200
    counts = httpx.get(f"{url}/_simulator/counts").json()
    assert counts["requests_by_route"] == {"GET /order": 2}
    assert counts["orders"] == 40
    assert httpx.get(f"{url}/_simulator/requests").json()[0]["status"] == 500
    assert httpx.post(f"{url}/_simulator/reset").status_code == 200
    assert httpx.get(f"{url}/_simulator/counts").json()["requests"] == 0


@pytest.mark.parametrize(
    "body", [{"kind": "explosion"}, {"kind": "slow", "path": "order"}, {"kind": "slow", "size": 1}, {}]
)
def test_a_wrong_fault_is_refused_from_outside(url: str, body: dict[str, object]) -> None:
    assert httpx.post(f"{url}/_simulator/faults", json=body).status_code == 422


def test_a_manager_moves_an_order_from_outside(url: str, state: SimulatorState) -> None:
    moved = httpx.post(f"{url}/_simulator/orders/3/status", json={"status_id": 5})
    assert moved.json()["status_group_id"] == 3
    assert state.orders.rows[3].fields["status_id"] == 5
    assert httpx.post(f"{url}/_simulator/orders/99/status", json={"status_id": 5}).status_code == 404
    assert httpx.get(f"{url}/_simulator/counts", params={"account": "nobody"}).status_code == 404


def test_only_a_seeded_account_lives_by_itself(url: str) -> None:
    assert httpx.post(f"{url}/_simulator/tick").status_code == 409
    account = seed_account("gift-shop", NOON, 20, 1)
    with serve(create_app(account.state)) as seeded:
        answer = httpx.post(f"{seeded}/_simulator/tick", params={"changes": 4, "account": "gift-shop"})
        assert len(answer.json()["changes"]) == 4
