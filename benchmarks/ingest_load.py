"""Load generator of the ingest benchmark, a process of its own: keep-alive connections over raw sockets.

Each sends its next request when the last one is answered. No pipelining, no HTTP library: it must not be what is
measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from typing import cast

import uvloop

BUCKET_SECONDS = 0.00005
_MARK = b"{NUMBER}"
_DIGITS = 12


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, first: int) -> None:
        self._run = run
        self._number = first
        self._answer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._send()

    def data_received(self, data: bytes) -> None:
        # Every answer of the server is one JSON object.
        if self._answer:
            data = self._answer + data
        if not data.endswith(b"}"):
            self._answer = data
            return
        self._answer = b""
        now = time.perf_counter()
        run = self._run
        run.seconds[int((now - self._sent_at) / BUCKET_SECONDS)] += 1
        if data.startswith(b"HTTP/1.1 200"):
            run.answered += 1
        else:
            run.failed += 1
            run.first_failure = run.first_failure or data[-300:].decode(errors="replace")
        if now < run.until:
            self._send()
        else:
            assert self._transport is not None
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._run.ended(error)

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._run.head + b"%012d" % self._number + self._run.tail)
        self._number += 1


class _Run:
    def __init__(self, request: bytes, connections: int, until: float) -> None:
        self.head, _, self.tail = request.partition(_MARK)
        self.until = until
        self.seconds: Counter[int] = Counter()
        self.answered = 0
        self.failed = 0
        self.first_failure = ""
        self.finished = asyncio.get_running_loop().create_future()
        self._open = connections

    def ended(self, error: Exception | None) -> None:
        self._open -= 1
        if error is not None or time.perf_counter() < self.until:
            self.failed += 1
            self.first_failure = self.first_failure or f"connection lost: {error}"
        if not self._open and not self.finished.done():
            self.finished.set_result(None)


async def _main(port: int, path: str, body: str, connections: int, seconds: float, first: int) -> None:
    content = body.encode()
    length = len(content.replace(_MARK, b"0" * _DIGITS))
    request = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: GuzzleHttp/7\r\naccept: */*\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode() + content
    started = time.perf_counter()
    cpu = time.process_time()
    run = _Run(request, connections, started + seconds)
    loop = asyncio.get_running_loop()
    step = 10**7
    for number in range(connections):
        await loop.create_connection(lambda n=number: _Connection(run, first + n * step), "127.0.0.1", port)  # type: ignore[misc]
    await run.finished
    elapsed = time.perf_counter() - started
    print(
        json.dumps(
            {
                "seconds": elapsed,
                "answered": run.answered,
                "failed": run.failed,
                "first_failure": run.first_failure,
                "cpu": (time.process_time() - cpu) / elapsed,
                "buckets": run.seconds,
            }
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--body", required=True, help="{NUMBER} stands for the request's number")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first connection's first request")
    options = parser.parse_args()
    uvloop.run(_main(**vars(options)))
