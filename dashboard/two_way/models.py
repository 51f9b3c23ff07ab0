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


class Letter(BaseModel):
    """What could not be applied or sent."""

    dead_letter_id: int = Field(description="Id of the dead letter.", examples=[17])
    project_id: str = Field(examples=["print-shop"])
    direction: Direction = Field(description="inbound: from the CRM; outbound: to it.")
    source: str = Field(
        description="webhook, api (a pulled record), request, vms (an object on its way there), outbox, subscription",
        examples=["outbox"],
    )
    raw_id: int | None = Field(description="The raw row; outbound: the object's id in vms.", examples=[5])
    stream: str | None = Field(description="Stream or kind of object.", examples=["customer"])
    crm_id: str | None = Field(examples=["812"])
    error_word: ErrorWord
    reason: str = Field(
        description="Why it failed, a sentence.",
        examples=["PUT /buyer/812: the CRM answers 422: The phone is invalid."],
    )
    state: LetterState = Field(description="permanently_failed: open, and nothing more is tried by itself.")
    attempts: int = Field(examples=[4])
    next_retry_at: datetime | None = Field(description="When the relay tries again; null: it does not.")
    first_failed_at: datetime = Field(description="When it failed first.")
    last_failed_at: datetime = Field(description="When it failed last.")
    closed_at: datetime | None = Field(description="When it was applied or discarded; null: it is open.")
    closed_by: str | None = Field(description="Who closed it; null: it is open.", examples=["user:anna"])


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

    ids: list[Id] | None = Field(
        default=None, description="These letters.", min_length=1, max_length=1000, examples=[[17, 18]]
    )
    project: list[str] | None = Field(default=None, description="Only these projects.", examples=[["print-shop"]])
    direction: Direction | None = Field(
        default=None, description="From the CRM (inbound) or to it.", examples=["outbound"]
    )
    source: str | None = Field(default=None, description="As `source` of a letter.", examples=["outbox"], max_length=60)
    error: ErrorWord | None = Field(
        default=None, description="Those that failed with this word.", examples=["permanent"]
    )
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
    agreed_crm: Any = Field(description="The same in the CRM's words.", examples=["+380631112233"])
    vms_changed_at: datetime | None = Field(description="When the warehouse system changed it; null: nobody knows.")
    crm_changed_at: datetime | None = Field(description="When the CRM changed it; null: nobody knows.")


class Conflict(BaseModel):
    conflict_id: int = Field(description="Id of the conflict.", examples=[3])
    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    vms_id: int = Field(examples=[5])
    crm_id: str = Field(examples=["812"])
    fields: dict[str, Versions] = Field(description="Of an open one those that are to be decided still.")
    state: Literal["open", "resolved"] = Field(description="open: a decision is wanted.")
    resolution: dict[str, Side] = Field(description="Field -> the side that won.", examples=[{"note": "vms"}])
    version: str = Field(
        description="Of what is to be decided between; give it back with a decision.", examples=["9f1c2b3a4d5e6f70"]
    )
    opened_at: datetime = Field(description="When both sides were found to differ.")
    resolved_at: datetime | None = Field(description="When it was decided; null: it is open.")
    resolved_by: str | None = Field(
        description="A person, or settled: the sides came to agree.", examples=["user:anna"]
    )


class Conflicts(BaseModel):
    items: list[Conflict]
    next: Next


class Decision(BaseModel):
    """A side for all fields, or for each that is named."""

    model_config = ConfigDict(extra="forbid")

    winner: Side | dict[str, Side] = Field(
        description="vms or crm, for all fields or by field.", examples=[{"phone": "vms", "note": "crm"}, "vms"]
    )
    version: str | None = Field(
        default=None,
        description="The conflict's version that was looked at: 409 if it has changed since.",
        examples=["9f1c2b3a4d5e6f70"],
    )


class EntityStatus(BaseModel):
    entity: Entity
    outbox_waiting: int = Field(description="Changes that wait to be sent to the CRM.", examples=[12])
    outbox_sending: int = Field(description="Changes that are being sent.", examples=[1])
    outbox_failed: int = Field(description="Changes that could not be sent.", examples=[0])
    outbox_oldest_seconds: float | None = Field(
        description="How long the oldest of those waiting has waited; null: none waits.", examples=[3.5]
    )
    inbound_waiting: int = Field(description="The CRM's changes that are not in vms yet.", examples=[2])
    inbound_oldest_seconds: float | None = Field(
        description="How long the oldest of these has waited; null: there is none.", examples=[0.8]
    )
    linked: int = Field(description="Counted up to 10000.", examples=[900])
    pending: int = Field(description="Objects that are not on both sides yet.", examples=[3])
    errors: int = Field(description="Objects that one side refuses.", examples=[0])
    open_conflicts: int = Field(description="Conflicts that wait for a decision.", examples=[1])
    last_outbound_at: datetime | None = Field(description="When the sync last wrote one at the CRM.")
    last_inbound_at: datetime | None = Field(description="When the sync last wrote one in vms.")
    differing_share: float | None = Field(description="Of those compared last, 0 to 1.", examples=[0.002])
    compared_at: datetime | None = Field(description="When both sides were last compared; null: never.")


