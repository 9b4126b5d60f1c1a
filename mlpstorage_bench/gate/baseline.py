"""Selection of baseline runs: the last comparable runs, those of a tag or branch, or one run.

Runs are comparable if the fingerprints of workload and system are equal. A run can be a baseline if
its tests passed and it has not regressed (`PastRun.is_baseline`), so a regression does not become
the reference of the next run. A case that was not compared is no baseline either: the first run on
another system or workload fails, and the second must not accept it silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.series import CaseSeries, RunSeries, format_differences, read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.paths import is_file

BASELINE_OPTION = "--mlps-baseline"
DEFAULT_RUNS = 10
SELFTEST_TRIALS = 10
"""Trials of each half unless --mlps-trials is given: as many as a baseline has runs."""
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
class BaselineChoice:
    """The value of --mlps-baseline."""

    kind: Kind = "last"
    name: str = ""
    count: int = DEFAULT_RUNS
    """The number of newest runs to use."""

    @property
    def can_grow(self) -> bool:
        """Whether later runs are added until there are enough for a decision."""
        return self.kind not in ("run", "file") and self.count >= MIN_RUNS

    def matches(self, run: RunSeries) -> bool:
        """Return whether a run has the chosen tag or branch, if there is one."""
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
    """The baseline runs of a case, oldest first, or the reason why it cannot be compared."""

    runs: tuple[RunSeries, ...]
    refusal: str = ""
    can_grow: bool = False
    """Whether later runs are added: then a case with too few runs is collecting."""
    accepts_candidate: bool = False
    """Whether the judged run is added, unless it regresses."""


def parse_choice(text: str) -> BaselineChoice:
    """Parse a value of --mlps-baseline; InvalidInputError if it has no accepted form."""
    word, _, rest = text.partition(":")
    kind = _KINDS.get(word)
    if kind is None:
        if is_file(BASELINE_OPTION, Path(text)):
            return BaselineChoice("file", text)
        raise InvalidInputError(BASELINE_OPTION, text, _ACCEPTED)
    if kind == "last":
        if not rest:
            return BaselineChoice()
        if not re.fullmatch(r"[1-9][0-9]{0,5}", rest):
            raise InvalidInputError(BASELINE_OPTION, text, "last:N, N from 1 to 999999")
        return BaselineChoice(count=int(rest))
    if not rest:
        raise InvalidInputError(BASELINE_OPTION, text, _ACCEPTED)
    return BaselineChoice(kind, rest)


def find_baselines(
    candidate: RunSeries, choice: BaselineChoice, history: History, *, across: bool = False
) -> dict[str, Baseline]:
    """Return the baseline of each case of a run.

    `across` includes runs of other workloads and systems, matched by the name of the case.
    InvalidInputError if the chosen run or file does not exist.
    """
    if choice.kind in ("run", "file"):
        path = (
            Path(choice.name)
            if choice.kind == "file"
            else history.find(BASELINE_OPTION, choice.name)
        )
        named = read_series(BASELINE_OPTION, path)
        return {case: _named_baseline(candidate, case, named, across) for case in candidate.cases}
    tag_or_branch = RunFilter(
        tag=choice.name if choice.kind == "tag" else None,
        branch=choice.name if choice.kind == "branch" else None,
    )
    runs = [
        run
        for run in history.runs(tag_or_branch)
        if run.is_baseline
        and run.benchmark_type == candidate.benchmark_type
        and run.run_id != candidate.run_id
    ]
    read: dict[Path, RunSeries] = {}
    return {
        case: _newest_baseline(candidate, case, runs, choice, read, across=across)
        for case in candidate.cases
    }


def _named_baseline(candidate: RunSeries, case: str, named: RunSeries, across: bool) -> Baseline:  # noqa: FBT001 - the user's switch
    differences = candidate.differences(named, case)
    if case not in named.cases or (differences and not across):
        return Baseline(
            (), f"run {named.run_id} is not comparable: {format_differences(differences)}"
        )
    return Baseline((named,))


def _newest_baseline(
    candidate: RunSeries,
    case: str,
    runs: Sequence[PastRun],
    choice: BaselineChoice,
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
    comparable = with_case if across else [run for run in with_case if is_comparable(run)]
    accepts_candidate = choice.matches(candidate)
    if comparable or (not with_case and accepts_candidate):
        return Baseline(
            tuple(series(run) for run in comparable[-choice.count :]),
            can_grow=choice.can_grow,
            accepts_candidate=accepts_candidate,
        )
    if not with_case:
        return Baseline(
            (),
            f"no earlier run of {choice.kind} {choice.name} that passed has this case, and this "
            f"run does not have this {choice.kind}",
        )
    nearest = series(with_case[-1])
    return Baseline(
        (),
        f"no comparable run; the last run with this case, {nearest.run_id}, differs: "
        f"{format_differences(candidate.differences(nearest, case))}",
    )


def split_for_selftest(run: RunSeries) -> tuple[RunSeries, dict[str, Baseline]]:
    """Split a run for a self-test: even trials as the candidate, odd trials as baseline runs.

    Halves alternate, so both meet the same conditions of the storage, and neither can be worse.
    """
    candidate = {name: _with_trials(case, case.trials[1::2]) for name, case in run.cases.items()}
    baselines = {
        name: Baseline(
            tuple(
                replace(
                    run,
                    run_id=f"trial {1 + 2 * number}",
                    cases={name: _with_trials(case, (trial,))},
                )
                for number, trial in enumerate(case.trials[::2])
            )
        )
        for name, case in run.cases.items()
    }
    return replace(run, cases=candidate), baselines


def _with_trials(case: CaseSeries, trials: tuple[Mapping[str, float], ...]) -> CaseSeries:
    return replace(case, trials=trials)
