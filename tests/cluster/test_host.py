from __future__ import annotations

import json
import platform
import socket
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.cluster.host import HostRecord, describe_host


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> HostRecord:
    return describe_host(tmp_path_factory.mktemp("cache"))


def test_memory_equals_the_kernels_in_bytes(here: HostRecord) -> None:
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    total_kib = next(int(line.split()[1]) for line in meminfo if line.startswith("MemTotal:"))
    assert here.memory.total == total_kib * 1024


def test_memory_has_every_field_of_the_reference(here: HostRecord) -> None:
    figures = " ".join(asdict(here.memory))
    assert figures == "total available used free active inactive buffers cached shared"


def test_core_counts_are_the_hosts(here: HostRecord) -> None:
    assert here.cpu.num_logical_cores == psutil.cpu_count()
    assert here.cpu.num_cores == psutil.cpu_count(logical=False)
    assert here.cpu.architecture == platform.machine()


def test_system_is_the_running_one(here: HostRecord) -> None:
    assert here.hostname == socket.gethostname()
    assert here.system.kernel_version == platform.release()
    assert here.system.os_release == platform.freedesktop_os_release()
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert here.system.uptime_seconds == pytest.approx(uptime_s, abs=60)


def test_network_interfaces_have_no_addresses(here: HostRecord) -> None:
    assert here.network is not None
    assert [interface.name for interface in here.network] == sorted(psutil.net_if_stats())
    assert list(asdict(here.network[0])) == ["name", "speed_mbps", "mtu", "up"]


def test_package_versions_are_the_installed_ones(here: HostRecord) -> None:
    assert here.python_version == platform.python_version()
    assert here.packages["pytest"] == version("pytest")
    assert here.packages["numpy"] == version("numpy")


def test_collection_timestamp_is_utc(here: HostRecord) -> None:
    collected = datetime.fromisoformat(here.collection_timestamp)
    assert collected.tzinfo == UTC
    assert collected.timestamp() == pytest.approx(time.time(), abs=60)


def test_host_record_is_json(here: HostRecord) -> None:
    written = json.loads(json.dumps(asdict(here)))
    assert written["memory"]["total"] == here.memory.total
    assert written["cache_filesystem"]["path"] == here.cache_filesystem.path


def test_facts_hidden_by_a_container_are_none(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    record = describe_host(tmp_path, proc=nothing, sysfs=nothing)
    assert record.disks is None
    assert record.cpu.model is None
    assert record.mounts == ()
    filesystem = record.cache_filesystem
    assert (filesystem.mount_point, filesystem.fstype, filesystem.device) == (None, None, None)
    assert (filesystem.model, filesystem.options) == (None, None)
    assert filesystem.total_bytes is not None


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9654\n", "AMD EPYC 9654"),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        (
            "CPU implementer\t: 0x41\nCPU part\t: 0xd40\n\nprocessor\t: 1\nCPU part\t: 0xd0c\n",
            "implementer 0x41 part 0xd40",
        ),
        ("processor\t: 0\n", None),
    ],
)
def test_cpu_model_is_found_on_every_architecture(
    tmp_path: Path, cpuinfo: str, expected: str | None
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    record = describe_host(tmp_path, proc=tmp_path, sysfs=tmp_path)
    assert record.cpu.model == expected


@pytest.mark.parametrize(
    "text", ["", "\n", "MemTotal:\n", "MemTotal: none kB\n", "Strange: 1 kB\n", "a b\n", "\xff"]
)
def test_empty_and_strange_memory_figures_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "meminfo").write_text(text, encoding="latin-1")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    record = describe_host(tmp_path, proc=tmp_path)
    assert set(asdict(record.memory).values()) == {None}
    assert record.usable.memory_bytes is None


def test_processors_and_memory_that_may_be_used_are_recorded(
    here: HostRecord, tmp_path: Path
) -> None:
    assert here.usable.memory_bytes is not None
    assert here.memory.total is not None
    assert here.usable.memory_bytes <= here.memory.total
    for name, text in {
        "self/status": "Cpus_allowed_list:\t0\n",
        "meminfo": "MemTotal: 1024 kB\nMemAvailable: 512 kB\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    usable = describe_host(tmp_path, proc=tmp_path).usable
    assert (usable.processors, usable.memory_bytes) == (1, 1 << 20)
    assert len(usable.limits) == (here.cpu.num_logical_cores != 1)
