"""False alarms and power of the gate on series of real storage.

Each file of a directory (MLPS_GATE_SERIES) has a metric of unchanged machines. A window of ten
values (the baseline) and the next few (the judged run) moves over each machine's series. In the
unchanged series, every alarm is false; with an added loss, an alarm is correct. Rules of other
tools are compared with the gate's.

The intended series are those of TUNA (EuroSys '25), CC-BY 4.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.gate_rules import RULES
from benchmarks.harness.gate_series import directory, windows
from mlpstorage_bench.gate.decision import Verdict

LOSSES = (0, 5, 15, 30, 50)
MOST_FALSE_ALARMS = 0.005
LEAST_POWER = {(5, 50): 0.8, (10, 15): 0.85, (10, 30): 0.9, (10, 50): 0.9}
"""Least share of losses that are found, for trials and the loss in per cent."""
QUIET = 0.02
"""A machine is quiet if its tenth percentile is at most this share below its median."""
MIN_POWER = 0.99


def series() -> list[Any]:
    found = sorted(directory().glob("*.csv"))
    reason = f"no series (*.csv) in {directory()}: set MLPS_GATE_SERIES to a directory of them"
    return found or [pytest.param(Path("none"), marks=pytest.mark.skip(reason=reason))]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("trials", [3, 5, 10])
@pytest.mark.parametrize("path", series(), ids=lambda path: path.stem)
def test_gate_quality(benchmark: Any, path: Path, trials: int, rule: str) -> None:
    machines = windows(path, trials)
    judge = RULES[rule]

    def run() -> dict[int, list[Any]]:
        return {
            loss: [judge(machine.with_loss(loss / 100)) for machine in machines.values()]
            for loss in LOSSES
        }

    verdicts = benchmark.pedantic(run, rounds=1, iterations=1)

    def rate(loss: int, verdict: Verdict) -> float:
        return float(np.mean(np.concatenate(verdicts[loss]) == verdict.value))

    by_machine = {
        loss: [float(np.mean(own == Verdict.REGRESSED.value)) for own in verdicts[loss]]
        for loss in LOSSES
    }
    benchmark.extra_info.update(
        series=path.stem,
        rule=rule,
        trials=trials,
        windows=sum(len(own) for own in verdicts[0]),
        false_alarm_rate=rate(0, Verdict.REGRESSED),
        **{f"power_at_{loss}": rate(loss, Verdict.REGRESSED) for loss in LOSSES[1:]},
        undecided_rate=rate(0, Verdict.UNDECIDED),
        passed_with_a_loss_of_5=rate(5, Verdict.PASSED),
        most_false_alarms_of_a_machine=max(by_machine[0]),
        **{f"least_power_at_{loss}_of_a_machine": min(by_machine[loss]) for loss in LOSSES[1:]},
    )
    if rule == "gate":
        assert benchmark.extra_info["false_alarm_rate"] <= MOST_FALSE_ALARMS
        for (number, loss), least in LEAST_POWER.items():
            if number == trials:
                assert benchmark.extra_info[f"power_at_{loss}"] >= least
        values = np.concatenate([machine.baseline[:, 0] for machine in machines.values()])
        if np.quantile(values, 0.1) >= (1 - QUIET) * np.median(values):
            assert benchmark.extra_info["power_at_5"] >= MIN_POWER
