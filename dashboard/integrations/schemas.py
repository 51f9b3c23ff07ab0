"""What `/api/integrations*` takes and answers, for OpenAPI and for checking. Instants are UTC, durations seconds."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

ErrorWord = Literal["retry", "config", "permanent", "skip_row"]
Level = Literal["debug", "info", "warning", "error"]


class Model(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid", hide_input_in_errors=True)


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["unknown_project"])
    word: ErrorWord = Field(examples=["config"])
    detail: str = Field(examples=["There is no such project that you may see."])


class StatisticsModel(Model):
    """A row of marts.integration_statistics."""

    project_id: str = Field(examples=["print-shop"])
    total_synced: int = Field(
        description="Records that runs found new or changed, since the beginning.", examples=[5120]
    )
    last_success_at: datetime | None = Field(examples=["2026-11-21T18:05:11Z"])
    success_rate_30d: float | None = Field(description="Share of 1; null without runs.", examples=[0.998])
    failed_syncs_30d: int = Field(examples=[3])
    avg_sync_seconds_30d: float | None = Field(examples=[1.84])
    consecutive_failures: int = Field(examples=[0])


class RunDayModel(Model):
    day: date = Field(description="In the project's zone.", examples=["2026-11-21"])
    succeeded: int = Field(examples=[288])
    failed: int = Field(examples=[1])
    rows: int = Field(description="Records new or changed.", examples=[412])
    avg_seconds: float | None = Field(examples=[1.7])


class StatisticsAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    statistics: StatisticsModel | None = Field(description="null before the first build of the marts.")
    days: list[RunDayModel] = Field(description="The last 30 days.")


class Integration(Model):
    project_id: str = Field(examples=["print-shop"])
    name: str = Field(examples=["Print shop"])
    crm: str = Field(examples=["keycrm"])
    timezone: str = Field(examples=["Europe/Kyiv"])
    is_enabled: bool
    disabled_reason: str | None = Field(examples=[None])
    is_medical: bool = Field(description="Health data: no payload is ever shown.")
    has_api: bool = Field(description="false: records come as files.")
    streams: list[str] = Field(examples=[["statuses", "orders", "customers"]])
    webhook_auth: str = Field(description="token, hmac, bearer, standard, none or unset", examples=["token"])
    webhook_address: str = Field(
        description="To copy into the CRM; the secret is never shown.",
        examples=["https://hooks.example.com/webhooks/keycrm/print-shop?token=…"],
    )
    statistics: StatisticsModel | None


class IntegrationList(Model):
    items: list[Integration]
    next: str | None = Field(default=None, description="Cursor of the next page.", examples=[None])


class StateBody(Model):
    is_enabled: bool = Field(examples=[False])
    reason: str | None = Field(default=None, max_length=200, examples=["The CRM moves to another account today."])


class StateAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    is_enabled: bool
    has_changed: bool


class TestAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    ok: bool
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
    stream: str = Field(examples=["orders"])
    state: str = Field(examples=["success"])
    seen: int = Field(examples=[40])
    new: int = Field(examples=[2])
    changed: int = Field(examples=[10])
    unchanged: int = Field(examples=[28])
    failed: int = Field(examples=[0])
    error: str | None = Field(default=None, examples=[None])


class SyncAnswer(Model):
    request_id: int = Field(examples=[17])
    project_id: str = Field(examples=["print-shop"])
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    is_over: bool
    sentence: str = Field(examples=["12 transactions synchronised. 40 records read: 2 new, 10 changed."])
    stream: str | None
    since: datetime | None
    is_full: bool
    requested_at: datetime
    requested_by: str | None = Field(examples=["dashboard:admin"])
    started_at: datetime | None
    finished_at: datetime | None
    transactions: int = Field(description="Sales that got a new version meanwhile.", examples=[12])
    records_read: int = Field(examples=[40])
    records_new: int = Field(examples=[2])
    records_changed: int = Field(examples=[10])
    records_failed: int = Field(description="Kept aside as dead letters.", examples=[0])
    streams: list[StreamModel]
    error_word: ErrorWord | None
    error: str | None
    status_url: str = Field(examples=["/api/integrations/print-shop/syncs/17"])


class LogModel(Model):
    log_id: int = Field(examples=[901])
    project_id: str = Field(examples=["print-shop"])
    run_id: int | None = Field(examples=[77])
    logged_at: datetime
    level: Level
    error_word: ErrorWord | None = Field(examples=["retry"])
    message: str = Field(examples=["KeyCRM did not answer within 30 s."])
    details: dict[str, JsonValue] = Field(
        description="Masked: no secrets, no personal data.", examples=[{"stream": "orders"}]
    )


class LogList(Model):
    items: list[LogModel]
    next: str | None = Field(description="Give it as `after`; null at the end.", examples=["802"])


class WebhookDayModel(Model):
    day: date = Field(description="UTC", examples=["2026-11-21"])
    received: int = Field(examples=[310])
    duplicates: int = Field(examples=[4])
    late: int = Field(examples=[1])
    refused: int = Field(examples=[0])


class WebhookAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    received: int = Field(description="Authentic and landed.", examples=[8000])
    duplicates: int = Field(description="Of them, with a body that had come before.", examples=[12])
    late: int = Field(description="Status changes older than one that was known of their order.", examples=[7])
    refused: int = Field(description="Not authentic, unreadable, too large ...", examples=[2])
    refused_by_code: dict[str, int] = Field(examples=[{"not_authentic": 2}])
    last_received_at: datetime | None
    last_refused_at: datetime | None
    days: list[WebhookDayModel]


class PayloadModel(Model):
    event_id: int = Field(examples=[44])
    project_id: str = Field(examples=["print-shop"])
    event_name: str | None = Field(examples=["order-updated"])
    received_at: datetime
    text: str = Field(description="Masked.", examples=['{\n  "context": {"id": 501, "phone": "***67"}\n}'])
    is_cut: bool = Field(description="It was longer than 4,000 characters.")


class PayloadList(Model):
    items: list[PayloadModel]
    next: str | None = Field(examples=["24"])
    is_medical: bool = Field(description="Health data: there are never any items.")


class SecretAnswer(Model):
    project_id: str = Field(examples=["print-shop"])
    secret: str = Field(description="Shown this once; afterwards only replaced.", examples=["(random)"])
    webhook_address: str = Field(examples=["https://hooks.example.com/webhooks/keycrm/print-shop?token=(random)"])


class CredentialModel(Model):
    name: str = Field(examples=["api_key"])
    is_required: bool
    set_at: datetime | None = Field(description="null: not set.")


class CredentialList(Model):
    project_id: str = Field(examples=["print-shop"])
    items: list[CredentialModel]
    next: None = None


class CredentialsBody(Model):
    values: dict[str, str] = Field(
        description="By name; those that are left out stay.", examples=[{"api_key": "..."}], min_length=1, max_length=20
    )


class UploadError(Model):
    row: int = Field(description="As a spreadsheet counts: the header is row 1.", examples=[3])
    reason: str = Field(examples=["invalid phone, expected +7XXXXXXXXXX"])
    message: str = Field(examples=["Row 3: invalid phone, expected +7XXXXXXXXXX"])


class UploadModel(Model):
    upload_id: int = Field(examples=[5])
    project_id: str = Field(examples=["salon-till"])
    state: Literal["queued", "running", "done", "failed"]
    filename: str | None = Field(examples=["till.csv"])
    size_bytes: int = Field(examples=[20480])
    requested_at: datetime
    finished_at: datetime | None
    encoding: str | None = Field(examples=["cp1251"])
    delimiter: str | None = Field(examples=[";"])
    rows_total: int | None = Field(examples=[420])
    rows_done: int = Field(examples=[420])
    percent: int | None = Field(examples=[100])
    imported: int = Field(examples=[415])
    updated: int = Field(examples=[0])
    duplicates: int = Field(examples=[2])
    errors: int = Field(examples=[3])
    summary: str = Field(examples=["Imported 415, duplicates 2, errors 3"])
    error: str | None = Field(description="Why the whole file was refused.", examples=[None])
    error_rows: list[UploadError] = Field(description="The first 100.")
    report_url: str = Field(examples=["/api/integrations/salon-till/uploads/5/report"])


class UploadList(Model):
    items: list[UploadModel]
    next: None = None


class TrialBody(Model):
    definition: dict[str, JsonValue] = Field(
        examples=[{"entities": {"orders": {"path": "/orders", "fields": {"id": "$.id"}}}}]
    )
    sample: str = Field(max_length=1_000_000, examples=['{"data": [{"id": 1}]}'])
    entity: str | None = Field(default=None, examples=["orders"])


class FieldModel(Model):
    name: str = Field(examples=["total"])
    state: Literal["ok", "empty", "failed"]
    value: Any = Field(examples=["840.00"])
    reason: str | None = Field(examples=[None])


class RecordModel(Model):
    number: int = Field(examples=[1])
    fields: list[FieldModel]
    problems: list[str]


class TrialAnswer(Model):
    project_id: str = Field(examples=["farm-shop"])
    entity: str = Field(examples=["orders"])
    is_passed: bool
    records: list[RecordModel] = Field(description="The first 20.")
