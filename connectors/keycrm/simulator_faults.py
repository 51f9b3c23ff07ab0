"""What can go wrong with the simulated API, the account's rate limit, and the log of what was asked."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl

from connectors.keycrm.simulator_values import JSON

FaultKind = Literal[
    "too_many",  # 429 with Retry-After
    "server_error",  # 500, JSON
    "unavailable",  # 503, JSON
    "bad_gateway",  # 502, HTML of a proxy
    "timeout",  # nothing for `seconds`, then the connection is closed
    "drop",  # the connection is closed without a byte
    "cut",  # the connection is closed in the middle of the body
    "truncated",  # a complete answer whose JSON ends in the middle
    "duplicate_page",  # this page is the page before once more, and all later ones come one page later
    "no_status_changed_at",  # orders without this (undocumented) field
    "slow",  # the right answer after `seconds`
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong. It strikes requests whose method and path match, after the first `skip` of them,
    `times` times (None: for ever), each with `probability`."""

    kind: FaultKind
    path: str = "/"
    """Prefix of the path below /v1: `/order`; `/` is everything. A prefix ends at a slash or at the path's end."""
    method: str | None = None
    """`write` is every method but GET."""
    times: int | None = 1
    probability: float = 1.0
    skip: int = 0
    seconds: float = 1.0
    """How long `timeout` and `slow` take; what `too_many` says in Retry-After."""
    is_applied: bool = False
    """Whether the request does its work before the error answer: a lost answer to a write that was made."""
    strikes: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}: one of {', '.join(KINDS)}")
        if not self.path.startswith("/"):
            raise ValueError("a fault's path starts with /")

    def matches(self, method: str, path: str) -> bool:
        if self.method is not None and self.method not in (method, "write" if method != "GET" else method):
            return False
        prefix = self.path.rstrip("/")
        return path == prefix or path.startswith(prefix + "/")


class Faults:
    """The switched-on faults of an account. Chances come from one seed, so that a run can be repeated."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._random = random.Random(seed)
        self._active: list[Fault] = []

    def add(self, kind: FaultKind, path: str = "/", **settings: Any) -> Fault:
        """Switch a fault on. Its `strikes` tell later how often it struck. Raises ValueError, TypeError."""
        fault = Fault(kind, path, **settings)
        with self._lock:
            self._active.append(fault)
        return fault

    def clear(self) -> None:
        """Switch all off, and start the chances anew."""
        with self._lock:
            self._active.clear()
            self._random = random.Random(self._seed)

    def active(self) -> list[Fault]:
        with self._lock:
            return [fault for fault in self._active if fault.times != 0]

    def strike(self, method: str, path: str, page: int = 1) -> Fault | None:
        """The first fault that hits this request, if any. `duplicate_page` waits for a second page."""
        if not self._active:
            return None
        with self._lock:
            for fault in self._active:
                if fault.times == 0 or not fault.matches(method, path):
                    continue
                if fault.kind == "duplicate_page" and page < 2:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.probability < 1.0 and self._random.random() >= fault.probability:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                fault.strikes += 1
                return fault
        return None


@dataclass(slots=True)
class PageShifts:
    """Lists that a `duplicate_page` fault has shifted: by key, the page from which on all come one page late.

    As when rows are inserted before the reader's place: a page is seen twice, and nothing is lost.
    """

    by_list: dict[Any, int] = field(default_factory=dict)

    def place(self, key: Any, page: int, is_struck: bool) -> tuple[int, int]:
        """(page to show, pages that the list has become longer)."""
        if page == 1:
            self.by_list.pop(key, None)
        elif is_struck:
            self.by_list.setdefault(key, page)
        first = self.by_list.get(key)
        if first is None:
            return page, 0
        return (page - 1 if page >= first else page), 1

    def clear(self) -> None:
        self.by_list.clear()


@dataclass(slots=True)
class Throttle:
    """Laravel's limiter: a window starts with the first request and lasts `seconds`; `requests` 0 is no limit."""

    requests: int = 60
    seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _used: int = 0
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> tuple[bool, int, float]:
        """Count one request: (whether it may pass, how many remain, seconds until the window ends)."""
        if self.requests <= 0:
            return True, 0, 0.0
        with self._lock:
            now = self.clock()
            if now >= self._until:
                self._used, self._until = 0, now + self.seconds
            wait = self._until - now
            if self._used >= self.requests:
                return False, 0, wait
            self._used += 1
            return True, self.requests - self._used, wait

    def reset(self) -> None:
        with self._lock:
            self._used, self._until = 0, 0.0


@dataclass(slots=True)
class LoggedRequest:
    method: str
    path: str
    """Below /v1: `/order/7`."""
    query: str
    """As it was sent, still encoded."""
    at: datetime
    body: Any = None
    """Parsed, if it was JSON; text otherwise; None without a body."""
    status: int | None = None
    """Of the answer; None while there is none, or where the connection was closed without one."""
    fault: FaultKind | None = None

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def as_json(self) -> JSON:
        return {
            "method": self.method,
            "path": self.path,
            "params": self.params,
            "body": self.body,
            "status": self.status,
            "fault": self.fault,
            "at": self.at.isoformat(),
        }


class RequestLog:
    """The last requests that the account got, in order of arrival; of all of them the number by route."""

    def __init__(self, most: int = 20_000) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=most)
        self._by_route: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.total = 0

    def add(self, entry: LoggedRequest) -> None:
        with self._lock:
            self._entries.append(entry)
            parts = ["{id}" if part.isdigit() else part for part in entry.path.split("/")]
            self._by_route[f"{entry.method} {'/'.join(parts)}"] += 1
            self.total += 1

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._by_route.clear()
            self.total = 0

    def find(
        self, method: str | None = None, path: str | None = None, *, below: str | None = None, status: int | None = None
    ) -> list[LoggedRequest]:
        """Requests with that method, exact path (`/order/7`), path prefix and status; what is None does not matter."""
        with self._lock:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if (method is None or entry.method == method)
            and (path is None or entry.path == path)
            and (below is None or entry.path.startswith(below))
            and (status is None or entry.status == status)
        ]

    def count(
        self, method: str | None = None, path: str | None = None, *, below: str | None = None, status: int | None = None
    ) -> int:
        return len(self.find(method, path, below=below, status=status))

    def by_route(self) -> dict[str, int]:
        """How often each `METHOD /path` was asked for, ids as `{id}`."""
        with self._lock:
            return dict(sorted(self._by_route.items()))
