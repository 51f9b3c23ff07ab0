"""Events and settings through the whole of dbt, with results worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.dbt.conftest import Warehouse
from tests.oracle import inputs
from tests.oracle.calendars import Calendar
from tests.oracle.metrics import seconds

HOUR = Decimal(3600)

SETTINGS = """
insert into config.projects (project_id, name, crm, timezone, near_threshold) values
    ('kyiv', 'Kyiv', 'keycrm', 'Europe/Kyiv', 0.8),
    ('sydney', 'Sydney', 'keycrm', 'Australia/Sydney', 0.8),
    ('always', 'Day and night', 'keycrm', 'UTC', 0.8),
    ('empty', 'No orders yet', 'keycrm', 'UTC', 0.8);
insert into core.statuses (project_id, status_id, name, status_group_id, is_closing)
    select project, status, 'Status ' || status, left(status, 1), status in ('50', '60')
    from unnest(array['kyiv', 'sydney', 'always']) project,
        unnest(array['10', '11', '20', '30', '40', '50', '60']) status;
insert into core.status_groups (project_id, status_group_id, name)
    select project, number::text, 'Group ' || number
    from unnest(array['kyiv', 'sydney', 'always']) project, generate_series(1, 6) number;
insert into config.calendars values ('kyiv', ''), ('kyiv', '2'), ('kyiv', '3'), ('sydney', '');
insert into config.calendar_windows
    select 'kyiv', '', weekday, '09:00'::time, '18:00'::time from generate_series(1, 5) weekday;
insert into config.calendar_windows values
    ('kyiv', '2', 7, '00:00', '24:00'),
    ('kyiv', '3', 1, '08:00', '12:00'), ('kyiv', '3', 1, '13:00', '17:00'), ('kyiv', '3', 5, '22:00', '06:00'),
    ('sydney', '', 7, '00:00', '06:00');
insert into config.calendar_exceptions values ('kyiv', '*', '2025-06-09'), ('kyiv', '3', '2025-06-09');
insert into config.calendar_exception_windows values ('kyiv', '3', '2025-06-09', '10:00', '11:00');
insert into config.sla_rules values
    ('kyiv', 'normal', '1', 28800), ('kyiv', 'urgent', '1', 3600), ('kyiv', 'vip', '1', 1800),
    ('always', 'normal', '1', 36000);
insert into config.cycle_rules (project_id, cycle_rule_id, title, start_group_id, end_group_id, is_default) values
    ('kyiv', 'to-delivery', 'To delivery', '1', '4', true);
insert into config.urgent_rules values ('kyiv', 'sku', 'Термінове виготовлення', true);
"""

# order: its events, as (status, time in UTC), in order of arrival
EVENTS: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("kyiv", "two-days"): [("10", "2025-06-02 10:00:00.25"), ("20", "2025-06-03 10:00:00.5")],
    ("kyiv", "weekend"): [("10", "2025-06-06 14:30"), ("20", "2025-06-10 06:30")],
    ("kyiv", "spring"): [("20", "2025-03-29 00:00"), ("30", "2025-03-31 12:00")],
    ("kyiv", "autumn"): [("20", "2025-10-25 00:00"), ("30", "2025-10-27 12:00")],
    ("kyiv", "two-windows"): [("30", "2025-06-02 08:00"), ("10", "2025-06-02 11:00")],
    ("kyiv", "night"): [("30", "2025-06-06 00:00"), ("10", "2025-06-08 00:00")],
    ("kyiv", "own-exception"): [("30", "2025-06-09 00:00"), ("10", "2025-06-10 00:00")],
    ("kyiv", "late"): [("10", "2025-06-02 07:00"), ("40", "2025-06-02 10:00"), ("11", "2025-06-02 08:00")],
    ("kyiv", "same-instant"): [("10", "2025-06-02 07:00"), ("11", "2025-06-02 07:00"), ("20", "2025-06-02 08:00")],
    ("kyiv", "urgent"): [("10", "2025-06-02 07:00"), ("20", "2025-06-02 08:30")],
    ("kyiv", "not-urgent"): [("10", "2025-06-02 07:00"), ("20", "2025-06-02 08:30")],
    ("kyiv", "vip"): [("10", "2025-06-02 07:00"), ("20", "2025-06-02 07:25")],
    ("kyiv", "reopened"): [("10", "2025-06-02 07:00"), ("50", "2025-06-02 08:00"), ("10", "2025-06-03 07:00")],
    ("kyiv", "closed"): [("10", "2025-06-02 07:00"), ("40", "2025-06-02 09:00"), ("50", "2025-06-02 12:00")],
    ("kyiv", "cancelled"): [("10", "2025-06-02 07:00"), ("60", "2025-06-02 09:00")],
    ("kyiv", "unknown-status"): [("777", "2025-06-02 07:00"), ("10", "2025-06-02 08:00")],
    ("kyiv", "future"): [("10", "2040-01-02 07:00")],
    ("kyiv", "no-such-date"): [("10", "1969-06-02 07:00"), ("20", "2025-06-02 07:00")],
    ("sydney", "spring"): [("10", "2025-10-03 12:00"), ("20", "2025-10-06 12:00")],
    ("sydney", "autumn"): [("10", "2025-04-04 12:00"), ("20", "2025-04-07 12:00")],
    ("always", "plain"): [("10", "2025-06-01 00:00"), ("20", "2025-06-08 00:00:00.000001")],
    ("removed", "order"): [("10", "2025-06-02 07:00"), ("20", "2025-06-02 08:00")],
}

MORE = """
insert into core.orders
    (project_id, order_id, order_created_at, status_id, status_group_id, is_deleted, closed_at) values
    ('kyiv', 'two-days', '2025-06-02 09:59+00', '20', '2', false, null),
    ('kyiv', 'no-events', '2025-06-02 09:00+00', '11', null, false, null),
    ('kyiv', 'no-events-closed', '2025-06-02 09:00+00', '50', '5', false, '2025-06-05 00:00+00'),
    ('kyiv', 'deleted', '2025-06-02 09:00+00', '10', '1', true, null);
