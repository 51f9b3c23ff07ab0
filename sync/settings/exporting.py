"""Stored settings as a file that `apply` takes back unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from database.connection import Connection
from database.repositories import credentials, settings
from database.repositories.credentials import WEBHOOK_SECRET, CredentialInfo
from database.repositories.settings import ALL_GROUPS, DEFAULT_CALENDAR, CycleRow, ProjectRow, Rules, SlaRow
from sync.settings import hours
from sync.settings.models import NORMAL, URGENT, Project
from sync.settings.rows import DASHBOARD_DEFAULTS, SYNC_DEFAULTS, WEBHOOK_DEFAULTS, stored_values
from sync.settings.variables import escape, placeholder


class UnknownProjectError(Exception):
    """There is no project of that id. The message is one sentence."""


async def export_settings(connection: Connection, project_id: str) -> str:
    """The YAML of one project, which `apply` takes back without a change; defaults are left out.

    Credentials are `${...}` placeholders named after project and credential. Raises UnknownProjectError.
    """
    row, rules, secrets = await _load(connection, project_id)
    return yaml_of({"projects": [escaped(document_of(row, rules, [info.name for info in secrets]))]})


async def show_settings(connection: Connection, project_id: str) -> str:
    """The project for a person: whether it is enabled, which credentials it has (no values), and its settings.

    Raises UnknownProjectError.
    """
    row, rules, secrets = await _load(connection, project_id)
    state = "enabled" if row.is_enabled else f"disabled: {row.disabled_reason or 'by hand'}"
    lines = [f"# {project_id}: {state}, changed {row.updated_at:%Y-%m-%d %H:%M:%S} UTC"]
    lines += [f"# {info.name}: set {info.updated_at:%Y-%m-%d %H:%M:%S} UTC, key {info.key_id}" for info in secrets]
    document = document_of(row, rules, [])
    document.pop("credentials", None)
    return "\n".join([*(line.replace("\n", " ") for line in lines), yaml_of(document)])


async def _load(connection: Connection, project_id: str) -> tuple[ProjectRow, Rules, list[CredentialInfo]]:
    row = await settings.load_project(connection, project_id)
    if row is None:
        known = ", ".join(project.project_id for project in await settings.list_projects(connection)) or "none yet"
        raise UnknownProjectError(f"There is no project {project_id}; projects: {known}.")
    rules = await settings.load_rules(connection, project_id)
    return row, rules, await credentials.describe(connection, project_id)


def document_of(row: ProjectRow, rules: Rules, secrets: Sequence[str] = ()) -> dict[str, Any]:
    """The project as an item of a settings file's `projects`; of `secrets` (names) placeholders."""
    values = stored_values(row)
    webhook = {name: value for name, value in values.webhook.items() if value != WEBHOOK_DEFAULTS.get(name)}
    if WEBHOOK_SECRET in secrets and values.webhook["auth"] != "none":
        webhook["secret"] = _Reference(placeholder(row.project_id, "webhook_secret"))
    document: dict[str, Any] = {
        "id": row.project_id,
        "name": values.name,
        "crm": values.crm,
        "base_url": values.base_url,
        "timezone": values.timezone,
        "region": values.region,
        "currency": values.currency,
        "credentials": {
            name: _Reference(placeholder(row.project_id, name)) for name in secrets if name != WEBHOOK_SECRET
        },
        "webhook": webhook,
        "sync": {name: value for name, value in values.sync.items() if value != SYNC_DEFAULTS.get(name)},
        "options": dict(values.options),
        "status_groups": [{"id": group.status_group_id, "name": group.name} for group in rules.status_groups],
        "statuses": [
            _given(
                {
                    "id": item.status_id,
                    "name": item.name,
                    "group_id": item.status_group_id,
                    "is_closing": item.is_closing,
                }
            )
            for item in rules.statuses
        ],
        "near_threshold": None
        if _is_default("near_threshold", values.near_threshold)
        else float(values.near_threshold),
        "sla": _sla(rules.sla),
        "cycles": [_cycle(cycle) for cycle in rules.cycles],
        "urgent": [
            {"match": rule.match, "value": rule.value, **({} if rule.is_active else {"active": False})}
            for rule in rules.urgent
        ],
        "working_hours": _working_hours(rules),
        "status_map": dict(values.status_map),
        "vms": dict(values.vms),
        "dashboard": {name: value for name, value in values.dashboard.items() if value != DASHBOARD_DEFAULTS.get(name)},
        "conflict_policy": (None if _is_default("conflict_policy", values.conflict_policy) else values.conflict_policy),
    }
    return {name: value for name, value in document.items() if value not in (None, {}, [])}


def _is_default(field: str, value: Any) -> bool:
    return bool(Project.model_fields[field].default == value)


def _sla(rows: tuple[SlaRow, ...]) -> list[dict[str, str]]:
    result: dict[tuple[str, str], dict[str, str]] = {}
    grids = {NORMAL: "limit", URGENT: "urgent_limit"}
    for row in rows:
        key = (NORMAL if row.profile in grids else row.profile, row.status_group_id)
        entry = result.setdefault(key, {"group_id": row.status_group_id})
        entry[grids.get(row.profile, "limit")] = hours.format_duration(row.limit_seconds)
        if row.profile not in grids:
            entry["profile"] = row.profile
    return list(result.values())


def _cycle(row: CycleRow) -> dict[str, Any]:
    return _given(
        {
            "id": row.cycle_rule_id,
            "title": row.title,
            "start_group": row.start_group_id,
            "start_status": row.start_status_id,
            "end_group": row.end_group_id,
            "end_status": row.end_status_id,
            "default": True if row.is_default else None,
        }
    )


def _working_hours(rules: Rules) -> dict[str, Any]:
    result: dict[str, Any] = {}
    weeks = {row.status_group_id: hours.format_week(row.windows) for row in rules.calendars}
    if DEFAULT_CALENDAR in weeks:
        result["default"] = weeks.pop(DEFAULT_CALENDAR)
    if weeks:
        result["groups"] = weeks
    if rules.exceptions:
        result["exceptions"] = [
            _given(
                {
                    "date": row.exception_date.isoformat(),
                    "ranges": [hours.format_window(window) for window in row.windows] or None,
                    "group": None if row.status_group_id == ALL_GROUPS else row.status_group_id,
                }
            )
            for row in rules.exceptions
        ]
    return result


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class _Reference(str):
    """A `${...}` that is meant as one."""

    __slots__ = ()


def escaped(value: Any) -> Any:
    """The tree as a file must write it so that no text in it is taken for a `${VAR}`."""
    if isinstance(value, dict):
        return {name: escaped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    if isinstance(value, str):
        return str(value) if isinstance(value, _Reference) else escape(value)
    return value


def yaml_of(document: Any) -> str:
    """The text of a settings file."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
