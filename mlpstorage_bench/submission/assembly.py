"""A submission in a new directory: runs, descriptions, code images, tables and manifests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.paths import foreign_link_owner, is_directory, is_file, look_up
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.submission.choice import SUBMISSION_OPTION, Choice, ChosenRun
from mlpstorage_bench.submission.copies import copy_directory, copy_file
from mlpstorage_bench.submission.draft import draft
from mlpstorage_bench.submission.hardware import hardware_of
from mlpstorage_bench.submission.images import add_images
from mlpstorage_bench.submission.manifest import write_manifests
from mlpstorage_bench.submission.stamps import add_stamps
from mlpstorage_bench.submission.table import table_of, write_tables
from mlpstorage_bench.submission.whole_directory import left_by_kill, whole_directory
from mlpstorage_bench.validation.tree import Tree, read_tree

SYSTEMS_OPTION = "--mlps-submission-systems"
_SUFFIXES = (".yaml", ".pdf")


@dataclass
class Submission:
    """A submission as it was written."""

    tree: Tree
    drafts: list[Path] = field(default_factory=list)
    """Descriptions of systems that a person has to fill in."""
    remarks: list[str] = field(default_factory=list)


def check_directory(directory: Path, results_dir: Path) -> Path:
    """Return the absolute path of a submission; InvalidInputError if it is not new or empty."""
    path = directory.absolute()
    refusal = _problem(path, results_dir)
    if refusal:
        raise InvalidInputError(
            SUBMISSION_OPTION, str(directory), "a new or empty directory", hint=refusal
        )
    return path


def _problem(path: Path, results_dir: Path) -> str:
    if look_up(SUBMISSION_OPTION, path) is not None:
        if not is_directory(SUBMISSION_OPTION, path):
            return "It exists, and is no directory"
        held = _content(path)
        if held:
            return held
    owner = foreign_link_owner(path)
    if owner is not None:
        return f"It is a link that another user ({owner}) has made"
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(results_dir)):
        return f"It is in the results directory {results_dir}, where its runs would be found twice"
    return ""


def _content(path: Path) -> str:
    """Return what a directory holds and what to do, as a sentence; '' for an empty one."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries]
    except OSError as error:
        return error.strerror or str(error)
    left = next(filter(left_by_kill, names), None)
    if left is not None:
        return (
            f"It holds what a killed {SUBMISSION_OPTION} has left, as {left} shows: remove it with "
            "all its content"
        )
    if names:
        return f"It holds {names[0]}, which is never changed. To check it: --mlps-validate {path}"
    return ""


def check_systems(directory: Path, runs: Sequence[ChosenRun]) -> Path:
    """Return the directory with the files of systems; InvalidInputError if it has none of them."""
    if not is_directory(SYSTEMS_OPTION, directory):
        raise InvalidInputError(SYSTEMS_OPTION, str(directory), "a directory")
    names = {f"{run.leaf.system}{suffix}" for run in runs for suffix in _SUFFIXES}
    if not any(is_file(SYSTEMS_OPTION, directory / name) for name in names):
        raise InvalidInputError(
            SYSTEMS_OPTION,
            str(directory),
            f"a directory with {' or '.join(sorted(names))}",
            hint="The directory systems/ of an earlier submission is one",
        )
    return directory


def assemble(choice: Choice, directory: Path, systems: Path | None) -> Submission:
    """Write a submission to a directory that was checked; InvalidInputError on failure.

    It appears when it is complete.

    `systems` is the directory with the filled descriptions.
    """
    remarks = [*choice.remarks]
    try:
        with whole_directory(SUBMISSION_OPTION, directory) as written:
            drafts = _write(choice.runs, written, systems, remarks)
    except OSError as error:
        raise InvalidInputError(
            SUBMISSION_OPTION,
            str(directory),
            "a directory to which the runs can be copied",
            hint=f"{error.filename or directory}: {error.strerror}",
        ) from error
    tree = read_tree(directory)
    places = [directory / draft.relative_to(written) for draft in drafts]
    return Submission(tree, places, [*remarks, *table_of(tree).remarks])


def _write(
    runs: Sequence[ChosenRun], directory: Path, systems: Path | None, remarks: list[str]
) -> list[Path]:
    """Write the files of a submission, and return the drafts among them; OSError on failure."""
    for run in runs:
        remarks += copy_directory(run.leaf.path, directory / run.place)
    now = datetime.now(UTC)
    add_stamps(runs, directory, now)
    remarks += add_images(runs, directory, now)
    drafts = _describe_systems(runs, directory, systems, remarks)
    tree = read_tree(directory)
    write_tables(table_of(tree), tree)
    write_manifests(tree, now)
    return drafts


def _describe_systems(
    runs: Sequence[ChosenRun], directory: Path, given: Path | None, remarks: list[str]
) -> list[Path]:
    """Copy or draft the description of each system; return the drafts."""
    drafts = []
    newest = {run.place.parts[:4]: run for run in runs}
    for run in newest.values():
        system, folder = run.leaf.system, directory / Path(*run.place.parts[:2]) / "systems"
        folder.mkdir(exist_ok=True)
        copied = [
            suffix
            for suffix in _SUFFIXES
            if given is not None and _copied(given / f"{system}{suffix}", folder, remarks)
        ]
        if ".yaml" not in copied:
            path = folder / f"{system}.yaml"
            metadata = run.leaf.metadata
            hosts = [] if isinstance(metadata, Unreadable) else hardware_of(metadata)
            text = draft(system, f"run {run.run.run_id}", hosts)
            drafts.append(write_named(SUBMISSION_OPTION, path, text))
    return drafts


def _copied(source: Path, folder: Path, remarks: list[str]) -> bool:
    if look_up(SYSTEMS_OPTION, source) is None:
        return False
    is_copied = copy_file(source, folder / source.name)
    if not is_copied:
        remarks.append(f"{source} is no regular file and was not copied")
    return is_copied
