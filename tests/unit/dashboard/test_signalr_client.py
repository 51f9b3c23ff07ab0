"""Where the JavaScript client cannot be had, a developer's run skips its tests, and CI's fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.dashboard import signalr_client


@pytest.fixture(autouse=True)
def no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "node" else f"/usr/bin/{program}")


def test_a_run_in_ci_fails_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="this machine has no node: install Debian's packages nodejs and"):
        signalr_client.install(tmp_path)


@pytest.mark.parametrize("value", [None, "", "false"])
def test_any_other_run_skips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.skip.Exception, match="this machine has no node"):
        signalr_client.install(tmp_path)
