"""Paging, paces and what is hidden on the pages of the sync; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dashboard.two_way import asked, privacy, reading
from dashboard.two_way.asked import Cursor
from dashboard.two_way.conflicts_pages import decisions_of, lines_of
from database.repositories.conflicts import ConflictRow
from database.repositories.heartbeats import Heartbeat
from database.repositories.resyncs import ResyncRow
from sync.two_way.conflicts import version

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNNING = ResyncRow(
    4, "shop", "full", "running", "order", {}, 30, 120, "user:anna", NOON, NOON, NOON, None, None, None
)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "cursor", "rows"),
    [
        ([9, 8], Cursor(), ([9, 8], None, None)),
        ([9, 8, 7], Cursor(), ([9, 8], None, "8")),
        ([7, 6, 5], Cursor(before_id=8), ([7, 6], "7", "6")),
        ([5], Cursor(before_id=6), ([5], "5", None)),
        ([9, 8], Cursor(after_id=7), ([9, 8], None, "8")),
        ([9, 8, 7], Cursor(after_id=6), ([8, 7], "8", "7")),
        ([], Cursor(before_id=6), ([], None, None)),
    ],
)
def test_a_page_has_cursors_of_its_neighbours_where_there_are_any(
    found: list[int], cursor: Cursor, rows: tuple[Any, ...]
) -> None:
    page = asked.rows_of(found, found, cursor, size=2)
    assert (page.items, page.newer, page.older) == rows


def test_a_resync_tells_its_share_pace_and_rest() -> None:
    pace = reading.pace_of(RUNNING, 60)
    assert (pace.stage_number, pace.share) == (4, (3 + 0.25) / 5)
    assert (pace.per_minute, pace.remaining_seconds) == (30, 180)
    waiting = reading.pace_of(replace(RUNNING, state="queued", stage=None, done=0, total=None), None)
    assert (waiting.stage_number, waiting.share, waiting.per_minute) == (1, 0, None)
    pulls = reading.pace_of(replace(RUNNING, stage="pull", done=2, total=4), 60)
    assert (pulls.share, pulls.per_minute, pulls.remaining_seconds) == (0.1, None, None)
    assert reading.pace_of(replace(RUNNING, stage="end"), 1).share == 1


def test_a_relay_is_alive_that_has_beaten_of_late() -> None:
    assert reading.relay_of(Heartbeat("relay", "a", 4.0, {})).is_alive
    assert not reading.relay_of(Heartbeat("relay", "a", 45.0, {})).is_alive
    assert not reading.relay_of(None).is_alive


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [
        ('PUT /buyer/5 {"full_name": "Olena K", "note": 1}', "PUT /buyer/5 {", "Olena"),
        ('POST /orders {"customer": {"name": "Olena K", "phone": "+380671112233"}, "total": 5', '"total": 5', "Olena"),
        ('{"buyer": {"full_name": "Olena K', "full_name", "Olena"),
        ('{"email": "olena@example.com", "sku": "A-1", "cut', "A-1", "olena@"),
        ('POST /create site=s&order={"firstName": "Olena", "number": "A1"}&by=id', "by=id", "Olena"),
        ("POST /create customer[firstName]=Olena&customer[sex]=f", "[sex]=f", "Olena"),
        ("call +380671112233 now", "call", "671112"),
        ('{"phone": 380671112233, "weight": 3', '"weight": 3', "671112"),
    ],
)
def test_what_was_sent_is_masked_even_where_it_was_cut_short(text: str, shown: str, hidden: str) -> None:
    masked = privacy._masked(text)
    assert shown in masked
    assert hidden not in masked


def test_versions_of_a_conflict_hide_what_tells_of_people() -> None:
    versions = {"phone": {"vms": "+380671112233", "crm": None, "crm_own": None, "agreed_vms": None, "agreed_crm": None}}
    assert privacy.masked_versions(versions)["phone"]["vms"] == "***33"
    assert privacy.masked_value("status", "SHIPPED") == "SHIPPED"
    assert privacy.masked_value("comment", "Call Olena") == "C***"


def test_a_form_decides_only_what_it_names_a_side_for() -> None:
    assert decisions_of({"field.phone": "vms", "field.note": "", "field.email": "nobody", "seen": "x"}) == {
        "phone": "vms"
    }
    assert decisions_of({"field.phone": "vms", "all": "crm"}) == "crm"
    assert decisions_of({"field.phone": ""}) is None


def test_an_orders_lines_are_shown_one_by_one() -> None:
    line = {"sku": "A-1", "name": "Cup", "quantity": "2", "price": "10.00", "discount": "0.00"}
    assert lines_of([line, {**line, "sku": None, "discount": "1.50"}]) == [
        "2 × A-1 Cup · 10.00", "2 × Cup · 10.00 − 1.50"
    ]  # fmt: skip
    assert (lines_of(None), lines_of(False), lines_of("x")) == ([], ["✗"], ["x"])


def test_a_conflicts_version_follows_the_values_and_not_their_times() -> None:
    def conflict(**note: Any) -> Any:
        return ConflictRow(1, "shop", "customer", 5, "C-1", {"note": note}, "open", None, NOON, None, None)

    same = version(conflict(vms="a", crm="b", crm_own="b", vms_changed_at="1"))
    assert version(conflict(vms="a", crm="b", crm_own="b", vms_changed_at="2")) == same
    assert version(conflict(vms="c", crm="b", crm_own="b", vms_changed_at="1")) != same
