"""The table of goals: the worst case of each, and whether it is met."""

from __future__ import annotations

import pytest

from benchmarks.harness.beside_fio import figures
from benchmarks.harness.content import bounded_gib_s
from benchmarks.harness.flat_load import Sample
from benchmarks.harness.goals import Case, Cases, Goal, Outcome, outcomes


def case(shape: str, ratio: float | None) -> Case:
    return {"pattern": "read", "block": "1MiB", "shape": shape, "ratio": ratio}


def test_worst_case_decides() -> None:
    cases = {"study": [case("1 x 16", 0.94), case("16 x 1", 0.99)]}
    least = Goal("bandwidth", "study", ("ratio",), at_least=0.95)
    assert least.outcome(cases) == Outcome(
        "bandwidth", "≥ 0.95", "0.94", "read 1MiB 1 x 16", "missed"
    )
    most = Goal("CPU", "study", ("ratio",), at_most=1.0)
    assert most.outcome(cases) == Outcome("CPU", "≤ 1.00", "0.99", "read 1MiB 16 x 1", "met")


def test_goal_applies_to_its_cases_alone() -> None:
    cases = {"study": [case("1 x 16", 0.5), case("16 x 1", 0.99)]}
    goal = Goal("g", "study", ("ratio",), 0.95, of=lambda one: one["shape"] == "16 x 1")
    assert goal.outcome(cases).verdict == "met"


def test_goal_without_a_limit_is_stated() -> None:
    cases = {"study": [case("1 x 16", 0.5), case("16 x 1", 0.9)]}
    assert Goal("g", "study", ("ratio",)).outcome(cases) == Outcome(
        "g", "", "0.50 to 0.90", "read 1MiB 1 x 16 to read 1MiB 16 x 1", "stated"
    )


@pytest.mark.parametrize(
    ("cases", "missing"),
    [({}, ""), ({"study": [case("1 x 1", 2.0), case("1 x 4", None)]}, "1 of 2 cases lack it")],
)
def test_goal_is_not_met_by_what_was_not_measured(cases: Cases, missing: str) -> None:
    outcome = Goal("g", "study", ("ratio",), 0.95).outcome(cases)
    assert (outcome.verdict, outcome.case) == ("not measured", missing)


@pytest.mark.parametrize(("speed", "verdict"), [(20.0, "met"), (40.0, "missed")])
def test_operations_are_compared_with_an_earlier_checkout(speed: float, verdict: str) -> None:
    def cost(median: float) -> Cases:
        row = {"kind": "read", "block": "64KiB", "many_lanes_us": (1, median, 99)}
        return {"test_operation_cost": [row]}

    [outcome] = [one for one in outcomes(cost(speed), cost(60.0)) if "operations/s" in one.goal]
    assert (outcome.case, outcome.verdict) == ("read 64KiB", verdict)


def test_ratios_are_medians_of_pairs() -> None:
    def samples(*gib_s: float) -> list[Sample]:
        return [Sample(one, 1.0, 1 / one, 1.0) for one in gib_s]

    found = figures({"own": samples(1, 4, 9), "fio": samples(1, 2, 3)})
    assert found["bandwidth_ratio"] == 2
    assert found["cpu_ratio"] == 0.5
    assert found["huge_bandwidth_ratio"] is None
    assert found["bare_cpu_ratio"] is None


def test_bound_is_that_of_one_thread_that_makes_content_and_moves_it() -> None:
    assert bounded_gib_s(5.0, 0.05) == 4.0
