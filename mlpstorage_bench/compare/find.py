"""The runs that a user names: by id, directory, metadata file, or row of a published table."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.compare.our_run import our_subject
from mlpstorage_bench.compare.published_row import is_row, row_subject
from mlpstorage_bench.compare.reference_run import reference_subject
from mlpstorage_bench.compare.subject import Subject
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.reading import NoRunError, read_document, read_metadata, run_of
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import summary_names
from mlpstorage_bench.leaves.reference_run import leaf_of
from mlpstorage_bench.paths import is_directory, is_file
from mlpstorage_bench.results.tree import METADATA_SUFFIX

COMPARE_OPTION = "--mlps-compare"
_ACCEPTED = (
    "the id of a run, its directory, its metadata file, or FILE.csv#SYSTEM of a published table"
)


def find_subject(given: str, history: History) -> Subject:
    """Return the run that a user names; InvalidInputError if there is none."""
    if is_row(given):
        return row_subject(COMPARE_OPTION, given)
    path = _path(given, history)
    try:
        metadata = read_metadata(path, with_trials=True)
        run = run_of(metadata, path).run
        leaf = leaf_of(path.parent, metadata)
        if not metadata.is_of_reference:
            return our_subject(given, run, metadata, Document(read_document(path), path), leaf)
    except NoRunError as error:
        raise InvalidInputError(COMPARE_OPTION, given, _ACCEPTED, hint=str(error)) from error
    return reference_subject(given, run, metadata, leaf)


def _path(given: str, history: History) -> Path:
    """Return the file of a run that is named by path or by id."""
    path = Path(given)
    if is_directory(COMPARE_OPTION, path):
        return _of_directory(given, path)
    if is_file(COMPARE_OPTION, path):
        return path
    if "/" in given:
        raise InvalidInputError(
            COMPARE_OPTION, given, _ACCEPTED, hint=f"There is no file or directory {given}"
        )
    return history.find(COMPARE_OPTION, given, _ACCEPTED)


def _of_directory(given: str, directory: Path) -> Path:
    metadata = sorted(
        path for path in directory.glob(f"*{METADATA_SUFFIX}") if not path.name.startswith(".")
    )
    summaries = [directory / name for name in summary_names(directory.absolute().name)]
    there = [path for path in summaries if is_file(COMPARE_OPTION, path)]
    if len(metadata) == 1 or (not metadata and there):
        return (metadata or there)[0]
    hint = (
        f"{given} has {len(metadata)} metadata files: name one of them"
        if metadata
        else f"{given} has neither metadata (*{METADATA_SUFFIX}) nor a summary: name a run's own "
        "directory, YYYYMMDD_HHMMSS"
    )
    raise InvalidInputError(COMPARE_OPTION, given, _ACCEPTED, hint=hint)
