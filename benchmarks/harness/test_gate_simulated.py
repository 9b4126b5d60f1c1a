"""False alarms and power of the gate on simulated series of an unchanged system.

A history is a series of ten baseline runs of one trial and the trials of the judged run, unless a
study says otherwise. The smallest relevant effect is 5 %.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from benchmarks.harness.gate_rules import CRITERION
from mlpstorage_bench.gate.decision import Comparison, Verdict, decide
from mlpstorage_bench.gate.evidence import p_value_of_decrease
from mlpstorage_bench.gate.looks import Looks
from tests.gate import noise_models as noise
from tests.gate.noise_models import Series

Model = Callable[[Generator, int, int], Series]

HISTORIES = 5000
FEWER_HISTORIES = 2000
RUNS = 10
SEED = 20261129
LOOKS = 4
TRIALS_PER_LOOK = 3
POWER = 0.8
BISECTIONS = 10
MOST_LOSS = 0.95


def autoregressive(phi: float) -> Model:
    return lambda random, rows, length: noise.autoregressive(random, rows, length, 0.2, phi)


def bimodal(share: float) -> Model:
    return lambda random, rows, length: noise.bimodal(random, rows, length, share)


def two_levels(mean_duration: float) -> Model:
    return lambda random, rows, length: noise.two_levels(random, rows, length, mean_duration)


def capped_with_states(mean_duration: float) -> Model:
    return lambda random, rows, length: noise.capped_with_states(
        random, rows, length, mean_duration
    )


UNCHANGED: dict[str, Model] = {
    "white noise of 20 %": partial(noise.white, sigma=0.2),
    **{
        f"autoregressive by {phi}, noise of 20 %": autoregressive(phi)
        for phi in (0.5, 0.7, 0.8, 0.9, 0.95)
    },
    **{f"bimodal, {share:.0%} low": bimodal(share) for share in (0.7, 0.5, 0.3, 0.15, 0.05)},
    "capped, like the burstable machine": noise.capped,
    **{
        f"capped, values held for {duration}": capped_with_states(duration)
        for duration in (1.5, 3, 10)
    },
    "values ever nearer to a cap": partial(noise.nested, power=3),
    "heavy tails (log of Student's t, 2 degrees)": noise.heavy_tailed,
    "quantised, steps of 5 %": noise.quantised,
    "falling by a tenth over 20 values": noise.drifting,
    **{
        f"two levels, held for {duration}": two_levels(duration)
        for duration in (2, 5, 10, 15, 20, 40, 100, 200, 400)
    },
}


def histories(model: Model, rows: int, length: int) -> list[list[float]]:
    """Return series above zero, with a fixed seed."""
    values: list[list[float]] = np.maximum(
        model(np.random.default_rng(SEED), rows, length), 0.01
    ).tolist()
    return values


def verdict(
    row: list[float], trials: int, loss: float = 0.0, looks: Looks | None = None
) -> Verdict:
    own = [value * (1 - loss) for value in row[RUNS : RUNS + trials]]
    return decide(Comparison([[value] for value in row[:RUNS]], own, CRITERION), looks)


def percent(hits: list[bool]) -> float:
    return round(100 * sum(hits) / len(hits), 2)


@pytest.mark.parametrize("name", UNCHANGED)
def test_false_alarms(benchmark: Any, name: str) -> None:
    series = histories(UNCHANGED[name], HISTORIES, RUNS + LOOKS * TRIALS_PER_LOOK)

    def alarms(trials: int, looks: Looks | None = None) -> list[bool]:
        return [verdict(row, trials, looks=looks) is Verdict.REGRESSED for row in series]

    def run() -> dict[str, Any]:
        every = {trials: alarms(trials) for trials in (3, 5, 6, 9, 10, 12)}
        return {
            **{f"trials_{trials}": percent(every[trials]) for trials in (3, 5, 10)},
            "retries": percent(alarms(12, Looks(LOOKS, LOOKS, TRIALS_PER_LOOK))),
            "unspent": percent(
                list(map(any, zip(*(every[n] for n in (3, 6, 9, 12)), strict=True)))
            ),
        }

    benchmark.extra_info.update({"series": name} | benchmark.pedantic(run, rounds=1, iterations=1))


@pytest.mark.parametrize("trial_noise", ["normal", "exponential"])
@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.8, 0.9, 0.97, 1])
def test_repeated_gap_test(benchmark: Any, share: float, trial_noise: str) -> None:
    """Runs have levels with exponential tails and a share of the variance; looks at 3, 6, 9, 12."""
    random = np.random.default_rng(SEED)
    looks = [TRIALS_PER_LOOK * number for number in range(1, LOOKS + 1)]
    shape = (HISTORIES, RUNS + looks[-1])
    levels = np.repeat(
        random.exponential(size=(shape[0], RUNS + 1)), [1] * RUNS + looks[-1:], axis=1
    )
    draw = random.standard_normal if trial_noise == "normal" else random.exponential
    series = 100 - np.sqrt(share) * levels - np.sqrt(1 - share) * draw(size=shape)

    def run() -> list[list[bool]]:
        return [
            [
                p_value_of_decrease(
                    [[value] for value in row[:RUNS]], row[RUNS : RUNS + look]
                ).p_gap
                <= CRITERION.false_alarm_rate
                for look in looks
            ]
            for row in series.tolist()
        ]

    alarms = benchmark.pedantic(run, rounds=1, iterations=1)
    benchmark.extra_info.update(
        share=share,
        trial_noise=trial_noise,
        one_look=percent([one[0] for one in alarms]),
        four_looks=percent([any(one) for one in alarms]),
    )


@pytest.mark.parametrize("baseline_trials", [1, None], ids=["one", "as many"])
@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9, 1])
def test_runs_at_levels(benchmark: Any, share: float, baseline_trials: int | None) -> None:
    """Runs have levels with exponential tails and a share of the variance.

    A baseline run has one trial or as many as the judged run.
    """
    random = np.random.default_rng(SEED)

    def alarms(trials: int) -> float:
        levels = random.exponential(size=(FEWER_HISTORIES, RUNS + 1, 1))
        noise_of_trials = random.standard_normal((FEWER_HISTORIES, RUNS + 1, trials))
        values = 1 - 0.1 * (np.sqrt(share) * levels + np.sqrt(1 - share) * noise_of_trials)
        return percent(
            [
                decide(
                    Comparison([run[:baseline_trials] for run in row[:RUNS]], row[RUNS], CRITERION)
                )
                is Verdict.REGRESSED
                for row in np.maximum(values, 0.01).tolist()
            ]
        )

    def run() -> dict[str, float]:
        return {f"trials_{trials}": alarms(trials) for trials in (3, 5, 10)}

    found = benchmark.pedantic(run, rounds=1, iterations=1)
    kind = "one trial" if baseline_trials else "as many trials"
    benchmark.extra_info.update({"share": share, "baseline": kind} | found)


@pytest.mark.parametrize("sigma", [0.002, 0.005, 0.0075, 0.01, 0.02])
def test_white_noise(benchmark: Any, sigma: float) -> None:
    series = histories(partial(noise.white, sigma=sigma), FEWER_HISTORIES, RUNS + 10)

    def run() -> dict[str, Any]:
        found = {
            f"loss_{loss}_trials_{trials}": percent(
                [verdict(row, trials, loss / 100) is Verdict.REGRESSED for row in series]
            )
            for loss in (5, 10)
            for trials in (3, 10)
        }
        passed = {
            f"passed_trials_{trials}": percent(
                [verdict(row, trials) is Verdict.PASSED for row in series]
            )
            for trials in (3, 10)
        }
        return {"sigma": f"{sigma * 100:g} %", **found, **passed}

    benchmark.extra_info.update(benchmark.pedantic(run, rounds=1, iterations=1))


SHOWN_ON: dict[str, Model] = {
    "white noise of 1 %": partial(noise.white, sigma=0.01),
    "capped, like the burstable machine": noise.capped,
}


@pytest.mark.parametrize("baseline_trials", [1, None], ids=["one", "as many"])
@pytest.mark.parametrize("runs", [5, 8, 10, 20])
@pytest.mark.parametrize("name", SHOWN_ON)
def test_smallest_loss(benchmark: Any, name: str, runs: int, baseline_trials: int | None) -> None:
    """The smallest loss that four of five runs show, by the number of their trials."""
    rows, most = 300, 20
    values = SHOWN_ON[name](np.random.default_rng(SEED), rows, (runs + 1) * most)
    series = values.reshape(rows, runs + 1, most).tolist()

    def power(trials: int, loss: float) -> float:
        hits = [
            decide(
                Comparison(
                    [run[: baseline_trials or trials] for run in row[:runs]],
                    [value * (1 - loss) for value in row[runs][:trials]],
                    CRITERION,
                )
            )
            is Verdict.REGRESSED
            for row in series
        ]
        return sum(hits) / rows

    def smallest(trials: int) -> str:
        low, high = 0.0, MOST_LOSS
        if power(trials, high) < POWER:
            return "none"
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if power(trials, middle) >= POWER else (middle, high)
        return f"{100 * high:.2g} %"

    def run() -> dict[str, Any]:
        return {f"trials_{trials}": smallest(trials) for trials in (3, 5, 10, most)}

    found = benchmark.pedantic(run, rounds=1, iterations=1)
    kind = "one trial" if baseline_trials else "as many trials"
    benchmark.extra_info.update({"series": name, "runs": runs, "baseline": kind} | found)
