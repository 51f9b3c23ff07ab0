"""The definition of a custom CRM: try it on an answer that somebody has at hand, and keep it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from fastapi import Request

from connectors import registry
from connectors.custom.trial import Outcome
from connectors.errors import ConfigError
from dashboard.identity import Identity
from dashboard.integrations.acting import refused
from dashboard.integrations.workshop import workshop
from database.connection import Connection
from database.repositories.settings import ProjectRow
from sync.custom_trials import Drafted, draft, read_sample, record_sample
from sync.settings import SettingsError, access
from sync.settings.editing import edit_section
from sync.settings.trials import is_tried
from web.problems import ProblemError

CRM = "custom"
OPTION = "definition"
SKELETON = """definition:
  format: json
  auth: {type: bearer}
  entities:
    transactions:
      path: /payments
      records: $.data[*]
      fields: {id: $.id, occurred_at: $.paid_at, amount: $.amount, phone: $.phone}
"""
"""Options of a new project, to begin with."""
_KEYS = ("format", "auth", "headers", "allow_hosts", "rate_limit", "max_response_mb", "namespaces")
_ENTITY_KEYS = ("path", "params", "records", "pagination", "incremental", "one", "webhook")
_LAST = ("fields", "entities")
_MOST_RECORDS = 20
"""That are shown of a sample."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a definition made of a sample."""

    outcome: Outcome
    entities: tuple[str, ...]

    @property
    def shown(self) -> Outcome:
        return Outcome(self.outcome.entity, self.outcome.records[:_MOST_RECORDS])

    @property
    def is_passed(self) -> bool:
        return bool(self.outcome.records) and not self.outcome.failures


def text_of(row: ProjectRow) -> str:
    """The stored definition as YAML, its keys in the order in which one reads them: the database keeps none."""
    definition = row.options.get(OPTION)
    if not isinstance(definition, dict) or not definition:
        return ""
    ordered = _ordered(definition, _KEYS)
    if isinstance(entities := definition.get("entities"), dict):
        ordered["entities"] = {
            name: _ordered(one, _ENTITY_KEYS) if isinstance(one, dict) else one for name, one in entities.items()
        }
    return as_text(ordered)


def entities_of(row: ProjectRow) -> list[str]:
    definition = row.options.get(OPTION)
    entities = definition.get("entities") if isinstance(definition, dict) else None
    return list(entities) if isinstance(entities, dict) else []


def drafted(row: ProjectRow, text: str) -> Drafted:
    """The project with this definition instead of its own. Raises ProblemError with all that is wrong with it."""
    try:
        definition = access.read_mapping(text, OPTION)
        project = {
            "id": row.project_id, "name": row.name, "crm": CRM, "timezone": row.timezone, "region": row.region,
            "currency": row.currency, "options": {**row.options, OPTION: definition},
        }  # fmt: skip
        document = yaml.safe_dump({"projects": [project]}, sort_keys=False, allow_unicode=True)
        return draft(document, source=OPTION, project_id=row.project_id)
    except SettingsError as error:
        raise refused(error) from None


async def try_definition(row: ProjectRow, text: str, sample: str, entity: str | None) -> Tried:
    """What the records of the sample become; stores nothing. Raises ProblemError."""
    if not sample.strip():
        raise ProblemError(422, "no_sample", "Paste an answer of the vendor to try the definition on.", field="sample")
    project = drafted(row, text)
    try:
        # In a thread: expressions that somebody wrote are bounded, but may take their time.
        outcome = await asyncio.to_thread(read_sample, project, sample.encode(), entity or None)
    except ConfigError as error:
        message = error.message.replace("--entity ", "").removesuffix(".")
        raise ProblemError(422, "refused", f"{message[:1].upper()}{message[1:]}.", field="sample") from None
    return Tried(outcome, tuple(project.options[OPTION].get("entities", {})))


async def save(request: Request, identity: Identity, row: ProjectRow, text: str, tried: Tried | None) -> bool:
    """Keep the definition; whether the project may be pulled with it. Raises ProblemError.

    One that has not passed is kept too, and the project is disabled until a test has passed.
    """
    project = drafted(row, text)
    async with workshop(request) as tools:
        try:
            async with tools.pool.connection() as connection:
                await edit_section(
                    connection, tools.keyring, row.project_id, "options", {"options": dict(project.options)},
                    identity.actor,
                )  # fmt: skip
        except SettingsError as error:
            raise refused(error) from None
        if tried is not None and tried.is_passed:
            await record_sample(tools.pool, project, actor=identity.actor)
        async with tools.pool.connection() as connection:
            return await _may_be_pulled(connection, row.project_id, project.options)


async def _may_be_pulled(connection: Connection, project_id: str, options: Mapping[str, Any]) -> bool:
    return await is_tried(connection, project_id, registry.get(CRM).capabilities, options)


def as_text(definition: Mapping[str, Any]) -> str:
    """A definition as the YAML that is read back the same."""
    return yaml.safe_dump(dict(definition), sort_keys=False, allow_unicode=True, width=100)


def _ordered(value: Mapping[str, Any], first: Sequence[str]) -> dict[str, Any]:
    names = [name for name in first if name in value]
    names += [name for name in value if name not in first and name not in _LAST]
    return {name: value[name] for name in (*names, *(name for name in _LAST if name in value))}
