"""Images of the code that made the runs, in a pool of the submission."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.code_image import ALGORITHM, PACKAGE, tree_files, tree_hash
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.submission.choice import SUBMISSION_OPTION, ChosenRun
from mlpstorage_bench.submission.copies import copy_directory, copy_files
from mlpstorage_bench.submission.program import program_and_version, text_of
from mlpstorage_bench.validation.code_images import HASH_FILE, POOL, image_below, pointed_hash
from mlpstorage_bench.validation.tree import POOL_MARKER


def add_images(runs: Sequence[ChosenRun], directory: Path, now: datetime) -> list[str]:
    """Copy the image that each run names to the submission; return a remark where there is none.

    An image is one of the runs' results tree, or is made from this package, if its code is the one
    that ran.
    """
    remarks: list[str] = []
    named: dict[str, ChosenRun] = {}
    for run in runs:
        code_hash = pointed_hash(run.leaf)
        if isinstance(code_hash, Unreadable):
            remarks.append(f"{run.leaf}: {code_hash.cause}")
        else:
            named.setdefault(code_hash, run)
    made = set[Path]()
    for code_hash, run in named.items():
        image = directory / POOL / f"code-{code_hash[:8]}"
        known = image_below(run.top, run.leaf)
        if image in made:
            remarks.append(f"{run.leaf}: another image has the name {image.name}")
        elif known is not None:
            remarks += copy_directory(known.path, image)
        elif tree_hash(PACKAGE) == code_hash:
            _add_own(image, code_hash, now)
        else:
            remarks.append(
                f"{run.leaf}: no image of the code {code_hash[:8]}, which is not that of this "
                "installation: hand the run in with the version that made it"
            )
            continue
        made.add(image)
    if made:
        write_named(
            SUBMISSION_OPTION,
            directory / POOL / POOL_MARKER,
            f"mlpstorage_version={program_and_version()}\nmigration_completed_at={text_of(now)}\n",
        )
    return remarks


def _add_own(image: Path, code_hash: str, now: datetime) -> None:
    copy_files(PACKAGE, tree_files(PACKAGE), image)
    record = {
        "hash": code_hash,
        "algorithm": ALGORITHM,
        "captured_at": text_of(now),
        "mlpstorage_version": program_and_version(),
        "git_sha": None,
    }
    write_named(SUBMISSION_OPTION, image / HASH_FILE, json_text(record))
