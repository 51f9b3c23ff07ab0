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

ORDER_EXAMPLE: dict[str, Any] = {
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

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_EXAMPLE]})

    project_id: str
    order_id: str
    order_created_at: datetime | None = Field(description="When the order was made in the CRM, as the CRM says.")
    started_at: datetime | None = Field(description="The first status event.")
    last_status_id: str | None = Field(description="The status that the last event put the order in.")
    last_status_name: str | None = Field(description="Its name.")
    last_status_group_id: str | None = Field(description="Its group: the current stage.")
    last_status_group_name: str | None = Field(description="Name of the group.")
    last_changed_at: datetime | None = Field(description="Time of the last status event.")
    is_closed: bool = Field(description="The order is in a closing status.")
    closed_at: datetime | None = Field(description="When it entered that status; null again if it is reopened.")
    is_urgent: bool
    stage_working_seconds: Seconds | None
    sla_limit_seconds: int | None
    sla_state: State | None = Field(description="Of the current stage. Null without a limit, and for closed orders.")
    sla_near_at: datetime | None = Field(description="From when on the stage is near its limit; may be in the past.")
    sla_due_at: datetime | None = Field(
        description="When the current stage's working time reaches the limit; may be in the past. Null without a limit "
        "and for closed orders."
    )
    delivery_entered_at: datetime | None = Field(description="First event in the end of the project's default cycle.")
    cycle_rule_id_applied: str | None = Field(description="That cycle's rule, if the order has begun it.")
    cycle_duration_to_delivery_seconds: Seconds | None = Field(description="Elapsed time of it; null while under way.")


class CountsOut(BaseModel):
    """Of the whole filter. The states are those of open orders with a limit."""

    orders: int = Field(description="All orders of the filter.", examples=[1482])
    ok: int = Field(description="Of these, those well inside their stage's limit.", examples=[210])
    near: int = Field(description="Those near it.", examples=[12])
    over: int = Field(description="Those over it.", examples=[31])
    hidden: int = Field(
        description="More orders that the projects' settings leave out; `hidden=yes` shows them.", examples=[96]
    )


class OrdersOut(BaseModel):
    items: list[OrderOut]
    next: str | None = Field(
        description="Send it as `after` for the next page; null if this is the last.",
        examples=["WyJjaGFuZ2VkIix0cnVlXQ"],
    )
    previous: str | None = Field(
        description="Send it as `before` for the page before; null if this is the first.", examples=[None]
    )
    counts: CountsOut | None = Field(default=None, description="With the first page, or if `counts=true` asks.")


class SpanOut(BaseModel):
    start: datetime = Field(description="Its first instant.", examples=["2026-11-20T07:00:00Z"])
    end: datetime = Field(description="The instant after its last.", examples=["2026-11-20T16:00:00Z"])


class IntervalOut(BaseModel):
    """From one status event to the next; of an open order the last one runs to `read_at`."""

    number: int = Field(description="From 1 on, the oldest first.", examples=[2])
    status_id: str = Field(examples=["5"])
    status_name: str | None = Field(examples=["Printing"])
    status_group_id: str | None = Field(examples=["3"])
    status_group_name: str | None = Field(examples=["Production"])
    entered_at: datetime = Field(description="When the order entered the status.")
    left_at: datetime | None = Field(description="When it left it; null: it is in it.")
    is_open: bool = Field(description="The order is in it now.")
    is_closing: bool
    elapsed_seconds: Seconds = Field(description="From `entered_at` to `left_at` or now.", examples=[93600.0])
    working_seconds: Seconds | None = Field(
        description="Of these, working time; null if the calendar does not reach so far.", examples=[32400.0]
    )
    idle_seconds: Seconds | None = Field(description="The rest; null as `working_seconds`.", examples=[61200.0])
    worked: list[SpanOut] | None = Field(description="The parts that count as working time.")
    source: str = Field(description="What told of the event: webhook, pull, reread or history.", examples=["webhook"])
    is_approximate: bool = Field(description="The CRM told no time of the change.")


class StageOut(BaseModel):
    """All visits of the order to one group."""

    status_group_id: str = Field(examples=["3"])
    status_group_name: str | None = Field(examples=["Production"])
    visits: int = Field(description="How often the order came into it.", examples=[1])
    is_current: bool = Field(description="The order is in it now.")
    elapsed_seconds: Seconds = Field(description="Time in the stage, over all visits.", examples=[93600.0])
    working_seconds: Seconds | None = Field(
        description="Of it, working time; null if the calendar does not reach so far.", examples=[32400.0]
    )
    sla_limit_seconds: int | None = Field(examples=[28800])
    sla_state: State | None
    used_up_at: datetime | None = Field(description="When the working time has reached the limit, if it has.")


