"""The gates of all runs of a session: policy of each type, numbers of trials, verdicts."""

from __future__ import annotations

from collections.abc import Callable

from mlpstorage_bench import registry
from mlpstorage_bench.session.gate import RunMore
from mlpstorage_bench.session.gate_policy import GatePolicy, most_looks, rounds
from mlpstorage_bench.session.junit import add_to_junit
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.type_run import TypeRun

NOTHING_TO_JUDGE = "nothing to judge: no benchmark has run"


def make_gate(session: MlpsSession, benchmark_type: str) -> GatePolicy:
    """Return the gate with the user's settings, for runs of a benchmark type."""
    settings = session.settings
    kind = registry.load(benchmark_type)
    others = [registry.load(name) for name in session.types if name != benchmark_type]
    return GatePolicy(
        settings.gate,
        kind,
        settings.results_dir,
        session.plan(benchmark_type).gate_rules,
        [metric for other in others for metric in other.metrics],
    )


def planned_rounds(session: MlpsSession, trials: int, *, is_timed: bool = True) -> int:
    """Return the number of trials of a case: more than `trials` for a self-test of the gate.

    There is one where rounds are not timed, with `--benchmark-disable`.
    """
    if not is_timed:
        return 1
    settings = session.settings
    return rounds(settings.gate, trials, are_set=settings.trials is not None)


def most_trials(session: MlpsSession, trials: int) -> int:
    """Return the largest number of trials of a case, with those that the gate may add."""
    return planned_rounds(session, trials) * most_looks(session.settings.gate)


def offer_more(session: MlpsSession, part: TypeRun, case: str, trials: int, run: RunMore) -> None:
    """Register a function that runs more trials of a case, for the gate's retries."""
    if part.gate is None:
        return

    def run_limited(more: int) -> None:
        with session.time_limit(f"more trials of {case}"):
            run(more)

    part.gate.offer_more(case, trials, run_limited)


def judge(session: MlpsSession, tests_failed: int, report: Callable[[str], None]) -> None:
    """Compare each run with its baseline on all ranks together, if the gate is on.

    Cases that missed an objective have all their figures, so that they are compared, too.
    """
    gates = [part.gate for part in session.parts if part.gate is not None]
    if not gates:
        if session.settings.gate.is_wanted and session.settings.mode != "whatif":
            session.remarks.append(f"ERROR: the gate had {NOTHING_TO_JUDGE}")
            session.has_nothing_to_judge = True
        return
    if tests_failed and not _only_objectives_missed(session, tests_failed):
        session.remarks.append("the gate did not judge the run, because tests have failed")
        return
    for part in session.parts:
        if part.gate is None:
            continue
        others = [gate for gate in gates if gate is not part.gate]
        part.gate.judge(report, others)
        result = part.gate.result
        if result is not None:
            part.run.gate = result.to_record()
            add_to_junit(session.config, result)


def _only_objectives_missed(session: MlpsSession, tests_failed: int) -> bool:
    """Whether all tests that failed have measured everything, on all ranks."""
    counts = session.agree("the missed objectives", session.objectives_missed)
    return all(count == tests_failed for count in counts)
