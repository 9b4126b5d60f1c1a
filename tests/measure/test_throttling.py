"""Denied processor time, on recorded trees of /proc and /sys, and in a control group."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.measure.throttling import Throttling, ThrottlingCounter

TREES = {
    "version 2": (
        "0::/box/job\n",
        "31 30 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/box/cpu.stat",
        "usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec {us}\n",
    ),
    "version 1": (
        "4:memory:/other\n3:cpu,cpuacct:/box/job\n0::/\n",
        "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
        "sys/fs/cgroup/cpu,cpuacct/box/job/cpu.stat",
        "nr_periods 10\nnr_throttled 4\nthrottled_time {us}000\n",
    ),
}


def write(root: Path, tree: str, stopped_us: int, stat: str) -> Throttling:
    groups, mounts, place, text = TREES[tree]
    files = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, "proc/stat": stat}
    files[place] = text.format(us=stopped_us)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return ThrottlingCounter(root / "proc", root).read()


@pytest.mark.parametrize("tree", TREES)
def test_time_that_a_quota_stopped_threads_counts(tmp_path: Path, tree: str) -> None:
    before = write(tmp_path, tree, 1000, "cpu 10 0 10 80 0 0 0 0 0 0\n")
    after = write(tmp_path, tree, 401_000, "cpu 20 0 20 160 0 0 0 0 0 0\n")
    elapsed_ns = 1_000_000_000
    later = Throttling(before.moment_ns + elapsed_ns, after.stopped_ns, after.stolen, after.ticks)
    assert later.share_since(before) == pytest.approx(0.4)
    assert before.share_since(before) is None


def test_time_that_a_hypervisor_gave_away_counts(tmp_path: Path) -> None:
    before = write(tmp_path, "version 2", 0, "cpu 10 0 10 80 0 0 0 0 0 0\n")
    after = write(tmp_path, "version 2", 0, "cpu 20 0 20 130 0 0 0 30 0 0\n")
    assert after.share_since(before) == pytest.approx(30 / 100)


def test_host_without_counts_is_unknown(tmp_path: Path) -> None:
    nothing = ThrottlingCounter(tmp_path, tmp_path).read()
    assert (nothing.stopped_ns, nothing.stolen) == (None, None)
    assert ThrottlingCounter(tmp_path, tmp_path).read().share_since(nothing) is None


def test_this_host_has_a_share_between_nothing_and_all() -> None:
    counter = ThrottlingCounter()
    before = counter.read()
    share = counter.read().share_since(before)
    assert share is None or 0 <= share <= 1


@pytest.fixture
def quota_group() -> Iterator[Path]:
    """The file of members of a control group that has a tenth of a processor."""
    is_unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    root = Path("/sys/fs/cgroup") if is_unified else Path("/sys/fs/cgroup/cpu")
    group = root / f"mlps-test-{secrets.token_hex(4)}"
    files = (
        {"cpu.max": "1000 10000"}
        if is_unified
        else {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "1000"}
    )
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"needs a control group of its own: {error}")
    try:
        for name, text in files.items():
            with (group / name).open("r+") as file:
                file.write(text)
        yield group / "cgroup.procs"
    except OSError as error:
        pytest.skip(f"needs a control group that limits processors: {error}")
    finally:
        group.rmdir()


BUSY = """
import os, sys, time
from mlpstorage_bench.measure.throttling import ThrottlingCounter
with open(sys.argv[1], "w") as members:
    members.write(str(os.getpid()))
counter = ThrottlingCounter()
before, started_s = counter.read(), time.process_time()
while time.process_time() < started_s + 0.05:
    pass
print(counter.read().share_since(before))
"""


@pytest.mark.starts_process
def test_quota_of_a_control_group_stops_a_busy_process(quota_group: Path) -> None:
    """A process that takes many times its quota is stopped, however busy the host is."""
    result = subprocess.run(
        [sys.executable, "-c", BUSY, quota_group], capture_output=True, text=True, check=True
    )
    assert 0 < float(result.stdout) <= 1
