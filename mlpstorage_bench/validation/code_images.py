"""Images of the benchmark's source code, and pointers to them from leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable, read_json
from mlpstorage_bench.validation.lookups import has_directory, has_file
from mlpstorage_bench.validation.tree import POOL_MARKER, Tree

POOL = "code-images"
HASH_FILE = ".code-hash.json"
_POINTER = re.compile(r"md5-tree-v\d:([0-9a-f]{32})\n?")


@dataclass(frozen=True)
class Image:
    """One image in a pool."""

    path: Path

    @property
    def record(self) -> Document | Unreadable:
        """The recorded hash and facts."""
        return read_json(self.path / HASH_FILE)


def pools(tree: Tree) -> list[Path]:
    """Return the directories that hold images: the tree's own pool, then organizations'."""
    own = [tree.top / POOL] if has_directory(tree.top / POOL) else []
    names = sorted({organization.name for organization in tree.organizations})
    return own + [tree.top / name for name in names if has_file(tree.top / name / POOL_MARKER)]


def images(tree: Tree) -> list[Image]:
    """Return the images of all pools."""
    return [
        Image(path)
        for pool in pools(tree)
        for path in sorted(pool.glob("code-*"))
        if has_directory(path) and not path.is_symlink()
    ]


def pointed_hash(leaf: Leaf) -> str | Unreadable:
    """Return the hash that a leaf's pointer names."""
    pointer = leaf.pointer
    if isinstance(pointer, Unreadable):
        return pointer
    found = _POINTER.fullmatch(pointer)
    return found[1] if found else Unreadable(f"the pointer is {pointer[:60]!r}")


def image_of(leaf: Leaf, tree: Tree) -> Image | None:
    """Return the image that a leaf's pointer names, from the tree's pool or its organization's."""
    return image_below(tree.top, leaf)


def image_below(top: Path, leaf: Leaf) -> Image | None:
    """Return the image that a leaf's pointer names, below the directory of the divisions."""
    name = pointed_hash(leaf)
    if isinstance(name, Unreadable):
        return None
    for pool in (top / POOL, top / leaf.organization):
        path = pool / f"code-{name[:8]}"
        if has_directory(path) and not path.is_symlink():
            record = Image(path).record
            if not isinstance(record, Unreadable) and record.text("hash") == name:
                return Image(path)
    return None
