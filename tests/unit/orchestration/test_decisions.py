"""When something is due, behind, late or worth a build: the pure part of schedules, sensors and checks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from connectors.errors import ConfigError, PermanentError, RetryError, UnreachableError
from database.repositories.heartbeats import Heartbeat
from database.repositories.watch import LastPull, QueueHead
from orchestration.defs.marts.assets import DBT_STEP, BuildConfig, build_arguments, build_variables
from orchestration.defs.marts.schedules import nightly_build
from orchestration.defs.marts.sensors import LONGEST_WAIT_SECONDS, State, decide
from orchestration.defs.normalise.sensors import reason_to_drain
from orchestration.defs.pull.checks import late
from orchestration.defs.pull.schedules import is_due
from orchestration.failures import connector_failure

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


class TestIsDue:
    def test_a_project_never_pulled_is_due(self) -> None:
        assert is_due(5, None, NOW)

    def test_a_run_that_began_seconds_late_does_not_cost_the_next_tick(self) -> None:
        assert is_due(5, ago(minutes=4, seconds=40), NOW)

    def test_a_quarter_hour_waits_for_a_quarter_hour(self) -> None:
        assert not is_due(15, ago(minutes=5), NOW)
        assert not is_due(15, ago(minutes=10), NOW)
        assert is_due(15, ago(minutes=14, seconds=50), NOW)

    def test_a_pull_by_hand_a_moment_ago_is_enough(self) -> None:
        assert not is_due(5, ago(minutes=1), NOW)


class TestReasonToDrain:
    def test_nothing_waits(self) -> None:
        assert reason_to_drain(None, None) is None

    def test_without_a_relay_whatever_waits_is_drained(self) -> None:
        assert reason_to_drain(QueueHead(1, 0.5), None) == "the relay is down"
        assert reason_to_drain(QueueHead(1, 0.5), Heartbeat("relay", "a", 45.0, {})) == "the relay is down"

    def test_an_uploaded_file_waits_for_a_live_relay_alone(self) -> None:
        assert reason_to_drain(None, None, is_file_due=True) == "the relay is down"
        assert reason_to_drain(None, Heartbeat("relay", "a", 2.0, {}), is_file_due=True) is None

    def test_a_live_relay_is_left_alone_until_it_is_a_minute_behind(self) -> None:
        relay = Heartbeat("relay", "a", 2.0, {})
        assert reason_to_drain(QueueHead(1, 59.0), relay) is None
        assert reason_to_drain(QueueHead(1, 75.4), relay) == "the relay is 75 s behind"


class TestLate:
    def test_three_intervals_and_some_grace(self) -> None:
        recent = LastPull("a", 5, ago(minutes=24), None)
        behind = LastPull("b", 5, ago(minutes=26), "The key is wrong.")
        assert late([recent, behind], NOW) == [behind]

    def test_a_project_that_is_pulled_daily_is_not_late_after_an_hour(self) -> None:
        assert late([LastPull("a", 1440, ago(hours=1), None)], NOW) == []

    def test_a_project_without_any_success_is_late(self) -> None:
        assert late([LastPull("a", None, None, None)], NOW)


class TestBuild:
    def test_the_first_tick_waits_for_a_pause_then_builds_once(self) -> None:
        state, build, _ = decide(State(), 10, 0, is_building=False)
        assert not build
        state, build, _ = decide(state, 10, 20, is_building=False)
        assert build
        state, build, reason = decide(state, 10, 40, is_building=False)
        assert not build
        assert reason == "Nothing was written since the last build."

    def test_while_core_is_written_it_waits_but_not_for_ever(self) -> None:
        state = State(built=1, seen=1)
        builds = []
        for tick in range(40):
            state, build, _ = decide(state, 100 + tick, tick * 20.0, is_building=False)
            if build:
                builds.append(tick * 20)
        assert builds == list(range(LONGEST_WAIT_SECONDS, 800, LONGEST_WAIT_SECONDS + 20))

    def test_one_build_at_a_time_and_what_comes_meanwhile_is_built_after_it(self) -> None:
        state = State(built=5, seen=5)
        state, build, reason = decide(state, 9, 0, is_building=True)
        assert (build, reason) == (False, "A build goes already.")
        state, build, _ = decide(state, 9, 20, is_building=True)
        assert not build
        state, build, _ = decide(state, 9, 40, is_building=False)
        assert build
        assert state.built == 9

    def test_counters_that_went_back_after_a_crash_mean_a_build(self) -> None:
        state, build, _ = decide(State(built=500, seen=500), 3, 0, is_building=False)
        assert not build
        assert decide(state, 3, 20, is_building=False)[1]

    def test_only_the_nightly_build_runs_unit_tests_and_tests_all_rows(self) -> None:
        (request,) = nightly_build.evaluate_tick(dg.build_schedule_context()).run_requests or []
        nightly = BuildConfig(**request.run_config["ops"][DBT_STEP]["config"])
        assert build_arguments(nightly) == ["build"]
        assert "CRM_ELT_TEST_ALL_ROWS" in build_variables(nightly, "postgresql://localhost/x")
        assert build_arguments(BuildConfig()) == ["build", "--exclude-resource-type", "unit_test"]
        assert "CRM_ELT_TEST_ALL_ROWS" not in build_variables(BuildConfig(), "postgresql://localhost/x")

    def test_a_full_refresh_can_be_asked_for(self) -> None:
        assert build_arguments(BuildConfig(full_refresh=True, unit_tests=True)) == ["build", "--full-refresh"]


@pytest.mark.parametrize(
    ("error", "again"),
    [(RetryError("busy"), True), (ConfigError("bad key"), False), (PermanentError("refused"), False)],
)
def test_only_errors_of_the_word_retry_are_tried_again(error: RetryError, again: bool) -> None:
    failure = connector_failure(error, "print-shop")
    assert failure.allow_retries is again
    assert failure.description == f"print-shop: {error.message}"
    assert failure.metadata["error_word"].value == error.word


@pytest.mark.parametrize(
    ("error", "comes_again", "again"),
    [
        (UnreachableError("nobody answers"), True, False),
        (UnreachableError("nobody answers"), False, True),
        (RetryError("busy"), True, True),
    ],
)
def test_a_run_does_not_wait_for_a_crm_that_is_away_if_its_schedule_comes_again(
    error: RetryError, comes_again: bool, again: bool
) -> None:
    failure = connector_failure(error, "print-shop", comes_again=comes_again)
    assert failure.allow_retries is again
    assert failure.metadata["error_word"].value == "retry"
