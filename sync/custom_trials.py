"""Tries the definition of a settings file on a stored answer, or on the vendor's first pages; nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors import registry
from connectors.custom.definition import check, definition_of
from connectors.custom.health import try_live
from connectors.custom.trial import Outcome, try_sample
from connectors.errors import ConfigError
from connectors.http import HttpSession, UnlimitedLimiter, account_key
from connectors.protocol import Account, MappingContext
from connectors.values.times import zone
from database.connection import Pool
from sync.settings import Problem, SettingsError, parse, strict_yaml
from sync.settings.applying import registered
from sync.settings.trials import record_passed

CRM = "custom"


@dataclass(frozen=True, slots=True)
class Drafted:
    """A project as far as a definition can be tried with it: no credentials."""

    project_id: str
    context: MappingContext

    @property
    def options(self) -> Mapping[str, Any]:
        return self.context.options


def draft(text: str, *, source: str, project_id: str | None = None) -> Drafted:
    """The custom project of a settings file; its `${VARIABLES}` need no values.

    Raises SettingsError with all that is wrong with its definition; ConfigError if the file has no such project, or
    several and `project_id` does not say which."""
    tree, problems = strict_yaml.load(text, source)
    if problems:
        raise SettingsError(problems)
    given = tree.get("projects") if isinstance(tree, dict) else None
    projects = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    custom = [one for one in projects if str(one.get("crm")) == CRM and project_id in (None, str(one.get("id")))]
    if len(custom) != 1:
        found = ", ".join(str(one.get("id")) for one in custom) or "none"
        raise ConfigError(f"{source} should have one project of crm custom, it has {found}: name it with --project.")
    values = custom[0]
    options = strict_yaml.natural(values.get("options")) if isinstance(values.get("options"), dict) else {}
    if wrong := check(options):
        raise SettingsError([Problem(f"options.{path}", message) for path, message in wrong])
    identifier, timezone, region, currency = (
        str(values[name]) if values.get(name) else None for name in ("id", "timezone", "region", "currency")
    )
    try:
        zone(timezone or "UTC")
    except ValueError as error:
        raise SettingsError([Problem("timezone", str(error))]) from None
    identifier = identifier or "project"
    return Drafted(identifier, MappingContext(identifier, timezone or "UTC", region, currency, options))


def read_sample(drafted: Drafted, content: bytes, entity: str | None) -> Outcome:
    """What the records of a stored answer become. Raises ConfigError."""
    entities = definition_of(drafted.options).entities
    name = entity or (next(iter(entities)) if len(entities) == 1 else "")
    if name not in entities:
        raise ConfigError(f"say which entity the sample is of: --entity {' or '.join(entities)}.")
    return try_sample(definition_of(drafted.options), entities[name], content, drafted.context)


async def try_first_pages(drafted: Drafted, text: str, source: str, environ: Mapping[str, str]) -> list[Outcome]:
    """What the vendor's first pages become, with the file's own credentials. Raises SettingsError, ConnectorError."""
    projects = parse(text, source=source, environ=environ, known=registered())
    project = next(one for one in projects if one.id == drafted.project_id)
    if project.base_url is None:
        raise ConfigError(f"{project.id} has no base_url: set it in the settings.")
    account = Account(
        project_id=project.id,
        crm=CRM,
        base_url=project.base_url,
        credentials=project.credentials,
        context=drafted.context,
        options=drafted.options,
    )
    capabilities = registry.get(CRM).capabilities.given(drafted.options)
    if missing := capabilities.missing_credentials(project.credentials):
        raise ConfigError(f"{project.id} lacks the credential {', '.join(missing)}: give it in the file.")
    async with HttpSession(
        base_url=account.base_url,
        account_key=account_key(account),
        limit=capabilities.rate_limit,
        limiter=UnlimitedLimiter(),
        retry_attempts=1,
        secrets=tuple(account.credentials.values()),
    ) as http:
        return await try_live(http, account)


async def record_sample(pool: Pool, drafted: Drafted, *, actor: str) -> bool:
    """Note that the definition has passed; whether the stored project, which has it, is enabled by that."""
    async with pool.connection() as connection:
        return await record_passed(
            connection, drafted.project_id, registry.get(CRM).capabilities, drafted.options, actor
        )
