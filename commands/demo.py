"""`crm-elt demo`: the whole stack on simulated accounts."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import httpx
import typer

from commands import demo_troubles, demo_two_way
from commands.build import build_marts
from commands.demo_users import add_users
from commands.failures import CommandError
from commands.figures import figures, print_figures
from commands.output import JsonFlag, console, counted, print_json, progress_bar, results_alone
from commands.services import ingest_service, relay_service, serve, start_services
from commands.stack import Stack, open_stack
from commands.supervisor import Supervisor, require_free_ports, until_signal
from database.environment import Environment, load_environment
from database.ports import free_port, is_free
from database.repositories import queue, requests
from database.server import DATABASE, embedded_server
from sync import build as builds
from sync import process, pull, trials
from sync.settings import apply_settings

if TYPE_CHECKING:
    from demo.accounts import DemoAccounts, KeyCrmAccount, OtherAccount

_LIVE_CHANGES = 30
_OTHER_CHANGES = 3
_SETTLE_SECONDS = 120.0
_WEBHOOKS_AT_ONCE = 32
_ANSWER_SECONDS = 120.0
"""For one webhook, on a machine that is busy with all the others."""


def add_to(application: typer.Typer) -> None:
    application.command()(demo)


def demo(
    serve_after: Annotated[bool, typer.Option("--serve/--no-serve", help="Go on serving until Ctrl-C.")] = True,
    lives: Annotated[
        bool,
        typer.Option("--live/--still", help="Let something happen at each CRM while it serves."),
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Run everything on simulated CRM accounts: pull, webhooks, marts, figures; then serve until Ctrl-C.

    Its state is in the folder `demo` of CRM_ELT_HOME and starts anew each time; an embedded PostgreSQL is always used,
    so that it touches none of your data.
    """
    from demo.accounts import demo_accounts  # only the demo knows the simulators

    environment = demo_environment(load_environment())
    server = embedded_server(environment)
    stopping = threading.Event()
    with results_alone(as_json), until_signal() as stop, demo_accounts(datetime.now(UTC)) as accounts:
        supervisor = Supervisor(environment.home / "logs")
        try:
            if server.is_running():
                require_idle(environment)
            server.start()
            server.drop_database(DATABASE)
            server.drop_database("dagster")
            stack = open_stack(environment=environment)
            console.print(f"PostgreSQL runs on 127.0.0.1:{server.port}, its data is in {environment.home}.")
            run_main_job(stack, accounts, supervisor)
            result = asyncio.run(figures(stack))
            if as_json:
                print_json(result)
            else:
                print_figures(result)
            if serve_after and not stop.is_set():
                start_services(supervisor, stack, already=frozenset({"ingest", "relay"}))
                if lives:
                    threading.Thread(target=_keep_changing, args=(accounts, stopping), daemon=True).start()
                logins = asyncio.run(add_users(stack, [account.project_id for account in accounts.shops[:1]]))
                serve(supervisor, stack, stop, logins)
        finally:
            stopping.set()
            if serve_after:
                console.print("Stopping ...")
            for account in accounts.shops:
                account.seeded.state.webhooks.stop()
            supervisor.stop_all()
            server.stop()
            (environment.home / "demo.pid").unlink(missing_ok=True)


def demo_environment(environment: Environment) -> Environment:
    """The environment with a home of its own, and other ports for those that are taken and nobody asked for."""
    chosen: dict[str, object] = {"home": environment.home / "demo", "database_url": None}
    for name in ("ingest_port", "dashboard_port", "dagster_port", "docs_port"):
        port = getattr(environment, name)
        if not is_free(port):
            if f"CRM_ELT_{name.upper()}" in os.environ:
                require_free_ports({f"CRM_ELT_{name.upper()}": port})
            chosen[name] = free_port()
    return environment.model_copy(update=chosen)


def require_idle(environment: Environment) -> None:
    """Raises CommandError if another demo runs in the same folder."""
    lock = environment.home / "demo.pid"
    if lock.exists() and _is_alive(int(lock.read_text())):
        raise CommandError(
            f"Another demo runs in {environment.home} (process {lock.read_text()}): stop it, or set CRM_ELT_HOME."
        )


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return process_id != os.getpid()


def run_main_job(stack: Stack, accounts: DemoAccounts, supervisor: Supervisor) -> None:
    """Settings, ingest and relay, pull, webhooks of the past and of now, marts and their docs."""
    (stack.environment.home / "demo.pid").write_text(str(os.getpid()))
    asyncio.run(_apply(stack, accounts))
    for service in (ingest_service(stack), relay_service(stack)):
        supervisor.start(service)
    asyncio.run(_pull(stack, accounts))
    ingest = f"http://{stack.environment.ingest_host}:{stack.environment.ingest_port}"
    asyncio.run(_send_past(accounts.shops, ingest))
    _change(accounts.shops, ingest)
    _change_others(accounts.others, ingest)
    asyncio.run(_settle(stack))
    asyncio.run(demo_two_way.show(stack, accounts.shops[0], ingest))
    asyncio.run(demo_troubles.make(stack, accounts.shops[0], ingest))
    resynced_id = next(account.project_id for account in accounts.others if account.crm == "retailcrm")
    asyncio.run(demo_troubles.compare(stack, accounts.shops[0].project_id, resynced_id))
    asyncio.run(_settle(stack))
    result = build_marts(stack)
    if result.failed:
        raise CommandError(f"dbt failed: {result.failed[0]}")
    built, passed = counted(result.models, "model"), counted(result.passed, "test")
    console.print(f"{built} built and {passed} passed in {result.seconds:.0f} s.")
    builds.docs(stack.url, target_folder=stack.environment.home / "dbt")


