"""The hash by which runs and images of source code are matched, and the pointer of a run.

`md5-tree-v2` is an MD5 over the relative paths and contents of a tree's files, in the order of
their paths. Dot files, tests and caches are left out.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mlpstorage_bench.results.tree import write_text

ALGORITHM = "md5-tree-v2"
POINTER = ".mlps-code-image"
"""File of a run's directory that names the image of the code that ran."""
PACKAGE = Path(__file__).parents[1]
"""Directory of this package's own code."""
_PART = 1 << 20
_LEFT_OUT_DIRECTORIES = frozenset({"test", "tests", "__pycache__"})


def tree_files(path: Path) -> list[Path]:
    """Return the regular files of a tree that its hash covers, in the hash's order."""
    files = []
    for directory, names, file_names in os.walk(path):
        names[:] = [
            name
            for name in names
            if not name.startswith(".")
            and name not in _LEFT_OUT_DIRECTORIES
            and not name.endswith(".egg-info")
        ]
        files += [
            Path(directory, name)
            for name in file_names
            if not name.startswith(".") and not name.endswith(".pyc")
        ]
    in_order = sorted(files, key=lambda file: file.relative_to(path).as_posix())
    return [file for file in in_order if file.is_file() and not file.is_symlink()]


def tree_hash(path: Path) -> str:
    """Return the hash of a tree, 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    for file in tree_files(path):
        digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as content:
            while part := content.read(_PART):
                digest.update(part)
    return digest.hexdigest()


def pointer_to(code_hash: str) -> str:
    """Return the text of a pointer to the image with this hash; it has no line end."""
    return f"{ALGORITHM}:{code_hash}"


def write_pointer(directory: Path, pointer: str) -> Path:
    """Write the pointer of a run's directory."""
    return write_text(directory / POINTER, pointer)
