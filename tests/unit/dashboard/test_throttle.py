from __future__ import annotations

import pytest

from dashboard.throttle import Throttle


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_is_locked_after_so_many_failures_and_free_again_later(clock: Clock) -> None:
    throttle = Throttle(3, 60, clock)
    for _ in range(2):
        throttle.fail("a")
    assert throttle.locked_for("a") == 0
    clock.now += 50
    throttle.fail("a")
    assert throttle.locked_for("a") == 60  # from the failure that was too many
    assert throttle.locked_for("b") == 0
    clock.now += 60
    assert throttle.locked_for("a") == 0
    throttle.fail("a")
    assert throttle.locked_for("a") == 0  # one, not four


def test_old_failures_are_forgotten(clock: Clock) -> None:
    throttle = Throttle(2, 60, clock)
    throttle.fail("a")
    clock.now += 61
    throttle.fail("a")
    assert throttle.locked_for("a") == 0


def test_it_keeps_no_more_keys_than_it_may(clock: Clock) -> None:
    throttle = Throttle(1, 60, clock)
    for number in range(10_001):
        throttle.fail(str(number))
    assert throttle.locked_for("0") == 0
    assert throttle.locked_for("1") == throttle.locked_for("10000") == 60
