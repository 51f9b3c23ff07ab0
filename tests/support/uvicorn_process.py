"""An HTTP server as it runs in earnest: a uvicorn process of its own, configured by the environment alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from database.ports import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


class UvicornProcess:
    """Starts, kills and restarts one server on one port; its output is kept in a file."""

    def __init__(
        self,
        application: str,
        folder: Path,
        database_url: str,
        home: Path,
        master_key: str,
        *,
        port: int | None = None,
        **settings: object,
    ) -> None:
        """`application` as `ingest_api.main:app`; `settings` are CRM_ELT_* variables, names in lower case."""
        self._application = application
        self.name = application.split(".")[0]
        self.output = folder / f"{self.name}.log"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._variables = {
            **os.environ, "DATABASE_URL": database_url, "CRM_ELT_HOME": str(home), "CRM_ELT_MASTER_KEY": master_key,
            "CRM_ELT_LOG_FORMAT": "json",
        }  # fmt: skip
        self.set(**settings)
        self._process: subprocess.Popen[bytes] | None = None

    def set(self, **settings: object) -> None:
        """Further CRM_ELT_* variables, from the next start on."""
        self._variables |= {f"CRM_ELT_{name.upper()}": str(value) for name, value in settings.items()}

    def start(self) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", self._application, "--port", str(self.port)],
                cwd=ROOT, env=self._variables, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_until(self._answers, 60, lambda: f"{self.name} did not start: {self.log()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process by a signal and wait for its end; its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self._process.returncode}: {self.log()}")
        try:
            return httpx.get(f"{self.url}/health/live", timeout=2).status_code == 200
        except httpx.TransportError:
            return False