class ItemOut(BaseModel):
    """A line of the order, as the CRM has it."""

    line_number: int = Field(description="From 1 on.", examples=[1])
    sku: str | None = Field(description="The article's code.", examples=["CARD-A6-300"])
    item_name: str | None = Field(description="The article's name.", examples=["Greeting cards A6, 300 g"])
    quantity: Money = Field(description="How many were sold, as text.", examples=["100.000"])
    unit_type: str | None = Field(description="Unit of the quantity; null: pieces.", examples=["pcs"])
    price: Money | None = Field(description="List price of one.", examples=["8.40"])
    price_sold: Money | None = Field(description="Price of one after discount.", examples=["8.00"])
    total_discount: Money | None = Field(description="Discount on the whole line.", examples=["40.00"])
    currency: str | None = Field(examples=["UAH"])
    is_urgent_item: bool = Field(description="An urgent rule matches this line.")


class PaymentOut(BaseModel):
    payment_id: str = Field(description="Id of the payment, as the CRM has it.", examples=["7719"])
    amount: Money = Field(description="How much.", examples=["800.00"])
    currency: str | None = Field(examples=["UAH"])
    status: str = Field(description="As the CRM words it.", examples=["paid"])
    paid_at: datetime | None = Field(description="When it was paid; null: it is not, or the CRM does not say.")


class MarketingOut(BaseModel):
    """Where the order came from, as the CRM has it."""

    utm_source: str | None = Field(description="Parameter of the address that brought the buyer.", examples=["google"])
    utm_medium: str | None = Field(description="The same.", examples=["cpc"])
    utm_campaign: str | None = Field(description="The same.", examples=["new-year-cards"])
    utm_term: str | None = Field(description="The same.", examples=["cards print"])
    utm_content: str | None = Field(description="The same.", examples=["banner-2"])
    fbclid: str | None = Field(description="Click id of Facebook.", examples=[None])
    gclid: str | None = Field(description="Click id of Google.", examples=["EAIaIQobChMI"])
    marketing_source: str = Field(
        description="api: as the CRM has it; comment: read from the manager's comment.", examples=["api"]
    )


class OverrideOut(BaseModel):
    """What an admin has set for this order; all null: the rules decide."""

    project_id: str
    order_id: str
    is_urgent: bool | None = Field(description="Urgent or not, whatever the rules say; null: the rules decide.")
    reason: str | None = Field(description="Why.")
    updated_by: str | None = Field(description="Who has set it: `user:LOGIN` or `token:NAME`.")
    updated_at: datetime | None = Field(description="When.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "project_id": "print-shop",
                    "order_id": "10482",
                    "is_urgent": True,
                    "reason": "The customer leaves on Friday",
                    "updated_by": "user:admin",
                    "updated_at": "2026-11-21T09:00:00Z",
                }
            ]
        }
    )


class TimelineOut(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    order_id: str = Field(examples=["10482"])
    read_at: datetime = Field(description="The instant of all that runs.")
    time_zone: str = Field(examples=["Europe/Kyiv"])
    order: OrderOut = Field(description="Where the order is now.")
    intervals: list[IntervalOut] = Field(description="What it has gone through, the oldest first.")
    stages: list[StageOut] = Field(description="The same by stage, in order of first entry.")
    is_medical: bool = Field(description="Health data: items, payments and marketing are not given.")
    items: list[ItemOut] = Field(description="What was ordered.")
    payments: list[PaymentOut] = Field(description="What was paid.")
    marketing: MarketingOut | None = Field(description="Where the order came from; null: nobody knows.")
    override: OverrideOut = Field(description="What an admin has set.")


class OverrideIn(BaseModel):
    """Urgent or not, whatever the rules say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"project_id": "print-shop", "is_urgent": True, "reason": "The customer leaves on Friday"}]
        },
    )

    project_id: str | None = Field(default=None, description="Here or as `?project=`.")
    is_urgent: bool = Field(description="What the order is to be.")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LONGEST)] = Field(
        description="Why; it is shown with the order and in the audit log."
    )


class StatusOut(BaseModel):
    """A status as the settings have it, else as the CRM reports it."""

    project_id: str = Field(examples=["print-shop"])
    status_id: str = Field(examples=["5"])
    status_name: str | None = Field(examples=["Printing"])
    status_alias: str | None = Field(description="The CRM's code of the status.", examples=["printing"])
    status_group_id: str | None = Field(examples=["3"])
    status_group_name: str | None = Field(examples=["Production"])
    is_closing: bool
    is_cancelled: bool
    is_active: bool = Field(description="In use, as the CRM reports.")


class GroupOut(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    status_group_id: str = Field(examples=["3"])
    status_group_name: str | None = Field(examples=["Production"])
    is_cancelled: bool


class StatusesOut(BaseModel):
    items: list[StatusOut] = Field(description="Statuses by project.")
    groups: list[GroupOut] = Field(description="Their groups by project.")
    next: Literal[None] = Field(default=None, description="The dictionary is one page.")
