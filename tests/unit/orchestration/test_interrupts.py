"""A step that is told to stop stops, wherever the signal hits it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterExecutionInterruptedError

from orchestration import interrupts


@pytest.fixture
def dagsters_handler() -> Iterator[Any]:
    """What Dagster installs while a step runs."""

    def interrupt(number: int, frame: Any) -> None:
        raise DagsterExecutionInterruptedError

    before = signal.signal(signal.SIGTERM, interrupt)
    yield interrupt
    signal.signal(signal.SIGTERM, before)


def test_an_interrupt_in_the_event_loops_own_code_ends_the_flow(dagsters_handler: Any) -> None:
    """asyncio reports what is raised in a callback, and goes on."""
    cleaned = []

    async def flow() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(600)
        finally:
            cleaned.append("up")

    with pytest.raises(DagsterExecutionInterruptedError):
        interrupts.run(flow())
    assert cleaned == ["up"]
    assert signal.getsignal(signal.SIGTERM) is dagsters_handler


def test_a_flow_that_ends_by_itself_gives_its_result_and_leaves_the_handlers(dagsters_handler: Any) -> None:
    async def flow() -> str:
        return "done"

    assert interrupts.run(flow()) == "done"
    assert signal.getsignal(signal.SIGTERM) is dagsters_handler


def test_a_flow_in_another_thread_runs_without_handlers_of_its_own(dagsters_handler: Any) -> None:
    results = []

    async def flow() -> str:
        return "done"

    thread = threading.Thread(target=lambda: results.append(interrupts.run(flow())))
    thread.start()
    thread.join()
    assert results == ["done"]
