"""From what is read to what the API answers; pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dashboard.capabilities import capabilities_of
from dashboard.integrations import schemas
from dashboard.integrations.reading import MaskedPayload, SyncState
from dashboard.integrations.sentences import sync_sentence
from dashboard.ui.language import Language
from database.repositories.csv_imports import CsvImport, ErrorRow
from database.repositories.integrations import Statistics
from database.repositories.logs import LogEntry
from database.repositories.settings import ProjectRow
from sync import csv_import

PREFIX = "/api/integrations"


def integration(row: ProjectRow, address: str, statistics: Statistics | None) -> schemas.Integration:
    capabilities = capabilities_of(row)
    return schemas.Integration(
        project_id=row.project_id,
        name=row.name,
        crm=row.crm,
        timezone=row.timezone,
        is_enabled=row.is_enabled,
        disabled_reason=row.disabled_reason,
        is_medical=capabilities.is_medical,
        has_api=capabilities.has_api,
        streams=[stream.name for stream in capabilities.streams],
        webhook_auth=row.webhook.get("auth") or "unset",
        webhook_address=address,
        statistics=None if statistics is None else schemas.StatisticsModel.model_validate(statistics),
    )


def sync(state: SyncState, language: Language) -> schemas.SyncAnswer:
    known = schemas.StreamModel.model_fields
    values: dict[str, Any] = asdict(state)
    values.pop("stream_under_way")
    values["streams"] = [{name: value for name, value in one.items() if name in known} for one in state.streams]
    return schemas.SyncAnswer(
        **values,
        is_over=state.is_over,
        sentence=sync_sentence(state, language),
        status_url=f"{PREFIX}/{state.project_id}/syncs/{state.request_id}",
    )


def log_entry(project_id: str, entry: LogEntry) -> schemas.LogModel:
    return schemas.LogModel(project_id=project_id, **asdict(entry))


def payload(project_id: str, shown: MaskedPayload) -> schemas.PayloadModel:
    return schemas.PayloadModel(
        event_id=shown.event_id, project_id=project_id, event_name=shown.event_name, received_at=shown.received_at,
        text=shown.text, is_cut=shown.is_cut,
    )  # fmt: skip


def upload(job: CsvImport, errors: list[ErrorRow]) -> schemas.UploadModel:
    return schemas.UploadModel(
        **csv_import.describe(job, errors), report_url=f"{PREFIX}/{job.project_id}/uploads/{job.upload_id}/report"
    )
