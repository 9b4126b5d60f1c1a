"""Windows of two sides: the time in which both were open."""

from __future__ import annotations

import pytest

from benchmarks.interference.windows import Window, common_s, overlap_problem, overlap_share


@pytest.mark.parametrize(
    ("other", "seconds"),
    [
        (Window(12, 15), 3),
        (Window(8, 14), 4),
        (Window(18, 30), 2),
        (Window(20, 30), 0),
        (Window(0, 5), 0),
    ],
)
def test_common_time_is_that_of_both_windows(other: Window, seconds: float) -> None:
    assert Window(10, 20).common_s(other) == other.common_s(Window(10, 20)) == seconds


def test_pauses_between_windows_do_not_count() -> None:
    load, burst = [Window(0, 10)], [Window(1, 3), Window(7, 9)]
    assert common_s(load, burst) == 4
    assert overlap_share(load, burst) == overlap_share(burst, load) == 1


def test_share_is_of_the_shorter_side() -> None:
    assert overlap_share([Window(0, 10)], [Window(8, 12)]) == 0.5
    assert overlap_share([Window(8, 12)], [Window(0, 10)]) == 0.5


def test_side_without_a_window_has_nothing_in_common() -> None:
    assert overlap_share([Window(0, 10)], []) == 0


def test_problem_begins_below_four_fifths() -> None:
    load = [Window(0, 10)]
    assert overlap_problem(load, "training", [Window(2, 12)]) is None
    assert overlap_problem(load, "training", [Window(3, 13)]) == (
        "The windows of kv_cache (10.0 s) and training (10.0 s) were both open for 7.0 s, 70% of "
        "the shorter ones; needed: 80%. Raise the load's length, such as "
        "--mlps-set kv_cache.duration=60"
    )