async def _apply(stack: Stack, accounts: DemoAccounts) -> None:
    async with stack.pool() as pool, pool.connection() as connection:
        await apply_settings(
            connection,
            stack.keyring,
            accounts.settings(),
            source="demo settings",
            environ=accounts.variables,
            actor="cli:demo",
        )
    console.print(f"Settings applied: {', '.join(accounts.project_ids)}.")
    async with stack.pool() as pool:
        for account in accounts.others:  # a CRM that the settings define is tried before it is active
            health = (await trials.try_project(pool, stack.keyring, account.project_id, actor="cli:demo")).health
            if not health.ok:
                raise CommandError(f"{account.project_id}: {health.message}")
            console.print(f"{account.project_id}: {health.message.removesuffix('.')}.", markup=False, soft_wrap=True)


async def _pull(stack: Stack, accounts: DemoAccounts) -> None:
    async with stack.pool() as pool:
        for project_id in accounts.pulled_ids:
            with progress_bar(f"Pulling {project_id}") as bar:
                result = await pull.pull_project(
                    pool,
                    stack.keyring,
                    project_id,
                    progress=lambda state, bar=bar: bar.update(state.rows, state.total, state.stream),  # type: ignore[misc]
                )
            console.print(f"{project_id}: {sum(stream.counts.new for stream in result.streams)} records pulled.")


async def _send_past(accounts: Sequence[KeyCrmAccount], ingest: str) -> None:
    """KeyCRM's API has no history: what went before comes in as the webhooks that it sent then."""
    total = sum(len(account.seeded.history) for account in accounts)
    done = 0
    limit = asyncio.Semaphore(_WEBHOOKS_AT_ONCE)
    with progress_bar("Receiving webhooks") as bar:
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS) as client:

            async def send(account: KeyCrmAccount, payload: Mapping[str, object]) -> None:
                nonlocal done
                async with limit:
                    answer = await client.post(
                        f"{ingest}/webhooks/keycrm/{account.project_id}",
                        params={"token": account.webhook_secret},
                        json=payload,
                    )
                if answer.status_code != 200:
                    raise CommandError(f"The ingest API refused a webhook: {answer.status_code} {answer.text[:200]}")
                done += 1
                bar.update(done, total)

            async with asyncio.TaskGroup() as group:
                for account in accounts:
                    for past in account.seeded.history:
                        group.create_task(send(account, past.payload))
    console.print(f"{done} webhooks accepted.")


def _change(accounts: Sequence[KeyCrmAccount], ingest: str) -> None:
    """Changes at the CRMs, which send their webhooks themselves."""
    from demo.seed import live_changes

    for account in accounts:
        webhooks = account.seeded.state.webhooks
        webhooks.add_target(f"{ingest}/webhooks/keycrm/{account.project_id}?token={account.webhook_secret}")
        webhooks.start()
        changed = sum(1 for _ in live_changes(account.seeded, _LIVE_CHANGES))
        webhooks.wait_idle(_SETTLE_SECONDS)
        console.print(f"{account.project_id}: {changed} changes at the CRM, each announced by a webhook.")


def _change_others(accounts: Sequence[OtherAccount], ingest: str) -> None:
    """Something happens at each other CRM; those that can tell of it do."""
    for account in accounts:
        if account.made.connect is not None:
            account.made.connect(f"{ingest}/webhooks/{account.crm}/{account.project_id}?token={account.webhook_secret}")
        if account.made.change is not None:
            for _ in range(_OTHER_CHANGES):
                account.made.change()
        if account.made.settle is not None:
            account.made.settle()


async def _settle(stack: Stack) -> None:
    """Wait until everything that landed is in core and every re-read is done."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    async with stack.pool() as pool:
        while True:
            await process.process_all(pool)
            async with pool.connection() as connection:
                backlog = await queue.backlog(connection)
                waiting = await requests.backlog(connection)
            if not backlog.count and not waiting.count:
                return
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{backlog.count} raw batches and {waiting.count} re-reads still wait: see the logs."
                )
            await asyncio.sleep(0.2)


def _keep_changing(accounts: DemoAccounts, stopping: threading.Event) -> None:
    """While the demo serves, something happens at each CRM every few seconds."""
    from demo.seed import live_changes

    while not stopping.wait(5):
        for account in accounts.shops:
            list(live_changes(account.seeded, 1))
        for other in accounts.others:
            if other.made.change is not None:
                other.made.change()
