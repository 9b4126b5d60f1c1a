"""Disturbances, and losses that are the storage's although something disturbed the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlpstorage_bench.gate.disturbances import (
    CaseDisturbance,
    disturbance_of,
    usual_conditions,
)
from mlpstorage_bench.measure.conditions import TrialConditions

QUIET = TrialConditions(moved_gib_s=1.0, limit="storage", others_gib_s=0.0, denied_share=0.0)
BY_LOAD = replace(QUIET, limit="load")
BACKUP = replace(QUIET, moved_gib_s=0.5, others_gib_s=1.7, others_on="sda on node-a")


def found(
    trial: TrialConditions, *, before: TrialConditions = QUIET, trials: int = 3
) -> CaseDisturbance:
    return disturbance_of([trial] * trials, usual_conditions([[before] * 3] * 5))


def test_unchanged_conditions_disturb_nothing() -> None:
    assert found(QUIET) == CaseDisturbance(())


def test_traffic_of_other_programs_is_named_and_explains_a_loss() -> None:
    one = found(BACKUP)
    assert one.trials == (1, 2, 3)
    assert one.causes == ("other programs moved 1.7 GiB/s on sda on node-a",)
    assert one.explains(0.5, is_rate=True)
    assert one.explains(0.83, is_rate=False)


def test_cause_states_the_range_over_trials_once() -> None:
    usual = usual_conditions([[QUIET] * 3])
    trials = [replace(BACKUP, others_gib_s=moved, denied_share=0.1) for moved in (1.4, 1.5, 1.7)]
    assert disturbance_of(trials, usual).causes == (
        "other programs moved 1.4 to 1.7 GiB/s on sda on node-a",
        "the ranks were denied a processor for 10 % of the time",
    )


def test_small_traffic_of_other_programs_does_not_explain_a_large_loss() -> None:
    one = found(replace(QUIET, others_gib_s=0.05))
    assert one.trials == (1, 2, 3)
    assert one.explains(0.14, is_rate=True)
    assert not one.explains(0.4, is_rate=True)
    assert not one.explains(-0.1, is_rate=True)


def test_constant_traffic_does_not_hide_that_the_storage_got_slower() -> None:
    """Its share of the device grows from 5 % to 33 %, while its bandwidth stays what it was."""
    before = replace(QUIET, others_gib_s=0.05)
    assert found(replace(before, moved_gib_s=0.1), before=before).causes == ()


def test_traffic_that_is_always_there_is_usual() -> None:
    before = replace(QUIET, others_gib_s=0.4)
    assert found(replace(before, others_gib_s=0.41), before=before).causes == ()
    more = found(replace(before, others_gib_s=0.7), before=before)
    assert more.causes == ("other programs moved 0.7 GiB/s, usually 0.4",)
    assert more.share == pytest.approx(0.3)


def test_one_noisy_run_of_several_is_not_usual() -> None:
    usual = usual_conditions([[BACKUP] * 3, [QUIET] * 3, [QUIET] * 3])
    assert disturbance_of([BACKUP], usual).trials == (1,)
    assert disturbance_of([QUIET], usual).trials == ()


def test_neighbour_who_stays_does_not_lower_the_usual_bandwidth() -> None:
    """Otherwise the same traffic would explain more after each run that it has disturbed."""
    beside = replace(BACKUP, moved_gib_s=0.2, others_gib_s=0.1)
    usual = usual_conditions([[QUIET]] * 4 + [[beside]] * 6, [[QUIET]] * 4)
    assert usual is not None
    assert (usual.moved_gib_s, usual.others_gib_s) == (1.0, 0.1)


@pytest.mark.parametrize(("others", "disturbs"), [(0.3, False), (0.6, True)])
def test_first_run_is_disturbed_if_others_moved_more_than_it(
    others: float, *, disturbs: bool
) -> None:
    trial = replace(QUIET, moved_gib_s=0.5, others_gib_s=others)
    assert bool(disturbance_of([trial], None).trials) == disturbs


def test_straggler_explains_what_it_did_not_move() -> None:
    slow = replace(QUIET, stragglers=("rank 3 on b is slow",), missing_share=0.06)
    one = found(slow)
    assert one.causes == ("rank 3 on b is slow",)
    assert one.explains(0.15, is_rate=True)
    assert not one.explains(0.4, is_rate=True)
    assert found(slow, before=slow).causes == ()


def test_throttled_processor_is_a_disturbance() -> None:
    one = found(replace(QUIET, denied_share=0.4))
    assert one.causes == ("the ranks were denied a processor for 40 % of the time",)
    assert one.explains(0.6, is_rate=False)


@pytest.mark.parametrize("before", [BY_LOAD, replace(QUIET, limit="harness")])
def test_storage_that_now_limits_is_no_disturbance(before: TrialConditions) -> None:
    assert found(replace(QUIET, moved_gib_s=0.5), before=before).causes == ()


def test_host_that_now_limits_explains_any_loss() -> None:
    one = found(replace(QUIET, limit="harness"))
    assert one.causes == ("the host limited it, not the storage",)
    assert one.trials == ()
    assert one.explains(0.9, is_rate=True)
    assert one.explains(0.9, is_rate=False)
    assert found(replace(QUIET, limit="harness"), before=BY_LOAD).explains(0.9, is_rate=True)


def test_load_that_now_limits_explains_lower_rates_and_no_longer_latencies() -> None:
    one = found(BY_LOAD)
    assert one.causes == ("the load limited it, not the storage",)
    assert one.explains(0.4, is_rate=True)
    assert not one.explains(0.4, is_rate=False)


def test_limit_of_some_earlier_runs_is_usual() -> None:
    harness = replace(QUIET, limit="harness")
    usual = usual_conditions([[harness], [QUIET], [QUIET], [QUIET]])
    assert disturbance_of([harness] * 3, usual).causes == ()


def test_limit_of_most_trials_counts() -> None:
    usual = usual_conditions([[QUIET] * 3])
    harness = replace(QUIET, limit="harness")
    assert disturbance_of([harness, QUIET, QUIET], usual).limit == ""
    assert disturbance_of([harness, harness, QUIET], usual).limit == "harness"


def test_trials_of_unknown_conditions_are_not_disturbed() -> None:
    assert disturbance_of([None, None], usual_conditions([[QUIET]])) == CaseDisturbance(())
    assert usual_conditions([[], []]) is None