insert into core.order_items (project_id, order_id, line_number, quantity, sku) values
    ('kyiv', 'urgent', 1, 1, 'plain'), ('kyiv', 'urgent', 2, 1, 'Термінове виготовлення'),
    ('kyiv', 'not-urgent', 1, 1, 'Термінове виготовлення');
insert into config.order_overrides (project_id, order_id, is_urgent, sla_profile) values
    ('kyiv', 'not-urgent', false, null), ('kyiv', 'vip', null, 'vip');
insert into sync.runs (project_id, kind, trigger, state, started_at, finished_at, rows_new, rows_changed) values
    ('kyiv', 'pull', 'schedule', 'failed', now() - interval '3 hours', now() - interval '3 hours', 0, 0),
    ('kyiv', 'pull', 'schedule', 'success', now() - interval '110 s', now() - interval '100 s', 7, 3),
    ('kyiv', 'replay', 'cli', 'success', now() - interval '90 min', now() - interval '80 min', 1000, 0),
    ('kyiv', 'pull', 'schedule', 'failed', now() - interval '50 s', now() - interval '50 s', 0, 0),
    ('kyiv', 'pull', 'schedule', 'abandoned', now() - interval '40 s', now() - interval '20 s', 0, 0),
    ('kyiv', 'pull', 'schedule', 'running', now(), null, 0, 0),
    ('kyiv', 'pull', 'schedule', 'success', now() - interval '40 days', now() - interval '40 days', 100, 0);
