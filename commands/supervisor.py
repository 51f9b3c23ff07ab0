"""Runs the stack's processes: starts them, waits until they answer, restarts what dies, stops all cleanly."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands.failures import CommandError
from database.ports import is_free

_GRACE_SECONDS = 20.0
_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 120.0


@dataclass(frozen=True)
class Service:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    """What a user opens."""
    ready_url: str | None = None
    """Answers 200 once the process works; None: ready when started."""


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    starts: list[float]


class Supervisor:
    """The processes of one stack. Output of each goes to `log_folder/NAME.log`."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._running: dict[str, _Running] = {}
        log_folder.mkdir(parents=True, exist_ok=True)

    def start(self, service: Service, *, ready_seconds: float = 120.0) -> None:
        """Start a process and wait until it is ready.

        Raises CommandError with the last lines of its log if it ends before, or does not answer in time.
        """
        running = _Running(service, self._spawn(service), [time.monotonic()])
        self._running[service.name] = running
        deadline = time.monotonic() + ready_seconds
        while service.ready_url is not None and not _answers(service.ready_url):
            if running.process.poll() is not None:
                raise CommandError(f"{service.name} ended at start: {self._tail(service)}")
            if time.monotonic() > deadline:
                raise CommandError(f"{service.name} did not answer within {ready_seconds:.0f} s: {self._tail(service)}")
            threading.Event().wait(0.1)

    def watch(self, stop: threading.Event) -> None:
        """Restart processes that end, until `stop` is set. Raises CommandError if one keeps ending."""
        while not stop.wait(0.5):
            for running in list(self._running.values()):
                if running.process.poll() is not None:
                    self._restart(running)

    def stop_all(self) -> None:
        """End every process and its children: SIGTERM, and SIGKILL to what is left after a grace period."""
        for running in reversed(self._running.values()):
            _signal_group(running.process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for running in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(max(0.0, deadline - time.monotonic()))
            _signal_group(running.process, signal.SIGKILL)
            running.process.wait()
        self._running.clear()

    def _restart(self, running: _Running) -> None:
        now = time.monotonic()
        running.starts = [at for at in running.starts if now - at < _RESTART_WINDOW_SECONDS]
        if len(running.starts) >= _RESTARTS:
            raise CommandError(f"{running.service.name} keeps ending: {self._tail(running.service)}")
        _signal_group(running.process, signal.SIGKILL)  # children that outlived it
        running.starts.append(now)
        running.process = self._spawn(running.service)

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        with self._log(service).open("ab") as log:
            return subprocess.Popen(
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **service.environment},
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops them in order
            )

    def _log(self, service: Service) -> Path:
        return self._log_folder / f"{service.name}.log"

    def _tail(self, service: Service) -> str:
        lines = self._log(service).read_text(errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else 'it printed nothing'} (more in {self._log(service)})"


@contextlib.contextmanager
def until_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the handlers before are put back afterwards."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_free_ports(ports: Mapping[str, int]) -> None:
    """Raises CommandError naming the variable of the first port that another program holds."""
    for variable, port in ports.items():
        if not is_free(port):
            raise CommandError(f"Port {port} is taken by another program: set {variable} to a free one.")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http on loopback, made here
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
