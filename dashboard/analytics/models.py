"""What `/api/analytics` answers: rows of the marts. Durations are seconds, shares of 1, instants ISO 8601 in UTC."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item", bound=BaseModel)
Seconds = float | None
Share = Annotated[float | None, Field(description="Of 1; null if there is nothing to share.")]
_TIMES = {
    "orders": 214, "visits": 231, "total_working_seconds": 1540800.0, "avg_working_seconds": 7200.0,
    "median_working_seconds": 5400.0, "p90_working_seconds": 14400.0, "total_elapsed_seconds": 4622400.0,
    "avg_elapsed_seconds": 21600.0, "median_elapsed_seconds": 18000.0, "p90_elapsed_seconds": 64800.0,
    "sla_ok": 180, "sla_near": 20, "sla_over": 14,
}  # fmt: skip
_CELL = {"project_id": "print-shop", "grain": "week", "period_start": "2026-11-16", "is_urgent": False}


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


class _OfProject(BaseModel):
    project_id: str
    is_urgent: bool


class _Cell(_OfProject):
    grain: str = Field(description="day, week (ISO, from Monday) or month.")
    period_start: date = Field(description="First local date of the period, in the project's time zone.")


class _Durations(_Cell):
    orders: int
    visits: int
    total_working_seconds: Seconds
    avg_working_seconds: Seconds
    median_working_seconds: Seconds
    p90_working_seconds: Seconds
    total_elapsed_seconds: Seconds
    avg_elapsed_seconds: Seconds
    median_elapsed_seconds: Seconds
    p90_elapsed_seconds: Seconds
    sla_ok: int
    sla_near: int
    sla_over: int


class Stage(_Durations):
    """Time of orders in a stage that they left in the period."""

    model_config = _example(**_CELL, status_group_id="3", status_group_name="Production", **_TIMES)
    status_group_id: str
    status_group_name: str | None


class Status(_Durations):
    """Time of visits to a status that ended in the period."""

    model_config = _example(**_CELL, status_id="5", status_name="Printing", **_TIMES)
    status_id: str
    status_name: str | None


class Cycle(_Durations):
    """Time of cycles that ended in the period."""

    model_config = _example(**_CELL, cycle_rule_id="to-delivery", cycle_title="To delivery", **_TIMES)
    cycle_rule_id: str
    cycle_title: str


class Compliance(_Cell):
    """How many of the orders that left a stage in the period kept its limit."""

    model_config = _example(
        **_CELL, status_group_id="3", status_group_name="Production", orders=214, sla_ok=180, sla_near=20, sla_over=14,
        compliance_rate=0.9346, over_rate=0.0654,
    )  # fmt: skip
    status_group_id: str
    status_group_name: str | None
    orders: int
    sla_ok: int
    sla_near: int
    sla_over: int
    compliance_rate: Share
    over_rate: Share


class Success(_Cell):
    """Orders that came to their end in the period, and how many of those not cancelled kept every limit."""

    model_config = _example(**_CELL, orders=120, cancelled=9, on_time=93, late=18, without_limit=0, on_time_rate=0.8378)
    orders: int
    cancelled: int
    on_time: int
    late: int
    without_limit: int
    on_time_rate: Share


class Cancellation(_Cell):
    """Of all moves out of a stage in the period, those to a cancelled group."""

    model_config = _example(
        **_CELL, previous_status_group_id="2", previous_status_group_name="Approval", exits=140, cancellations=7,
        cancellation_rate=0.05,
    )  # fmt: skip
    previous_status_group_id: str
    previous_status_group_name: str | None
    exits: int
    cancellations: int
    cancellation_rate: Share


class FirstPass(_Cell):
    """Orders that came to their end in the period, and how many never came back to a stage."""

    model_config = _example(
        **_CELL, orders=120, cancelled=9, first_pass=100, returned=11, returns=13, first_pass_rate=0.9009
    )
    orders: int
    cancelled: int
    first_pass: int
    returned: int
    returns: int
    first_pass_rate: Share


class Flow(_OfProject):
    """Orders that came into a stage on a day, went out, and were in it when the day ended."""

    model_config = _example(
        project_id="print-shop", local_date="2026-11-20", is_urgent=False, status_group_id="3",
        status_group_name="Production", entered=31, exited=28, ended=1, backlog=44,
    )  # fmt: skip
    local_date: date
    status_group_id: str
    status_group_name: str | None
    entered: int
    exited: int
    ended: int
    backlog: int


class Ageing(_OfProject):
    """Open orders now, by working time in their stage and by age."""

    model_config = _example(
        project_id="print-shop", is_urgent=False, status_group_id="3", status_group_name="Production",
        working_bucket=3, working_bucket_label="4-8 h", age_bucket=2, age_bucket_label="1-3 d", orders=12, sla_ok=9,
        sla_near=2, sla_over=1, max_stage_working_seconds=27000.0, oldest_begun_at="2026-11-18T07:12:00Z",
    )  # fmt: skip
    status_group_id: str
    status_group_name: str | None
    working_bucket: int
    working_bucket_label: str
    age_bucket: int
    age_bucket_label: str
    orders: int
    sla_ok: int
    sla_near: int
    sla_over: int
    max_stage_working_seconds: Seconds
    oldest_begun_at: datetime | None


class Bottleneck(_Cell):
    """Stages of a period, by the working time that all orders spent in them."""

    model_config = _example(
        **_CELL, bottleneck_rank=1, status_group_id="3", status_group_name="Production", orders=214, visits=231,
        total_working_seconds=1540800.0, total_elapsed_seconds=4622400.0, working_share=0.61, elapsed_share=0.54,
        median_working_seconds=5400.0, p90_working_seconds=14400.0, sla_over=14,
    )  # fmt: skip
    bottleneck_rank: int
    status_group_id: str
    status_group_name: str | None
    orders: int
    visits: int
    total_working_seconds: Seconds
    total_elapsed_seconds: Seconds
    working_share: Share
    elapsed_share: Share
    median_working_seconds: Seconds
    p90_working_seconds: Seconds
    sla_over: int


class Transition(_OfProject):
    """How often orders went from one status straight to another, and how long they were in the first."""

    model_config = _example(
        project_id="print-shop", is_urgent=False, from_status_id="4", from_status_name="Approved",
        from_status_group_id="2", from_status_group_name="Approval", to_status_id="5", to_status_name="Printing",
        to_status_group_id="3", to_status_group_name="Production", transitions=231, orders=214,
        median_elapsed_seconds=18000.0, p90_elapsed_seconds=64800.0, median_working_seconds=5400.0,
        p90_working_seconds=14400.0,
    )  # fmt: skip
    from_status_id: str = Field(description="Empty: what was before the first event.")
    from_status_name: str | None
    from_status_group_id: str | None
    from_status_group_name: str | None
    to_status_id: str
    to_status_name: str | None
    to_status_group_id: str | None
    to_status_group_name: str | None
    transitions: int
    orders: int
    median_elapsed_seconds: Seconds
    p90_elapsed_seconds: Seconds
    median_working_seconds: Seconds
    p90_working_seconds: Seconds


class Variant(_OfProject):
    """A path that orders took through the statuses."""

    model_config = _example(
        project_id="print-shop", is_urgent=False, is_ended=True, variant_id="0cc175b9c0f1b6a831c399e269772661",
        status_path="New > Approved > Printing > Sent > Done", status_ids=["1", "4", "5", "8", "12"], orders=214,
        orders_share=0.31, median_elapsed_seconds=345600.0, p90_elapsed_seconds=604800.0,
        median_working_seconds=86400.0, p90_working_seconds=151200.0, cycles=210, median_cycle_seconds=259200.0,
    )  # fmt: skip
    is_ended: bool
    variant_id: str
    status_path: str
    status_ids: list[str]
    orders: int
    orders_share: float
    median_elapsed_seconds: Seconds
    p90_elapsed_seconds: Seconds
    median_working_seconds: Seconds
    p90_working_seconds: Seconds
    cycles: int
    median_cycle_seconds: Seconds


class Answer(BaseModel, Generic[Item]):
    """A page of rows."""

    items: list[Item]
    next: str | None = Field(description="Send it as `cursor` to get the rows after these; null: there are none.")
