"""The value of --mlps-baseline: which earlier runs are compared, checked before the run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.series import RunSeries, read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.paths import is_file

BASELINE_OPTION = "--mlps-baseline"
DEFAULT_RUNS = 10
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
        return names is None or self.has_name(names)

    def has_name(self, names: Sequence[str | None]) -> bool:
        """Return whether one of the names of a run's tags or branch is the chosen one."""
        return any(
            name is not None and (name == self.name or fnmatchcase(name, self.name))
            for name in names
        )

    def __str__(self) -> str:
        if self.kind == "last":
            return f"the last {self.count} comparable runs"
        if self.kind in ("tag", "branch"):
            return f"the last {self.count} comparable runs of {self.kind} {self.name}"
        return f"{self.kind} {self.name}"


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


def check_choice(
    choice: BaselineChoice,
    history: History,
    benchmark_type: str,
    tags: Sequence[str],
    branch: str | None,
) -> None:
    """Raise InvalidInputError if no run can ever be compared with the chosen baseline.

    It is called before the run: `tags` and `branch` are those that the run will have.
    """
    if choice.kind in ("run", "file"):
        named = read_named(choice, history)
        if named.benchmark_type != benchmark_type or not any(
            case.trials for case in named.cases.values()
        ):
            raise InvalidInputError(
                BASELINE_OPTION,
                f"{choice.kind}:{choice.name}",
                f"a run of {benchmark_type} that has trials",
                hint=f"{named.run_id} is a run of {named.benchmark_type} "
                f"with {sum(len(case.trials) for case in named.cases.values())} trials",
            )
        return
    names = {"tag": tags, "branch": (branch,)}.get(choice.kind)
    if names is None or choice.has_name(names) or history.runs(filter_of(choice)):
        return
    known = sorted(
        {
            name
            for run in history.runs()
            for name in (run.tags if choice.kind == "tag" else (run.branch,))
            if name is not None
        }
    )
    own = f"--mlps-tag={choice.name}" if choice.kind == "tag" else "the branch of the tests"
    hint = (
        f"Earlier runs have: {', '.join(known)}" if known else f"No earlier run has a {choice.kind}"
    )
    raise InvalidInputError(
        BASELINE_OPTION,
        f"{choice.kind}:{choice.name}",
        f"a {choice.kind} of an earlier run, or of this run ({own})",
        hint=nearest(choice.name, known) or hint,
    )


def read_named(choice: BaselineChoice, history: History) -> RunSeries:
    """Return the one run of a choice `run` or `file`; InvalidInputError if there is none."""
    is_file = choice.kind == "file"
    path = Path(choice.name) if is_file else history.find(BASELINE_OPTION, choice.name)
    return read_series(BASELINE_OPTION, path)


def filter_of(choice: BaselineChoice) -> RunFilter:
    """Return the filter of runs that may be a baseline of this choice."""
    return RunFilter(
        tag=choice.name if choice.kind == "tag" else None,
        branch=choice.name if choice.kind == "branch" else None,
    )
