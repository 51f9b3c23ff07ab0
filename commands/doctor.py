"""`crm-elt doctor`: what is wrong with this installation, and what to do."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

import psycopg
import typer

from commands.failures import CommandError, sentence_of
from commands.output import JsonFlag, console, counted, print_json
from connectors.errors import ConnectorError
from database import migrate
from database.connection import Pool, open_pool
from database.embedded import EmbeddedServerError
from database.encryption import EncryptionError, Keyring
from database.environment import ConfigurationError, Environment, load_environment
from database.ports import is_free
from database.repositories import credentials, heartbeats, queue, server, settings
from database.repositories.heartbeats import Heartbeat
from database.server import ensure_url
from sync.build import BuildError, stale_sources
from sync.gateway import check_health
from sync.logging_setup import configure_logging

_MINIMUM_DISK_GIB = 2
_MAXIMUM_CLOCK_SECONDS = 5.0
_MAXIMUM_BACKLOG_SECONDS = 60.0
_MAXIMUM_SILENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Check:
    name: str
    state: Literal["ok", "warning", "failed"]
    message: str


def add_to(application: typer.Typer) -> None:
    application.command()(doctor)


def doctor(as_json: JsonFlag = False) -> None:
    """Check configuration, database, migrations, keys, disk, clock, relay and each CRM; say what to do."""
    checks = asyncio.run(_collect())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        colours = {"ok": "green", "warning": "yellow", "failed": "red"}
        for check in checks:
            console.print(f"[{colours[check.state]}]{check.state:8}[/] {check.name}: ", end="")
            console.print(check.message, markup=False, soft_wrap=True)
    failed = [check.name for check in checks if check.state == "failed"]
    if failed:
        raise CommandError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}.")


async def _collect() -> list[Check]:
    return [check async for check in _checks()]


async def _checks() -> AsyncIterator[Check]:
    try:
        environment = load_environment()
    except ConfigurationError as error:
        yield Check("configuration", "failed", str(error))
        return
    configure_logging(environment, is_service=False)
    yield Check("configuration", "ok", f"state folder {environment.home}")
    yield _disk(environment)
    yield _ports(environment)
    try:
        url = await asyncio.to_thread(ensure_url, environment)
        found = await asyncio.to_thread(migrate.current, url)
    except (EmbeddedServerError, psycopg.Error, OSError) as error:
        yield Check("database", "failed", sentence_of(error))
        return
    async with open_pool(url) as pool:
        async for check in _database_checks(pool):
            yield check
        if found != migrate.head():
            yield Check("migrations", "failed", f"at {found or 'none'}, needed {migrate.head()}: run `crm-elt migrate`")
            return
        yield Check("migrations", "ok", f"at {found}")
        async for check in _project_checks(pool, environment):
            yield check


def _disk(environment: Environment) -> Check:
    folder = next(path for path in (environment.home, *environment.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 2**30
    if free < _MINIMUM_DISK_GIB:
        return Check("disk", "failed", f"{free:.1f} GiB free at {folder}: make room, PostgreSQL stops on a full disk")
    return Check("disk", "ok", f"{free:.0f} GiB free at {folder}")


def _ports(environment: Environment) -> Check:
    ports = {
        "ingest": environment.ingest_port, "dashboard": environment.dashboard_port,
        "Dagster": environment.dagster_port, "docs": environment.docs_port,
    }  # fmt: skip
    taken = [f"{name} {port}" for name, port in ports.items() if not is_free(port)]
    if taken:
        return Check("ports", "ok", f"in use: {', '.join(taken)} (the stack runs, or another program holds them)")
    return Check("ports", "ok", f"free: {', '.join(f'{name} {port}' for name, port in ports.items())}")


async def _database_checks(pool: Pool) -> AsyncIterator[Check]:
    async with pool.connection() as connection:
        facts = await server.facts(connection)
    if facts.major_version >= migrate.OLDEST_POSTGRESQL:
        yield Check("database", "ok", f"PostgreSQL {facts.version}")
    else:
        yield Check("database", "failed", f"PostgreSQL {facts.version}: {migrate.OLDEST_POSTGRESQL} or newer is needed")
    drift = abs((datetime.now(UTC) - facts.now).total_seconds())
    if drift > _MAXIMUM_CLOCK_SECONDS:
        yield Check("clock", "failed", f"{drift:.0f} s apart from the database's: synchronise both machines by NTP")
    else:
        yield Check("clock", "ok", f"{drift:.1f} s apart from the database's")


async def _project_checks(pool: Pool, environment: Environment) -> AsyncIterator[Check]:
    try:
        keyring = Keyring.load(environment)
    except EncryptionError as error:
        yield Check("keys", "failed", str(error))
        return
    async with pool.connection() as connection:
        projects = await settings.list_projects(connection)
        backlog = await queue.backlog(connection)
        relay = await heartbeats.newest(connection, "relay")
        try:
            for project in projects:
                await credentials.load(connection, keyring, project.project_id)
            yield Check("keys", "ok", f"credentials of {counted(len(projects), 'project')} can be read")
        except EncryptionError as error:
            yield Check("keys", "failed", str(error))
            return
    yield _relay(relay)
    late = backlog.oldest_seconds is not None and backlog.oldest_seconds > _MAXIMUM_BACKLOG_SECONDS
    yield Check(
        "backlog",
        "warning" if late else "ok",
        f"{backlog.count} batches wait"
        + (f", the oldest for {backlog.oldest_seconds:.0f} s: run `crm-elt process`" if late else ""),
    )
    if not projects:
        yield Check("projects", "warning", "none yet: write a settings file and run `crm-elt apply FILE.yaml`")
    elif any(project.is_enabled for project in projects):
        yield await asyncio.to_thread(_freshness, environment)
    for project in projects:
        name = f"project {project.project_id}"
        if not project.is_enabled:
            reason = project.disabled_reason or "by hand"
            state: Literal["warning", "failed"] = "warning" if reason == "by hand" else "failed"
            yield Check(name, state, f"disabled ({reason}): `crm-elt project enable {project.project_id}`")
            continue
        try:
            health = await check_health(pool, keyring, project.project_id)
            yield Check(name, "ok" if health.ok else "failed", health.message)
        except ConnectorError as error:
            yield Check(name, "failed", str(error))


def _freshness(environment: Environment) -> Check:
    """By dbt's own rules for its sources; an account may have been quiet, so that it is a warning."""
    try:
        stale = stale_sources(ensure_url(environment), target_folder=environment.home / "dbt")
    except BuildError as error:
        return Check("freshness", "failed", str(error))
    if stale:
        names: dict[str, list[str]] = {}
        for source in stale:
            names.setdefault(source.reason, []).append(source.name)
        told = "; ".join(f"{reason}: {', '.join(of_it)}" for reason, of_it in names.items())
        return Check("freshness", "warning", f"{told}; look at Dagster's runs, or run `crm-elt sync PROJECT`")
    return Check("freshness", "ok", "every source of the marts was written as recently as it should be")


def _relay(beat: Heartbeat | None) -> Check:
    if beat is None or beat.age_seconds > _MAXIMUM_SILENCE_SECONDS:
        advice = "`crm-elt up` starts it, `crm-elt relay` alone; Dagster's sensors do its work meanwhile"
        return Check("relay", "warning", f"not running: {advice}")
    return Check("relay", "ok", f"alive {beat.age_seconds:.0f} s ago")
