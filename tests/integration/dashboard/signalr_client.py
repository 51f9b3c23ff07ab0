"""The npm package @microsoft/signalr, installed for the test session and driven over a pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.support.waiting import wait_until

PACKAGE = "@microsoft/signalr"
_SCRIPT = Path(__file__).with_name("hub_client.mjs")


def install(folder: Path) -> Path:
    """The folder in which the package is installed, by npm and the registry that this machine is set up for.

    Where that cannot be done, it says why, and skips the test; in CI it fails it.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        cannot_be_run(
            f"{PACKAGE} is a Node package, and this machine has no {'npm' if npm is None else 'node'}: install "
            "Debian's packages nodejs and npm."
        )
    (folder / "package.json").write_text('{"private": true}')
    try:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE],
            cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        cannot_be_run(f"npm could not install {PACKAGE} within 120 s: is a registry within reach?")
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-300:]
        cannot_be_run(f"npm could not install {PACKAGE}: {reason}")
    return folder


def cannot_be_run(reason: str) -> NoReturn:
    """A developer may do without Node; CI may not, or nobody would know that the hub's clients still connect."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@dataclass
class SignalrClient:
    process: subprocess.Popen[str]
    said: list[tuple[str, Any]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def heard(self, *names: str) -> list[Any]:
        """What was said under these names, in order."""
        return [value for name, value in list(self.said) if name in names]

    def wait_for(self, name: str, number: int = 1, seconds: float = 20) -> list[Any]:
        wait_until(lambda: len(self.heard(name)) >= number, seconds, lambda: f"{number} {name}, heard {self.said}")
        return self.heard(name)

    def invoke(self, method: str, *arguments: Any) -> Any:
        """What the hub answers to a call; an error's text as ("error", text)."""
        number = next(self._numbers)
        self._tell([number, method, *arguments])

        def answer() -> Any:
            for name, value in list(self.said):
                if name in ("answer", "error") and value[0] == number:
                    return [(name, value[1])]
            return None

        name, value = wait_until(answer, 20, lambda: f"an answer to {method}, heard {self.said}")[0]
        return value if name == "answer" else ("error", value)

    def stop(self) -> None:
        """Close the connection as a client does that has had enough."""
        self._tell([0, "stop"])

    def _tell(self, line: list[Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(tuple(json.loads(line)))


@contextmanager
def connected(folder: Path, url: str, token: str, *, reconnects: bool = False) -> Iterator[SignalrClient]:
    """A client that has tried to connect; `started` or `refused` was heard."""
    process = subprocess.Popen(
        [shutil.which("node") or "node", str(_SCRIPT), str(folder), url, token, "yes" if reconnects else "no"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        client = SignalrClient(process)
        wait_until(lambda: client.heard("started", "refused"), 30, lambda: f"connected or refused: {client.said}")
        yield client
    finally:
        process.kill()
        process.communicate()
