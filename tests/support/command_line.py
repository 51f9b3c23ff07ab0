"""`crm-elt` as a user calls it, in the test's own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commands.application import application
from commands.failures import exit_code_of

Cli = Callable[..., tuple[int, str, str]]
"""Words of the command line -> exit code, stdout, stderr."""


def command_line(capfd: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = exit_code_of(application, list(words), debug=False)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call
