"""Webhooks of the simulated account, delivered over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from connectors.keycrm.simulator import SimulatorState, create_app
from tests.support.http_server import serve


class Receiver:
    """Takes webhooks, answering as told: the statuses of `answers` in turn, then 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[Any] = []
        self.queries: list[str] = []
        self.methods: list[str] = []
        self.app = FastAPI()
        self.app.add_api_route("/hook", self._take, methods=["GET", "POST"])

    async def _take(self, request: Request) -> Response:
        self.methods.append(request.method)
        self.bodies.append(await request.json())
        self.queries.append(request.url.query)
        return Response("taken", self.answers.pop(0) if self.answers else 200)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def state(receiver: Receiver) -> Iterator[SimulatorState]:
    state = SimulatorState(rate_limit=0)
    state.webhooks.retry_seconds = 0.0
    with serve(receiver.app) as url:
        state.webhooks.add_target(f"{url}/hook?token=hook-secret")
        yield state
        state.webhooks.stop()


def test_pending_webhooks_are_delivered_in_order_with_the_token(state: SimulatorState, receiver: Receiver) -> None:
    order = state.add_order(buyer_comment="дзвоніть 📞")
    state.change_status(order.id, 5)
    assert state.webhooks.pending() == 2
    sent = state.webhooks.deliver_pending()
    assert [delivery.is_delivered for delivery in sent] == [True, True]
    assert [body["context"]["status_id"] for body in receiver.bodies] == [1, 5]
    assert receiver.bodies[0]["context"]["client_comment"] == "дзвоніть 📞"
    assert receiver.methods == ["POST", "POST"]
    assert receiver.queries[0] == "token=hook-secret"
    assert state.webhooks.pending() == 0
    assert (sent[0].answers[0].status, sent[0].answers[0].text) == (200, "taken")


def test_webhooks_may_arrive_in_reverse_and_twice(state: SimulatorState, receiver: Receiver) -> None:
    order = state.add_order()
    state.change_status(order.id, 5)
    sent = state.webhooks.deliver_pending(is_reversed=True)
    state.webhooks.redeliver(sent[0])
    assert [body["context"]["status_id"] for body in receiver.bodies] == [5, 1, 5]
    assert len(state.webhooks.deliveries()) == 3


def test_an_answer_that_is_not_200_is_tried_three_times_at_most(state: SimulatorState, receiver: Receiver) -> None:
    receiver.answers = [500, 202, 200, 503, 401, 429]
    order = state.add_order()
    state.change_status(order.id, 5)
    first, second = state.webhooks.deliver_pending()
    assert [answer.status for answer in first.answers] == [500, 202, 200]
    assert first.is_delivered
    assert [answer.status for answer in second.answers] == [503, 401, 429]
    assert not second.is_delivered
    assert second.is_finished
    assert len(receiver.bodies) == 6


def test_a_receiver_that_is_away_is_given_up(receiver: Receiver) -> None:
    state = SimulatorState()
    with serve(receiver.app) as url:
        state.webhooks.add_target(f"{url}/hook")
    state.webhooks.add_target("http://[broken/hook")
    state.add_order()
    state.webhooks.wait_idle()
    assert [[answer.status for answer in d.answers] for d in state.webhooks.deliveries()] == [[None] * 3, [None] * 3]
    assert state.webhooks.deliveries()[0].answers[0].text == "ConnectError"


def test_the_thread_sends_as_changes_happen_and_retries(state: SimulatorState, receiver: Receiver) -> None:
    receiver.answers = [500]
    state.webhooks.start()
    state.webhooks.start()
    order = state.add_order()
    state.change_status(order.id, 5)
    state.webhooks.wait_idle()
    assert sorted(body["context"]["status_id"] for body in receiver.bodies) == [1, 1, 5]
    assert all(delivery.is_delivered for delivery in state.webhooks.deliveries())
    state.webhooks.stop()
    state.change_status(order.id, 12)
    assert state.webhooks.pending() == 1
    state.webhooks.start()
    state.webhooks.wait_idle()
    assert receiver.bodies[-1]["context"]["status_id"] == 12


def test_waiting_for_a_receiver_that_does_not_answer_ends_with_an_error() -> None:
    is_asked, may_answer = threading.Event(), threading.Event()
    app = FastAPI()

    @app.post("/hook")
    def hook() -> None:
        is_asked.set()
        may_answer.wait(10)

    state = SimulatorState()
    with serve(app) as url:
        state.webhooks.add_target(f"{url}/hook")
        state.webhooks.start()
        state.add_order()
        assert is_asked.wait(10)
        with pytest.raises(TimeoutError, match="1 webhooks are still under way"):
            state.webhooks.wait_idle(0.05)
        may_answer.set()
        state.webhooks.wait_idle()
        state.webhooks.stop()
    assert state.webhooks.deliveries()[0].is_delivered


def test_a_write_over_the_api_is_answered_before_its_webhook_is_sent(state: SimulatorState, receiver: Receiver) -> None:
    state.add_order(announce=False)
    with serve(create_app(state)) as url:
        headers = {"Authorization": "Bearer test-key"}
        assert httpx.put(f"{url}/v1/order/1", json={"status_id": 5}, headers=headers).status_code == 202
        assert receiver.bodies == []
        state.webhooks.deliver_pending()
        assert [body["context"]["status_id"] for body in receiver.bodies] == [5]


def test_a_target_added_from_outside_gets_webhooks_at_once(receiver: Receiver) -> None:
    state = SimulatorState()
    with serve(receiver.app) as hooks, serve(create_app(state)) as url:
        controls = f"{url}/_simulator"
        wrong = httpx.post(f"{controls}/webhooks", json={"url": f"{hooks}/hook", "events": ["order.created"]})
        assert wrong.status_code == 422
        added = httpx.post(f"{controls}/webhooks", json={"url": f"{hooks}/hook?token=hook-secret"})
        assert added.status_code == 201
        state.add_order()
        state.webhooks.wait_idle()
        listed = httpx.get(f"{controls}/deliveries")
        assert listed.json()[0]["is_delivered"] is True
        assert "hook-secret" not in listed.text
        state.webhooks.stop()
    assert len(receiver.bodies) == 1
