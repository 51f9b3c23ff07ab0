"""What the JSON routes of the sync take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sync.two_way.objects import Entity, Side

ErrorWord = Literal["retry", "config", "permanent", "skip_row"]
Direction = Literal["inbound", "outbound"]
LetterState = Literal["open", "permanently_failed", "resolved", "discarded"]
OutboxState = Literal["waiting", "sending", "sent", "skipped", "failed"]
LinkState = Literal["synced", "pending", "error"]
ResyncState = Literal["queued", "running", "done", "failed", "cancelled"]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Next = Annotated[
    str | None, Field(description="Give it as `after` for the next page; null: this is the last.", examples=["4711"])
]


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(description="A stable word for programs.", examples=["unknown_letter"])
    word: ErrorWord = Field(examples=["config"])
    detail: str = Field(
        description="A sentence for people.", examples=["There is no such dead letter that you may see."]
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its description; 401 and 503 go without saying."""
    said = {
        400: "The request cannot be read.", 401: "Nobody is logged in.", 403: "Only an admin may do this.",
        404: "There is none like that that one may see.", 409: "It is not any more what it was.",
        503: "The database is away.",
    }  # fmt: skip
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": said[status], "content": content} for status in (401, *statuses, 503)}


class Letter(BaseModel):
    """What could not be applied or sent."""

    dead_letter_id: int = Field(examples=[17])
    project_id: str = Field(examples=["print-shop"])
    direction: Direction
    source: str = Field(
        description="webhook, api (a pulled record), request, vms (an object on its way there), outbox, subscription",
        examples=["outbox"],
    )
    raw_id: int | None = Field(description="The raw row; outbound: the object's id in vms.", examples=[5])
    stream: str | None = Field(description="Stream or kind of object.", examples=["customer"])
    crm_id: str | None = Field(examples=["812"])
    error_word: ErrorWord
    reason: str = Field(examples=["PUT /buyer/812: the CRM answers 422: The phone is invalid."])
    state: LetterState = Field(description="permanently_failed: open, and nothing more is tried by itself.")
    attempts: int = Field(examples=[4])
    next_retry_at: datetime | None
    first_failed_at: datetime
    last_failed_at: datetime
    closed_at: datetime | None
    closed_by: str | None = Field(examples=["user:anna"])


class LetterDetail(Letter):
    """With what was sent and answered; people's data is masked, and that of medical projects left out."""

    payload: str | None = Field(description="What arrived.", examples=['{"id": 812, "full_name": "O***"}'])
    request: str | None = Field(description="What was sent.", examples=['PUT /buyer/812 {"phone": ["***33"]}'])
    answer: str | None = Field(description="What was answered.", examples=['{"message": "The phone is invalid."}'])


class Letters(BaseModel):
    items: list[Letter]
    next: Next


