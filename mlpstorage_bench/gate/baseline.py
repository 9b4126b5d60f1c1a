"""What a run is compared with: the last comparable runs, those of a tag or branch, or a named one.

Comparable are runs of the same workload on the same system, as their fingerprints say. A run can be
a baseline when its tests passed and it has not regressed (`PastRun.is_baseline`), so a regression
does not become the measure of the next run. A case that was not compared is no baseline either: the
first run on another system or workload fails, and the second must not accept it in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, read_series, told
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.past_run import PastRun

BASELINE_OPTION = "--mlps-baseline"
DEFAULT_RUNS = 10
SELFTEST_TRIALS = 10
"""Of each half, unless the user says how many: as many as a baseline has runs."""
_ACCEPTED = "last, last:N, tag:NAME, branch:NAME, run:ID, or file:PATH of a run's metadata"

Kind = Literal["last", "tag", "branch", "run", "file"]
_KINDS: dict[str, Kind] = {
    "last": "last",
    "tag": "tag",
    "branch": "branch",
    "run": "run",
    "file": "file",
}


@dataclass(frozen=True)
class Choice:
    """Which runs the user wants."""

    kind: Kind = "last"
    name: str = ""
    count: int = DEFAULT_RUNS
    """The newest of them, so many."""

    @property
    def grows(self) -> bool:
        """Whether later runs join it until there are enough of them."""
        return self.kind not in ("run", "file") and self.count >= MIN_RUNS

    def takes(self, run: RunSeries) -> bool:
        """Whether a run has the tag or branch that is wanted, if one is."""
        names = {"tag": run.tags, "branch": (run.branch,)}.get(self.kind)
        return names is None or any(
            name is not None and (name == self.name or fnmatchcase(name, self.name))
            for name in names
        )

    def __str__(self) -> str:
        if self.kind == "last":
            return f"the last {self.count} comparable runs"
        if self.kind in ("tag", "branch"):
            return f"the last {self.count} comparable runs of {self.kind} {self.name}"
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Baseline:
    """The runs that a case is compared with, oldest first, or why there are none."""

    runs: tuple[RunSeries, ...]
    refusal: str = ""
    grows: bool = False
    """Whether later runs join it: then too few are a beginning."""
    takes_candidate: bool = False
    """Whether the run that is judged joins it, unless it regresses."""


def parse_choice(text: str) -> Choice:
    """Return the choice that a text stands for; InvalidInputError for one that is none."""
    word, _, rest = text.partition(":")
    kind = _KINDS.get(word)
    if kind is None:
        if Path(text).is_file():
            return Choice("file", text)
        raise InvalidInputError(BASELINE_OPTION, text, _ACCEPTED)
    if kind == "last":
        if not rest:
            return Choice()
        if not rest.isdecimal() or int(rest) < 1:
            raise InvalidInputError(BASELINE_OPTION, text, "last:N, N from 1")
        return Choice(count=int(rest))
    if not rest:
        raise InvalidInputError(BASELINE_OPTION, text, _ACCEPTED)
    return Choice(kind, rest)


def baselines_of(
    candidate: RunSeries, choice: Choice, history: History, *, across: bool = False
) -> dict[str, Baseline]:
    """Return what each case of a run is compared with.

    With `across`, runs of other workloads and systems count too, by the name of the case.
    InvalidInputError where the choice names what there is not.
    """
    if choice.kind in ("run", "file"):
        path = (
            Path(choice.name)
            if choice.kind == "file"
            else history.find(BASELINE_OPTION, choice.name)
        )
        named = read_series(BASELINE_OPTION, path)
        return {case: _of_named(candidate, case, named, across) for case in candidate.cases}
    wanted = RunFilter(
        tag=choice.name if choice.kind == "tag" else None,
        branch=choice.name if choice.kind == "branch" else None,
    )
    runs = [
        run
        for run in history.runs(wanted)
        if run.is_baseline
        and run.benchmark_type == candidate.benchmark_type
        and run.run_id != candidate.run_id
    ]
    read: dict[Path, RunSeries] = {}
    return {
        case: _of_many(candidate, case, runs, choice, read, across=across)
        for case in candidate.cases
    }


def _of_named(candidate: RunSeries, case: str, named: RunSeries, across: bool) -> Baseline:  # noqa: FBT001 - the user's switch
    differences = candidate.differences(named, case)
    if case not in named.cases or (differences and not across):
        return Baseline((), f"run {named.run_id} is not comparable: {told(differences)}")
    return Baseline((named,))


def _of_many(
    candidate: RunSeries,
    case: str,
    runs: Sequence[PastRun],
    choice: Choice,
    read: dict[Path, RunSeries],
    *,
    across: bool,
) -> Baseline:
    own = candidate.cases[case]

    def series(run: PastRun) -> RunSeries:
        if run.path not in read:
            read[run.path] = read_series(BASELINE_OPTION, run.path)
        return read[run.path]

    def is_comparable(run: PastRun) -> bool:
        return (
            run.system_fingerprint is not None
            and run.system_fingerprint == candidate.system_fingerprint
            and any(
                past.name == case
                and past.workload_fingerprint is not None
                and past.workload_fingerprint == own.workload_fingerprint
                for past in run.cases
            )
        )

    with_case = [
        run
        for run in runs
        if any(past.name == case and (across or not past.is_refused) for past in run.cases)
    ]
    fitting = with_case if across else [run for run in with_case if is_comparable(run)]
    takes_candidate = choice.takes(candidate)
    if fitting or (not with_case and takes_candidate):
        return Baseline(
            tuple(series(run) for run in fitting[-choice.count :]),
            grows=choice.grows,
            takes_candidate=takes_candidate,
        )
    if not with_case:
        return Baseline(
            (),
            f"no earlier run of {choice.kind} {choice.name} that passed has this case, "
            f"and this run is not of {choice.kind} {choice.name}",
        )
    nearest = series(with_case[-1])
    return Baseline(
        (),
        f"no comparable run; the last with this case, {nearest.run_id}, differs: "
        f"{told(candidate.differences(nearest, case))}",
    )


def halves(run: RunSeries) -> tuple[RunSeries, dict[str, Baseline]]:
    """Return the second half as a run, and the first as the baseline of each of its cases."""
    candidate = {name: _with(case, case.trials[1::2]) for name, case in run.cases.items()}
    baselines = {
        name: Baseline(
            tuple(
                replace(run, run_id=f"trial {1 + 2 * number}", cases={name: _with(case, (trial,))})
                for number, trial in enumerate(case.trials[::2])
            )
        )
        for name, case in run.cases.items()
    }
    return replace(run, cases=candidate), baselines


def _with(case: CaseSeries, trials: tuple[Mapping[str, float], ...]) -> CaseSeries:
    return replace(case, trials=trials)
