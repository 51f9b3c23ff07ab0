"""`crm-elt up` and `crm-elt relay`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import typer

from commands import dagster
from commands.output import console, print_rows
from commands.stack import Stack, open_stack
from commands.supervisor import Service, Supervisor, require_free_ports, until_signal
from database.environment import Environment
from database.repositories import users
from database.server import embedded_server
from sync import build as builds
from sync import relay as relays
from sync.retention import Keep


def add_to(application: typer.Typer) -> None:
    application.command()(up)
    application.command()(relay)


def relay() -> None:
    """Run the relay: landed data to the canonical model within a second, until SIGTERM or Ctrl-C."""
    stack = open_stack(is_service=True)

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await relays.run(stack.url, stack.keyring, stop=stop, keep=Keep.of(stack.environment))

    asyncio.run(work())


def up() -> None:
    """Run the whole stack on your own accounts, until Ctrl-C."""
    stack = open_stack()
    environment = stack.environment
    require_free_ports(service_ports(environment))
    was_running_before = environment.database_url is not None
    console.print("Preparing the dbt docs and the Dagster definitions ...")
    builds.docs(stack.url, target_folder=environment.home / "dbt")
    supervisor = Supervisor(environment.home / "logs")
    with until_signal() as stop:
        try:
            start_services(supervisor, stack)
            serve(supervisor, stack, stop)
        finally:
            console.print("Stopping ...")
            supervisor.stop_all()
            if not was_running_before:
                embedded_server(environment).stop()
    console.print("Stopped.")


def service_ports(environment: Environment) -> dict[str, int]:
    """Ports that the services listen on, by the variable that sets them."""
    return {
        "CRM_ELT_INGEST_PORT": environment.ingest_port,
        "CRM_ELT_DASHBOARD_PORT": environment.dashboard_port,
        "CRM_ELT_DAGSTER_PORT": environment.dagster_port,
        "CRM_ELT_DOCS_PORT": environment.docs_port,
    }


def ingest_service(stack: Stack) -> Service:
    environment = stack.environment
    address = f"http://{environment.ingest_host}:{environment.ingest_port}"
    command = _python("-m", "uvicorn", "ingest_api.main:app", "--no-access-log")
    command += ["--host", environment.ingest_host, "--port", str(environment.ingest_port)]
    return Service("ingest", command, child_environment(stack), f"{address}/openapi.json", f"{address}/health/ready")


def dashboard_service(stack: Stack) -> Service:
    environment = stack.environment
    address = f"http://{environment.dashboard_host}:{environment.dashboard_port}"
    command = _python("-m", "uvicorn", "dashboard.main:app", "--no-access-log", "--timeout-graceful-shutdown", "10")
    command += ["--host", environment.dashboard_host, "--port", str(environment.dashboard_port)]
    variables = {  # its cookies are named after its port; its pages lead to the others
        **child_environment(stack),
        "CRM_ELT_DASHBOARD_PORT": str(environment.dashboard_port),
        "CRM_ELT_INGEST_URL": environment.public_ingest_url,
        "CRM_ELT_DAGSTER_URL": environment.public_dagster_url,
        "CRM_ELT_DOCS_URL": environment.public_docs_url,
    }
    return Service("dashboard", command, variables, address, f"{address}/health/ready")


def relay_service(stack: Stack) -> Service:
    return Service("relay", _python("-m", "cli", "relay"), child_environment(stack))


def docs_service(stack: Stack) -> Service:
    environment = stack.environment
    address = f"http://127.0.0.1:{environment.docs_port}/"
    folder = str(environment.home / "dbt" / "docs")
    command = _python("-m", "http.server", str(environment.docs_port), "--bind", "127.0.0.1", "--directory", folder)
    return Service("dbt-docs", command, {}, address, address)


def dagster_services(stack: Stack) -> list[Service]:
    """Webserver and daemon."""
    environment = stack.environment
    variables = {**child_environment(stack), **dagster.variables_for(stack)}
    address = f"http://{environment.dagster_host}:{environment.dagster_port}"
    webserver = dagster.webserver_command(environment.dagster_host, environment.dagster_port)
    return [
        Service("dagster-webserver", webserver, variables, address, f"{address}/server_info"),
        Service("dagster-daemon", dagster.daemon_command(), variables),
    ]


def start_services(supervisor: Supervisor, stack: Stack, *, already: frozenset[str] = frozenset()) -> None:
    """Start all services of the stack but those named in `already`."""
    own = (ingest_service(stack), relay_service(stack), dashboard_service(stack), docs_service(stack))
    for service in (*own, *dagster_services(stack)):
        if service.name not in already:
            console.print(f"Starting {service.name} ...")
            supervisor.start(service)


def serve(supervisor: Supervisor, stack: Stack, stop: threading.Event, remarks: Sequence[str] = ()) -> None:
    """Say where everything is, then `remarks`, and keep it running until `stop`."""
    environment = stack.environment
    rows = [
        {"what": "Dashboard", "where": f"http://{environment.dashboard_host}:{environment.dashboard_port}"},
        {"what": "Ingest API", "where": f"http://{environment.ingest_host}:{environment.ingest_port}/openapi.json"},
        {"what": "Dagster", "where": f"http://{environment.dagster_host}:{environment.dagster_port}"},
        {"what": "dbt docs", "where": f"http://127.0.0.1:{environment.docs_port}"},
        {"what": "Database", "where": f"{_command_line(environment)} database psql"},
        {"what": "Logs", "where": str(environment.home / "logs")},
    ]
    print_rows("Running", rows)
    if not asyncio.run(_has_users(stack)):
        console.print(
            f"Nobody can log in to the dashboard yet: {_command_line(environment)} user add LOGIN --role admin"
        )
    for remark in remarks:
        console.print(remark, markup=False, soft_wrap=True, highlight=False)
    console.print("Ctrl-C stops all of it.")
    supervisor.watch(stop)


async def _has_users(stack: Stack) -> bool:
    async with stack.pool(max_size=1) as pool, pool.connection() as connection:
        return bool(await users.list_all(connection))


def _command_line(environment: Environment) -> str:
    """How this stack's `crm-elt` is called from a shell."""
    program = Path(sys.executable).with_name("crm-elt")
    return f"CRM_ELT_HOME={environment.home} {program if program.exists() else 'crm-elt'}"


def child_environment(stack: Stack) -> dict[str, str]:
    """Variables for child processes. The address of the database goes by the environment, never by the command line."""
    variables = {"DATABASE_URL": stack.url, "CRM_ELT_HOME": str(stack.environment.home), "PYTHONUNBUFFERED": "1"}
    root = str(Path(__file__).parent.parent)
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return variables


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
