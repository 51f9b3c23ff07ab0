"""What `/api/analytics` answers: rows of the marts. Durations are seconds, shares of 1, instants ISO 8601 in UTC."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item", bound=BaseModel)
Seconds = float | None
Share = float | None
"""Of 1."""
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
    is_urgent: bool = Field(description="Whether the row is of urgent orders, or of the others.")


class _Cell(_OfProject):
    grain: str = Field(description="day, week (ISO, from Monday) or month.")
    period_start: date = Field(description="First local date of the period, in the project's time zone.")


class _Durations(_Cell):
    orders: int = Field(description="Orders that the times are of.")
    visits: int = Field(description="Their visits to it.")
    total_working_seconds: Seconds = Field(description="Sum of the working time.")
    avg_working_seconds: Seconds = Field(description="Mean of the working time.")
    median_working_seconds: Seconds = Field(description="Median of the working time, interpolated.")
    p90_working_seconds: Seconds = Field(description="90th percentile of the working time, interpolated.")
    total_elapsed_seconds: Seconds = Field(description="Sum of the elapsed time.")
    avg_elapsed_seconds: Seconds = Field(description="Mean of the elapsed time.")
    median_elapsed_seconds: Seconds = Field(description="Median of the elapsed time, interpolated.")
    p90_elapsed_seconds: Seconds = Field(description="90th percentile of the elapsed time, interpolated.")
    sla_ok: int = Field(description="Orders that kept well inside the limit.")
    sla_near: int = Field(description="Orders that reached the near threshold and kept the limit.")
    sla_over: int = Field(description="Orders that went over the limit.")


class Stage(_Durations):
    """Time of orders in a stage (all their visits), in the period in which they last left it."""

    model_config = _example(**_CELL, status_group_id="3", status_group_name="Production", **_TIMES)
    status_group_id: str
    status_group_name: str | None


class Status(_Durations):
    """Time of visits to a status that ended in the period."""

    model_config = _example(**_CELL, status_id="5", status_name="Printing", **_TIMES)
    status_id: str
    status_name: str | None


class Cycle(_Durations):
    """Time of cycles that ended in the period; those under way are left out."""

    model_config = _example(
        **_CELL, cycle_rule_id="to-delivery", cycle_title="To delivery", **{**_TIMES, "visits": _TIMES["orders"]}
    )
    cycle_rule_id: str = Field(description="Id of the cycle's rule, as the settings name it.")
    cycle_title: str = Field(description="The rule's title.")


class Compliance(_Cell):
    """How many of the orders that left a stage in the period kept its limit; stages without a limit are left out."""

    model_config = _example(
        **_CELL, status_group_id="3", status_group_name="Production", orders=214, sla_ok=180, sla_near=20, sla_over=14,
        compliance_rate=0.9346, over_rate=0.0654,
    )  # fmt: skip
    status_group_id: str
    status_group_name: str | None
    orders: int = Field(description="Orders that last left the stage in the period and had a limit there.")
    sla_ok: int = Field(description="Of these, well inside the limit.")
    sla_near: int = Field(description="Of these, at or beyond the near threshold, within the limit.")
    sla_over: int = Field(description="Of these, over the limit.")
    compliance_rate: Share = Field(description="(sla_ok + sla_near) / orders; null without orders.")
    over_rate: Share = Field(description="sla_over / orders; null without orders.")


class Success(_Cell):
    """Orders that came to their end in the period, and how many of those not cancelled kept every limit."""

    model_config = _example(**_CELL, orders=120, cancelled=9, on_time=93, late=18, without_limit=0, on_time_rate=0.8378)
    orders: int = Field(description="Orders that were closed or cancelled in the period.")
    cancelled: int = Field(description="Of these, cancelled.")
    on_time: int = Field(description="Not cancelled, and no stage over its limit.")
    late: int = Field(description="Not cancelled, and at least one stage over its limit.")
    without_limit: int = Field(description="Not cancelled, and no stage had a limit.")
    on_time_rate: Share = Field(description="on_time / (on_time + late); null if there are none.")


class Cancellation(_Cell):
    """Of all moves out of a stage in the period, those to a cancelled group."""

    model_config = _example(
        **_CELL, previous_status_group_id="2", previous_status_group_name="Approval", exits=140, cancellations=7,
        cancellation_rate=0.05,
    )  # fmt: skip
    previous_status_group_id: str = Field(
        description="The stage that was left; empty: what was before the first event, or a status without a group."
    )
    previous_status_group_name: str | None = Field(description="Its name.")
    exits: int = Field(description="Moves out of the stage in the period.")
    cancellations: int = Field(description="Of these, into a cancelled group.")
    cancellation_rate: Share = Field(description="cancellations / exits; null without exits.")


class FirstPass(_Cell):
    """Orders that came to their end in the period, and how many never came back to a stage."""

    model_config = _example(
        **_CELL, orders=120, cancelled=9, first_pass=100, returned=11, returns=13, first_pass_rate=0.9009
    )
    orders: int = Field(description="Orders that were closed or cancelled in the period.")
    cancelled: int = Field(description="Of these, cancelled.")
    first_pass: int = Field(description="Not cancelled, and each stage was visited once.")
    returned: int = Field(description="Not cancelled, and at least one stage was visited again.")
    returns: int = Field(description="How often these came back to a stage, in all.")
    first_pass_rate: Share = Field(description="first_pass / (first_pass + returned); null if there are none.")


class Flow(_OfProject):
    """Orders that came into a stage on a day, went out, and were in it when the day ended."""

    model_config = _example(
        project_id="print-shop", local_date="2026-11-20", is_urgent=False, status_group_id="3",
        status_group_name="Production", entered=31, exited=28, ended=1, backlog=44,
    )  # fmt: skip
    local_date: date = Field(description="The day, in the project's time zone.")
    status_group_id: str
    status_group_name: str | None
    entered: int = Field(description="Orders that came into the stage: new, from another one, or reopened.")
    exited: int = Field(description="Orders that left it: the stage's throughput.")
    ended: int = Field(description="Of these, because the order was closed or cancelled.")
    backlog: int = Field(description="Orders in the stage when the day ended.")


class Ageing(_OfProject):
    """Open orders at the instant of the answer, by working time in their stage and by age."""

    model_config = _example(
        project_id="print-shop", is_urgent=False, status_group_id="3", status_group_name="Production",
        working_bucket=3, working_bucket_label="4-8 h", age_bucket=2, age_bucket_label="1-3 d", orders=12, sla_ok=9,
        sla_near=2, sla_over=1, max_stage_working_seconds=27000.0, oldest_begun_at="2026-11-18T07:12:00Z",
    )  # fmt: skip
    status_group_id: str
    status_group_name: str | None
    working_bucket: int = Field(description="Working time in the current stage, from 1 up; 0: not known.")
    working_bucket_label: str = Field(description="The same in words.")
    age_bucket: int = Field(description="Time since the order began, from 1 up; 0: not known.")
    age_bucket_label: str = Field(description="The same in words.")
    orders: int = Field(description="Open orders.")
    sla_ok: int = Field(description="Of these, well inside the stage's limit.")
    sla_near: int = Field(description="Of these, near it.")
    sla_over: int = Field(description="Of these, over it; the rest has no limit.")
    max_stage_working_seconds: Seconds = Field(description="The longest working time in the stage among them.")
    oldest_begun_at: datetime | None = Field(description="When the oldest of them began.")


class Bottleneck(_Cell):
    """Stages of a period, by the working time that all orders spent in them."""

    model_config = _example(
        **_CELL, bottleneck_rank=1, status_group_id="3", status_group_name="Production", orders=214, visits=231,
        total_working_seconds=1540800.0, total_elapsed_seconds=4622400.0, working_share=0.61, elapsed_share=0.54,
        median_working_seconds=5400.0, p90_working_seconds=14400.0, sla_over=14,
    )  # fmt: skip
    bottleneck_rank: int = Field(description="1: the stage with the most working time in the period.")
    status_group_id: str
    status_group_name: str | None
    orders: int = Field(description="Orders that last left the stage in the period.")
    visits: int = Field(description="Their visits to it.")
    total_working_seconds: Seconds = Field(description="Working time of these orders in the stage.")
    total_elapsed_seconds: Seconds = Field(description="Elapsed time of these orders in the stage.")
    working_share: Share = Field(description="total_working_seconds, of all stages of the period; null: none.")
    elapsed_share: Share = Field(description="The same of total_elapsed_seconds.")
    median_working_seconds: Seconds = Field(description="Median of the working time, per order.")
    p90_working_seconds: Seconds = Field(description="90th percentile of the working time, per order.")
    sla_over: int = Field(description="Orders that were over the stage's limit.")


class Transition(_OfProject):
    """How often orders went from one status straight to another, and how long they were in the first."""

    model_config = _example(
        project_id="print-shop", is_urgent=False, from_status_id="4", from_status_name="Approved",
        from_status_group_id="2", from_status_group_name="Approval", to_status_id="5", to_status_name="Printing",
        to_status_group_id="3", to_status_group_name="Production", transitions=231, orders=214,
        median_elapsed_seconds=18000.0, p90_elapsed_seconds=64800.0, median_working_seconds=5400.0,
        p90_working_seconds=14400.0,
    )  # fmt: skip
    from_status_id: str = Field(description="The status that was left; empty: what was before the first event.")
    from_status_name: str | None = Field(description="Its name.")
    from_status_group_id: str | None = Field(description="Its group, as the dictionary has it now.")
    from_status_group_name: str | None = Field(description="Name of that group.")
    to_status_id: str = Field(description="The status that was entered; the same one if it was entered again.")
    to_status_name: str | None = Field(description="Its name.")
    to_status_group_id: str | None = Field(description="Its group, as the dictionary has it now.")
    to_status_group_name: str | None = Field(description="Name of that group.")
    transitions: int = Field(description="How often orders went this way.")
    orders: int = Field(description="How many orders did, each counted once.")
    median_elapsed_seconds: Seconds = Field(description="Median of the elapsed time in the first status, per move.")
    p90_elapsed_seconds: Seconds = Field(description="90th percentile of the same.")
    median_working_seconds: Seconds = Field(description="Median of the working time in the first status, per move.")
    p90_working_seconds: Seconds = Field(description="90th percentile of the same.")


class Variant(_OfProject):
    """A path that orders took through the statuses."""

    model_config = _example(
        project_id="print-shop", is_urgent=False, is_ended=True, variant_id="0cc175b9c0f1b6a831c399e269772661",
        status_path="New > Approved > Printing > Sent > Done", status_ids=["1", "4", "5", "8", "12"], orders=214,
        orders_share=0.31, median_elapsed_seconds=345600.0, p90_elapsed_seconds=604800.0,
        median_working_seconds=86400.0, p90_working_seconds=151200.0, cycles=210, median_cycle_seconds=259200.0,
    )  # fmt: skip
    is_ended: bool = Field(description="The orders are closed or cancelled; the path of others is only a beginning.")
    variant_id: str = Field(description="Key of the path: the same path has the same key in every project.")
    status_path: str = Field(description="The path to read: names of the statuses, joined with ` > `.")
    status_ids: list[str] = Field(description="The path to compute with: ids of the statuses, in order.")
    orders: int = Field(description="Orders that took the path.")
    orders_share: float = Field(description="Of all orders of the project with the same is_urgent and is_ended.")
    median_elapsed_seconds: Seconds = Field(description="Median of the time from the first event to the last.")
    p90_elapsed_seconds: Seconds = Field(description="90th percentile of the same.")
    median_working_seconds: Seconds = Field(description="Median of the working time from the first event to the last.")
    p90_working_seconds: Seconds = Field(description="90th percentile of the same.")
    cycles: int = Field(description="Of the orders, those that have finished the project's default cycle.")
    median_cycle_seconds: Seconds = Field(description="Median of that cycle's elapsed time; null: none finished it.")


class Answer(BaseModel, Generic[Item]):
    """A page of rows."""

    items: list[Item]
    next: str | None = Field(
        description="Send it as `after` to get the rows after these; null: there are none.",
        examples=["WyIyMDI2LTExLTE2IiwicHJpbnQtc2hvcCIsIjMiLGZhbHNlXQ"],
    )

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """As the OpenAPI document shows it: StageRows."""
        return f"{params[0].__name__}Rows"
