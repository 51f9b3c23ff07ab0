"""What `/api/integrations*` takes and answers, for OpenAPI and for checking. Instants are UTC, durations seconds."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

ErrorWord = Literal["retry", "config", "permanent", "skip_row"]
Level = Literal["debug", "info", "warning", "error"]


class Model(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid", hide_input_in_errors=True)


class StatisticsModel(Model):
    """A row of marts.integration_statistics."""

    project_id: str = Field(examples=["print-shop"])
    total_synced: int = Field(
        description="Records that runs found new or changed, since the beginning.", examples=[5120]
    )
    last_success_at: datetime | None = Field(examples=["2026-11-21T18:05:11Z"])
    success_rate_30d: float | None = Field(description="Share of 1; null without runs.", examples=[0.998])
    failed_syncs_30d: int = Field(description="Synchronisations that failed in the last 30 days.", examples=[3])
    avg_sync_seconds_30d: float | None = Field(description="How long one took, on average.", examples=[1.84])
    consecutive_failures: int = Field(examples=[0])


class RunDayModel(Model):
    day: date = Field(description="In the project's zone.", examples=["2026-11-21"])
    succeeded: int = Field(description="Synchronisations without a failure.", examples=[288])
    failed: int = Field(description="Those with one.", examples=[1])
    rows: int = Field(description="Records new or changed.", examples=[412])
    avg_seconds: float | None = Field(description="How long one took, on average.", examples=[1.7])


class StatisticsAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    statistics: StatisticsModel | None = Field(description="null before the first build of the marts.")
    days: list[RunDayModel] = Field(description="The last 30 days.")


class Integration(Model):
    project_id: str = Field(examples=["print-shop"])
    name: str = Field(description="The project's name.", examples=["Print shop"])
    crm: str = Field(examples=["keycrm"])
    timezone: str = Field(examples=["Europe/Kyiv"])
    is_enabled: bool
    disabled_reason: str | None = Field(examples=[None])
    is_medical: bool = Field(description="Health data: no payload is ever shown.")
    has_api: bool = Field(description="false: records come as files.")
    streams: list[str] = Field(description="What can be pulled.", examples=[["statuses", "orders", "customers"]])
    webhook_auth: str = Field(description="token, hmac, bearer, standard, none or unset", examples=["token"])
    webhook_address: str = Field(
        description="To copy into the CRM; the secret is never shown.",
        examples=["https://hooks.example.com/webhooks/keycrm/print-shop?token=…"],
    )
    statistics: StatisticsModel | None = Field(description="null before the first build of the marts.")


class IntegrationList(Model):
    items: list[Integration]
    next: str | None = Field(default=None, description="Cursor of the next page.", examples=[None])


class StateBody(Model):
    is_enabled: bool = Field(description="Whether the project is to be pulled.", examples=[False])
    reason: str | None = Field(
        default=None,
        description="Why it is switched off.",
        max_length=200,
        examples=["The CRM moves to another account today."],
    )


class StateAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    is_enabled: bool
    has_changed: bool = Field(description="false: it was so already.")


class TestAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    ok: bool = Field(description="The CRM has taken the credentials.")
    message: str = Field(description="One sentence.", examples=["KeyCRM answers; 900 orders"])
    is_enabled_now: bool = Field(description="The project waited for this test and is pulled from now on.")


class SyncBody(Model):
    stream: str | None = Field(default=None, description="One stream; null: all.", examples=["orders"])
    since: str | None = Field(
        default=None, max_length=40, description="Day or time; without an offset in the project's zone.",
        examples=["2026-11-01"],
    )  # fmt: skip
    full: bool = Field(default=False, description="Read everything again, not only what changed.")


class StreamModel(Model):
    stream: str = Field(description="Name of the stream.", examples=["orders"])
    state: str = Field(description="How it went.", examples=["success"])
    seen: int = Field(description="Records that the CRM gave.", examples=[40])
    new: int = Field(description="Of these, those that were not known.", examples=[2])
    changed: int = Field(description="Those that have changed.", examples=[10])
    unchanged: int = Field(description="Those that have not.", examples=[28])
    failed: int = Field(description="Those kept aside as dead letters.", examples=[0])
    error: str | None = Field(default=None, description="Why it ended early; null: it did not.", examples=[None])


class SyncAnswer(Model):
    request_id: int = Field(description="Id of the synchronisation.", examples=[17])
    project_id: str = Field(examples=["print-shop"])
    state: Literal["queued", "running", "done", "failed", "cancelled"] = Field(description="How far it is.")
    is_over: bool = Field(description="Nothing changes any more.")
    sentence: str = Field(
        description="The same for people, in their language.",
        examples=["12 transactions synchronised. 40 records read: 2 new, 10 changed."],
    )
    stream: str | None = Field(description="The stream that was asked for; null: all.", examples=[None])
    since: datetime | None = Field(description="From when on records were asked for; null: where the last one ended.")
    is_full: bool = Field(description="Everything is read again, not only what changed.")
    requested_at: datetime
    requested_by: str | None = Field(examples=["user:admin"])
    started_at: datetime | None
    finished_at: datetime | None
    transactions: int = Field(description="Sales that got a new version meanwhile.", examples=[12])
    records_read: int = Field(description="Records that the CRM gave.", examples=[40])
    records_new: int = Field(description="Of these, those that were not known.", examples=[2])
    records_changed: int = Field(description="Those that have changed.", examples=[10])
    records_failed: int = Field(description="Kept aside as dead letters.", examples=[0])
    streams: list[StreamModel] = Field(description="The same by stream.")
    error_word: ErrorWord | None
    error: str | None = Field(description="Why it failed, a sentence; null: it did not.", examples=[None])
    status_url: str = Field(description="Where to ask on.", examples=["/api/integrations/print-shop/syncs/17"])


class LogModel(Model):
    log_id: int = Field(description="Id of the entry.", examples=[901])
    project_id: str = Field(examples=["print-shop"])
    run_id: int | None = Field(description="Id of the synchronisation's run; null: it belongs to none.", examples=[77])
    logged_at: datetime = Field(description="When.")
    level: Level = Field(description="How much it matters.")
    error_word: ErrorWord | None = Field(examples=["retry"])
    message: str = Field(description="What happened, a sentence.", examples=["KeyCRM did not answer within 30 s."])
    details: dict[str, JsonValue] = Field(
        description="Masked: no secrets, no personal data.", examples=[{"stream": "orders"}]
    )


class LogList(Model):
    items: list[LogModel]
    next: str | None = Field(description="Give it as `after`; null at the end.", examples=["802"])


class WebhookDayModel(Model):
    day: date = Field(description="UTC", examples=["2026-11-21"])
    received: int = Field(description="Authentic and landed.", examples=[310])
    duplicates: int = Field(description="Of them, with a body that had come before.", examples=[4])
    late: int = Field(description="Of them, older than what was known of their order.", examples=[1])
    refused: int = Field(description="Not authentic, unreadable, too large ...", examples=[0])


class WebhookAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    received: int = Field(description="Authentic and landed.", examples=[8000])
    duplicates: int = Field(description="Of them, with a body that had come before.", examples=[12])
    late: int = Field(description="Status changes older than one that was known of their order.", examples=[7])
    refused: int = Field(description="Not authentic, unreadable, too large ...", examples=[2])
    refused_by_code: dict[str, int] = Field(description="The refused ones by reason.", examples=[{"not_authentic": 2}])
    last_received_at: datetime | None = Field(description="null: none has come yet.")
    last_refused_at: datetime | None = Field(description="null: none was refused.")
    days: list[WebhookDayModel] = Field(description="The last 30 days.")


class PayloadModel(Model):
    event_id: int = Field(description="Id of the landed webhook.", examples=[44])
    project_id: str = Field(examples=["print-shop"])
    event_name: str | None = Field(description="As the CRM names it; null: it does not.", examples=["order-updated"])
    received_at: datetime = Field(description="When it came.")
    text: str = Field(description="Masked.", examples=['{\n  "context": {"id": 501, "phone": "***67"}\n}'])
    is_cut: bool = Field(description="It was longer than 4,000 characters.")


class PayloadList(Model):
    items: list[PayloadModel]
    next: str | None = Field(description="Give it as `after`; null at the end.", examples=["24"])
    is_medical: bool = Field(description="Health data: there are never any items.")


class SecretAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    secret: str = Field(description="Shown this once; afterwards only replaced.", examples=["(random)"])
    webhook_address: str = Field(
        description="To copy into the CRM.",
        examples=["https://hooks.example.com/webhooks/keycrm/print-shop?token=(random)"],
    )


class CredentialModel(Model):
    name: str = Field(description="As `credentials` of a settings file names it.", examples=["api_key"])
    is_required: bool = Field(description="This kind of CRM cannot be reached without it.")
    set_at: datetime | None = Field(description="null: not set.")


class CredentialList(Model):
    project_id: str = Field(examples=["print-shop"])
    items: list[CredentialModel]
    next: None = Field(default=None, description="All are on one page.")


class CredentialsBody(Model):
    values: dict[str, str] = Field(
        description="By name; those that are left out stay.", examples=[{"api_key": "..."}], min_length=1, max_length=20
    )


class UploadError(Model):
    row: int = Field(description="As a spreadsheet counts: the header is row 1.", examples=[3])
    reason: str = Field(description="What is wrong with it.", examples=["invalid phone, expected +7XXXXXXXXXX"])
    message: str = Field(description="The same with the row.", examples=["Row 3: invalid phone, expected +7XXXXXXXXXX"])


class UploadModel(Model):
    upload_id: int = Field(description="Id of the upload.", examples=[5])
    project_id: str = Field(examples=["salon-till"])
    state: Literal["queued", "running", "done", "failed"] = Field(description="How far it is.")
    filename: str | None = Field(description="As it was sent; null: without a name.", examples=["till.csv"])
    size_bytes: int = Field(description="How large the file is.", examples=[20480])
    requested_at: datetime
    finished_at: datetime | None
    encoding: str | None = Field(description="Found in the file; null: it was not opened.", examples=["cp1251"])
    delimiter: str | None = Field(description="The same.", examples=[";"])
    rows_total: int | None = Field(description="Rows of the file; null: it was not opened.", examples=[420])
    rows_done: int = Field(description="Of these, those that were looked at.", examples=[420])
    percent: int | None = Field(description="The same of 100.", examples=[100])
    imported: int = Field(description="Rows that were new sales.", examples=[415])
    updated: int = Field(description="Rows that changed a known sale.", examples=[0])
    duplicates: int = Field(description="Rows that were known.", examples=[2])
    errors: int = Field(description="Rows that were no sales.", examples=[3])
    summary: str = Field(description="The counts as a sentence.", examples=["Imported 415, duplicates 2, errors 3"])
    error: str | None = Field(description="Why the whole file was refused.", examples=[None])
    error_rows: list[UploadError] = Field(description="The first 100.")
    report_url: str = Field(
        description="Where admins get all rows that were no sales, as CSV.",
        examples=["/api/integrations/salon-till/uploads/5/report"],
    )


class UploadList(Model):
    items: list[UploadModel]
    next: str | None = Field(description="Give it as `after`; null at the end.", examples=["3"])


class TrialBody(Model):
    definition: dict[str, JsonValue] = Field(
        description="As in the file that a custom connector is defined by; see docs/connectors.md.",
        examples=[{"entities": {"orders": {"path": "/orders", "fields": {"id": "$.id"}}}}],
    )
    sample: str = Field(
        description="An answer of the CRM, as text.", max_length=1_000_000, examples=['{"data": [{"id": 1}]}']
    )
    entity: str | None = Field(default=None, description="Which entity of it; null: the first.", examples=["orders"])


class FieldModel(Model):
    name: str = Field(description="Of the record.", examples=["total"])
    state: Literal["ok", "empty", "failed"] = Field(description="What became of it.")
    value: Any = Field(description="Its value, as JSON.", examples=["840.00"])
    reason: str | None = Field(description="Why it is empty or failed.", examples=[None])


class RecordModel(Model):
    number: int = Field(description="From 1 on, in the order of the sample.", examples=[1])
    fields: list[FieldModel] = Field(description="What each field becomes.")
    problems: list[str] = Field(
        description="Why the record as a whole would be refused; empty: it would not.", examples=[[]]
    )


class TrialAnswer(Model):
    project_id: str = Field(examples=["farm-shop"])
    entity: str = Field(description="Which entity was tried.", examples=["orders"])
    is_passed: bool = Field(description="Every record became one that can be stored.")
    records: list[RecordModel] = Field(description="The first 20.")
