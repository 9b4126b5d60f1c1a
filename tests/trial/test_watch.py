"""The time that is left: of trials whose length is known, and unknown otherwise."""

from __future__ import annotations

import pytest

from mlpstorage_bench.progress.state import Progress, Viewer
from mlpstorage_bench.trial.trial_window import STEADY
from mlpstorage_bench.trial.watch import TrialPlace, Watch, WatchedTrial, WorkCounts
from tests.trials import SoloRanks


class Shown:
    """A watch, and the states that it shows."""

    def __init__(
        self,
        window_s: float,
        *,
        trial: int = 1,
        later_trials: int | None = 0,
        later_in_test: int = 0,
    ) -> None:
        self.states: list[Progress] = []
        viewer = Viewer(self.states.append, later_trials=later_trials)
        ranks = SoloRanks()
        self.watch = Watch(ranks, viewer, is_on=True)
        self.watch.begin_trial(TrialPlace("a", trial, 2, 1.0, 3.0, 0.0, window_s, later_in_test))
        watched = WatchedTrial(0.0, window_s, STEADY, lambda: WorkCounts(0, 0, 0, 0))
        self.trial = self.watch.of_trial(watched)

    @property
    def last(self) -> Progress:
        return self.states[-1]


@pytest.mark.parametrize(
    ("later_in_test", "later_trials", "left_s"), [(0, 0, 128.0), (0, 1, 192.0), (2, 1, 320.0)]
)
def test_later_trials_are_as_long_as_this_one(
    later_in_test: int, later_trials: int, left_s: float
) -> None:
    shown = Shown(60.0, later_trials=later_trials, later_in_test=later_in_test)
    assert shown.last.left_s == pytest.approx(left_s, abs=1.0)
    shown.trial.began("window")
    assert shown.last.length_s == 60.0
    assert shown.last.left_s == pytest.approx(left_s - 1.0, abs=1.0)


def test_time_is_unknown_where_the_work_decides() -> None:
    shown = Shown(0.0)
    assert shown.last.left_s is None
    shown.trial.began("window")
    assert (shown.last.length_s, shown.last.left_s) == (None, None)
    shown.watch.begin_pause(3.0, is_after=True)
    assert shown.last.left_s is None, "of the trial after it"


def test_pause_after_the_last_trial_is_all_that_is_left() -> None:
    shown = Shown(0.0, trial=2)
    shown.watch.begin_pause(3.0, is_after=True)
    assert shown.last.left_s == pytest.approx(3.0, abs=1.0)


def test_time_is_unknown_before_tests_of_another_kind() -> None:
    assert Shown(60.0, later_trials=None).last.left_s is None
