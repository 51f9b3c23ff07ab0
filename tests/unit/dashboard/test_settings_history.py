"""Past changes in pages: none is left out, and what was saved at once is counted whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from dashboard.settings import history
from dashboard.settings.history import PastPage
from database.connection import Connection
from database.repositories import audit
from database.repositories.audit import AuditEntry

START = datetime(2026, 11, 1, tzinfo=UTC)


def entry(number: int, name: str, save: int) -> AuditEntry:
    """Entries of one `save` were written at once."""
    return AuditEntry(number, START + timedelta(minutes=save), "user:admin", "changed", "shop", name, "a", "b")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[AuditEntry]:
    """The audit log of the project, the oldest first: a test fills it."""
    entries: list[AuditEntry] = []

    async def newest(connection: Any, *, project_id: str, before_id: int | None, limit: int) -> list[AuditEntry]:
        older = [one for one in reversed(entries) if before_id is None or one.audit_id < before_id]
        return older[:limit]

    async def one_of(connection: Any, audit_id: int) -> AuditEntry | None:
        return next((one for one in entries if one.audit_id == audit_id), None)

    monkeypatch.setattr(audit, "entries", newest)
    monkeypatch.setattr(audit, "entry", one_of)
    return entries


def page(after: int | None = None, *, section: str | None = None, limit: int = 20) -> PastPage:
    connection = cast(Connection, None)
    return asyncio.run(history.last_changes(connection, "shop", section=section, after=after, limit=limit))


def numbers(found: PastPage) -> list[int]:
    return [item.entry.audit_id for item in found.changes]


def test_pages_follow_each_other_past_the_first_two_hundred_entries(log: list[AuditEntry]) -> None:
    log += [entry(number, "near_threshold" if number % 10 == 0 else "synchronisation", number) for number in range(451)]
    seen, after = [], None
    for _ in range(10):
        found = page(after, section="sla")
        seen += numbers(found)
        after = found.next
        if after is None:
            break
    assert seen == list(range(450, -1, -10))
    assert (page(section="sla").is_first, page(200, section="sla").is_first) == (True, False)


def test_a_change_behind_very_many_other_entries_is_found_by_going_on(log: list[AuditEntry]) -> None:
    log += [entry(1, "near_threshold", 1), *(entry(number, "synchronisation", number) for number in range(2, 2302))]
    first = page(section="sla")
    assert (numbers(first), first.next) == ([], 302)
    second = page(first.next, section="sla")
    assert (numbers(second), second.next) == ([1], None)


def test_the_last_page_leads_no_further(log: list[AuditEntry]) -> None:
    assert (page().changes, page().next) == ([], None)
    log += [entry(number, "near_threshold", number) for number in range(1, 21)]
    assert (len(page().changes), page().next) == (20, None)
    log.append(entry(21, "near_threshold", 21))
    assert page().next == 2


def test_what_was_saved_at_once_is_counted_whole_and_said_once(log: list[AuditEntry]) -> None:
    log += [entry(number, f"sla group {number} normal", 1) for number in range(1, 251)]
    log.append(entry(251, "near_threshold", 2))
    first = page(limit=2)
    assert [(item.entry.audit_id, item.together) for item in first.changes] == [(251, 0), (250, 250)]
    second = page(first.next, limit=2)
    assert [(item.entry.audit_id, item.together) for item in second.changes] == [(249, 0), (248, 0)]
