"""Facts about hosts and their processes: those of this host, of fake ones, and gathered."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.cluster.findings import judge_mounts
from mlpstorage_bench.cluster.integrity import (
    HostIntegrity,
    ProcessFacts,
    describe_integrity,
    describe_process,
    gather_integrity,
)
from mlpstorage_bench.process.preloads import Preloads
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates

Mount = Callable[[str, str], Path]
PROCESS = describe_process(0)


def described(folder: Path, **changes: Any) -> HostIntegrity:
    made = describe_integrity("h1", PROCESS, folder, PageCacheStates())
    return replace(made, **changes)


def test_host_has_its_kernel_libraries_and_mount(tmp_path: Path) -> None:
    found = described(tmp_path)
    assert found.kernel.release
    assert any("python" in library for library in found.libraries)
    assert found.processes == (PROCESS,)
    assert tmp_path.is_relative_to(found.mounts[0].mount_point)


@pytest.mark.parametrize("option", ["nobarrier", "barrier=0"])
def test_filesystem_without_barriers_is_found(mount: Mount, tmp_path: Path, option: str) -> None:
    image, make = tmp_path / "image", shutil.which("mkfs.ext4")
    if make is None:
        pytest.skip("needs mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run([make, "-q", "-F", str(image)], check=True)
    place = mount("ext4", f"loop,{option} {image}")
    found = described(place)
    assert found.mounts[0].mount_point == str(place)
    assert len(found.mounts) > 1, "the image lies on another filesystem"
    verdict, seen = judge_mounts(found.mounts)
    assert verdict == "finding"
    assert seen == f"{place} (ext4) is mounted with nobarrier"


def test_volatile_overlay_is_found(mount: Mount) -> None:
    below = mount("tmpfs", "size=64m")
    for name in ("lower", "upper", "work"):
        (below / name).mkdir()
    parts = f"lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"
    place = mount("overlay", f"{parts},volatile")
    found = described(place)
    assert [one.fstype for one in found.mounts] == ["overlay", "tmpfs"]
    verdict, seen = judge_mounts(found.mounts)
    assert verdict == "finding"
    assert "overlay) is mounted with " in seen
    assert "volatile" in seen


def test_facts_of_a_device_and_of_limits_are_those_of_the_kernel_s_files(
    tmp_path: Path,
) -> None:
    proc, sysfs, group = tmp_path / "proc", tmp_path / "sys", tmp_path / "group"
    disk = sysfs / "devices" / "nvme0n1"
    (disk / "queue").mkdir(parents=True)
    (disk / "queue" / "write_cache").write_text("write back\n")
    (disk / "queue" / "fua").write_text("1\n")
    (disk / "dev").write_text("259:0\n")
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "status").write_text("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n")
    (proc / "self" / "cgroup").write_text("0::/job\n")
    line = f"30 1 0:26 /job {group} rw - cgroup2 none rw\n"
    (proc / "self" / "mountinfo").write_text(line)
    group.mkdir()
    for name, text in {"memory.max": "max", "cpu.max": "200000 100000", "io.max": ""}.items():
        (group / name).write_text(f"{text}\n")
    folder = tmp_path / "cache"
    folder.mkdir()
    number = folder.stat().st_dev
    by_number = sysfs / "dev" / "block"
    by_number.mkdir(parents=True)
    (by_number / f"{number >> 8 & 0xFFF}:{number & 0xFF}").symlink_to(disk)
    found = describe_integrity("h1", PROCESS, folder, PageCacheStates(), proc, sysfs)
    assert found.kernel.seccomp == "2"
    assert [(one.file, one.value) for one in found.limits] == [("cpu.max", "200000 100000")]
    (device,) = found.devices
    assert (device.name, device.write_cache, device.forced_unit_access) == (
        "nvme0n1",
        "write back",
        True,
    )


class FakeRanks:
    """Rank 0 of several, whose values are given."""

    rank, size = 0, 3

    def __init__(self, values: list[object] | None) -> None:
        self._values = values

    def gather(self, _own: object) -> list[object] | None:
        return self._values


def test_processes_that_are_alike_are_recorded_together(tmp_path: Path) -> None:
    first = described(tmp_path)
    second = replace(first, hostname="h2", processes=(replace(PROCESS, ranks=(3,)),))
    preloaded = ProcessFacts((1,), Preloads("/opt/a.so"), PROCESS.functions)
    values = [
        ("h1", PROCESS, first),
        ("h1", preloaded, None),
        ("h1", replace(PROCESS, ranks=(2,)), None),
        ("h2", replace(PROCESS, ranks=(3,)), second),
    ]
    ranks: Any = FakeRanks(list(values))
    gathered = gather_integrity(ranks, PROCESS, first, "h1")
    assert [one.hostname for one in gathered] == ["h1", "h2"]
    assert [one.ranks for one in gathered[0].processes] == [(0, 2), (1,)]
    assert gathered[0].processes[1].preloads.ld_preload == "/opt/a.so"
    assert [one.ranks for one in gathered[1].processes] == [(3,)]


def test_ranks_other_than_0_have_no_facts(tmp_path: Path) -> None:
    others: Any = FakeRanks(None)
    assert gather_integrity(others, PROCESS, described(tmp_path), "h1") == ()
