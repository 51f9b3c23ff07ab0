"""Webhooks that the simulated account sends: off the request path, up to three attempts, each answer logged."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import msgspec

from connectors.keycrm.simulator_values import JSON

ATTEMPTS = 3
STATUS_EVENT = "order.change_order_status"
PAYMENT_EVENT = "order.change_payment_status"
LEAD_EVENT = "lead.change_lead_status"
STOCK_EVENT = "stock"
"""Our name for the stock webhook, whose body is a bare array without an event's name."""
EVENTS = (STATUS_EVENT, PAYMENT_EVENT, LEAD_EVENT, STOCK_EVENT)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """One line of the account's webhook settings. The only secret that KeyCRM offers is one in the URL's query."""

    url: str = field(repr=False)
    events: tuple[str, ...] = EVENTS


@dataclass(slots=True)
class Answer:
    """What one attempt met: a status with the body's beginning, or an error."""

    status: int | None
    text: str
    at: datetime


@dataclass(slots=True, eq=False)
class Delivery:
    """One payload for one target."""

    event: str
    url: str = field(repr=False)
    payload: Any
    answers: list[Answer] = field(default_factory=list)
    not_before: float = 0.0
    """`time.monotonic()` of the next attempt."""

    @property
    def is_delivered(self) -> bool:
        return bool(self.answers) and self.answers[-1].status == 200

    @property
    def is_finished(self) -> bool:
        """Delivered, or given up."""
        return self.is_delivered or len(self.answers) >= ATTEMPTS

    def as_json(self) -> JSON:
        return {
            "event": self.event,
            "url": without_secrets(self.url),
            "payload": self.payload,
            "is_delivered": self.is_delivered,
            "answers": [{"status": a.status, "text": a.text, "at": a.at.isoformat()} for a in self.answers],
        }


def without_secrets(url: str) -> str:
    """The URL with the values of its query masked."""
    parts = urlsplit(url)
    query = urlencode([(name, "***") for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return urlunsplit(parts._replace(query=query))


class Webhooks:
    """Queue, sender and log.

    `start()` sends from a thread as changes happen (the demo); without it, payloads wait for `deliver_pending()`, which
    sends them in the caller's thread and leaves no waiting to chance (tests). KeyCRM's delay between attempts is
    unknown: here `retry_seconds` in the thread, none in `deliver_pending`.
    """

    def __init__(self, clock: Callable[[], datetime], *, retry_seconds: float = 2.0, log_size: int = 20_000) -> None:
        self.targets: list[WebhookTarget] = []
        self.retry_seconds = retry_seconds
        self.timeout = 10.0
        self._clock = clock
        self._log: deque[Delivery] = deque(maxlen=log_size)
        self._queue: deque[Delivery] = deque()
        self._in_flight = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def add_target(self, url: str, events: Sequence[str] = EVENTS) -> WebhookTarget:
        """Raises ValueError for an event that KeyCRM does not have."""
        if unknown := [event for event in events if event not in EVENTS]:
            raise ValueError(f"unknown events {', '.join(unknown)}: use {', '.join(EVENTS)}")
        target = WebhookTarget(url, tuple(events))
        self.targets.append(target)
        return target

    def send(self, event: str, payload: Any) -> None:
        """Queue a payload for each target that wants the event. Returns at once."""
        with self._changed:
            for target in self.targets:
                if event in target.events:
                    delivery = Delivery(event, target.url, payload)
                    self._queue.append(delivery)
                    self._log.append(delivery)
            self._changed.notify_all()

    def deliveries(self, event: str | None = None) -> list[Delivery]:
        """The log, oldest first."""
        with self._changed:
            return [delivery for delivery in self._log if event is None or delivery.event == event]

    def pending(self) -> int:
        """How many payloads are neither delivered nor given up."""
        with self._changed:
            return len(self._queue) + self._in_flight

    def clear(self) -> None:
        """Forget the log and what is queued."""
        with self._changed:
            self._log.clear()
            self._queue.clear()
            self._changed.notify_all()

    def deliver_pending(self, *, is_reversed: bool = False) -> list[Delivery]:
        """Send what is queued now, here, with all attempts; what was sent. `is_reversed`: the newest first."""
        with self._changed:
            batch = list(self._queue)
            self._queue.clear()
            self._in_flight += len(batch)
        if is_reversed:
            batch.reverse()
        try:
            with self._client() as client:
                for delivery in batch:
                    while not delivery.is_finished:
                        self._attempt(client, delivery)
        finally:
            with self._changed:
                self._in_flight -= len(batch)
                self._changed.notify_all()
        return batch

    def redeliver(self, delivery: Delivery) -> Delivery:
        """Send a payload that was sent before once more, here: the same event twice."""
        again = Delivery(delivery.event, delivery.url, delivery.payload)
        with self._changed:
            self._log.append(again)
        with self._client() as client:
            self._attempt(client, again)
        return again

    def wait_idle(self, timeout: float = 10.0) -> None:
        """Until nothing is left to send; without the thread, what waits is sent here. Raises TimeoutError."""
        if self._thread is None:
            self.deliver_pending()
        with self._changed:
            if not self._changed.wait_for(lambda: not self._queue and self._in_flight == 0, timeout):
                left = len(self._queue) + self._in_flight
                raise TimeoutError(f"{left} webhooks are still under way after {timeout} s")

    def start(self) -> None:
        """Send from a thread from now on. Does nothing if it runs already."""
        if self._thread is None:
            self._is_stopping = False
            self._thread = threading.Thread(target=self._run, name="keycrm-webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the attempt under way; what is queued stays queued."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with self._changed:
                self._is_stopping = True
                self._changed.notify_all()
            thread.join(self.timeout + 1)

    def _client(self) -> httpx.Client:
        # A URL of the user's own machine must not go through a proxy of the environment.
        return httpx.Client(timeout=self.timeout, trust_env=False)

    def _run(self) -> None:
        with self._client() as client:
            while (delivery := self._next()) is not None:
                self._attempt(client, delivery)
                with self._changed:
                    self._in_flight -= 1
                    if not delivery.is_finished:
                        delivery.not_before = time.monotonic() + self.retry_seconds
                        self._queue.append(delivery)
                    self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """The first delivery that is due; waits for one. None when stopping."""
        with self._changed:
            while not self._is_stopping:
                now = time.monotonic()
                for delivery in self._queue:
                    if delivery.not_before <= now:
                        self._queue.remove(delivery)
                        self._in_flight += 1
                        return delivery
                wait = min((delivery.not_before - now for delivery in self._queue), default=None)
                self._changed.wait(wait)
            return None

    def _attempt(self, client: httpx.Client, delivery: Delivery) -> None:
        content = msgspec.json.encode(delivery.payload)
        try:
            response = client.post(delivery.url, content=content, headers={"Content-Type": "application/json"})
            answer = Answer(response.status_code, response.text[:500], self._clock())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = Answer(None, type(error).__name__, self._clock())
        delivery.answers.append(answer)
