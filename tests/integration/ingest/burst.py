"""Senders that never stop: each sends numbered webhooks, one after the other, and notes what was answered."""

from __future__ import annotations

import json
import threading
from collections import Counter

import httpx
from ingest_process import TOKEN, order


class Burst:
    """`senders` threads; a webhook that is not answered 200 is sent again until it is, as a CRM would, or the end."""

    def __init__(self, url: str, senders: int = 8, *, retry: bool = True) -> None:
        self.answered: dict[str, int] = {}
        """Order id of each webhook that was answered 200, with its event id."""
        self.statuses: Counter[int] = Counter()
        """Answers by status; 0 for a lost connection."""
        self.retry_after: set[str | None] = set()
        """What the answers 503 said."""
        self._url = url
        self._retry = retry
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,), daemon=True) for number in range(senders)]

    def __enter__(self) -> Burst:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _send(self, sender: int) -> None:
        number = 0
        client = httpx.Client(timeout=30)
        while not self._ending.is_set():
            order_id = f"{sender}-{number}"
            body = json.dumps(order(order_id), ensure_ascii=False)
            try:
                response = client.post(f"{self._url}/webhooks/keycrm/print-shop?token={TOKEN}", content=body)
            except httpx.TransportError:
                with self._lock:
                    self.statuses[0] += 1
                client.close()
                client = httpx.Client(timeout=30)
                if not self._retry:
                    number += 1
                self._ending.wait(0.02)  # nobody listens: do not spin
                continue
            with self._lock:
                self.statuses[response.status_code] += 1
                if response.status_code == 200:
                    self.answered[order_id] = response.json()["event_id"]
                elif response.status_code == 503:
                    self.retry_after.add(response.headers.get("retry-after"))
            if response.status_code == 200 or not self._retry:
                number += 1
        client.close()
