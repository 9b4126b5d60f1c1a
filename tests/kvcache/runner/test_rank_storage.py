"""Modes that a rank's directory has, and those that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.runner import rank_storage
from mlpstorage_bench.kvcache.runner.rank_storage import RankStorage
from mlpstorage_bench.storage.direct_io import DirectIo
from tests.trials import workload

REASON = "pwritev with RWF_DONTCACHE: Operation not supported"


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reason against uncached I/O that the next probe finds; it probes only while there is one.

    Direct I/O is available.
    """
    reasons: list[str] = []
    monkeypatch.setattr(rank_storage, "probe_direct_io", lambda _: DirectIo(4096))
    monkeypatch.setattr(rank_storage, "uncached_refusal", lambda _: reasons.pop())
    return reasons


def probed(directory: Path, *io_modes: str | None) -> RankStorage:
    site = RankSite("node1", directory, is_first_on_host=False)
    storage = RankStorage(site, directory, [workload(io_mode=mode) for mode in io_modes])
    storage.probe()
    return storage


def test_uncached_mode_is_refused_where_there_is_none(tmp_path: Path, refusals: list[str]) -> None:
    refusals.append(REASON)
    storage = probed(tmp_path, "uncached")
    with pytest.raises(
        InvalidInputError,
        match=r"io_mode: got 'uncached'; accepted: direct, buffered, or a kernel and a filesystem",
    ) as raised:
        storage.io_mode(workload(io_mode="uncached"))
    assert f"has none ({REASON}). Leave io_mode out to use direct I/O" in str(raised.value)
    assert storage.io_mode(workload()) == "direct"


def test_uncached_mode_goes_through_the_page_cache(tmp_path: Path, refusals: list[str]) -> None:
    refusals.append("")
    storage = probed(tmp_path, "uncached")
    asked = workload(io_mode="uncached")
    assert storage.io_mode(asked) == "uncached"
    assert (storage.is_buffered, storage.file_io) == (True, "uncached I/O")
    assert storage.alignment_bytes(asked) == 4096


def test_uncached_mode_is_probed_only_for_workloads_that_use_it(
    tmp_path: Path, refusals: list[str]
) -> None:
    storage = probed(tmp_path, None, "direct")
    assert refusals == []
    assert (storage.is_buffered, storage.file_io) == (False, "direct I/O")


def test_plan_with_both_modes_of_the_page_cache_is_called_buffered(
    tmp_path: Path, refusals: list[str]
) -> None:
    refusals.append("")
    assert probed(tmp_path, "uncached", "buffered", "direct").file_io == "buffered I/O"
