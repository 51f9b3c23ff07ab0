"""TCP ports of loopback."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

_FIRST = 20_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_OUTGOING = 32_768
"""Linux's default, where the range cannot be read."""
_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on it now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody uses now.

    If there is one, below those that the system lends to outgoing connections: it is still free when, seconds later, a
    server asks for it.
    """
    count = max(1, _first_outgoing() - _FIRST)
    for _ in range(_ATTEMPTS):
        port = _FIRST + secrets.randbelow(count)
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _first_outgoing() -> int:
    try:
        return int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _FIRST_OUTGOING
