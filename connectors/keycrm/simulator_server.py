"""The two things that the simulator needs of uvicorn and ASGI does not offer.

Both look behind the `send` that uvicorn hands over. Under another server (an in-process transport) they do less, and
say what.
"""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Send


def leave_date_to_app(send: Send) -> None:
    """Keep the server from adding its own `Date` beside the app's. Another server may send two."""
    cycle: Any = getattr(send, "__self__", None)
    headers = getattr(cycle, "default_headers", None)
    if isinstance(headers, list):
        cycle.default_headers = [(name, value) for name, value in headers if name.lower() != b"date"]


async def drop_connection(receive: Receive, send: Send) -> None:
    """Close the TCP connection now, wherever the answer stands. Raises ConnectionError where there is none to close."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionError("the simulator can drop connections of uvicorn alone")
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        continue
