"""Stamps of runs (`provenance.json`): what produced a run, as the newest form of the rules has it.

Runs of the reference have their own, or are read without one: they are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.leaves.leaf import STAMP_FILE, Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.code_image import PACKAGE, tree_hash
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.submission.choice import SUBMISSION_OPTION, ChosenRun
from mlpstorage_bench.submission.program import PROGRAM, program_and_version, text_of, version
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.code_images import pointed_hash
from mlpstorage_bench.validation.rules.provenance import STAMP_SCHEMA, UNKNOWN

_NOTES = (
    "Stamped when the submission was made, by the program that made the run. The hash of the "
    "workload is unknown, as the parameters that it is of are not published as data"
)


def add_stamps(runs: Sequence[ChosenRun], directory: Path, now: datetime) -> None:
    """Write a stamp to the copy of each run of this project that has none."""
    installed = tree_hash(PACKAGE)
    for run in runs:
        metadata = run.leaf.metadata
        is_ours = not isinstance(metadata, Unreadable) and metadata.has("mlpstorage", "run_id")
        if is_ours and STAMP_FILE not in run.leaf.names:
            path = directory / run.place / STAMP_FILE
            write_named(SUBMISSION_OPTION, path, json_text(stamp(run.leaf, installed, now)))


def stamp(leaf: Leaf, installed: str, now: datetime) -> Json:
    """Return the stamp of a run of this project; a value that is not known is a word of its own.

    `installed` is the hash of this package's code: only its version is known.
    """
    pointer, is_installed = leaf.pointer, pointed_hash(leaf) == installed
    return {
        "schema": STAMP_SCHEMA,
        "rules_edition": edition.EDITION,
        "layout_version": edition.LAYOUT_VERSION,
        "tool": {
            "name": PROGRAM,
            "version": version() if is_installed else UNKNOWN,
            "git_sha": UNKNOWN,
            "code_image": UNKNOWN if isinstance(pointer, Unreadable) else pointer.strip(),
        },
        "dlio": {"version": UNKNOWN, "source": UNKNOWN, "commit": UNKNOWN},
        "storage_library": {"name": "none"},
        "core_config": {
            "algorithm": "core-config-v1",
            "allowlist": f"{leaf.benchmark_type}@1",
            "hash": UNKNOWN,
            "keys": [],
        },
        "stamped_at": text_of(now),
        "stamped_by": program_and_version(),
        "provenance": {
            "rules_edition": "tool-constant",
            "layout_version": "tool-constant",
            "tool": "package-metadata" if is_installed else UNKNOWN,
            "dlio": "n/a",
            "storage_library": "n/a",
            "core_config": UNKNOWN,
        },
        "notes": _NOTES,
    }
