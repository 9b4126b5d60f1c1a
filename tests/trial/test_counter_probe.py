"""Probe of the kernel's counters for a directory, and audits without counters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.trial.counter_probe import UsableCounters
from tests.trials import served


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory on tmpfs."""
    if not Path("/dev/shm").is_dir():
        pytest.skip("needs /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("io_mode", ["direct", "buffered", "uncached"])
def test_disk_filesystem_has_process_and_device_counters(tmp_path: Path, io_mode: Any) -> None:
    device = BlockDevice.under(tmp_path)
    if not probe_direct_io(tmp_path).is_available or device is None:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    assert UsableCounters.probe(tmp_path, io_mode) == UsableCounters(process=True, device=device)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("io_mode", ["direct", "buffered"])
def test_memory_filesystem_has_no_counters(memory: Path, io_mode: Any) -> None:
    if io_mode == "direct" and not probe_direct_io(memory).is_available:
        pytest.skip("this tmpfs has no direct I/O")
    found = UsableCounters.probe(memory, io_mode)
    assert (found.process, found.device) == (False, None)
    assert found.underlying is not None
    assert "tmpfs" in found.underlying.memory
    assert list(memory.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["decode", "prefill", "mixed"])
def test_audit_without_counters_has_no_page_cache_verdict(memory: Path, phase: str) -> None:
    audit = served(memory, phase=phase).audit
    assert (audit.verdict, audit.ratio, audit.cached_bytes) == ("not measurable", None, 0)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["decode", "prefill", "mixed"])
def test_audit_on_a_disk_is_measured_for_every_workload(tmp_path: Path, phase: str) -> None:
    if not probe_direct_io(tmp_path).is_available or BlockDevice.under(tmp_path) is None:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    assert served(tmp_path, phase=phase).audit.verdict in ("ok", "foreign traffic")
