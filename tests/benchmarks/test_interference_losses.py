"""Figures alone and together: seconds that count, losses, drift, and the table."""

from __future__ import annotations

import pytest

from benchmarks.interference.losses import Comparison, Sides, bandwidth_gib_s, compare, loss
from benchmarks.interference.results import MeasuredTrial, SideResult
from benchmarks.interference.table import conditions_line, table
from benchmarks.interference.windows import Window
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.time_series import PhaseSeries, TimeSeries
from mlpstorage_bench.units import GIB


def series(read_gib: list[int], ends_s: float) -> TimeSeries:
    """Return a window with reads by second, each entry with a P95 of as many milliseconds."""
    moved = tuple(one * GIB for one in read_gib)
    p95_ms = tuple(float(one) if one else None for one in read_gib)
    none, nothing = (None,) * len(moved), (0,) * len(moved)
    window = PhaseSeries(
        *("window", 0.0, ends_s, 1.0, moved, nothing, moved, nothing, nothing, nothing),
        *(p95_ms, none, none, none),
    )
    return TimeSeries(0.0, (window,))


def load(read_gib: list[int], opens_at: float = 100.0, ends_s: float = 4.0) -> SideResult:
    window = Window(opens_at, opens_at + ends_s)
    return SideResult({}, (MeasuredTrial(window, series(read_gib, ends_s)),))


def training(au: float | None, opens_at: float = 0.0, closes_at: float = 0.0) -> SideResult:
    metrics = {"au_percentage": au, "samples_per_s": 40.0}
    return SideResult(metrics, (MeasuredTrial(Window(opens_at, closes_at)),))


@pytest.mark.parametrize(
    ("alone", "together", "better", "expected"),
    [
        (2.0, 1.5, "higher", 25.0),
        (2.0, 2.5, "higher", -25.0),
        (2.0, 2.5, "lower", 25.0),
        (2.0, 1.5, "lower", -25.0),
        (0.0, 1.0, "higher", None),
        (None, 1.0, "higher", None),
        (2.0, None, "lower", None),
    ],
)
def test_loss_is_positive_where_a_figure_is_worse(
    alone: float | None, together: float | None, better: str, expected: float | None
) -> None:
    assert loss(alone, together, "higher" if better == "higher" else "lower") == expected


def test_loss_is_of_the_mean_of_the_runs_before_and_after() -> None:
    row = Comparison("training", "AU %", "higher", ((90.0, 70.0, 50.0),) * 2, (60.0, 60.0))
    assert row.losses == [25.0, 0.0]
    assert row.drift == pytest.approx(100 * 40 / 70)


def test_drift_is_unknown_if_a_run_alone_has_no_value() -> None:
    assert Comparison("training", "AU %", "higher", ((90.0, None),), (60.0,)).drift is None


def test_seconds_that_are_partly_in_other_windows_do_not_count() -> None:
    places = load([1, 2, 4, 8]).places("read", [Window(100.5, 103.5)])
    assert places == {(0, 1), (0, 2)}


def test_short_gap_between_other_windows_does_not_exclude_a_second() -> None:
    others = [Window(100, 101.5), Window(101.625, 102), Window(102.5, 103)]
    assert load([1, 2, 4, 8]).places("read", others) == {(0, 0), (0, 1)}


def test_last_second_has_its_own_length() -> None:
    assert bandwidth_gib_s(load([2, 1], ends_s=1.5).seconds("read")) == 2.0


def test_load_is_compared_in_the_seconds_of_both_sides() -> None:
    alone = [Sides(load([4, 4, 4, 4]), training(90.0))] * 2
    together = [Sides(load([9, 2, 4, 9]), training(45.0, 101, 103))]
    rows = {row.title: row for row in compare("training", alone, together)}
    assert rows["read GiB/s"].together == (3.0,)
    assert rows["read GiB/s"].losses == [25.0]
    assert rows["read p95 ms"].together == (3.0,)
    assert rows["AU %"].losses == [50.0]
    assert rows["samples/s"].losses == [0.0]


def test_load_that_changes_over_time_loses_nothing_beside_what_takes_nothing() -> None:
    by_second = [9, 7, 5, 3, 2, 1]
    alone = [Sides(load(by_second, ends_s=6.0), training(90.0))] * 3
    windows = [(101, 103), (103, 105.5)]
    together = [Sides(load(by_second, ends_s=6.0), training(90.0, *one)) for one in windows]
    for row in compare("training", alone, together):
        assert [one or 0.0 for one in row.losses] == [0.0, 0.0]
        assert row.drift in (0.0, None)
    rows = {row.title: row for row in compare("training", alone, together)}
    assert rows["read GiB/s"].alone == ((6.0,) * 3, (2.5,) * 3)


def test_seconds_that_a_run_alone_has_not_do_not_count() -> None:
    alone = [Sides(load([4, 2], ends_s=2.0), training(90.0))] * 2
    together = [Sides(load([4, 2, 1, 1]), training(90.0, 101, 104))]
    rows = {row.title: row for row in compare("training", alone, together)}
    assert rows["read GiB/s"].together == (2.0,)
    assert rows["read GiB/s"].losses == [0.0]


def test_figure_that_no_run_has_is_left_out() -> None:
    sides = Sides(load([1, 1, 1, 1]), training(None, 100, 104))
    titles = [row.title for row in compare("training", [sides, sides], [sides])]
    assert titles == ["read GiB/s", "write GiB/s", "read p95 ms", "samples/s"]


def test_table_has_medians_and_extremes_and_marks_losses_within_the_drift() -> None:
    rows = [
        Comparison("kv_cache", "read GiB/s", "higher", ((2.0, 2.0, 1.0),) * 2, (1.0, 1.0)),
        Comparison("training", "AU %", "higher", ((None, 90.0),), (45.0,)),
        Comparison("training", "samples/s", "higher", ((90.0, 90.0),), (45.0,)),
    ]
    assert table(rows) == [
        "| type     | figure     | alone         | together   | loss %             | drift % |",
        "| -------- | ---------- | ------------- | ---------- | ------------------ | ------- |",
        "| kv_cache | read GiB/s | 2 (1 to 2)    | 1 (1 to 1) | +42 (+33 to +50) ? | 60      |",
        "| training | AU %       | 90            | 45         | -                  | -       |",
        "| training | samples/s  | 90 (90 to 90) | 45         | +50                | 0       |",
    ]


def test_conditions_name_limits_and_lacking_processors() -> None:
    def side(limit: str, denied: float | None) -> SideResult:
        conditions = TrialConditions(1.0, limit, denied_share=denied)
        return SideResult({}, (MeasuredTrial(Window(0, 1), None, conditions),))

    alone = [side("storage", 0.01), side("load", 0.02)]
    assert conditions_line("training", alone, [side("harness", None)]) == (
        "training: alone limited by load or storage, denied a processor for up to 2% of the "
        "window; together limited by harness"
    )
