"""The choice of the chunks that are checked, where not all are."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.storage.verification import is_checked
from tests.lanes import LoneLane

IDENTITIES = st.integers(0, 2**64 - 1)
CHUNK = 4096


@pytest.mark.slow
@given(IDENTITIES, st.integers(0, 2**20), st.integers(0, 2**20))
def test_all_chunks_are_checked_at_rate_1_and_none_at_rate_0(
    identity: int, chunk: int, read: int
) -> None:
    assert is_checked(1.0, identity, chunk, read)
    assert not is_checked(0.0, identity, chunk, read)


@pytest.mark.slow
@given(IDENTITIES, st.integers(0, 5000), st.floats(0.1, 0.9))
def test_turn_of_every_chunk_comes_and_passes(identity: int, chunk: int, rate: float) -> None:
    """Within 400 reads, one chunk in 10^18 is never checked at a rate of 0.1."""
    turns = {is_checked(rate, identity, chunk, read) for read in range(400)}
    assert turns == {True, False}


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.75])
@pytest.mark.parametrize("chunks", [1, 2, 3, 4])
def test_share_of_checks_is_the_rate_for_each_chunk_of_entries_of_any_length(
    rate: float, chunks: int
) -> None:
    payload = Payload(5)
    identities = [payload.identity(f"entry{number}", number) for number in range(3000)]
    for chunk in range(chunks):
        checked = sum(is_checked(rate, identity, chunk, 0) for identity in identities)
        assert checked / len(identities) == pytest.approx(rate, abs=0.05)


def test_wrong_chunk_is_found_in_half_of_its_reads_wherever_it_lies(
    tmp_path: Path, observer_class: Any
) -> None:
    """Entries of two chunks: a rate of 0.5 by turns would never check the first of them."""
    store = EntryFiles(tmp_path, FileIo("buffered"))
    with LoneLane(Payload(5), Chunking(CHUNK), threading.Event(), verify_rate=0.5) as lane:
        for wrong in (0, 1):
            entry = lane.write(store, f"entry{wrong}", 2 * CHUNK, observer_class())
            with (tmp_path / f"{digest_name(entry.name)}.kv").open("r+b") as file:
                file.seek(wrong * CHUNK)
                file.write(bytes(CHUNK))
            found = 0
            for _ in range(60):
                try:
                    lane.read(store, entry, observer_class())
                except CorruptDataError:
                    found += 1
            assert 5 < found < 55


def test_changed_digest_of_right_content_is_named(tmp_path: Path, observer_class: Any) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered"))
    with LoneLane(Payload(5), Chunking(CHUNK), threading.Event()) as lane:
        entry = lane.write(store, "entry", 2 * CHUNK, observer_class())
        entry.digests[1] ^= 1
        with pytest.raises(CorruptDataError, match="offset 4096 is correct, but its digest is not"):
            lane.read(store, entry, observer_class())
