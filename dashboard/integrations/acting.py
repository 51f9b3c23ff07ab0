"""What admins do with an integration: test, switch, sync, credentials, webhook secret. For pages and API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request

from connectors.errors import ConfigError, ConnectorError
from dashboard import deeds
from dashboard.capabilities import capabilities_of
from dashboard.deeds import Deed
from dashboard.identity import Identity
from dashboard.integrations.reading import address_with
from dashboard.integrations.sentences import in_one
from dashboard.integrations.workshop import workshop
from dashboard.problems import problem_places
from dashboard.services import environment_of, services_of
from database.connection import Pool
from database.repositories import requests
from database.repositories.settings import ProjectRow
from sync import oauth
from sync.gateway import register_webhook
from sync.settings import SettingsError, access
from sync.settings.applying import ApplyResult
from sync.settings.trials import UNTRIED
from sync.since import read_since
from sync.switching import switch
from sync.trials import Trial, try_project
from web.problems import ProblemError

TEST_SECONDS = 60.0
LONGEST_REASON = 200
SCHEMES_WITH_SECRET = ("token", "hmac", "bearer", "standard")


async def test(request: Request, identity: Identity, row: ProjectRow) -> Trial:
    """Try the project's credentials and, where it has one, its definition. Raises ProblemError."""
    async with workshop(request) as tools, _noted(tools.pool, identity, row, deeds.TEST) as outcome:
        try:
            async with asyncio.timeout(TEST_SECONDS):
                trial = await try_project(tools.pool, tools.keyring, row.project_id, actor=identity.actor)
            outcome["ok"] = trial.health.ok
            return trial
        except TimeoutError:
            raise ProblemError(
                504,
                "crm_slow",
                "The CRM has not answered within a minute: check base_url, and try again.",
                word="retry",
            ) from None
        except ConnectorError as error:
            raise ProblemError(422, "refused", f"{error.message.removesuffix('.')}.") from None


async def set_state(
    request: Request, identity: Identity, row: ProjectRow, *, enabled: bool, reason: str | None
) -> bool:
    """Enable or disable a project; whether that changed anything. Raises ProblemError."""
    reason = " ".join((reason or "").split()) or None
    if reason is not None and len(reason) > LONGEST_REASON:
        raise ProblemError(422, "invalid", f"A reason has at most {LONGEST_REASON} characters.")
    async with services_of(request).database() as connection:
        try:
            return await switch(connection, row.project_id, enabled=enabled, actor=identity.actor, reason=reason)
        except ConfigError as error:
            if UNTRIED not in error.message:  # a CRM that this version does not know
                raise ProblemError(409, "refused", f"{error.message.removesuffix('.')}.") from None
            raise ProblemError(
                409,
                "untried",
                "%(project)s cannot be enabled, its definition has not passed a test yet: test it first.",
                values={"project": row.project_id},
            ) from None


async def queue_sync(
    request: Request, identity: Identity, row: ProjectRow, *, since: str | None, full: bool, stream: str | None = None
) -> int:
    """Queue a manual sync; the request's id. Raises ProblemError."""
    capabilities = capabilities_of(row)
    if not capabilities.has_api:
        raise ProblemError(422, "invalid", f"{row.crm} has no API to sync with: its records come as files.")
    names = [one.name for one in capabilities.streams]
    if stream is not None and stream not in names:
        raise ProblemError(422, "invalid", f"{row.crm} has no stream of this name; there are {', '.join(names)}.")
    try:
        start = None if since is None else read_since(since, row.timezone)
    except ValueError as error:
        raise ProblemError(422, "invalid", f"since: {error}.") from None
    async with services_of(request).database() as connection, connection.transaction():
        request_id = await requests.enqueue(
            connection, row.project_id, stream=stream, since=start, is_full=full,
            origin="manual", requested_by=identity.actor,
        )  # fmt: skip
        await deeds.note(
            connection, identity, row.project_id, deeds.SYNC,
            request=request_id, stream=stream, since=None if start is None else start.isoformat(), full=full,
        )  # fmt: skip
    return request_id