class ProjectStatus(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    raw_waiting: int = Field(description="Landed, not in core yet.", examples=[4])
    raw_oldest_seconds: float | None = Field(
        description="How long the oldest of these has waited; null: there is none.", examples=[0.4]
    )
    rereads_waiting: int = Field(description="Objects to be read again from the CRM.", examples=[0])
    rereads_oldest_seconds: float | None = Field(
        description="How long the oldest of these has waited; null: there is none.", examples=[None]
    )
    letters_open: int = Field(description="Dead letters that are open.", examples=[3])
    entities: list[EntityStatus] = Field(description="Empty where nothing is kept in step.")
    resync_id: int | None = Field(description="The full resync under way; null: there is none.", examples=[4])


class SyncStatus(BaseModel):
    relay_alive: bool = Field(description="The process that applies and sends changes runs.")
    relay_age_seconds: float | None = Field(description="Since its last sign of life.", examples=[2.1])
    items: list[ProjectStatus]
    next: None = Field(default=None, description="All projects are on one page.")


class OutboxRow(BaseModel):
    outbox_id: int = Field(description="Id of the change.", examples=[88])
    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    vms_id: int = Field(description="Id of the object in the warehouse system.", examples=[5])
    crm_id: str | None = Field(description="The same at the CRM; null: it does not have it yet.", examples=["812"])
    operation: Literal["create", "update", "delete"] = Field(description="What is to be done at the CRM.")
    fields: list[str] = Field(description="What has changed.", examples=[["status", "items"]])
    state: OutboxState = Field(description="How far it is.")
    attempts: int = Field(description="How often it was sent.", examples=[1])
    changed_at: datetime = Field(description="When it changed in the warehouse system.")
    not_before: datetime = Field(description="It is not sent earlier.")
    finished_at: datetime | None
    error_word: ErrorWord | None
    message: str | None = Field(
        description="Why it waits, was skipped or failed.", examples=["The CRM has this already."]
    )
    dead_letter_id: int | None = Field(examples=[None])


class OutboxRows(BaseModel):
    items: list[OutboxRow]
    next: Next


class Link(BaseModel):
    mapping_id: int = Field(description="Id of the link.", examples=[31])
    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    vms_id: int = Field(description="Id of the object in the warehouse system.", examples=[5])
    crm_id: str | None = Field(description="The same at the CRM; null: it does not have it yet.", examples=["812"])
    state: LinkState = Field(description="pending: not on both sides yet; error: one side refuses it.")
    message: str | None = Field(description="Why it is not synced; null: it is.", examples=[None])
    ignored: dict[str, str] = Field(
        description="Field -> why the CRM cannot take it.", examples=[{"note": "KeyCRM takes no notes of customers."}]
    )
    disputed: list[str] = Field(description="Fields that wait for a decision.", examples=[["phone"]])
    last_synced_at: datetime | None = Field(description="When both sides were last brought into step; null: never.")


class Links(BaseModel):
    items: list[Link]
    next: Next


class Check(BaseModel):
    """What a comparison of both sides found."""

    project_id: str = Field(examples=["print-shop"])
    entity: Entity
    started_at: datetime
    finished_at: datetime | None
    compared: int = Field(description="Objects that were compared.", examples=[900])
    differing: int = Field(description="Of these, those that differed.", examples=[2])
    differing_share: float | None = Field(
        description="The same as a share, 0 to 1; null: there was nothing to compare.", examples=[0.0022]
    )
    healed: int = Field(
        description="Of the differing ones: the winner is clear, and its change is under way.", examples=[1]
    )
    disputed: int = Field(description="Those that wait for a decision.", examples=[1])
    missing_at_crm: int = Field(description="Objects that the CRM does not have.", examples=[0])
    missing_in_vms: int = Field(description="Objects that the warehouse system does not have.", examples=[0])


class Checks(BaseModel):
    items: list[Check]
    next: None = Field(default=None, description="The last comparisons are on one page.")


class Resync(BaseModel):
    resync_id: int = Field(description="Id of the resync.", examples=[4])
    project_id: str = Field(examples=["print-shop"])
    kind: Literal["full", "check"] = Field(description="check: both sides are only compared, as every night.")
    state: ResyncState = Field(description="How far it is.")
    stage: str | None = Field(description="pull, customer, article, order, payment or end.", examples=["order"])
    done: int = Field(description="Of the stage.", examples=[558])
    total: int | None = Field(description="The same, once it is known.", examples=[900])
    share: float = Field(description="Of the whole, each stage counted alike: 0 to 1.", examples=[0.62])
    per_minute: float | None = Field(
        description="How many were done in a minute; null: it is too early to say.", examples=[1200.0]
    )
    remaining_seconds: float | None = Field(description="Of the stage.", examples=[17.1])
    requested_by: str | None = Field(examples=["user:anna"])
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_word: ErrorWord | None
    message: str | None = Field(description="Why it failed; null: it did not.", examples=[None])
    found: dict[str, dict[str, int]] = Field(
        description="By kind of object.", examples=[{"customer": {"compared": 900, "differing": 2}}]
    )


class Resyncs(BaseModel):
    items: list[Resync]
    next: Next


class ResyncWish(BaseModel):
    """Of which project."""

    model_config = ConfigDict(extra="forbid")

    project_id: str = Field(examples=["print-shop"])


class ObjectWish(BaseModel):
    """One object to be brought into step."""

    model_config = ConfigDict(extra="forbid")

    project_id: str = Field(examples=["print-shop"])
    kind: Literal["orders", "customers", "articles"] = Field(description="Kind of object.")
    id: str = Field(description="Its id, at the CRM or in vms.", min_length=1, max_length=200, examples=["812"])
    side: Side | None = Field(default=None, description="Whose id it is; none: the CRM's, unless only vms knows it.")


class ObjectAsked(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    request_ids: list[int] = Field(description="What is read again from the CRM.", examples=[[31]])
    vms_ids: list[int] = Field(description="What of vms is compared and sent.", examples=[[5]])
