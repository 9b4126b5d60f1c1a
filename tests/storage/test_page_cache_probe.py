"""Probe of the page cache: states around flushes and drops, on real filesystems."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage import page_counts
from mlpstorage_bench.storage.page_cache_probe import (
    PROBE_BYTES,
    FlushCall,
    FlushState,
    PageCacheStates,
    probe_page_cache,
)
from tests.preloads import AUDITOR, NO_DROP, NO_FLUSH, build
from tests.sandbox import MODULE, need_seccomp

Mount = Callable[[str, str], Path]
NO_CALL = 1 << 20
EVERY_CALL: tuple[FlushCall, ...] = ("fsync", "fdatasync", "sync_file_range")

SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from mlpstorage_bench.storage.page_cache_probe import probe_page_cache
print(json.dumps(asdict(probe_page_cache(Path(sys.argv[1]), sys.argv[2:]))))
"""


def states_with(
    library: Path, folder: Path, *calls: str, variable: str = "LD_PRELOAD"
) -> dict[str, Any]:
    """Return the states that a process with a preloaded library measures."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *calls],
        env={**os.environ, variable: str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    states: dict[str, Any] = json.loads(done.stdout)
    if states["counted_by"] != "cachestat" or not states["flushes"][0]["unwritten_before"]:
        pytest.skip("needs cachestat (Linux 6.5) and a filesystem whose pages it counts")
    return states


def probed(folder: Path) -> PageCacheStates:
    states = probe_page_cache(folder, EVERY_CALL, iter([0, 5, 5, 7, 7, 7]).__next__)
    assert list(folder.iterdir()) == []
    return states


@pytest.mark.slow
def test_each_flush_cleans_all_pages_and_a_drop_removes_them(tmp_path: Path) -> None:
    states = probed(tmp_path)
    if states.counted_by != "cachestat" or not states.flushes[0].unwritten_before:
        pytest.skip("needs cachestat (Linux 6.5) and a filesystem whose pages it counts")
    assert [flush.call for flush in states.flushes] == [*EVERY_CALL]
    assert all(flush.unwritten_before for flush in states.flushes)
    assert [flush.unwritten_after for flush in states.flushes] == [0, 0, 0]
    assert [flush.device_bytes for flush in states.flushes] == [5, 2, 0]
    assert (states.cached_before_drop, states.cached_after_drop) == (states.pages, 0)
    assert states.problem == ""


def test_flush_that_does_nothing_leaves_dirty_pages(tmp_path: Path) -> None:
    states = states_with(build(tmp_path, NO_FLUSH), tmp_path, "fsync")
    assert states["flushes"][0]["unwritten_after"] > 0


def test_flush_that_an_auditor_replaced_leaves_dirty_pages(tmp_path: Path) -> None:
    library = build(tmp_path, AUDITOR)
    states = states_with(library, tmp_path, "fsync", variable="LD_AUDIT")
    assert states["flushes"][0]["unwritten_after"] > 0


def test_drop_that_does_nothing_leaves_cached_pages(tmp_path: Path) -> None:
    states = states_with(build(tmp_path, NO_DROP), tmp_path, "fdatasync")
    assert states["flushes"][0]["unwritten_after"] == 0
    assert states["cached_after_drop"] == states["pages"]


def test_tmpfs_has_no_dirty_page_and_keeps_all(mount: Mount) -> None:
    states = probed(mount("tmpfs", "size=32m"))
    if states.counted_by == "cachestat":
        assert {flush.unwritten_before for flush in states.flushes} == {0}
    assert states.cached_after_drop == states.pages


@pytest.mark.slow
def test_older_kernel_has_cached_pages_and_the_device_s_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_counts, "_CACHESTAT", NO_CALL)
    states = probe_page_cache(tmp_path, ["fsync"], iter([10, PROBE_BYTES + 10]).__next__)
    assert states.counted_by == "mincore"
    assert states.flushes == (FlushState("fsync", None, None, PROBE_BYTES),)
    assert states.cached_before_drop == states.pages


def test_full_filesystem_is_a_problem_and_no_error(mount: Mount) -> None:
    folder = mount("tmpfs", "size=1m")
    states = probe_page_cache(folder, ["fsync"])
    assert "No space left" in states.problem
    assert states.flushes == ()
    assert list(folder.iterdir()) == []


def test_file_of_another_is_neither_written_nor_removed(tmp_path: Path) -> None:
    other = tmp_path / ".page-cache-probe.kv"
    other.write_bytes(b"theirs")
    assert "File exists" in probe_page_cache(tmp_path, ["fsync"]).problem
    assert other.read_bytes() == b"theirs"


def test_probe_of_storage_that_hangs_ends_and_removes_its_file_later(tmp_path: Path) -> None:
    hangs = threading.Event()

    def device_bytes() -> int:
        hangs.wait()
        return 0

    states = probe_page_cache(tmp_path, ["fsync"], device_bytes, limit_s=0.05)
    assert states == PageCacheStates(problem="the probe had not ended after 0.05 s")
    hangs.set()
    for thread in threading.enumerate():
        if thread.name == "page cache probe":
            thread.join()
    assert list(tmp_path.iterdir()) == []


def sandboxed(folder: Path, error: int, *denied: str) -> dict[str, Any]:
    """Return the states that a process measures whose filter denies system calls."""
    need_seccomp()
    (folder / "sandbox.py").write_text(MODULE)
    cache = folder / "cache"
    cache.mkdir()
    script = f"from sandbox import deny\ndeny({error}, *{denied!r})\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-c", script, str(cache), "fsync"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(cache.iterdir()) == []
    states: dict[str, Any] = json.loads(done.stdout)
    return states


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS], ids=["EPERM", "ENOSYS"])
def test_sandbox_without_cachestat_has_cached_pages_alone(tmp_path: Path, error: int) -> None:
    states = sandboxed(tmp_path, error, "cachestat")
    assert (states["counted_by"], states["problem"]) == ("mincore", "")
    assert states["flushes"][0]["unwritten_before"] is None
    assert states["cached_before_drop"] == states["pages"]


@pytest.mark.parametrize(
    ("denied", "error"),
    [
        (("cachestat", "mincore"), errno.EPERM),
        (("cachestat", "mincore"), errno.ENOSYS),
        (("fadvise64",), errno.EPERM),
        (("fadvise64",), errno.ENOSYS),
    ],
)
def test_sandbox_that_denies_a_call_is_a_problem_and_no_finding(
    tmp_path: Path, denied: tuple[str, ...], error: int
) -> None:
    states = sandboxed(tmp_path, error, *denied)
    assert os.strerror(error) in states["problem"]
    assert states["cached_after_drop"] is None
