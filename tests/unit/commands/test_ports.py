"""Ports that stay free until a server asks for them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from database import ports


def test_a_free_port_is_not_one_that_outgoing_connections_get() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for _ in range(50):
        port = ports.free_port()
        assert ports.is_free(port)
        assert not first <= port <= last


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_where_all_of_them_are_taken_the_system_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with socket.create_server(("127.0.0.1", ports.free_port())) as server:
        assert server.getsockname()[1] > 0


def test_a_range_that_cannot_be_read_is_taken_for_linux_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for content in (None, "", "many few"):
        path = tmp_path / "range"
        if content is not None:
            path.write_text(content)
        monkeypatch.setattr(ports, "_RANGE", path)
        assert 20_000 <= ports.free_port() < 32_768
