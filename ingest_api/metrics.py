"""Counters of the ingest API for Prometheus. Those of the hot path are plain integers, read when scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_PREFIX = "crm_elt_ingest_"
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics(Collector):
    """What this process has received, landed and refused since it started."""

    def __init__(self) -> None:
        self.received = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        """By the problem's code."""
        self.waiting: Callable[[], int] = lambda: 0
        self.waiting_bytes: Callable[[], int] = lambda: 0
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        self.group_size = Histogram(
            f"{_PREFIX}group_size", "Webhooks that shared one commit", buckets=_SIZES, registry=self.registry
        )
        self.commit_seconds = Histogram(
            f"{_PREFIX}commit_seconds", "Time of one group's statement", buckets=_SECONDS, registry=self.registry
        )
        self.database_up = Gauge(
            f"{_PREFIX}database_up", "1 if the database answered this scrape", registry=self.registry
        )
        self.backlog_rows = Gauge(f"{_PREFIX}backlog_rows", "Raw rows that are not in core yet", registry=self.registry)
        self.backlog_age = Gauge(
            f"{_PREFIX}backlog_age_seconds", "How long the oldest of them has waited", registry=self.registry
        )

    def collect(self) -> Iterator[Metric]:
        received = CounterMetricFamily(f"{_PREFIX}webhooks_received", "Webhook requests received")
        received.add_metric([], self.received)
        yield received
        accepted = CounterMetricFamily(f"{_PREFIX}webhooks_accepted", "Webhooks landed durably")
        accepted.add_metric([], self.accepted)
        yield accepted
        refused = CounterMetricFamily(f"{_PREFIX}webhooks_refused", "Webhook requests refused", labels=["reason"])
        for reason, count in sorted(self.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        yield GaugeMetricFamily(f"{_PREFIX}waiting", "Webhooks that wait for their commit", self.waiting())
        yield GaugeMetricFamily(f"{_PREFIX}waiting_bytes", "Size of their bodies", self.waiting_bytes())

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
