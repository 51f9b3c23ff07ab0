"""Cancelled runs: Dagster interrupts a step by an exception raised in its signal handler, wherever that hits.

Inside asyncio it may hit the event loop's own code, which takes it for an error of a connection and goes on, and the
run with it. So while a flow runs, the signals cancel its task, and Dagster's exception is raised afterwards.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from dagster import DagsterExecutionInterruptedError

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work. Raises DagsterExecutionInterruptedError if the process is told to stop."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # signals are for the main thread
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        return asyncio.run(_interruptible(work))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work)
    is_interrupted = False

    def interrupt() -> None:
        nonlocal is_interrupted
        is_interrupted = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if is_interrupted:
            raise DagsterExecutionInterruptedError from None
        raise
