from __future__ import annotations

from dataclasses import replace

import pytest

from mlpstorage_bench.gate.decision import Judgement, Verdict
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.result import GateResult
from mlpstorage_bench.gate.rules import Rule
from mlpstorage_bench.gate.wording import change_in_words, interval_in_words, reason_of

RULE = Rule("read_gib_s", higher_is_better=True, smallest_effect=0.1, unit="GiB/s")
UNDECIDED = Judgement(
    verdict=Verdict.UNDECIDED,
    effect=-0.05,
    interval=(-0.1, 0.01),
    baseline_median=1.0,
    baseline_spread=0.1,
    candidate_median=0.95,
    p_value=0.2,
    detectable_effect=0.075,
    more_trials=1,
    reason="",
)


@pytest.mark.parametrize(
    ("ratio", "unit", "words"),
    [
        (532 / 91, "ms", "5.8 x slower"),
        (1.2, "ms", "20 % slower"),
        (0.8, "ms", "20 % faster"),
        (0.25, "s", "4.0 x faster"),
        (0.0, "ms", "100 % faster"),
        (0.6, "GiB/s", "40 % less bandwidth"),
        (1.042, "GiB/s", "4.2 % more bandwidth"),
        (2.5, "1/s", "2.5 x more"),
        (0.9951, "1/s", "0.5 % less"),
        (0.0996, "", "90 % less"),
        (1.0, "ms", "unchanged"),
        (1.0996, "s/GiB", "10 % more"),
    ],
)
def test_change_is_in_the_direction_of_the_metric(ratio: float, unit: str, words: str) -> None:
    assert change_in_words(ratio, unit) == words


@pytest.mark.parametrize(
    ("low", "high", "unit", "words"),
    [
        (0.58, 0.65, "GiB/s", "35 to 42 % less"),
        (0.97, 1.02, "GiB/s", "3.0 % less to 2.0 % more"),
        (5.2, 12.0, "ms", "5.2 to 12 x slower"),
        (1.5, 2.5, "ms", "50 % slower to 2.5 x slower"),
        (0.9, 0.905, "1/s", "9.5 to 10 % less"),
        (1.0, 1.2, "1/s", "unchanged to 20 % more"),
        (1.0, 1.0, "1/s", "unchanged"),
    ],
)
def test_interval_states_its_direction_once_if_both_ends_share_it(
    low: float, high: float, unit: str, words: str
) -> None:
    assert interval_in_words(low, high, unit) == words


def undecided(judgement: Judgement, trials: int = 3) -> GateResult:
    reason = reason_of(judgement, RULE, runs=10, trials=trials)
    runs = tuple(f"run{n}" for n in range(10))
    one = MetricVerdict("1", RULE, Verdict.UNDECIDED, reason, 0.95, trials, judgement, runs)
    return GateResult("new", "last", (one,), {})


def test_undecided_between_loss_and_none_names_no_number_of_trials() -> None:
    """These samples show the smallest loss already: more trials would not be what is missing."""
    result = undecided(UNDECIDED)
    assert result.verdicts[0].reason == ("a loss of 10 % is neither shown nor ruled out")
    assert result.next_step == "run it again: this run is between a loss and none"


def test_undecided_for_want_of_trials_names_how_many_are_needed() -> None:
    result = undecided(replace(UNDECIDED, detectable_effect=0.25, more_trials=4))
    assert result.verdicts[0].reason == (
        "these samples can show a loss of 25 % or more, not of 10 %"
    )
    assert result.next_step == "use --mlps-trials=7: that many show a loss of 10 % of read_gib_s"


def test_undecided_that_can_show_greater_losses_alone_says_so() -> None:
    result = undecided(replace(UNDECIDED, detectable_effect=0.25, more_trials=None))
    assert "not of 10 %" in result.verdicts[0].reason
    assert "varies too much from run to run" in result.next_step
    assert "--mlps-gate-rule" in result.next_step


def test_undecided_that_no_number_of_trials_decides_says_so() -> None:
    result = undecided(replace(UNDECIDED, detectable_effect=None, more_trials=None))
    assert "no loss of any size" in result.verdicts[0].reason
    assert "varies too much from run to run" in result.next_step
