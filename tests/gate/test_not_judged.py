"""Rules without a figure in a case, which judge nothing there, and in all, which is a mistake."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mlpstorage_bench.checkpointing.benchmark import CHECKPOINTING
from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import github_annotations
from mlpstorage_bench.gate.not_judged import ALWAYS_ZERO, NOT_MEASURED, unused_rules
from mlpstorage_bench.gate.result import FailureRules, GateResult
from mlpstorage_bench.gate.rules import PROFILE_SOURCE, RULE_OPTION, Rules, parse_rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, TrialSeries
from mlpstorage_bench.gate.verdicts import RunVerdicts, judge_run
from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.report.gate_report import as_markdown, gate_lines

STEADY = (1.0, 1.01, 0.99, 1.0, 1.02, 0.98)
RULE = "read_gib_s: >= 1 GiB/s"


def run(
    run_id: str, benchmark_type: str = "checkpointing", /, **cases: Sequence[float]
) -> RunSeries:
    """Return a run: `write_gib_s` of each trial of `write`, `read_gib_s` of those of others."""
    of_cases = {
        name: CaseSeries(
            "w",
            {},
            tuple(TrialSeries({"write_gib_s" if name == "write" else "read_gib_s": v}) for v in of),
        )
        for name, of in cases.items()
    }
    return RunSeries(run_id, "2026-11-24T10:00:00+00:00", benchmark_type, "s", {}, of_cases)


def rules(*lines: str, source: str = RULE_OPTION) -> Rules:
    return parse_rules(CHECKPOINTING.metrics, [(source, line) for line in lines])


def baselines(candidate: RunSeries, *runs: RunSeries, **lost: str) -> dict[str, Baseline]:
    return {
        name: Baseline(
            runs, can_grow=True, accepts_candidate=True, lost=frozenset(lost.get(name, "").split())
        )
        for name in candidate.cases
    }


def verdicts(judged: RunVerdicts) -> dict[tuple[str, str], Verdict]:
    return {(one.case, one.metric): one.verdict for one in judged.metrics}


def not_judged(judged: RunVerdicts) -> dict[tuple[str, str], str]:
    return {(one.case, one.rule.metric): one.reason for one in judged.not_judged}


CASES = {"write": [1.0, 1.0, 1.0], "read": [2.0, 2.0, 2.0]}
OF_OTHERS = {("write", "read_gib_s"): NOT_MEASURED, ("read", "write_gib_s"): NOT_MEASURED}


@pytest.mark.parametrize("line", [RULE, "read_gib_s: -5%", "read_gib_s: -5%, >= 1"])
@pytest.mark.parametrize("nights", [0, 3, 6])
def test_figure_that_no_run_of_a_case_has_is_not_judged(line: str, nights: int) -> None:
    own = run("new", **CASES)
    earlier = [run(f"night-{n}", **CASES) for n in range(nights)]
    judged = judge_run(own, baselines(own, *earlier), rules(line))
    assert not_judged(judged) == OF_OTHERS
    assert set(verdicts(judged)) == {("write", "write_gib_s"), ("read", "read_gib_s")}
    assert Verdict.UNDECIDED not in verdicts(judged).values()


def test_figure_that_earlier_runs_had_is_undecided_however_long_ago() -> None:
    own = run("new", **CASES)
    known = baselines(own, *(run(f"night-{n}", **CASES) for n in range(6)), write="read_gib_s")
    judged = judge_run(own, known, rules())
    assert verdicts(judged)["write", "read_gib_s"] is Verdict.UNDECIDED
    result = GateResult("new", "last", judged.metrics, {}, not_judged=judged.not_judged)
    assert result.verdict == "undecided"
    assert result.next_step == "find out why write has no read_gib_s any more"


def test_figure_that_is_0_in_all_runs_is_not_judged_but_meets_or_misses_a_limit() -> None:
    """As is the bandwidth of reads of a workload that only writes."""
    own = run("new", decode=[0.0, 0.0, 0.0])
    earlier = [run(f"night-{n}", decode=[0.0]) for n in range(6)]
    for runs in (earlier, earlier[:2], []):
        judged = judge_run(own, baselines(own, *runs), rules())
        assert not_judged(judged)["decode", "read_gib_s"] == ALWAYS_ZERO
        assert verdicts(judged) == {}
    limited = judge_run(own, baselines(own, *earlier), rules(RULE))
    assert verdicts(limited) == {("decode", "read_gib_s"): Verdict.REGRESSED}
    assert ("decode", "read_gib_s") not in not_judged(limited)


def test_figure_that_becomes_0_or_was_0_is_judged() -> None:
    zeros = [run(f"night-{n}", decode=[0.0]) for n in range(6)]
    own = run("new", decode=[1.0, 1.0, 1.0])
    assert verdicts(judge_run(own, baselines(own, *zeros), rules())) == {
        ("decode", "read_gib_s"): Verdict.UNDECIDED
    }
    own = run("new", decode=[0.0, 0.0, 0.0])
    steady = [run(f"night-{n}", decode=[one]) for n, one in enumerate(STEADY)]
    assert verdicts(judge_run(own, baselines(own, *steady), rules())) == {
        ("decode", "read_gib_s"): Verdict.REGRESSED
    }
    lost = baselines(own, *zeros, decode="read_gib_s")
    assert verdicts(judge_run(own, lost, rules())) == {("decode", "read_gib_s"): Verdict.UNDECIDED}


UNUSED = {
    "metric that no case has": (RULE, "no case has read_gib_s; cases of this run: write"),
    "metric that its case has not": ("write/read_gib_s: -5%", "case write has no read_gib_s"),
    "case that does not exist": (
        "wirte/write_gib_s: -5%",
        "no case wirte has run; cases of this run: write",
    ),
}


@pytest.mark.parametrize("mistake", UNUSED)
def test_rule_that_no_case_has_a_figure_for_is_named(mistake: str) -> None:
    line, reason = UNUSED[mistake]
    own = run("new", write=[1.0, 1.0, 1.0])
    (unused,) = unused_rules(rules(line), own, (), ())
    assert str(unused) == f"--mlps-gate-rule {line!r} judges nothing: {reason}"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("read_gib_s: off",),
        (RULE, "read_gib_s: off"),
        ("write_gib_s: -5%", "write/write_gib_s: >= 1"),
    ],
)
def test_defaults_rules_that_are_off_and_rules_with_a_figure_are_used(
    lines: tuple[str, ...],
) -> None:
    own = run("new", write=[1.0, 1.0, 1.0])
    assert [*unused_rules(rules(*lines), own, (), ())] == []


def test_rule_of_a_figure_that_was_lost_is_used() -> None:
    own = run("new", write=[1.0, 1.0, 1.0])
    judged = judge_run(own, baselines(own, write="read_gib_s"), rules(RULE))
    assert [*unused_rules(rules(RULE), own, (), judged.metrics)] == []


def test_other_runs_of_the_session_use_rules_of_options_and_of_their_own_profile() -> None:
    own = run("new", write=[1.0, 1.0, 1.0])
    other_type = run("other", "kv_cache", **{"1": [1.0]})
    other_model = run("other", read=[1.0])
    of_profile = rules(RULE, source=PROFILE_SOURCE)
    assert [*unused_rules(rules(RULE), own, [other_type], ())] == []
    assert [*unused_rules(rules("1/read_gib_s: -5%"), own, [other_type], ())] == []
    assert [*unused_rules(of_profile, own, [other_model], ())] == []
    assert len([*unused_rules(of_profile, own, [other_type], ())]) == 1


def result(*, undecided: bool = False) -> GateResult:
    """Return the result of a run of writes with a rule for reads."""
    own = run("new", write=[1.0, 1.0, 1.0])
    judged = judge_run(own, baselines(own), rules(RULE))
    return GateResult(
        "new",
        "last",
        judged.metrics,
        {},
        failure_rules=FailureRules(undecided=undecided),
        not_judged=judged.not_judged,
        unused_rules=tuple(unused_rules(rules(RULE), own, (), judged.metrics)),
    )


WHAT = f"--mlps-gate-rule {RULE!r} judges nothing: no case has read_gib_s; cases of this run: write"


def test_rule_that_judges_nothing_is_a_warning_and_an_error_where_undecided_is_one() -> None:
    passing, failing = result(), result(undecided=True)
    assert (passing.exit_status, failing.exit_status) == (0, 4)
    assert passing.verdict == failing.verdict == "undecided"
    assert passing.headline == ("gate passed with a warning: 1 collecting, 1 rule without a figure")
    assert failing.headline == f"gate FAILED: rules that judge nothing: {RULE}"
    assert gate_lines(passing) == [
        "collecting: 1 of 5 baseline runs, including this run: case write",
        "not judged: not measured in this case: write read_gib_s",
        f"warning: {WHAT}. The session passes; with --mlps-gate-undecided=fail it fails",
        "gate: 1 collecting, 1 rule without a figure (against last)",
        "next: correct the rules that judge nothing, or run the cases that they are for",
    ]
    assert f"error: {WHAT}" in gate_lines(failing)
    assert "judges nothing" in as_markdown(passing)
    in_ci = {"GITHUB_ACTIONS": "true"}
    assert github_annotations(passing, in_ci)[-1].startswith("::warning title=a rule judges")
    assert github_annotations(failing, in_ci)[-1].startswith("::error title=a rule judges")


def test_record_has_rules_that_were_not_judged_and_those_that_judge_nothing() -> None:
    record = result().to_record().model_dump(mode="json")
    assert record["not_judged"] == [
        {
            "case": "write",
            "metric": "read_gib_s",
            "rule": "-10 %, ≥ 1 GiB/s",
            "reason": NOT_MEASURED,
        }
    ]
    assert record["unused_rules"] == [
        {
            "rule": RULE,
            "source": RULE_OPTION,
            "reason": "no case has read_gib_s; cases of this run: write",
        }
    ]


def test_kv_cache_metrics_of_rules_are_numbers_that_a_case_may_lack() -> None:
    """The default rules of the type with cases that only write or only read."""
    own = run("new", "kv_cache", prefill=[0.0, 0.0, 0.0])
    judged = judge_run(own, baselines(own), parse_rules(KV_CACHE.metrics, ()))
    assert not_judged(judged)["prefill", "read_gib_s"] == ALWAYS_ZERO
    assert not_judged(judged)["prefill", "read_p95_ms"] == NOT_MEASURED
