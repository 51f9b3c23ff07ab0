"""Real `dagster-webserver` and `dagster-daemon` processes, and a small GraphQL client for them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from commands.dagster import daemon_command, webserver_command
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]


class Dagster:
    """A running webserver, by its GraphQL."""

    def __init__(self, url: str, logs: Path) -> None:
        self.url = url
        self.logs = logs

    def query(self, text: str, **variables: Any) -> Any:
        answer = httpx.post(f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=60).json()
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"])[:2000])
        return answer["data"]

    def output(self) -> str:
        """Tails of what the processes wrote, for a failed test."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in sorted(self.logs.glob("*.log")))


@contextmanager
def running(
    variables: Mapping[str, str], logs: Path, *, workspace: Path = ROOT / "workspace.yaml", daemon: bool = True
) -> Iterator[Dagster]:
    """Webserver and daemon on the given environment; both are stopped when the block ends."""
    logs.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    commands = {
        "webserver": webserver_command("127.0.0.1", port, workspace),
        **({"daemon": daemon_command(workspace)} if daemon else {}),
    }
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands.items():
            with (logs / f"{name}.log").open("wb") as output:
                processes.append(
                    subprocess.Popen(
                        command,
                        env={**os.environ, **variables},
                        cwd=ROOT,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        dagster = Dagster(f"http://127.0.0.1:{port}", logs)

        def is_up() -> bool:
            for process in processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args} ended with {process.returncode}\n{dagster.output()}")
            try:
                return httpx.get(f"{dagster.url}/server_info", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(is_up, 240, "the Dagster webserver", every=0.5)
        yield dagster
    finally:
        stop(processes)


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """As the supervisor of `crm-elt up` does: SIGTERM to the group, a while, SIGKILL to what is left."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
