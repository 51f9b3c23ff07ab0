"""The settings file that `crm-elt apply` takes, as pydantic models. Unknown keys are errors everywhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sync.settings.fields import (
    BaseUrl,
    Currency,
    Day,
    Duration,
    Flag,
    GroupId,
    Header,
    Identifier,
    Network,
    PositiveSeconds,
    ProjectId,
    Ranges,
    Region,
    Secret,
    Share,
    Since,
    Text,
    Timezone,
    Week,
    choice,
    whole,
)
from sync.settings.problems import refusal

VMS_STATUSES = ("PENDING", "CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED", "REFUNDED")
POLICIES = ("newest", "vms", "crm", "manual")
SCHEMES_WITH_SECRET = ("token", "hmac", "bearer", "standard")
LEAST_SECRET = 24
NORMAL, URGENT = "normal", "urgent"
"""Names of the two SLA grids that every project has."""

Policy = Annotated[str, choice(*POLICIES)]
VmsStatus = Annotated[str, choice(*VMS_STATUSES)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Webhook(Section):
    """How webhooks are verified. Nothing given is `token` without a secret, which refuses every webhook."""

    auth: Annotated[str, choice(*SCHEMES_WITH_SECRET, "none")] = "token"
    secret: Secret | None = Field(default=None, repr=False)
    """None: the stored one stays."""
    header: Header | None = None
    encoding: Annotated[str, choice("hex", "base64")] = "hex"
    prefix: str = ""
    ip_allow: tuple[Network, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.auth == "none" and self.secret is not None:
            raise refusal("a secret is given, but auth none does not use it: choose token, hmac, bearer or standard")
        if self.auth in ("standard", "none") and self.header is not None:
            raise refusal(f"auth {self.auth} takes no header")
        if self.auth != "hmac" and (self.encoding != "hex" or self.prefix):
            raise refusal(f"auth {self.auth} takes no encoding and no prefix: they are for hmac")
        return self


class Sync(Section):
    """What is pulled and how."""

    orders: Flag = True
    customers: Flag = True
    products: Flag = True
    interval_minutes: Annotated[int, whole(1, 1440)] = 5
    since: Since | None = None
    """Nothing older is pulled."""
    real_time: Flag = True
    batch_size: Annotated[int, whole(1, 1000)] = 50
    retry_attempts: Annotated[int, whole(0, 20)] = 3
    max_concurrent_requests: Annotated[int, whole(1, 100)] = 10


class Vms(Section):
    """Two-way sync with the warehouse system, switched on part by part. Given at all, it is on both ways."""

    outbound_orders: Flag = True
    """Orders, their payments and shipments go to the CRM."""
    outbound_customers: Flag = True
    stock: Flag = True
    """Articles, their stock and prices go to the CRM."""
    inbound: Flag = True
    """What changes at the CRM comes into vms."""
    dry_run: Flag = False
    """Nothing is sent; what would be is logged."""
    earlier_orders: Flag = False
    """Once a customer is linked to the CRM, the orders made before are sent too."""
    clock_skew_seconds: Annotated[int, whole(0, 3600)] = 5
    """Changes on both sides as close as that count as made at once."""


class Dashboard(Section):
    """Which orders the dashboard's list shows unless it is asked for others."""

    hidden_groups: list[GroupId] = []
    """Orders that stand in one of these status groups are left out."""
    hidden_statuses: list[Identifier] = []
    closed_days: Annotated[int, whole(0, 3650)] | None = None
    """Closed orders are shown for so many days after they were closed; None: always."""


class RateLimit(Section):
    """Replaces the vendor's own limit."""

    requests: Annotated[int, whole(1, 1_000_000)]
    per_seconds: PositiveSeconds


class StatusGroup(Section):
    id: GroupId
    name: Text


class Status(Section):
    """What is set goes before what the CRM reports."""

    id: Identifier
    name: Text | None = None
    group_id: GroupId | None = None
    is_closing: Flag | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.name is None and self.group_id is None and self.is_closing is None:
            raise refusal("give name, group_id or is_closing")
        return self


