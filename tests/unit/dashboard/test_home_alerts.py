"""What a project's card says is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dashboard.home.alerts import alerts_of
from dashboard.home.reading import Card, over_share, total
from database.repositories.overview import AlertCount, OrderCounts, StreamRun, SyncState, Waiting
from database.repositories.settings import ProjectRow
from database.repositories.words import ErrorWord

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def project(**changes: Any) -> ProjectRow:
    values: dict[str, Any] = {
        "project_id": "print-shop", "name": "Print shop", "crm": "keycrm", "base_url": None, "timezone": "Europe/Kyiv",
        "region": None, "currency": None, "is_enabled": True, "disabled_reason": None, "near_threshold": Decimal("0.8"),
        "webhook": {}, "sync": {"interval_minutes": 5}, "options": {}, "status_map": {}, "conflict_policy": "newest",
        "vms": {}, "updated_at": NOW,
    }  # fmt: skip
    return ProjectRow(**{**values, **changes})


def run(stream: str = "orders", error: ErrorWord | None = None) -> StreamRun:
    message = None if error is None else "The CRM refuses the key."
    return StreamRun(stream, error is None, NOW - timedelta(minutes=2), error, message)


def synced(*streams: StreamRun, minutes: float = 2) -> SyncState:
    return SyncState(NOW - timedelta(minutes=minutes), is_running=False, streams=streams or (run(),))


def kinds(row: ProjectRow, sync: SyncState, raised: list[AlertCount] = [], waiting: list[Waiting] = []) -> list[str]:  # noqa: B006 - read only
    return [alert.kind for alert in alerts_of(row, sync, raised, waiting, NOW)]


def card(row: ProjectRow, sync: SyncState, waiting: list[Waiting] = []) -> Card:  # noqa: B006 - read only
    return Card(row, sync, None, alerts_of(row, sync, [], waiting, NOW))


def test_a_project_that_works_needs_nobody() -> None:
    assert kinds(project(), synced()) == []
    assert card(project(), synced()).state == "works"
    never = SyncState(None, is_running=False, streams=())
    assert (kinds(project(), never), card(project(), never).state) == ([], "new")


def test_a_failed_synchronisation_is_told_by_whether_it_is_tried_again() -> None:
    assert kinds(project(), synced(run(error="config"))) == ["pull_failed"]
    assert kinds(project(), synced(run(error="retry"))) == ["pull_retried"]
    both = synced(run("orders", "retry"), run("customers", "permanent"), run("products"))
    [alert] = alerts_of(project(), both, [], [], NOW)
    assert (alert.kind, alert.count, alert.message) == ("pull_failed", 2, "The CRM refuses the key.")
    assert card(project(), both).is_last_sync_ok is False


@pytest.mark.parametrize(("minutes", "expected"), [(24.9, []), (25.1, ["late"])])
def test_a_project_is_late_after_three_intervals_and_ten_minutes(minutes: float, expected: list[str]) -> None:
    assert kinds(project(), synced(minutes=minutes)) == expected
    assert kinds(project(crm="csv"), synced(minutes=minutes)) == []  # files come when somebody brings them


def test_what_is_disabled_by_hand_needs_nobody_and_what_failed_does() -> None:
    by_hand = project(is_enabled=False, disabled_reason="by hand")
    assert (kinds(by_hand, synced(run(error="config"))), card(by_hand, synced()).state) == ([], "disabled")
    failed = project(is_enabled=False, disabled_reason="The API key is refused.")
    [alert] = alerts_of(failed, synced(run(error="config")), [], [], NOW)
    assert (alert.kind, alert.message) == ("disabled", "The API key is refused.")
    assert alert.page("print-shop") == "/integrations/print-shop"
    assert card(failed, synced()).state == "stopped"


def test_the_worst_comes_first_and_nothing_is_told_twice() -> None:
    raised = [
        AlertCount("conflict", 1, NOW, "told by the count of conflicts"),
        AlertCount("record_failed", 7, NOW, "told by the count of dead letters"),
        AlertCount("crm_away", 1, NOW, "The CRM is away."),
        AlertCount("of_tomorrow", 1, NOW, "Something new."),
    ]
    waiting = [Waiting("inbound", 3, NOW), Waiting("conflict", 1, NOW)]
    assert kinds(project(), synced(), raised, waiting) == ["crm_away", "of_tomorrow", "inbound", "conflict"]
    assert card(project(), synced(), waiting).state == "attention"
    pages = [alert.page("print-shop") for alert in alerts_of(project(), synced(), raised, waiting, NOW)]
    assert pages == [
        "/integrations/print-shop", "/sync?project=print-shop", "/sync/dead-letters?project=print-shop",
        "/sync/conflicts?project=print-shop",
    ]  # fmt: skip


def test_shares_are_of_the_orders_that_have_a_limit() -> None:
    assert over_share(OrderCounts(open=100, ok=30, near=10, over=10)) == 0.2
    assert over_share(OrderCounts(open=5, ok=0, near=0, over=0)) is None
    assert over_share(None) is None
    assert total([card(project(), synced())]) is None
    cards = [
        Card(project(), synced(), counts, [])
        for counts in (OrderCounts(5, 1, 1, 1), None, OrderCounts(7, 0, 2, 3))
    ]  # fmt: skip
    assert total(cards) == OrderCounts(12, 1, 3, 4)
