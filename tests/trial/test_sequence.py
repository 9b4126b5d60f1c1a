"""Steps of a case: pauses that began during the step before."""

from __future__ import annotations

from typing import TypeVar, cast

import pytest

from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.trial.sequence import StepLog
from mlpstorage_bench.units import NS_PER_S
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow

T = TypeVar("T")


class OtherRank(SoloRanks):
    """A rank that receives what rank 0 has found."""

    rank, size = 1, 2

    def __init__(self, found: float) -> None:
        super().__init__()
        self._found = found

    def bcast(self, value: T) -> T:
        del value
        return cast("T", self._found)


def log_after_a_trial(pause_began_s_ago: float | None, ranks: SoloRanks | None = None) -> StepLog:
    """Return the steps of a case whose first trial ended just now."""
    log = StepLog(ranks or SoloRanks())
    with log.record("trial", 1) as step:
        if pause_began_s_ago is not None:
            step.pause_began_ns = RealClock().now_ns() - round(pause_began_s_ago * NS_PER_S)
    return log


def test_a_pause_that_began_in_the_trial_lasts_what_is_left_of_it() -> None:
    assert 0 < log_after_a_trial(500.0).left_of_pause(3600.0) <= 3100


def test_nothing_is_left_of_a_pause_that_was_over_before_the_trial_ended() -> None:
    assert log_after_a_trial(5.0).left_of_pause(4.0) == 0


def test_a_pause_after_a_trial_is_full_where_it_began_with_the_trial_s_end() -> None:
    assert log_after_a_trial(None).left_of_pause(5.0) == 5.0


def test_all_ranks_wait_what_rank_0_has_found() -> None:
    assert log_after_a_trial(500.0, OtherRank(1.25)).left_of_pause(3600.0) == 1.25


def test_a_pause_after_another_step_or_in_another_case_is_full() -> None:
    log = log_after_a_trial(500.0)
    with log.record("cache_emptied", 2):
        pass
    assert log.left_of_pause(3600.0) == 3600
    log = log_after_a_trial(500.0)
    log.begin_case()
    assert log.left_of_pause(3600.0) == 3600


def test_the_record_of_a_pause_has_what_was_waited_and_what_had_passed() -> None:
    log = log_after_a_trial(None)
    log.pause("pause_before_trial", 2, 0.01, lambda: None, overlapped_s=4.5)
    step = log.steps[-1]
    assert (step.step, step.trial, step.overlapped_s) == ("pause_before_trial", 2, 4.5)
    assert step.seconds >= 0.01
