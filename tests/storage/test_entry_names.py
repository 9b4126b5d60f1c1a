"""Names of entries may be any text: no file outside of the store is ever touched for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.block_files import BlockFiles
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.store import Store
from tests.lanes import LoneLane

SIZE = 200 * 1024
ODD_NAMES = {
    "absolute": "{folder}/precious",
    "parent": "../precious",
    "grandparent": "../../precious",
    "slash": "vllm@meta/llama@1@0@abc",
    "trailing slash": "a/",
    "NUL": "a\0b",
    "newline": "a\nb",
    "300 characters": "k" * 300,
    "lone surrogate": "a\udcffb",
    "not ASCII": "ключ",
    "empty": "",
    "dot": ".",
    "dots": "..",
}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "rank_0"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def precious(tmp_path: Path, cache: Path) -> Iterator[list[Path]]:
    """Files of the user, at each place to which a name above leads if it is taken for a path."""
    files = [folder / "precious.kv" for folder in (tmp_path, cache.parent)]
    for file in files:
        file.write_text("years of work")
    yield files
    assert [file.read_text() for file in files] == ["years of work"] * len(files)


@pytest.mark.slow
@pytest.mark.usefixtures("precious")
@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
@pytest.mark.parametrize("kind", ODD_NAMES)
def test_entry_name_that_is_no_file_name_is_written_read_and_deleted_inside_the_store(
    tmp_path: Path,
    cache: Path,
    store_of: Any,
    lane: LoneLane,
    observer_class: Any,
    layout: str,
    kind: str,
) -> None:
    name = ODD_NAMES[kind].format(folder=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    store: Store = store_of(f"{layout}, buffered", cache)
    lane.read(store, lane.write(store, name, SIZE, observer_class()), observer_class())
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - set(before)
    assert all(path.is_relative_to(cache) for path in made)
    store.delete(name)
    store.close()
    assert sorted(tmp_path.rglob("*")) == before


def test_entries_of_similar_names_are_kept_apart(
    cache: Path, lane: LoneLane, observer_class: Any
) -> None:
    store = EntryFiles(cache, FileIo("buffered"))
    entries = [
        lane.write(store, name, SIZE, observer_class())
        for name in ("a/b", "a-b", "a_b", "A/B", "ab")
    ]
    for entry in entries:
        lane.read(store, entry, observer_class())
    assert len(list(cache.iterdir())) == len(entries)


def test_file_that_exists_already_is_kept_when_an_entry_cannot_be_created(
    cache: Path, lane: LoneLane, observer_class: Any
) -> None:
    store = EntryFiles(cache, FileIo("buffered"))
    theirs = cache / f"{digest_name('entry')}.kv"
    theirs.write_text("years of work")
    with pytest.raises(StorageError, match=r"creating .* failed: .*\(EEXIST\)"):
        lane.write(store, "entry", SIZE, observer_class())
    store.delete("entry")
    assert theirs.read_text() == "years of work"


def test_block_that_exists_already_is_kept_when_an_entry_cannot_be_created(
    cache: Path, lane: LoneLane, observer_class: Any
) -> None:
    block_bytes = 64 * 1024
    store = BlockFiles(cache, FileIo("buffered"), block_bytes)
    lane.write(store, "entry", 3 * block_bytes, observer_class())
    second = next(path for path in cache.rglob("*.kv") if ".1." in path.name)
    store.delete("entry")
    theirs = second.with_name(f"{second.name}.tmp")
    theirs.write_text("years of work")
    with pytest.raises(StorageError, match=r"creating .* failed: .*\(EEXIST\)"):
        lane.write(store, "entry", 3 * block_bytes, observer_class())
    assert [path for path in cache.rglob("*") if path.is_file()] == [theirs]
    assert theirs.read_text() == "years of work"


def test_file_that_cannot_reserve_its_space_is_removed_again(cache: Path) -> None:
    with pytest.raises(StorageError, match=r"preallocating .* failed"):
        FileIo("buffered", reserves=True).create(cache / "entry", 1 << 60)
    assert list(cache.iterdir()) == []
