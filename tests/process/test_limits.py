"""Limits of processors and memory: recorded trees of both versions, and this host's own."""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.process.limits import Limits, read_limits

GIB, MIB = 1 << 30, 1 << 20
MEMINFO = "MemTotal: 67108864 kB\nMemFree: 8388608 kB\nMemAvailable: 33554432 kB\n"
STATUS = "Name:\tpython\nCpus_allowed:\tffff\nCpus_allowed_list:\t0-3,8,10-11\n"


def mount(point: str, kind: str, *, root: str = "/", options: str = "rw") -> str:
    return f"31 30 0:27 {root} {point} rw,nosuid - {kind} {kind} {options}\n"


V2 = mount("/sys/fs/cgroup", "cgroup2")
V1 = mount("/sys/fs/cgroup/memory", "cgroup", options="rw,memory") + mount(
    "/sys/fs/cgroup/cpu,cpuacct", "cgroup", options="rw,cpu,cpuacct"
)


def limits_of(folder: Path, files: dict[str, str]) -> Limits:
    """Return the limits that a recorded tree shows."""
    files = {"proc/meminfo": MEMINFO, "proc/self/status": STATUS, **files}
    for name, text in files.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_limits(folder / "proc", folder)


def memory_of(limits: Limits) -> tuple[int, int, str]:
    assert limits.memory is not None
    return (limits.memory.total_bytes, limits.memory.available_bytes, limits.memory.of)


def processors_of(limits: Limits) -> tuple[float, str]:
    assert limits.processors is not None
    return (limits.processors.number, limits.processors.of)


def test_host_without_groups_limits_alone(tmp_path: Path) -> None:
    limits = limits_of(tmp_path, {})
    assert memory_of(limits) == (64 * GIB, 32 * GIB, "the host's memory")
    assert processors_of(limits) == (7, "the processors that they are bound to")
    assert limits.describe(7) == []
    assert limits.describe(16) == [
        "processes may use 7 of 16 processors (the processors that they are bound to)"
    ]


def test_version_2_has_the_least_of_nested_groups(tmp_path: Path) -> None:
    group = "/sys/fs/cgroup/kube/pod"
    limits = limits_of(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kube/pod/main\n",
            "proc/self/mountinfo": V2,
            f"{group}/memory.max": f"{700 * MIB}\n",
            f"{group}/memory.current": f"{500 * MIB}\n",
            f"{group}/memory.stat": f"anon 1\ninactive_file {300 * MIB}\nactive_file 0\n",
            f"{group}/cpu.max": "50000 100000\n",
            f"{group}/main/memory.max": "max\n",
            f"{group}/main/memory.current": f"{400 * MIB}\n",
            f"{group}/main/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/kube/cpu.max": "400000 100000\n",
        },
    )
    named = "/sys/fs/cgroup/kube/pod"
    assert memory_of(limits) == (700 * MIB, 500 * MIB, f"memory.max of control group {named}")
    assert processors_of(limits) == (0.5, f"the cpu quota of control group {named}")
    assert limits.describe(64) == [
        f"processes may use 0.5 of 64 processors (the cpu quota of control group {named})",
        f"processes may use 0.68 of 64.00 GiB of memory (memory.max of control group {named})",
    ]


def test_version_2_slows_down_above_its_high_mark(tmp_path: Path) -> None:
    files = {"memory.max": f"{8 * GIB}", "memory.high": f"{6 * GIB}", "memory.current": "0"}
    limits = limits_of(
        tmp_path,
        {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": V2}
        | {f"/sys/fs/cgroup/{name}": text for name, text in files.items()},
    )
    assert memory_of(limits)[:2] == (6 * GIB, 6 * GIB)


def test_version_1_has_the_least_of_nested_groups(tmp_path: Path) -> None:
    limits = limits_of(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/batch/job\n3:cpu,cpuacct:/batch/job\n0::/\n",
            "proc/self/mountinfo": V1 + mount("/sys/fs/cgroup/unified", "cgroup2"),
            "/sys/fs/cgroup/memory/batch/memory.limit_in_bytes": f"{2 * GIB}\n",
            "/sys/fs/cgroup/memory/batch/memory.usage_in_bytes": f"{GIB}\n",
            "/sys/fs/cgroup/memory/batch/memory.stat": f"total_active_file {GIB // 2}\n",
            "/sys/fs/cgroup/memory/batch/job/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            "/sys/fs/cgroup/cpu,cpuacct/batch/cpu.cfs_quota_us": "150000\n",
            "/sys/fs/cgroup/cpu,cpuacct/batch/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/cpu,cpuacct/batch/job/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu,cpuacct/batch/job/cpu.cfs_period_us": "100000\n",
        },
    )
    named = "memory.limit_in_bytes of control group /sys/fs/cgroup/memory/batch"
    assert memory_of(limits) == (2 * GIB, 3 * GIB // 2, named)
    assert processors_of(limits)[0] == 1.5


@pytest.mark.parametrize(
    ("path", "root"),
    [("/docker/abc", "/docker/abc"), ("/", "/docker/abc"), ("/../../abc", "/"), ("/gone", "/")],
    ids=["host's path", "own namespace", "out of its namespace", "hidden"],
)
def test_group_of_a_container_is_found_at_its_mount_point(
    tmp_path: Path, path: str, root: str
) -> None:
    limits = limits_of(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": mount("/sys/fs/cgroup", "cgroup2", root=root),
            "/sys/fs/cgroup/memory.max": f"{GIB}\n",
        },
    )
    assert memory_of(limits)[:2] == (GIB, GIB)


