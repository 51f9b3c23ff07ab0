"""`crm-elt docs` serves what dbt has written, until it is told to stop."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from commands import docs
from database.ports import free_port
from tests.support.waiting import wait_until


def test_the_pages_are_served_until_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("what the numbers mean")
    asked: list[tuple[str, Path]] = []

    def write(url: str, *, target_folder: Path) -> Path:
        asked.append((url, target_folder))
        return tmp_path / "docs"

    port = free_port()
    environment = SimpleNamespace(home=tmp_path, docs_port=port)
    monkeypatch.setattr(docs, "open_stack", lambda **_: SimpleNamespace(url="the database", environment=environment))
    monkeypatch.setattr(docs.builds, "docs", write)
    seen: list[str] = []

    def read() -> None:
        try:
            wait_until(lambda: _page(port, seen))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # if the server never comes, the test fails and not the run
    try:
        reader = threading.Thread(target=read)
        reader.start()
        docs.docs()
        reader.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["what the numbers mean"]
    assert asked == [("the database", tmp_path / "dbt")]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")


def _page(port: int, seen: list[str]) -> bool:
    try:
        seen.append(httpx.get(f"http://127.0.0.1:{port}/").text)
    except httpx.TransportError:
        return False
    return True
