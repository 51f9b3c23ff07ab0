"""Dagster's own run launcher, and an answer to whether a run's process still lives.

Without that answer a run whose process was killed (power, container, SIGKILL) counts as going on for hours: it holds
its pool, and its project is not pulled meanwhile. With it, run monitoring fails such a run after a minute, and run
retries start it again.
"""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

MISSES = 2
"""Checks in a row (run_monitoring.poll_interval_seconds apart) that must find no process before a run is failed."""


class WatchedRunLauncher(DefaultRunLauncher):
    """Asks the code server that started a run whether it still has its process."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._misses: dict[str, int] = {}

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        if self._has_process(run):
            self._misses.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        misses = self._misses.get(run.run_id, 0) + 1
        if misses < MISSES:  # it may have ended just now, or its server may be starting again
            self._misses[run.run_id] = misses
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._misses.pop(run.run_id, None)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of the run is gone")

    def _has_process(self, run: DagsterRun) -> bool:
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return False
        try:
            answer = deserialize_value(
                client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=10),
                CanCancelExecutionResult,
            )
        except DagsterUserCodeUnreachableError as error:
            return not _is_gone(error.__cause__)
        return answer.can_cancel


def _is_gone(error: Any) -> bool:
    """Nobody listens at the server's address; a server that is only slow to answer is not gone."""
    return (
        isinstance(error, grpc.RpcError)
        and isinstance(error, grpc.Call)
        and error.code() == grpc.StatusCode.UNAVAILABLE
    )