def test_limit_of_groups_above_a_container_is_seen(tmp_path: Path) -> None:
    stat = f"total_inactive_file 0\nhierarchical_memory_limit {GIB}\n"
    limits = limits_of(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n",
            "proc/self/mountinfo": V1,
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            "/sys/fs/cgroup/memory/memory.stat": stat,
        },
    )
    assert memory_of(limits)[::2] == (GIB, "a control group above /sys/fs/cgroup/memory")


@pytest.mark.parametrize(
    "text", ["", "\0\n", "MemTotal:\n", "MemTotal: none kB\n", "MemAvailable: 3 kB\n", "a\nb c d\n"]
)
def test_empty_and_strange_files_limit_nothing(tmp_path: Path, text: str) -> None:
    names = ("meminfo", "self/status", "self/cgroup", "self/mountinfo")
    limits = limits_of(tmp_path, {f"proc/{name}": text for name in names})
    assert (limits.memory, limits.processors, limits.host_memory_bytes) == (None, None, None)
    assert limits.describe(4) == []


def test_strange_files_of_a_group_limit_nothing(tmp_path: Path) -> None:
    names = ("memory.max", "memory.current", "memory.stat", "cpu.max")
    limits = limits_of(
        tmp_path,
        {"proc/self/cgroup": "0::/x\n", "proc/self/mountinfo": V2}
        | {f"/sys/fs/cgroup/x/{name}": "-1 what 0\n" for name in names},
    )
    assert memory_of(limits)[2] == "the host's memory"


def test_missing_kernel_files_limit_nothing(tmp_path: Path) -> None:
    limits = read_limits(tmp_path, tmp_path)
    assert (limits.memory, limits.processors) == (None, None)


def test_limits_of_this_process_are_the_kernels() -> None:
    limits = read_limits()
    assert limits.host_memory_bytes == psutil.virtual_memory().total
    assert limits.processors is not None
    assert limits.processors.number <= len(os.sched_getaffinity(0))


READ = (
    "import dataclasses, json; from mlpstorage_bench.process.limits import read_limits; "
    "print(json.dumps(dataclasses.asdict(read_limits())))"
)


@pytest.mark.starts_process
def test_binding_and_address_space_of_a_process_are_seen() -> None:
    def limit() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        resource.setrlimit(resource.RLIMIT_AS, (8 * GIB, 8 * GIB))

    done = subprocess.check_output([sys.executable, "-c", READ], preexec_fn=limit)
    limits = json.loads(done)
    assert limits["processors"]["number"] == 1
    assert limits["process_memory_bytes"] == 8 * GIB


@pytest.fixture
def groups() -> Iterator[dict[str, Path]]:
    """Make a group with a quota of processors and memory, of version 1."""
    made = {}
    for controller in ("memory", "cpu"):
        path = Path("/sys/fs/cgroup") / controller / f"mlps-test-{secrets.token_hex(4)}"
        try:
            path.mkdir()
        except OSError as error:
            pytest.skip(f"needs control groups of version 1 of its own: {error}")
        made[controller] = path
    (made["memory"] / "memory.limit_in_bytes").write_text(str(700 * MIB))
    (made["cpu"] / "cpu.cfs_quota_us").write_text("50000")
    yield made
    for path in made.values():
        path.rmdir()


@pytest.mark.starts_process
def test_real_group_of_version_1_limits_its_processes(groups: dict[str, Path]) -> None:
    enter = "; ".join(
        f"open({str(path / 'cgroup.procs')!r}, 'w').write('0')" for path in groups.values()
    )
    limits = json.loads(subprocess.check_output([sys.executable, "-c", f"{enter}; {READ}"]))
    assert limits["memory"]["total_bytes"] == 700 * MIB
    assert limits["memory"]["available_bytes"] <= 700 * MIB
    assert limits["memory"]["of"].endswith(groups["memory"].name)
    assert limits["processors"]["number"] == 0.5