class Sla(Section):
    """Limits of working time for one group of statuses in one grid."""

    group_id: GroupId
    limit: Duration | None = None
    urgent_limit: Duration | None = None
    profile: Identifier = NORMAL

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.limit is None and self.urgent_limit is None:
            raise refusal('give limit, as hh:mm of working time such as "72:30"')
        if self.urgent_limit is not None and self.profile != NORMAL:
            raise refusal(f"urgent_limit stands beside the normal limit; profile {self.profile} takes limit alone")
        return self

    def limits(self) -> dict[str, int]:
        """Seconds by grid."""
        limits = {self.profile: self.limit, URGENT: self.urgent_limit}
        if self.profile == URGENT:
            limits = {URGENT: self.limit}
        return {profile: seconds for profile, seconds in limits.items() if seconds is not None}


class Cycle(Section):
    """From the first entry of a group or status to the first later entry of another."""

    id: Identifier
    title: Text | None = None
    """None: the id."""
    start_group: GroupId | None = None
    start_status: Identifier | None = None
    end_group: GroupId | None = None
    end_status: Identifier | None = None
    default: Flag = False

    @model_validator(mode="after")
    def _has_one_start_and_one_end(self) -> Self:
        for side, group, status in (
            ("start", self.start_group, self.start_status),
            ("end", self.end_group, self.end_status),
        ):
            if (group is None) == (status is None):
                raise refusal(f"give either {side}_group or {side}_status")
        return self


class Urgent(Section):
    """An order is urgent if one of its items matches."""

    match: Annotated[str, choice("sku", "offer_id", "product_id")]
    value: Text
    active: Flag = True


class CalendarException(Section):
    """Replaces the hours that start on the day, of one group or of all; no ranges is a day off."""

    date: Day
    ranges: Ranges = []
    group: GroupId | None = None


class WorkingHours(Section):
    default: Week | None = None
    """None: open day and night."""
    groups: dict[GroupId, Week] = {}
    exceptions: list[CalendarException] = []


class Subscription(Section):
    """Somebody downstream who reads the feed of sales, and is sent it if there is an address."""

    id: ProjectId
    url: BaseUrl | None = None
    """None: nothing is sent, it asks."""
    secret: Secret | None = Field(default=None, repr=False)
    """Signs what is sent and opens the feed. None: the stored one stays. Several, separated by spaces, are valid at
    once."""
    projects: list[ProjectId] | None = None
    """None: all of them."""
    medical: Flag = False
    """Health data too."""

    @model_validator(mode="after")
    def _has_a_long_secret(self) -> Self:
        if self.secret is not None and any(len(part) < LEAST_SECRET for part in self.secret.split()):
            raise refusal(f"secret: give at least {LEAST_SECRET} characters")
        return self


class Project(Section):
    """One CRM account of one business."""

    id: ProjectId
    name: Text
    crm: Identifier
    base_url: BaseUrl | None = None
    """None: the connector's default."""
    timezone: Timezone
    region: Region | None = None
    """For phones without a country code."""
    currency: Currency | None = None
    """Where the API names none."""
    credentials: dict[Identifier, Secret] = Field(default={}, repr=False)
    """Those that are not here stay as they are stored."""
    webhook: Webhook = Webhook()
    sync: Sync = Sync()
    options: dict[str, Any] = {}
    status_groups: list[StatusGroup] = []
    statuses: list[Status] = []
    near_threshold: Share = Decimal("0.8")
    sla: list[Sla] = []
    cycles: list[Cycle] = []
    urgent: list[Urgent] = []
    working_hours: WorkingHours = WorkingHours()
    status_map: dict[Identifier, VmsStatus] = {}
    conflict_policy: Policy | dict[Identifier, Policy] = "newest"
    vms: Vms | None = None
    """None: changes in vms are sent, and the CRM's come in only if there is a `status_map`."""
    dashboard: Dashboard = Dashboard()
