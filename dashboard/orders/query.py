"""The filters of orders as they stand in addresses: the same names on the page, in the API and in the export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from database.repositories.orders import MAX_LIMIT, Filter, Sort, SortBy, State

_LONGEST = 200
_FIRST_YEAR, _LAST_YEAR = 1970, 2200

Text = Annotated[str | None, Field(max_length=_LONGEST)]
YesNo = Literal["yes", "no"]
SAME = {"true": "yes", "false": "no"}
"""As programs write it."""


class OrderFilter(BaseModel):
    """Which orders. All parts must hold; one that is empty or not given does not matter."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    project: list[str] = Field(
        default=[], description="Only these projects; without any, all that you may see.", max_length=200
    )
    number: Text = Field(default=None, description="Order numbers that begin with this.", examples=["10482"])
    status: Text = Field(default=None, description="Id of the last status, as the CRM has it.", examples=["3"])
    group: Text = Field(default=None, description="Id of the last status's group.", examples=["2"])
    state: list[State] = Field(
        default=[],
        description="SLA state of the current stage, one of these. Closed orders and those without a limit have none.",
    )
    urgent: YesNo | None = Field(default=None, description="Only urgent orders, or only the others (`true`, `false`).")
    closed: YesNo | None = Field(default=None, description="Only closed orders, or only open ones (`true`, `false`).")
    hidden: YesNo | None = Field(
        default=None,
        description="`yes`: also orders that the projects' settings leave out. Those come anyway where a status, a"
        " group or a number is asked for, and closed ones of any age where closed orders are.",
    )
    by: Literal["created", "changed"] = Field(
        default="created", description="What `from` and `to` are about: creation, or the last change of status."
    )
    since: Text = Field(
        default=None, alias="from", examples=["2026-11-01", "2026-11-01T06:00:00Z"],
        description="From this day on (of the project's zone if one project is asked for, else UTC), or this instant.",
    )  # fmt: skip
    until: Text = Field(
        default=None, alias="to", examples=["2026-11-30", "2026-12-01T06:00:00Z"],
        description="To the end of this day, or before this instant.",
    )  # fmt: skip
    sort: SortBy = Field(
        default="changed", description="By last change, creation, or the instant at which the SLA's limit is reached."
    )
    order: Literal["asc", "desc"] | None = Field(
        default=None, description="Direction; without it the newest first, and of due times the earliest."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any, info: Any) -> Any:
        """A form sends its empty fields too."""
        if isinstance(value, list):
            value = [part for part in value if part != ""]
            texts = value
        else:
            value = value.strip() if isinstance(value, str) else value
            if value == "":
                return cls.model_fields[info.field_name].get_default(call_default_factory=True)
            texts = [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise ValueError("it holds a NUL character")
        return value

    @field_validator("urgent", "closed", "hidden", mode="before")
    @classmethod
    def _is_yes_or_no(cls, value: Any) -> Any:
        return SAME.get(value, value) if isinstance(value, str) else value

    @field_validator("since", "until")
    @classmethod
    def _is_moment(cls, value: str | None) -> str | None:
        if value is not None:
            _moment(value)
        return value

    def filter(self, projects: Sequence[str] | None, zone: tzinfo) -> Filter:
        """For the database, without what the settings hide; days are those of the zone."""
        since = None if self.since is None else _start(_moment(self.since), zone, 0)
        until = None if self.until is None else _start(_moment(self.until), zone, 1)
        wanted = Filter(
            projects=projects, group=self.group, status=self.status, states=frozenset(self.state) or None,
            is_urgent=_flag(self.urgent), is_closed=_flag(self.closed), order_prefix=self.number,
        )  # fmt: skip
        if self.by == "created":
            return replace(wanted, created_from=since, created_to=until)
        return replace(wanted, changed_from=since, changed_to=until)

    def sorting(self) -> Sort:
        descending = self.sort != "due" if self.order is None else self.order == "desc"
        return Sort(self.sort, descending)

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out, projects apart."""
        return bool(
            self.number or self.status or self.group or self.state or self.urgent or self.closed
            or self.since or self.until
        )  # fmt: skip

    def parameters(self, projects: Sequence[str], zone: tzinfo) -> list[tuple[str, str]]:
        """The same filter for an address that knows no zone: days have become instants."""
        wanted = self.filter(None, zone)
        since = wanted.created_from or wanted.changed_from
        until = wanted.created_to or wanted.changed_to
        pairs: list[tuple[str, str | None]] = [("project", name) for name in projects]
        pairs += [("number", self.number), ("status", self.status), ("group", self.group)]
        pairs += [("state", state) for state in self.state]
        pairs += [("urgent", self.urgent), ("closed", self.closed), ("hidden", self.hidden)]
        if since or until:
            pairs += [("by", self.by), ("from", _written(since)), ("to", _written(until))]
        return [(name, value) for name, value in pairs if value]


class PageQuery(OrderFilter):
    """A page of the orders in a filter, after a place or before one."""

    after: Annotated[str | None, Field(max_length=2000)] = Field(
        default=None, description="`next` of a page with the same filter and sorting."
    )
    before: Annotated[str | None, Field(max_length=2000)] = Field(
        default=None, description="`previous` of a page with the same filter and sorting; not together with `after`."
    )

    @property
    def cursor(self) -> str | None:
        return self.after or self.before


class OrderQuery(PageQuery):
    """The same for programs."""

    limit: int = Field(default=50, ge=1, le=MAX_LIMIT)
    counts: bool | None = Field(
        default=None, description="Count the orders of the filter too; by default with the first page only."
    )

    @model_validator(mode="after")
    def _is_one_place(self) -> OrderQuery:
        if self.after and self.before:
            raise ValueError("send after or before, not both")
        return self


def days(wanted: Filter, zone: tzinfo) -> tuple[date | None, date | None]:
    """First and last local day of a filter's period; None where it is open."""
    since = wanted.created_from or wanted.changed_from
    until = wanted.created_to or wanted.changed_to
    last = None if until is None else (until - timedelta(microseconds=1)).astimezone(zone).date()
    return None if since is None else since.astimezone(zone).date(), last


def _flag(word: YesNo | None) -> bool | None:
    return None if word is None else word == "yes"


def _moment(text: str) -> date | datetime:
    """Raises ValueError."""
    try:
        moment = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a day like 2026-11-30 or an instant like 2026-11-30T06:00:00Z") from None
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise ValueError("an instant names its offset from UTC, as 2026-11-30T06:00:00Z")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


def _start(moment: date | datetime, zone: tzinfo, days_later: int) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.combine(moment + timedelta(days=days_later), time(), tzinfo=zone).astimezone(UTC)


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
