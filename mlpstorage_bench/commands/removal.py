"""The command `--mlps-history-rm=ID`: move runs to the trash of the results directory."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError, MlpsError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.past_run import RUNNING, status_now
from mlpstorage_bench.history.reading import NoRunError, read_metadata, run_of
from mlpstorage_bench.history.trash import Leaf, NotRemovableError, leaf_of, move_to_trash
from mlpstorage_bench.process.stdout import write_lines

REMOVAL_OPTION = "--mlps-history-rm"
_ACCEPTED = "a run of this package that has ended, in a directory of its own"
_OTHERS = {
    "mlps_history": "--mlps-history",
    "mlps_history_rerun": "--mlps-history-rerun",
    "mlps_resume": "--mlps-resume",
    "mlps_history_trend": "--mlps-history-trend",
}
"""Other commands of the history, by attribute of the options."""


def refuse_alone(known: argparse.Namespace) -> None:
    """Raise InvalidInputError for an option of the removal without a run to remove."""
    for flag, given in (("--mlps-dry-run", known.mlps_dry_run), ("--mlps-yes", known.mlps_yes)):
        if given and not known.mlps_history_rm:
            raise InvalidInputError(
                flag,
                "no run",
                f"with {REMOVAL_OPTION}=ID alone",
                hint="--mlps-mode=whatif shows the plan of a session",
            )


def run(history: History, known: argparse.Namespace) -> None:
    """Move the requested runs to the trash, or say what would be moved.

    All are checked before any is moved: MlpsError that says which cannot be moved, and why.
    """
    for name, flag in _OTHERS.items():
        if getattr(known, name) is not None:
            raise InvalidInputError(REMOVAL_OPTION, flag, "no other command of the history")
    leaves = _leaves(history, known.mlps_history_rm, with_others=known.mlps_yes)
    if known.mlps_dry_run:
        write_lines(f"would move {for_terminal(leaf.place)}" for leaf in leaves)
        return
    trash = move_to_trash(history.results_dir, leaves, datetime.now().astimezone())
    lines = [f"moved {for_terminal(leaf.place)}" for leaf in leaves]
    where = for_terminal(str(history.results_dir / trash))
    write_lines([*lines, f"to {where}; a directory that is moved back is listed again"])


def _leaves(history: History, given: Sequence[str], *, with_others: bool) -> list[Leaf]:
    """Return the directories of the runs, each once; MlpsError that names all that are refused."""
    found: dict[str, Leaf] = {}
    problems: list[str] = []
    for run_id in given:
        try:
            leaf = _leaf(history, run_id, with_others=with_others)
        except NotRemovableError as error:
            problem = InvalidInputError(REMOVAL_OPTION, run_id, _ACCEPTED, hint=str(error))
            problems.append(str(problem))
        except InvalidInputError as error:  # no run, or several
            problems.append(str(error))
        else:
            found[leaf.place] = leaf
    if problems:
        more = "Nothing was moved" if len(given) > 1 else ""
        raise MlpsError("\n".join([*problems, *([more] if more else [])]))
    return list(found.values())


def _leaf(history: History, run_id: str, *, with_others: bool) -> Leaf:
    paths = history.find_copies(REMOVAL_OPTION, run_id)
    if len(paths) > 1:
        raise NotRemovableError(f"{len(paths)} directories have it: {_places(history, paths)}")
    (path,) = paths
    try:
        seen = path.lstat()
        metadata = read_metadata(path)
    except (OSError, NoRunError) as error:
        raise NotRemovableError(f"Its metadata cannot be read: {error}") from error
    past = run_of(metadata, path).run
    if status_now(past) == RUNNING:
        host = past.hosts[0] if past.hosts else "an unknown host"
        raise NotRemovableError(
            f"It is running, or has died where that cannot be seen from here: process "
            f"{past.process_id or 'unknown'} on {host}"
        )
    if metadata.own.run_id is None and not with_others:
        raise NotRemovableError(
            "The reference has made it. To move it all the same, add --mlps-yes"
        )
    return leaf_of(history.results_dir, path, seen)


def _places(history: History, paths: Sequence[Path]) -> str:
    return ", ".join(path.parent.relative_to(history.results_dir).as_posix() for path in paths)
