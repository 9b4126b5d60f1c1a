"""Limits of real trials: storage below a control group's limit, and memory."""

from __future__ import annotations

import dataclasses
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.kvcache.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.runner.calibration import calibrate
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.direct_io import probe_direct_io
from tests.trials import SoloRanks, context, workload
from tests.variants import first_of

pytestmark = pytest.mark.slow

LIMIT = 10 * 1024 * 1024
"""Bytes per second of a control group: so few that other work on the host makes no difference."""


@pytest.fixture
def throttled_group(tmp_path: Path) -> Iterator[Path]:
    """The file of members of a control group that limits the device below `tmp_path`."""
    device = BlockDevice.under(tmp_path)
    if device is None or not probe_direct_io(tmp_path).is_available:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    is_unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    root = Path("/sys/fs/cgroup") if is_unified else Path("/sys/fs/cgroup/blkio")
    group = root / f"mlps-test-{secrets.token_hex(4)}"
    limits = (
        {"io.max": f"{device.number} rbps={LIMIT} wbps={LIMIT}"}
        if is_unified
        else {
            f"blkio.throttle.{way}_bps_device": f"{device.number} {LIMIT}"
            for way in ("read", "write")
        }
    )
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"needs a control group of its own: {error}")
    try:
        for name, limit in limits.items():
            with (group / name).open("r+") as file:
                file.write(limit)
        yield group / "cgroup.procs"
    except OSError as error:
        pytest.skip(f"needs a control group that limits I/O: {error}")
    finally:
        group.rmdir()


@pytest.mark.parametrize("lanes", first_of(4, 1))
def test_limit_of_a_control_group_is_storage(
    tmp_path: Path, throttled_group: Path, lanes: int
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    command = [sys.executable, "-m", "tests.throttled", str(cache), str(lanes)]
    joins = f'echo $$ > {throttled_group} && exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", joins, "sh", *command], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == "storage", done.stdout


def test_copies_of_a_filesystem_in_memory_are_the_harness() -> None:
    shape = workload(
        max_concurrent_allocs=4, entry_scale=0.1, io_chunk_kib=1024, duration=1.0, calibration=0.2
    ).model_copy(update={"think_time_scale": 0.0})
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        here = context(Path(folder))
        ceiling = calibrate(shape, here, SoloRanks())
        measured = dataclasses.replace(run_trial(shape, here, SoloRanks()), ceiling=ceiling)
    trial = pool_trial(1, [measured])
    assert trial.limited_by == "harness"
    assert trial.audit_verdict == "in memory"
    case = pool_case("1", [trial], pool_samples(PooledHistograms.of([measured])))
    assert any("keeps files in memory" in note for note in case.notes())
