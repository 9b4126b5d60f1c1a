"""Modes that a rank's directory has, and those that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.runner.rank_storage import RankStorage
from mlpstorage_bench.storage.direct_io import DirectIo
from mlpstorage_bench.trial import storage_modes
from tests.trials import workload

REASON = "pwritev with RWF_DONTCACHE: Operation not supported"
NONE = DirectIo(None)
DISK = DirectIo(4096)
NFS = DirectIo(4096, returns_early=False)
FUSE = DirectIo(4096, returns_early=False, aio_waits=True)


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reason against uncached I/O that the next probe finds; it probes only while there is one.

    Direct I/O is available.
    """
    reasons: list[str] = []
    monkeypatch.setattr(storage_modes, "probe_direct_io", lambda _: DirectIo(4096))
    monkeypatch.setattr(storage_modes, "uncached_refusal", lambda _: reasons.pop())
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
    assert storage.is_buffered
    assert storage.alignment_bytes(asked) == 4096


def test_uncached_mode_is_probed_only_for_workloads_that_use_it(
    tmp_path: Path, refusals: list[str]
) -> None:
    storage = probed(tmp_path, None, "direct")
    assert refusals == []
    assert not storage.is_buffered


@pytest.mark.parametrize(
    ("found", "is_in_memory", "io_mode", "best"),
    [
        (NONE, False, None, "auto"),
        (DISK, False, None, "auto"),
        (NFS, False, None, "linux_aio"),
        (FUSE, False, None, "io_uring"),
        (FUSE, True, None, "linux_aio"),
        (FUSE, False, "buffered", "auto"),
        (FUSE, True, "buffered", "auto"),
        (NFS, False, "uncached", "auto"),
    ],
    ids=[
        "none",
        "disk",
        "NFS",
        "FUSE",
        "tmpfs",
        "FUSE, buffered",
        "tmpfs, buffered",
        "NFS, uncached",
    ],
)
def test_queue_lets_no_lane_wait_for_the_transfers_of_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    found: DirectIo,
    is_in_memory: bool,
    io_mode: str | None,
    best: str,
) -> None:
    monkeypatch.setattr(storage_modes, "probe_direct_io", lambda _: found)
    monkeypatch.setattr(storage_modes, "uncached_refusal", lambda _: "")
    asked = workload(io_mode=io_mode)
    site = RankSite("host", tmp_path, is_in_memory=is_in_memory, is_first_on_host=False)
    storage = RankStorage(site, tmp_path, [asked])
    storage.probe()
    assert storage.best_queue(asked) == best
    assert storage.uses_workers == (not found.returns_early)