class LetterChoice(BaseModel):
    """Which open letters: these, or all of a filter."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] | None = Field(default=None, min_length=1, max_length=1000, examples=[[17, 18]])
    project: list[str] | None = Field(default=None, description="Only these projects.", examples=[["print-shop"]])
    direction: Direction | None = None
    source: str | None = Field(default=None, max_length=60)
    error: ErrorWord | None = None
    all: bool = Field(default=False, description="All that the filter has; needed where no ids are given.")

    @model_validator(mode="after")
    def _says_which(self) -> LetterChoice:
        if (self.ids is None) != self.all:
            raise ValueError("name the ids, or say all")
        return self


class Settled(BaseModel):
    """Of one project; without a project where the choice went over several."""

    project_id: str | None = Field(examples=["print-shop"])
    count: int = Field(description="Letters that were put back into their queues, or closed.", examples=[2])


class Versions(BaseModel):
    """One disputed field."""

    vms: Any = Field(description="What the warehouse system has.", examples=["+380671112233"])
    crm: Any = Field(description="What the CRM has, in the words of the warehouse system.", examples=["+380501112233"])
    crm_own: Any = Field(description="The same in the CRM's words.", examples=["+380501112233"])
    agreed_vms: Any = Field(description="What both last agreed on.", examples=["+380631112233"])
    agreed_crm: Any = Field(examples=["+380631112233"])
    vms_changed_at: datetime | None
    crm_changed_at: datetime | None


class Conflict(BaseModel):
    conflict_id: int = Field(examples=[3])
    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    vms_id: int = Field(examples=[5])
    crm_id: str = Field(examples=["812"])
    fields: dict[str, Versions] = Field(description="Of an open one those that are to be decided still.")
    state: Literal["open", "resolved"]
    resolution: dict[str, Side] = Field(description="Field -> the side that won.", examples=[{"note": "vms"}])
    version: str = Field(
        description="Of what is to be decided between; give it back with a decision.", examples=["9f1c2b3a4d5e6f70"]
    )
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None = Field(
        description="A person, or settled: the sides came to agree.", examples=["user:anna"]
    )


class Conflicts(BaseModel):
    items: list[Conflict]
    next: Next


class Decision(BaseModel):
    """A side for all fields, or for each that is named."""

    model_config = ConfigDict(extra="forbid")

    winner: Side | dict[str, Side] = Field(examples=[{"phone": "vms", "note": "crm"}, "vms"])
    version: str | None = Field(
        default=None, description="The conflict's version that was looked at: 409 if it has changed since."
    )


class EntityStatus(BaseModel):
    entity: Entity
    outbox_waiting: int
    outbox_sending: int
    outbox_failed: int
    outbox_oldest_seconds: float | None
    inbound_waiting: int
    inbound_oldest_seconds: float | None
    linked: int = Field(description="Counted up to 10000.")
    pending: int
    errors: int
    open_conflicts: int
    last_outbound_at: datetime | None = Field(description="When the sync last wrote one at the CRM.")
    last_inbound_at: datetime | None = Field(description="When the sync last wrote one in vms.")
    differing_share: float | None = Field(description="Of those compared last, 0 to 1.", examples=[0.002])
    compared_at: datetime | None


class ProjectStatus(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    raw_waiting: int = Field(description="Landed, not in core yet.")
    raw_oldest_seconds: float | None
    rereads_waiting: int
    rereads_oldest_seconds: float | None
    letters_open: int
    entities: list[EntityStatus] = Field(description="Empty where nothing is kept in step.")
    resync_id: int | None = Field(description="The full resync under way.")


class Status(BaseModel):
    relay_alive: bool
    relay_age_seconds: float | None = Field(description="Since its last sign of life.", examples=[2.1])
    items: list[ProjectStatus]


class OutboxRow(BaseModel):
    outbox_id: int
    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    vms_id: int
    crm_id: str | None
    operation: Literal["create", "update", "delete"]
    fields: list[str] = Field(examples=[["status", "items"]])
    state: OutboxState
    attempts: int
    changed_at: datetime
    not_before: datetime
    finished_at: datetime | None
    error_word: ErrorWord | None
    message: str | None = Field(description="Why it waits, was skipped or failed.")
    dead_letter_id: int | None


class OutboxRows(BaseModel):
    items: list[OutboxRow]
    next: Next


class Link(BaseModel):
    mapping_id: int
    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    vms_id: int
    crm_id: str | None
    state: LinkState
    message: str | None
    ignored: dict[str, str] = Field(description="Field -> why the CRM cannot take it.")
    disputed: list[str]
    last_synced_at: datetime | None


class Links(BaseModel):
    items: list[Link]
    next: Next


class Check(BaseModel):
    """What a comparison of both sides found."""

    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    started_at: datetime
    finished_at: datetime | None
    compared: int
    differing: int
    differing_share: float | None
    healed: int = Field(description="Of the differing ones: the winner is clear, and its change is under way.")
    disputed: int
    missing_at_crm: int
    missing_in_vms: int


class Checks(BaseModel):
    items: list[Check]
    next: Next = None


class Resync(BaseModel):
    resync_id: int = Field(examples=[4])
    project_id: str = Field(examples=["print-shop"])
    kind: Literal["full", "check"] = Field(description="check: both sides are only compared, as every night.")
    state: ResyncState
    stage: str | None = Field(description="pull, customer, article, order, payment or end.", examples=["order"])
    done: int = Field(description="Of the stage.")
    total: int | None
    share: float = Field(description="Of the whole, each stage counted alike: 0 to 1.", examples=[0.62])
    per_minute: float | None
    remaining_seconds: float | None = Field(description="Of the stage.")
    requested_by: str | None = Field(examples=["user:anna"])
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_word: ErrorWord | None
    message: str | None
    found: dict[str, dict[str, int]] = Field(description="By kind of object.")


class Resyncs(BaseModel):
    items: list[Resync]
    next: Next


class ResyncWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project_id: str = Field(examples=["print-shop"])


class ObjectWish(BaseModel):
    """One object to be brought into step."""

    model_config = ConfigDict(extra="forbid")

    project_id: str = Field(examples=["print-shop"])
    kind: Literal["orders", "customers", "articles"]
    id: str = Field(min_length=1, max_length=200, examples=["812"])
    side: Side | None = Field(default=None, description="Whose id it is; none: the CRM's, unless only vms knows it.")


class ObjectAsked(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    request_ids: list[int] = Field(description="What is read again from the CRM.", examples=[[31]])
    vms_ids: list[int] = Field(description="What of vms is compared and sent.", examples=[[5]])