"""


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    rows = ", ".join(
        f"('{project}', '{order}', '{status}', '{at}+00', 'webhook', '{project}/{order}/{number}')"
        for (project, order), events in EVENTS.items()
        for number, (status, at) in enumerate(events)
    )
    ten_years_ago = (datetime.now(UTC) - timedelta(days=3653)).replace(hour=0, minute=0, second=0, microsecond=0)
    warehouse.execute(
        SETTINGS,
        "insert into core.order_status_events (project_id, order_id, status_id, status_changed_at, source, dedup_key)"
        f" values {rows}, ('always', 'ten-years', '10', '{ten_years_ago}', 'webhook', 'always/ten-years'),"
        f" ('sydney', 'ten-years', '10', '{ten_years_ago}', 'webhook', 'sydney/ten-years')",
        MORE,
    )
    result = warehouse.build()
    assert result.failed == ()
    # One interval dates from before 1970: its working time is unknown, and the build says so.
    assert [warning.name for warning in result.warnings] == ["working_time_is_known"]
    return warehouse


def intervals(warehouse: Warehouse, project: str, order: str) -> list[dict[str, Any]]:
    return warehouse.rows(
        "select * from marts.fct_order_status_intervals "
        f"where project_id = '{project}' and order_id = '{order}' order by interval_number"
    )


def stage(warehouse: Warehouse, order: str, group: str, project: str = "kyiv") -> dict[str, Any]:
    (row,) = warehouse.rows(
        "select * from marts.fct_order_stages "
        f"where project_id = '{project}' and order_id = '{order}' and status_group_id = '{group}'"
    )
    return row


def current(warehouse: Warehouse, order: str, project: str = "kyiv") -> dict[str, Any]:
    (row,) = warehouse.rows(
        f"select *, now() as read_at from marts.orders_current where project_id = '{project}' and order_id = '{order}'"
    )
    return row


@pytest.mark.parametrize(
    ("project", "order", "hours"),
    [
        (
            "kyiv",
            "two-days",
            5 - Decimal("0.25") / 3600 + 4 + Decimal("0.5") / 3600,
        ),  # from 13:00 to 18:00, 9:00 to 13:00
        ("kyiv", "weekend", Decimal("0.5") + Decimal("0.5")),  # Friday 17:30, a weekend, a holiday, Tuesday 09:30
        ("kyiv", "spring", Decimal(23)),  # a Sunday of 23 hours
        ("kyiv", "autumn", Decimal(25)),  # and one of 25
        ("kyiv", "two-windows", Decimal(1) + 1),  # 11:00 to 14:00 local, closed from 12 to 13
        ("kyiv", "night", Decimal(8)),  # Friday 22:00 to Saturday 06:00
        ("kyiv", "own-exception", Decimal(1)),  # the group's own exception, on the holiday of all others
        ("sydney", "spring", Decimal(5)),  # DST begins in October
        ("sydney", "autumn", Decimal(7)),
        ("always", "plain", 7 * 24 + Decimal("0.000001") / 3600),
    ],
)
def test_working_time_of_the_first_interval(warehouse: Warehouse, project: str, order: str, hours: Decimal) -> None:
    first = intervals(warehouse, project, order)[0]
    assert first["working_seconds"] == round(hours * HOUR, 6)


def test_a_late_event_takes_its_place_by_time(warehouse: Warehouse) -> None:
    rows = intervals(warehouse, "kyiv", "late")
    assert [row["status_id"] for row in rows] == ["10", "11", "40"]
    assert [row["elapsed_seconds"] for row in rows] == [HOUR, 2 * HOUR, None]
    assert stage(warehouse, "late", "1")["visits"] == 1


def test_two_events_in_one_instant_keep_the_order_of_arrival(warehouse: Warehouse) -> None:
    rows = intervals(warehouse, "kyiv", "same-instant")
    assert [(row["status_id"], row["elapsed_seconds"]) for row in rows] == [("10", 0), ("11", HOUR), ("20", None)]


def test_the_limit_of_an_urgent_order_is_the_urgent_one(warehouse: Warehouse) -> None:
    urgent, plain = stage(warehouse, "urgent", "1"), stage(warehouse, "not-urgent", "1")
    assert (urgent["is_urgent"], urgent["sla_limit_seconds"], urgent["sla_state"]) == (True, 3600, "over")
    assert (plain["is_urgent"], plain["sla_limit_seconds"], plain["sla_state"]) == (False, 28800, "ok")


def test_an_override_names_another_grid(warehouse: Warehouse) -> None:
    row = stage(warehouse, "vip", "1")
    assert (row["sla_limit_seconds"], row["working_seconds"], row["sla_state"]) == (1800, 1500, "near")


def test_a_reopened_order_is_open_again(warehouse: Warehouse) -> None:
    rows = intervals(warehouse, "kyiv", "reopened")
    assert [row["working_seconds"] for row in rows] == [HOUR, 0, None]
    assert rows[1]["elapsed_seconds"] == 23 * HOUR
    row = current(warehouse, "reopened")
    assert (row["is_closed"], row["closed_at"]) == (False, None)
    # An hour in the first visit, so the limit of 8 is reached after 7 more: Tuesday 10:00 to 17:00 in Kyiv.
    assert row["sla_due_at"] == datetime(2025, 6, 3, 14, 0, tzinfo=UTC)
    assert row["sla_state"] == "over"


def test_a_closed_order_has_its_cycle_and_no_sla(warehouse: Warehouse) -> None:
    row = current(warehouse, "closed")
    assert (row["is_closed"], row["closed_at"]) == (True, datetime(2025, 6, 2, 12, 0, tzinfo=UTC))
    assert (row["sla_state"], row["sla_limit_seconds"], row["sla_due_at"]) == (None, None, None)
    assert row["delivery_entered_at"] == datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
    assert (row["cycle_rule_id_applied"], row["cycle_duration_to_delivery"]) == ("to-delivery", 2 * HOUR)


def test_an_order_open_for_ten_years_is_right(warehouse: Warehouse) -> None:
    row = current(warehouse, "ten-years", "always")
    elapsed = row["read_at"] - row["started_at"]
    assert row["stage_working_seconds"] == Decimal(elapsed // timedelta(microseconds=1)) / 1_000_000
    assert row["sla_due_at"] == row["started_at"] + timedelta(hours=10)
    # And by a calendar, through ten years of DST: every Sunday 00:00-06:00 in Sydney.
    row = current(warehouse, "ten-years", "sydney")
    calendar = Calendar(inputs.read(warehouse.url)["sydney"], "1")
    assert row["stage_working_seconds"] == seconds(calendar.worked(row["started_at"], row["read_at"]))
    assert 3100 * HOUR < row["stage_working_seconds"] < 3150 * HOUR


def test_an_order_without_events_shows_the_crms_status(warehouse: Warehouse) -> None:
    row = current(warehouse, "no-events")
    assert (row["last_status_id"], row["last_status_name"], row["last_status_group_id"]) == ("11", "Status 11", "1")
    assert (row["started_at"], row["stage_working_seconds"], row["sla_state"]) == (None, None, None)
    assert not row["is_closed"]
    closed = current(warehouse, "no-events-closed")
    assert (closed["is_closed"], closed["closed_at"]) == (True, datetime(2025, 6, 5, tzinfo=UTC))


def test_a_deleted_order_is_no_current_order(warehouse: Warehouse) -> None:
    assert warehouse.rows("select 1 from marts.orders_current where order_id = 'deleted'") == []


def test_an_event_from_the_future_has_not_begun_to_count(warehouse: Warehouse) -> None:
    row = current(warehouse, "future")
    assert row["stage_working_seconds"] == 0
    assert row["sla_due_at"] == datetime(2040, 1, 2, 15, 0, tzinfo=UTC)  # Monday 09:00 local, and 8 hours


def test_a_date_before_all_calendars_gives_no_working_time(warehouse: Warehouse) -> None:
    first = intervals(warehouse, "kyiv", "no-such-date")[0]
    assert first["working_seconds"] is None
    assert first["elapsed_seconds"] > 0
    row = stage(warehouse, "no-such-date", "1")
    assert (row["working_seconds"], row["sla_state"]) == (None, None)


def test_an_unknown_status_has_no_stage_and_the_default_calendar(warehouse: Warehouse) -> None:
    first = intervals(warehouse, "kyiv", "unknown-status")[0]
    assert (first["status_name"], first["status_group_id"], first["working_seconds"]) == (None, None, HOUR)


def test_what_is_left_of_a_removed_project_is_left_out(warehouse: Warehouse) -> None:
    assert intervals(warehouse, "removed", "order") == []


def test_a_cancellation_counts_for_the_stage_before(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "select * from marts.rpt_cancellations "
        "where grain = 'month' and project_id = 'kyiv' and cancellations > 0 and period_start = '2025-06-01'"
    )
    assert [(row["previous_status_group_id"], row["cancellations"]) for row in rows] == [("1", 1)]
    (row,) = warehouse.rows("select * from marts.rpt_success where grain = 'month' and project_id = 'kyiv'")
    assert (row["orders"], row["cancelled"], row["on_time"], row["on_time_rate"]) == (2, 1, 1, 1)


def test_cancelled_statuses_are_marked(warehouse: Warehouse) -> None:
    rows = warehouse.rows("select distinct status_id from marts.dim_statuses where is_cancelled")
    assert rows == [{"status_id": "60"}]


def test_integration_statistics_of_the_last_30_days(warehouse: Warehouse) -> None:
    rows = {row["project_id"]: row for row in warehouse.rows("select * from marts.integration_statistics")}
    kyiv = rows["kyiv"]
    assert kyiv["total_synced"] == 110
    assert (kyiv["success_rate_30d"], kyiv["failed_syncs_30d"]) == (Decimal("0.25"), 3)
    assert (kyiv["avg_sync_seconds_30d"], kyiv["consecutive_failures"]) == (10, 2)
    assert rows["empty"]["total_synced"] == 0
    assert rows["empty"]["last_success_at"] is None


def test_an_item_shows_whether_it_makes_its_order_urgent(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "select line_number, is_urgent_item from marts.fct_order_items where order_id = 'urgent' order by 1"
    )
    assert [row["is_urgent_item"] for row in rows] == [False, True]
