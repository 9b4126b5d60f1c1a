"""Error rates of the gate on simulated series, with fixed seeds.

The noise models are not those that the gate's limits were chosen on. The accepted number of alarms
allows for chance in 800 series.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from mlpstorage_bench.gate.decision import Comparison, Criterion, Verdict, decide
from mlpstorage_bench.gate.looks import Looks
from tests.gate import noise_models as noise
from tests.gate.noise_models import Series

NoiseModel = Callable[[Generator, int, int], Series]

pytestmark = pytest.mark.slow

ROWS = 800
RUNS = 10
ONE_PERCENT_OF_ROWS = 16
"""At a rate of 1 %, more alarms in 800 series have a probability of 1 %."""
HIGHER_IS_BETTER = Criterion(higher_is_better=True, smallest_effect=0.05)
LOWER_IS_BETTER = Criterion(higher_is_better=False, smallest_effect=0.05)

UNCHANGED: dict[str, NoiseModel] = {
    "quiet": lambda d, r, n: noise.white(d, r, n, 0.005),
    "white": lambda d, r, n: noise.white(d, r, n, 0.2),
    "AR 0.5": lambda d, r, n: noise.autoregressive(d, r, n, 0.1, 0.5),
    "AR 0.8": lambda d, r, n: noise.autoregressive(d, r, n, 0.2, 0.8),
    "AR 0.95": lambda d, r, n: noise.autoregressive(d, r, n, 0.2, 0.95),
    "bimodal, half low": lambda d, r, n: noise.bimodal(d, r, n, 0.5),
    "bimodal, few low": lambda d, r, n: noise.bimodal(d, r, n, 0.15),
    "capped": noise.capped,
    "two levels, fast": lambda d, r, n: noise.two_levels(d, r, n, 2.0),
    "two levels, slow": lambda d, r, n: noise.two_levels(d, r, n, 200.0),
    "heavy tails": noise.heavy_tailed,
    "exponential tail below": noise.exponential_below,
    "drift": noise.drifting,
    "quantised": noise.quantised,
    "nested": lambda d, r, n: noise.nested(d, r, n, 3),
    "constant": lambda _, r, n: np.ones((r, n)),
}


def verdicts(
    series: Series, trials: int, loss: float = 0.0, criterion: Criterion = HIGHER_IS_BETTER
) -> list[Verdict]:
    factor = 1 - loss if criterion.higher_is_better else 1 + loss
    return [
        decide(
            Comparison(
                [[value] for value in row[:RUNS]], [v * factor for v in row[RUNS:]], criterion
            )
        )
        for row in series[:, : RUNS + trials].tolist()
    ]


@pytest.mark.parametrize(
    "criterion", [HIGHER_IS_BETTER, LOWER_IS_BETTER], ids=["higher is better", "lower is better"]
)
@pytest.mark.parametrize("trials", [3, 5, 10])
@pytest.mark.parametrize("model", UNCHANGED)
def test_unchanged_system_regresses_in_at_most_one_percent_of_runs(
    model: str, trials: int, criterion: Criterion
) -> None:
    series = UNCHANGED[model](np.random.default_rng(7), ROWS, RUNS + trials)
    results = verdicts(np.maximum(series, 0.01), trials, criterion=criterion)
    assert results.count(Verdict.REGRESSED) <= ONE_PERCENT_OF_ROWS


@pytest.mark.parametrize("trials", [3, 10])
def test_levels_held_as_long_as_a_baseline_exceed_the_false_alarm_rate(
    trials: int,
) -> None:
    series = noise.two_levels(np.random.default_rng(7), ROWS, RUNS + trials, 15.0)
    alarms = verdicts(series, trials).count(Verdict.REGRESSED) / ROWS
    assert 0.005 <= alarms <= 0.035


@pytest.mark.parametrize(
    "criterion", [HIGHER_IS_BETTER, LOWER_IS_BETTER], ids=["higher is better", "lower is better"]
)
def test_loss_of_five_percent_on_quiet_system_is_found_in_three_trials(
    criterion: Criterion,
) -> None:
    series = noise.white(np.random.default_rng(3), ROWS, RUNS + 3, 0.003)
    results = verdicts(series, 3, 0.05, criterion)
    assert results.count(Verdict.REGRESSED) >= 0.99 * ROWS
    assert Verdict.PASSED not in results


def test_ten_trials_find_a_loss_in_noise_by_the_median_of_all_values() -> None:
    """The highest values of white noise change by less than the median."""
    series = noise.white(np.random.default_rng(29), ROWS, RUNS + 10, 0.01)
    assert verdicts(series, 10, 0.05).count(Verdict.REGRESSED) >= 0.48 * ROWS


def test_unchanged_quiet_system_passes() -> None:
    series = noise.white(np.random.default_rng(3), ROWS, RUNS + 3, 0.003)
    assert verdicts(series, 3).count(Verdict.PASSED) >= 0.99 * ROWS


def test_loss_of_half_on_capped_system_is_found_by_ten_trials_in_nine_of_ten() -> None:
    series = noise.capped(np.random.default_rng(3), ROWS, RUNS + 10)
    assert verdicts(series, 10, 0.5).count(Verdict.REGRESSED) >= 0.9 * ROWS


@pytest.mark.parametrize("loss", [0.05, 0.15, 0.5])
@pytest.mark.parametrize("model", sorted(set(UNCHANGED) - {"drift"}))
def test_loss_that_is_not_found_is_undecided_instead_of_passed(model: str, loss: float) -> None:
    series = UNCHANGED[model](np.random.default_rng(5), ROWS, RUNS + 10)
    results = verdicts(np.maximum(series, 0.01), 10, loss)
    assert results.count(Verdict.PASSED) <= ONE_PERCENT_OF_ROWS


def with_runs_of(trials: int, series: Series) -> list[list[list[float]]]:
    rows: list[list[list[float]]] = series.reshape(len(series), RUNS + 1, trials).tolist()
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("trials", [5, 10])
@pytest.mark.parametrize("held", [1.5, 3.0])
def test_capped_trials_that_are_held_within_runs_keep_the_false_alarm_rate(
    trials: int, held: float
) -> None:
    random = np.random.default_rng(31)
    series = noise.capped_with_states(random, ROWS, (RUNS + 1) * trials, held)
    alarms = [
        decide(Comparison(row[:-1], row[-1], HIGHER_IS_BETTER))
        for row in with_runs_of(trials, series)
    ]
    assert alarms.count(Verdict.REGRESSED) <= ONE_PERCENT_OF_ROWS


@pytest.mark.slow
def test_loss_is_found_with_baseline_runs_of_as_many_trials() -> None:
    """Their intraclass correlation is estimated, and is not zero, though trials are independent."""
    series = noise.capped(np.random.default_rng(37), ROWS, (RUNS + 1) * 10)
    found = [
        decide(Comparison(row[:-1], [value * 0.7 for value in row[-1]], HIGHER_IS_BETTER))
        for row in with_runs_of(10, series)
    ]
    assert found.count(Verdict.REGRESSED) >= 0.9 * ROWS


@pytest.mark.parametrize("between", [0.0, 0.1])
@pytest.mark.parametrize("trials", [3, 10])
def test_trials_correlated_within_runs_keep_the_false_alarm_rate(
    trials: int, between: float
) -> None:
    random = np.random.default_rng(11)
    rows = noise.with_run_effects(random, ROWS, RUNS + 1, trials, between)
    alarms = 0
    for row in rows.reshape(ROWS, RUNS + 1, trials).tolist():
        alarms += decide(Comparison(row[:-1], row[-1], HIGHER_IS_BETTER)) is Verdict.REGRESSED
    assert alarms <= ONE_PERCENT_OF_ROWS


@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("deviation", [0.1, 0.2, 0.3, 0.5])
def test_runs_with_an_exponential_tail_keep_the_false_alarm_rate(
    deviation: float, runs: int
) -> None:
    """Trials of a run are alike, and all values above 0: there the gap test has its full rate."""
    random = np.random.default_rng(17)
    levels = noise.exponential_above_zero(random, ROWS, runs + 1, deviation)
    alarms = [
        decide(Comparison([[value] * 3 for value in row[:-1]], row[-1:] * 3, HIGHER_IS_BETTER))
        for row in levels.tolist()
    ]
    assert alarms.count(Verdict.REGRESSED) <= ONE_PERCENT_OF_ROWS


def with_looks(row: list[float], per_look: int, loss: float = 0.0) -> Comparison:
    trials = [value * (1 - loss) for value in row[RUNS : RUNS + 4 * per_look]]
    return Comparison([[value] for value in row[:RUNS]], trials, HIGHER_IS_BETTER)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "per_look"), [("AR 0.8", 3), ("capped", 3), ("capped", 5), ("nested", 5)]
)
def test_four_looks_keep_the_false_alarm_rate(model: str, per_look: int) -> None:
    series = UNCHANGED[model](np.random.default_rng(13), ROWS, RUNS + 4 * per_look)
    alarms = [
        decide(with_looks(row, per_look), Looks(4, 4, per_look))
        for row in np.maximum(series, 0.01).tolist()
    ]
    assert alarms.count(Verdict.REGRESSED) <= ONE_PERCENT_OF_ROWS


@pytest.mark.parametrize(
    ("trials", "loss", "share"), [(5, 0.5, 0.8), (10, 0.15, 0.85), (10, 0.3, 0.9)]
)
def test_loss_on_a_capped_system_is_found(trials: int, loss: float, share: float) -> None:
    series = noise.capped(np.random.default_rng(23), ROWS, RUNS + trials)
    assert verdicts(series, trials, loss).count(Verdict.REGRESSED) >= share * ROWS


@pytest.mark.slow
def test_four_looks_find_a_loss_that_three_trials_miss() -> None:
    series = noise.capped(np.random.default_rng(3), ROWS, RUNS + 12)
    first_look = verdicts(series, 3, 0.5).count(Verdict.REGRESSED)
    found = [decide(with_looks(row, 3, 0.5), Looks(4, 4, 3)) for row in series.tolist()]
    assert first_look < 0.4 * ROWS
    assert found.count(Verdict.REGRESSED) > 0.9 * ROWS
