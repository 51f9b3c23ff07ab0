"""`crm-elt docs`: the dbt docs, which say in full what a number means. `up` and `demo` serve them by themselves."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated

import typer

from commands.output import console
from commands.stack import open_stack
from commands.supervisor import until_signal
from sync import build as builds


def add_to(application: typer.Typer) -> None:
    application.command()(docs)


def docs(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="CRM_ELT_DOCS_PORT, if none is given.")] = None,
) -> None:
    """Write the dbt docs and serve them, until SIGTERM or Ctrl-C."""
    stack = open_stack(is_service=True)
    folder = builds.docs(stack.url, target_folder=stack.environment.home / "dbt")
    handler = functools.partial(_Files, directory=str(folder))
    number = stack.environment.docs_port if port is None else port
    with until_signal() as stop, ThreadingHTTPServer((host, number), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        console.print(f"The dbt docs are at http://{host}:{server.server_port}.")
        stop.wait()
        server.shutdown()
        serving.join()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """No line for each file that is read."""