async def set_credentials(
    request: Request, identity: Identity, row: ProjectRow, values: Mapping[str, str]
) -> ApplyResult:
    """Replace these credentials. Raises ProblemError, whose `problems` name the credential and never its value."""
    known = capabilities_of(row).credential_names
    if not values:
        raise ProblemError(422, "invalid", "Give a credential.")
    for name, value in values.items():
        if name not in known:
            raise ProblemError(422, "invalid", f"{row.crm} has no credential of this name.", field=name)
        if not value.strip():
            raise ProblemError(422, "invalid", f"{name}: give a value.", field=name)
    async with workshop(request) as tools, tools.pool.connection() as connection:
        try:
            return await access.replace_credentials(
                connection, tools.keyring, row.project_id, values, actor=identity.actor
            )
        except SettingsError as error:
            raise refused(error) from None


async def new_secret(request: Request, identity: Identity, row: ProjectRow) -> tuple[str, str]:
    """A new webhook secret and the address that has it, where it belongs there. Raises ProblemError."""
    scheme = row.webhook.get("auth") or "token"
    if scheme not in SCHEMES_WITH_SECRET:
        raise ProblemError(409, "no_secret", "The webhooks of this project need no secret: set webhook.auth first.")
    async with workshop(request) as tools, tools.pool.connection() as connection:
        try:
            secret = await access.new_webhook_secret(connection, tools.keyring, row.project_id, actor=identity.actor)
        except SettingsError as error:
            raise refused(error) from None
    return secret, address_with(row, environment_of(request), secret if scheme == "token" else None)


async def register(request: Request, identity: Identity, row: ProjectRow) -> str:
    """Register our address at the CRM; a sentence on what was done. Raises ProblemError."""
    async with workshop(request) as tools, _noted(tools.pool, identity, row, deeds.REGISTRATION) as outcome:
        try:
            async with asyncio.timeout(TEST_SECONDS):
                said = await register_webhook(
                    tools.pool, tools.keyring, row.project_id, environment_of(request).public_ingest_url
                )
            outcome["ok"] = True
            return said
        except TimeoutError:
            raise ProblemError(
                504, "crm_slow", "The CRM has not answered within a minute: try again later.", word="retry"
            ) from None
        except ConnectorError as error:
            raise ProblemError(422, "refused", f"{error.message.removesuffix('.')}.") from None


async def oauth_address(request: Request, row: ProjectRow) -> str:
    """Where the CRM grants access in the browser. Raises ProblemError."""
    async with workshop(request) as tools:
        try:
            return await oauth.authorize_url(tools.pool, tools.keyring, row.crm, row.project_id)
        except ConnectorError as error:
            raise ProblemError(422, "refused", f"{error.message.removesuffix('.')}.") from None


async def add_project(
    request: Request, identity: Identity, values: Mapping[str, Any], credentials: Mapping[str, str]
) -> ApplyResult:
    """Raises ProblemError."""
    if not identity.sees_all:
        raise ProblemError(403, "limited", "Who is limited to some projects may not add another one.")
    async with workshop(request) as tools, tools.pool.connection() as connection:
        try:
            return await access.add_project(connection, tools.keyring, values, credentials, actor=identity.actor)
        except SettingsError as error:
            raise refused(error) from None


@asynccontextmanager
async def _noted(pool: Pool, identity: Identity, row: ProjectRow, deed: Deed) -> AsyncIterator[dict[str, bool]]:
    """The deed stands in the audit log, however it goes: `ok` is false unless it is set true within."""
    outcome = {"ok": False}
    try:
        yield outcome
    finally:
        async with pool.connection() as connection:
            await deeds.note(connection, identity, row.project_id, deed, **outcome)


def refused(error: SettingsError) -> ProblemError:
    """Settings that cannot be applied, as an answer."""
    return ProblemError(
        422, "refused", f"{in_one(error.problems)}.",
        problems=problem_places(error),
    )  # fmt: skip
