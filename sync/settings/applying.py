"""`crm-elt apply`: make the stored settings what a file says, in one transaction."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors import registry
from connectors.protocol import Capabilities
from database.connection import Connection
from database.encryption import EncryptionError, Keyring
from database.repositories import audit, credentials, settings
from database.repositories.credentials import WEBHOOK_SECRET
from database.repositories.settings import ProjectRow
from sync.settings import subscribing
from sync.settings.changes import Change, compare, objects
from sync.settings.models import SCHEMES_WITH_SECRET, Project, Webhook
from sync.settings.problems import Problem, SettingsError
from sync.settings.reading import Draft, read
from sync.settings.rows import rules_of, stored_values, values_of
from sync.settings.trials import UNTRIED, hold_back, waits
from sync.settings.words import listing


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What `apply_settings` did, or with `dry_run` would do."""

    project_ids: tuple[str, ...]
    """Projects of the file, in its order."""
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """Nothing wrong, but worth knowing; one sentence each."""
    dry_run: bool

    def lines(self) -> list[str]:
        """The changes, then the notes, for a person."""
        return [*(str(change) for change in self.changes), *(f"note: {note}" for note in self.notes)]


@dataclass(slots=True)
class _Stored:
    row: ProjectRow | None
    secrets: dict[str, str | None] = field(default_factory=dict)
    """None for one that no key of the keyring opens: the file may replace it."""


async def apply_settings(
    connection: Connection,
    keyring: Keyring,
    text: str,
    *,
    source: str,
    environ: Mapping[str, str],
    actor: str,
    dry_run: bool = False,
    known: Mapping[str, Capabilities] | None = None,
) -> ApplyResult:
    """Make the stored settings what the file says: all of it or, if anything is wrong, nothing.

    For each project that it names the file is the whole truth: a section that it leaves out is set to its default
    (`sla`, `cycles`, `statuses`, `working_hours` and so on become empty). Three things stay: credentials and a webhook
    secret that it leaves out, whether the project is enabled, and projects that it does not name. A project whose
    definition has not passed a test is stored, and disabled until it has (`sync.trials`).

    Applying a file again changes nothing and writes nothing. Each change is in config.audit_log with `actor`, before
    and after, without secrets. `source` names the file in messages, `environ` answers `${VAR}`, `known` are the
    connectors' capabilities by CRM (default: the registry's). Raises SettingsError with one line for each problem.
    """
    capabilities = registered() if known is None else known
    reading = read(text, source=source, environ=environ, known=capabilities)
    problems = list(reading.problems)
    async with connection.transaction(force_rollback=dry_run):
        await settings.lock(connection)
        stored = [await _load(connection, keyring, draft) for draft in reading.drafts]
        for draft, state in zip(reading.drafts, stored, strict=True):
            problems += await _check_against_stored(connection, draft, state, capabilities)
        named = {draft.values["id"] for draft in reading.drafts if "id" in draft.values}
        problems += await subscribing.check(connection, reading.subscriptions, named)
        if problems:
            raise SettingsError(problems)
        changes: list[Change] = []
        notes: list[str] = []
        projects = [draft.project for draft in reading.drafts if draft.project is not None]
        for project, state in zip(projects, stored, strict=True):
            found = await _apply_project(connection, keyring, project, state, capabilities[project.crm])
            changes += found
            if found:
                await hold_back(connection, project.id, capabilities[project.crm], project.options)
            notes += _notes(project, await settings.load_project(connection, project.id))
        changes += await subscribing.apply(connection, keyring, [item for _, item in reading.subscriptions])
        for change in changes:
            await audit.record(
                connection,
                actor=actor,
                action=change.action,
                project_id=None if change.object.startswith(subscribing.OBJECT) else change.project_id,
                object=change.object,
                before=change.before,
                after=change.after,
            )
    return ApplyResult(tuple(project.id for project in projects), tuple(changes), tuple(notes), dry_run)


def registered() -> dict[str, Capabilities]:
    """The capabilities of every connector that there is, by CRM."""
    return {crm: registry.get(crm).capabilities for crm in registry.names()}


async def _load(connection: Connection, keyring: Keyring, draft: Draft) -> _Stored:
    project_id = draft.values.get("id")
    if project_id is None:
        return _Stored(None)
    state = _Stored(await settings.load_project(connection, project_id))
    for name, sealed in (await credentials.load_sealed(connection, project_id)).items():
        try:
            state.secrets[name] = keyring.decrypt(project_id, name, sealed)
        except EncryptionError:
            state.secrets[name] = None
    return state


