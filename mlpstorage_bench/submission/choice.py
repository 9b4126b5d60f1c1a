"""The runs that a submission consists of: chosen by the history's filters and by ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.past_run import RUNNING, PastRun
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.place import place_of, system_directory

SUBMISSION_OPTION = "--mlps-submission"
RUN_OPTION = "--mlps-submission-run"
_LEVELS_ABOVE_SYSTEM = 4
"""Division, organization, `results` and the system itself."""
_NEVER_SUBMITTED = "whatif"


@dataclass(frozen=True)
class ChosenRun:
    """A run with its directory."""

    run: PastRun
    leaf: Leaf

    @property
    def top(self) -> Path:
        """The directory of its results tree that holds the divisions."""
        return system_directory(self.leaf.path).parents[_LEVELS_ABOVE_SYSTEM - 1]

    @property
    def place(self) -> Path:
        """Its path below the divisions' directory."""
        return self.leaf.path.relative_to(self.top)


@dataclass(frozen=True)
class Choice:
    """Chosen runs, oldest first, and remarks on others."""

    runs: tuple[ChosenRun, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class RunId:
    """The id of a run or its beginning, and the option that has it."""

    option: str
    text: str


def choose(history: History, wanted: RunFilter, run_ids: Sequence[RunId]) -> Choice:
    """Return the runs that a filter selects; with ids, those of them alone.

    A run that cannot be handed in is left out with a remark: it is running, has no place in a
    results tree, or is of the division whatif. InvalidInputError if it was named by its id, if the
    filter does not select it, if nothing is left, or if two runs have the same place.
    """
    runs = history.runs(wanted)
    if run_ids:
        runs = [_named(history, runs, run_id) for run_id in dict.fromkeys(run_ids)]
    chosen: dict[Path, ChosenRun] = {}
    remarks = []
    for run in runs:
        found = _usable(run)
        if isinstance(found, str):
            if run_ids:
                raise InvalidInputError(
                    SUBMISSION_OPTION, run.run_id, "a run to hand in", hint=found
                )
            remarks.append(f"left out {run.run_id}: {found}")
            continue
        other = chosen.setdefault(found.place, found)
        if other is not found:
            raise InvalidInputError(
                SUBMISSION_OPTION,
                str(found.leaf.path),
                "one run for each place in the tree",
                hint=f"{other.leaf.path} has the same place, {found.place}; choose by {RUN_OPTION}",
            )
        if run.status not in {"passed", "-"}:
            remarks.append(f"{run.run_id} {run.status}: its figures may be incomplete")
    if not chosen:
        raise InvalidInputError(
            SUBMISSION_OPTION,
            "no run",
            f"runs in {history.results_dir} that the filters select",
            hint="; ".join(remarks) or "--mlps-history lists the runs",
        )
    return Choice(tuple(chosen.values()), tuple(remarks))


def _named(history: History, selected: Sequence[PastRun], run_id: RunId) -> PastRun:
    path = history.find(run_id.option, run_id.text)
    for run in selected:
        if run.path == path:
            return run
    raise InvalidInputError(run_id.option, run_id.text, "a run that the filters select")


def _usable(run: PastRun) -> ChosenRun | str:
    """Return a run with its directory, or why it cannot be handed in."""
    place = place_of(run.path.parent)
    if place is None:
        return f"{run.path.parent} is no directory of a run in a results tree"
    if place.division == _NEVER_SUBMITTED:
        return f"runs of {_NEVER_SUBMITTED} are never handed in"
    if run.path.parent.is_symlink():
        return f"{run.path.parent} is a link"
    if run.status == RUNNING:
        return "it is running"
    return ChosenRun(run, Leaf(run.path.parent, place))
