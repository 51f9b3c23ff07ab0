"""Rows as the JSON routes give them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from dashboard.orders import models
from dashboard.orders.reading import Timeline
from dashboard.orders.timeline import Interval, Stage
from database.repositories.order_overrides import OverrideRow
from database.repositories.orders import Order


def order(row: Order) -> models.OrderOut:
    values = asdict(row)
    values["cycle_duration_to_delivery_seconds"] = values.pop("cycle_duration_to_delivery")
    del values["sla_over_at"]
    return models.OrderOut(**values)


def timeline(found: Timeline) -> models.TimelineOut:
    project_id, order_id = found.project.project_id, found.order.order_id
    return models.TimelineOut(
        project_id=project_id,
        order_id=order_id,
        read_at=found.read_at,
        time_zone=found.project.timezone,
        order=order(found.order),
        intervals=[_interval(row) for row in found.intervals],
        stages=[_stage(row) for row in found.stages],
        is_medical=found.is_medical,
        items=[models.ItemOut(**asdict(row)) for row in found.items],
        payments=[models.PaymentOut(**asdict(row)) for row in found.payments],
        marketing=None if found.marketing is None else models.MarketingOut(**asdict(found.marketing)),
        override=override(project_id, order_id, found.override),
    )


def override(project_id: str, order_id: str, row: OverrideRow | None) -> models.OverrideOut:
    if row is None or row.is_urgent is None:
        return models.OverrideOut(
            project_id=project_id, order_id=order_id, is_urgent=None, reason=None, updated_by=None, updated_at=None
        )
    return models.OverrideOut(
        project_id=project_id, order_id=order_id, is_urgent=row.is_urgent, reason=row.reason,
        updated_by=row.updated_by, updated_at=row.updated_at,
    )  # fmt: skip


def _interval(row: Interval) -> models.IntervalOut:
    event = row.event
    return models.IntervalOut(
        number=row.number,
        status_id=event.status_id,
        status_name=event.status_name,
        status_group_id=event.status_group_id,
        status_group_name=event.status_group_name,
        entered_at=row.entered_at,
        left_at=row.left_at,
        is_open=row.is_open,
        is_closing=event.is_closing,
        elapsed_seconds=row.elapsed.total_seconds(),
        working_seconds=_seconds(row.working),
        idle_seconds=_seconds(row.idle),
        worked=None if row.worked is None else [models.SpanOut(start=part.start, end=part.end) for part in row.worked],
        source=event.source,
        is_approximate=event.is_approximate,
    )


def _stage(row: Stage) -> models.StageOut:
    return models.StageOut(
        status_group_id=row.group_id,
        status_group_name=row.group_name,
        visits=row.visits,
        is_current=row.is_current,
        elapsed_seconds=row.elapsed.total_seconds(),
        working_seconds=_seconds(row.working),
        sla_limit_seconds=row.limit_seconds,
        sla_state=row.state,
        used_up_at=row.used_up_at,
    )


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