async def _check_against_stored(
    connection: Connection, draft: Draft, state: _Stored, known: Mapping[str, Capabilities]
) -> Iterable[Problem]:
    values = draft.values
    problems: list[Problem] = []
    crm, given, webhook = values.get("crm", ""), values.get("credentials"), values.get("webhook")
    if crm in known and given is not None:
        present = dict.fromkeys((*given, *state.secrets), "set")
        missing = known[crm].given(values.get("options", {})).missing_credentials(present)
        if missing:
            names = listing([f"`{name}`" for name in missing])
            problems.append(Problem(draft.where("credentials"), f"{crm} needs {names}"))
    if crm in known and state.row is not None and given:
        changed = [
            name
            for name in known[crm].mapping_secrets
            if state.secrets.get(name) and given.get(name) not in (None, state.secrets[name])
        ]
        if changed and await settings.has_landed(connection, state.row.project_id):
            reason = (
                "what is stored is named by the one before: put that back, or give the account a project of its own"
            )
            problems += [Problem(draft.where("credentials", name), reason) for name in changed]
    if isinstance(webhook, Webhook) and "webhook" in draft.given:
        has_secret = webhook.secret is not None or WEBHOOK_SECRET in state.secrets
        if webhook.auth in SCHEMES_WITH_SECRET and not has_secret:
            problems.append(Problem(draft.where("webhook", "secret"), f"required by auth {webhook.auth}"))
    other_crm = state.row is not None and crm in known and crm != state.row.crm
    if state.row is not None and other_crm and await settings.has_landed(connection, state.row.project_id):
        reason = f"stored as {state.row.crm} and has data already: give the {crm} account a project of its own"
        problems.append(Problem(draft.where("crm"), reason))
    if "timezone" in values and not await settings.knows_timezone(connection, values["timezone"]):
        reason = f"the zone data of this PostgreSQL does not know {values['timezone']}"
        problems.append(Problem(draft.where("timezone"), reason))
    return problems


async def _apply_project(
    connection: Connection, keyring: Keyring, project: Project, state: _Stored, capabilities: Capabilities
) -> list[Change]:
    values, rules = values_of(project), rules_of(project)
    rules_before = await settings.load_rules(connection, project.id)
    before = None if state.row is None else objects(stored_values(state.row), rules_before)
    changes = compare(project.id, before, objects(values, rules))

    secrets = dict(project.credentials)
    if project.webhook.secret is not None:
        secrets[WEBHOOK_SECRET] = project.webhook.secret
    new = {name: value for name, value in secrets.items() if state.secrets.get(name) != value}
    usable = {*capabilities.given(project.options).credential_names, WEBHOOK_SECRET}
    useless = sorted(state.secrets.keys() - usable) if state.row is not None and state.row.crm != project.crm else []
    for name in new:
        changes.append(Change(project.id, f"credential {name}", "changed" if name in state.secrets else "added"))
    changes += [Change(project.id, f"credential {name}", "removed") for name in useless]

    if changes:
        await settings.upsert_project(connection, project.id, values)
        await settings.replace_rules(connection, project.id, rules_before, rules)
        await credentials.store(connection, keyring, project.id, new)
        await credentials.remove(connection, project.id, useless)
    return changes


def _notes(project: Project, row: ProjectRow | None) -> list[str]:
    """`row` is as it is now."""
    notes = []
    if row is not None and waits(row):
        notes.append(f"{project.id} is not pulled, {UNTRIED}: crm-elt project test {project.id}")
    elif row is not None and not row.is_enabled:
        reason = f" ({row.disabled_reason})" if row.disabled_reason else ""
        notes.append(f"{project.id} is disabled{reason}: crm-elt project enable {project.id}")
    if project.base_url is not None and _is_exposed(project.base_url):
        notes.append(f"{project.id}: base_url is http to another host, so credentials travel unencrypted")
    if project.webhook.auth == "none" and not project.webhook.ip_allow:
        notes.append(f"{project.id}: webhook auth none lets anybody who reaches the ingest API write events")
    return notes


def _is_exposed(base_url: str) -> bool:
    parts = urlsplit(base_url)
    if parts.scheme != "http" or parts.hostname in (None, "localhost"):
        return False
    try:
        return not ipaddress.ip_address(str(parts.hostname)).is_loopback
    except ValueError:
        return True
