"""`crm-elt up` or `demo` as a child process, until it serves and after it has been told to stop."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SECONDS = 90.0


class Serving:
    """The process and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._serves = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_until_it_serves(self, seconds: float) -> None:
        assert self._serves.wait(seconds), self.output[-3000:]
        assert self.process.poll() is None, self.output[-3000:]

    def stop(self, signal_number: int) -> int:
        """Its exit code after this signal, once everything it printed has been read."""
        self.process.send_signal(signal_number)
        code = self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if "Ctrl-C stops all of it" in line:
                self._serves.set()
        self._serves.set()


@contextmanager
def serving(process: subprocess.Popen[str]) -> Iterator[Serving]:
    """The process, killed when the block ends if it still runs."""
    try:
        yield Serving(process)
    finally:
        process.kill()
        process.wait()
