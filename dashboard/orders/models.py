"""What the JSON routes of orders answer and take."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from database.repositories.orders import State

Seconds = Annotated[float, Field(description="Seconds.")]
Money = Annotated[Decimal, PlainSerializer(lambda amount: format(amount, "f"), return_type=str)]
REASON_LONGEST = 500

_ORDER: dict[str, Any] = {
    "project_id": "print-shop", "order_id": "10482", "order_created_at": "2026-11-20T08:12:04Z",
    "started_at": "2026-11-20T08:12:05Z", "last_status_id": "3", "last_status_name": "In production",
    "last_status_group_id": "3", "last_status_group_name": "Production", "last_changed_at": "2026-11-20T12:40:00Z",
    "is_closed": False, "closed_at": None, "is_urgent": True, "stage_working_seconds": 12040.5,
    "sla_limit_seconds": 28800, "sla_state": "ok", "sla_near_at": "2026-11-21T08:10:00Z",
    "sla_due_at": "2026-11-21T09:50:00Z", "delivery_entered_at": None, "cycle_rule_id_applied": "to-delivery",
    "cycle_duration_to_delivery_seconds": None,
}  # fmt: skip


class OrderOut(BaseModel):
    """Where an order is now (marts.orders_current)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ORDER]})

    project_id: str
    order_id: str
    order_created_at: datetime | None
    started_at: datetime | None = Field(description="The first status event.")
    last_status_id: str | None
    last_status_name: str | None
    last_status_group_id: str | None
    last_status_group_name: str | None
    last_changed_at: datetime | None
    is_closed: bool
    closed_at: datetime | None
    is_urgent: bool
    stage_working_seconds: Seconds | None = Field(description="Working time in the current stage, over all its visits.")
    sla_limit_seconds: int | None
    sla_state: State | None = Field(description="Null without a limit, and for closed orders.")
    sla_near_at: datetime | None
    sla_due_at: datetime | None = Field(description="When the current stage's working time reaches the limit.")
    delivery_entered_at: datetime | None
    cycle_rule_id_applied: str | None
    cycle_duration_to_delivery_seconds: Seconds | None


class CountsOut(BaseModel):
    """Of the whole filter. The states are those of open orders with a limit."""

    orders: int
    ok: int
    near: int
    over: int
    hidden: int = Field(description="More orders that the projects' settings leave out; `hidden=yes` shows them.")


class OrdersOut(BaseModel):
    items: list[OrderOut]
    next: str | None = Field(description="`cursor` of the next page; null if this is the last.")
    previous: str | None
    counts: CountsOut | None = Field(default=None, description="With the first page, or if `counts=true` asks.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [_ORDER],
                    "next": "WyJjaGFuZ2VkIix0cnVlXQ",
                    "previous": None,
                    "counts": {"orders": 1482, "ok": 210, "near": 12, "over": 31, "hidden": 96},
                }
            ]
        }
    )


class SpanOut(BaseModel):
    start: datetime
    end: datetime


class IntervalOut(BaseModel):
    """From one status event to the next; of an open order the last one runs to `read_at`."""

    number: int
    status_id: str
    status_name: str | None
    status_group_id: str | None
    status_group_name: str | None
    entered_at: datetime
    left_at: datetime | None
    is_open: bool
    is_closing: bool
    elapsed_seconds: Seconds
    working_seconds: Seconds | None = Field(description="Null if the calendar does not reach so far.")
    idle_seconds: Seconds | None
    worked: list[SpanOut] | None = Field(description="The parts that count as working time.")
    source: str = Field(description="What told of the event: webhook, pull, reread or history.")
    is_approximate: bool = Field(description="The CRM told no time of the change.")


class StageOut(BaseModel):
    """All visits of the order to one group."""

    status_group_id: str
    status_group_name: str | None
    visits: int
    is_current: bool
    elapsed_seconds: Seconds
    working_seconds: Seconds | None
    sla_limit_seconds: int | None
    sla_state: State | None
    used_up_at: datetime | None = Field(description="When the working time has reached the limit, if it has.")


class ItemOut(BaseModel):
    line_number: int
    sku: str | None
    item_name: str | None
    quantity: Money
    unit_type: str | None
    price: Money | None
    price_sold: Money | None
    total_discount: Money | None
    currency: str | None
    is_urgent_item: bool = Field(description="An urgent rule matches this line.")


class PaymentOut(BaseModel):
    payment_id: str
    amount: Money
    currency: str | None
    status: str
    paid_at: datetime | None


class MarketingOut(BaseModel):
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_term: str | None
    utm_content: str | None
    fbclid: str | None
    gclid: str | None
    marketing_source: str


class OverrideOut(BaseModel):
    """What an admin has set for this order; null: the rules decide."""

    project_id: str
    order_id: str
    is_urgent: bool | None
    reason: str | None
    updated_by: str | None
    updated_at: datetime | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "project_id": "print-shop",
                    "order_id": "10482",
                    "is_urgent": True,
                    "reason": "The customer leaves on Friday",
                    "updated_by": "admin",
                    "updated_at": "2026-11-21T09:00:00Z",
                }
            ]
        }
    )


class TimelineOut(BaseModel):
    project_id: str
    order_id: str
    read_at: datetime = Field(description="The instant of all that runs.")
    time_zone: str
    order: OrderOut
    intervals: list[IntervalOut]
    stages: list[StageOut]
    is_medical: bool = Field(description="Health data: items, payments and marketing are not given.")
    items: list[ItemOut]
    payments: list[PaymentOut]
    marketing: MarketingOut | None
    override: OverrideOut


class OverrideIn(BaseModel):
    """Urgent or not, whatever the rules say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"project_id": "print-shop", "is_urgent": True, "reason": "The customer leaves on Friday"}]
        },
    )

    project_id: str | None = Field(default=None, description="Here or as `?project=`.")
    is_urgent: bool
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LONGEST)]


class StatusOut(BaseModel):
    project_id: str
    status_id: str
    status_name: str | None
    status_alias: str | None
    status_group_id: str | None
    status_group_name: str | None
    is_closing: bool
    is_cancelled: bool
    is_active: bool


class GroupOut(BaseModel):
    project_id: str
    status_group_id: str
    status_group_name: str | None
    is_cancelled: bool


class StatusesOut(BaseModel):
    items: list[StatusOut]
    groups: list[GroupOut]
    next: Literal[None] = Field(default=None, description="The dictionary is one page.")
