"""`crm-elt dagster ...`: Dagster's processes one by one, for machines where each has its own container or unit."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from commands.failures import CommandError
from commands.output import console
from commands.stack import Stack, open_stack

commands = typer.Typer(
    help="Dagster's processes, one by one (`crm-elt up` runs them all).", no_args_is_help=True, suggest_commands=False
)

WORKSPACE = Path(__file__).parent.parent / "workspace.yaml"
_POOL_RECYCLE_SECONDS = 2
"""The webserver keeps connections without asking whether they live: one from before an outage would answer 500."""
WorkspaceOption = Annotated[Path, typer.Option(help="Where the code locations are.")]


def variables_for(stack: Stack) -> dict[str, str]:
    """Prepare Dagster's storage and dbt's manifest; the variables that its processes need.

    Imports Dagster, which takes seconds: only called by commands that need it.
    """
    from orchestration.instance import prepare
    from orchestration.manifest import ManifestError, prepare_manifest

    try:
        prepare_manifest(stack.environment, stack.url)
    except ManifestError as error:
        raise CommandError(str(error)) from None
    return prepare(stack.environment, stack.url)


def script(name: str) -> str:
    """Path of a program that is installed beside this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise CommandError(f"{path} is missing: run `make install`.")
    return str(path)


def webserver_command(host: str, port: int, workspace: Path = WORKSPACE) -> list[str]:
    command = _service("dagster-webserver", "-w", str(workspace), "-h", host, "-p", str(port))
    return [*command, "--db-pool-recycle", str(_POOL_RECYCLE_SECONDS)]


def daemon_command(workspace: Path = WORKSPACE) -> list[str]:
    return _service("dagster-daemon", "run", "-w", str(workspace))


def _service(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestration.process", script(program), *arguments]


@commands.command()
def webserver(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Run the web interface on CRM_ELT_DAGSTER_HOST and CRM_ELT_DAGSTER_PORT."""
    stack = open_stack()
    environment = stack.environment
    _become(webserver_command(environment.dagster_host, environment.dagster_port, workspace), variables_for(stack))


@commands.command()
def daemon(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Run schedules, sensors, the queue and backfills."""
    stack = open_stack()
    _become(daemon_command(workspace), variables_for(stack))


@commands.command("code-location")
def code_location(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 4000,
) -> None:
    """Serve the definitions to webserver and daemon over gRPC."""
    stack = open_stack()
    command = _service("dagster", "api", "grpc", "-m", "orchestration.definitions", "-h", host, "-p", str(port))
    _become(command, variables_for(stack))


# Dagster imports this module in two threads at once, on which Python 3.11's import sometimes fails (KeyError); so it is
# there before the threads are.
_VALIDATE = "import dagster._grpc.server; from dagster._cli import main; main()"


@commands.command()
def check(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Load all definitions, as webserver and daemon would, and say whether they are valid."""
    import subprocess

    stack = open_stack()
    result = subprocess.run(
        [sys.executable, "-c", _VALIDATE, "definitions", "validate", "-w", str(workspace)],
        env={**os.environ, **variables_for(stack)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise CommandError(f"The Dagster definitions are not valid:\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
    console.print("The Dagster definitions are valid.")


def _become(command: list[str], variables: Mapping[str, str]) -> NoReturn:
    os.execve(command[0], command, {**os.environ, **variables})
