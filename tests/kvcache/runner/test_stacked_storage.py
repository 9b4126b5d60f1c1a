"""Audits on storage that lies on other storage, for real: loop devices, zram, overlayfs, btrfs."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.cluster.device_stack import find_underlying
from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.device import BlockDevice, Underlying
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import MIB
from tests.mounts import unmount
from tests.trials import SoloRanks, context, workload
from tests.variants import first_of

pytestmark = pytest.mark.slow

Mount = Callable[[str, str], Path]
MakeLoop = Callable[..., str]
MOST_TRIALS = 20
_ZRAM = Path("/sys/class/zram-control")


def make_filesystem(fstype: str, device: Path) -> None:
    make = shutil.which(f"mkfs.{fstype}", path="/usr/sbin:/sbin")
    if make is None:
        pytest.skip(f"needs mkfs.{fstype}")
    subprocess.run([make, "-q", str(device)], check=True)


def image_in(folder: Path, fstype: str = "ext4") -> Path:
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(300 * MIB)
    make_filesystem(fstype, image)
    return image


@pytest.fixture
def make_loop() -> Iterator[MakeLoop]:
    """Make a loop device over a file, with or without direct I/O; skips where only root may."""
    made: list[str] = []

    def make(image: Path, *, is_direct: bool) -> str:
        mode = f"--direct-io={'on' if is_direct else 'off'}"
        command = ["/sbin/losetup", "-f", "--show", mode, str(image)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs root and loop devices: {done.stderr.strip()}")
        made.append(done.stdout.strip())
        return made[-1]

    yield make
    for device in made:
        subprocess.run(["/sbin/losetup", "-d", device], check=True)


@pytest.fixture
def zram() -> Iterator[str]:
    """A zram device of 300 MiB; skips where only root may."""
    try:
        number = (_ZRAM / "hot_add").read_text().strip()
        (Path(f"/sys/block/zram{number}") / "disksize").write_text(str(300 * MIB))
    except OSError as error:
        pytest.skip(f"needs root and zram: {error}")
    yield f"/dev/zram{number}"
    Path(f"/sys/block/zram{number}/reset").write_text("1")
    (_ZRAM / "hot_remove").write_text(number)


NOT_REFUTED = ("ok", "bounded")
"""Verdicts by the disk at the bottom alone: other programs of this machine use it, too."""


def measured(folder: Path, io_mode: IoMode = "direct") -> TrialResult:
    if not probe_direct_io(folder).is_available:
        pytest.skip("needs direct I/O")
    shape = workload(entry_scale=0.05, requests=30, duration=60.0)
    here = dataclasses.replace(context(folder), io_mode=io_mode)
    return pool_trial(1, [run_trial(shape, here, SoloRanks())])


def refuted(folder: Path) -> TrialResult:
    """Return a trial whose reads the disk did not show.

    Other programs' reads can hide that: a counter of the disk is only a bound.
    """
    for _ in range(MOST_TRIALS):
        place = folder / "trial"
        place.mkdir()
        trial = measured(place)
        shutil.rmtree(place)
        if trial.audit_verdict == "served from page cache":
            return trial
    raise AssertionError(trial.audit_verdict)


@pytest.mark.long
@pytest.mark.parametrize(
    ("is_direct", "verdict"),
    [
        pytest.param(True, "ok", marks=pytest.mark.long),
        (False, "served from page cache"),
    ],
)
def test_loop_device_is_compared_with_the_disk_under_its_file(
    tmp_path: Path, make_loop: MakeLoop, mount: Mount, *, is_direct: bool, verdict: str
) -> None:
    disk = BlockDevice.under(tmp_path)
    if disk is None or not probe_direct_io(tmp_path).is_available:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    loop = make_loop(image_in(tmp_path), is_direct=is_direct)
    folder = mount("ext4", f"rw {loop}")
    assert find_underlying(folder) == Underlying((disk,))
    trial = measured(folder) if is_direct else refuted(folder)
    assert trial.audit_verdict == verdict
    if not is_direct:
        assert f"never reached {disk.name}" in trial.audit_reason
        assert "page cache" in trial.host_audit_verdict


@pytest.mark.long
def test_loop_device_over_a_file_in_memory_is_memory(make_loop: MakeLoop, mount: Mount) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        loop = make_loop(image_in(Path(memory)), is_direct=False)
        trial = measured(mount("ext4", f"rw {loop}"))
    assert trial.audit_verdict == "in memory"
    assert "image is on tmpfs, which keeps files in memory" in trial.audit_reason


def test_zram_is_memory(zram: str, mount: Mount) -> None:
    make_filesystem("ext4", Path(zram))
    trial = measured(mount("ext4", f"rw {zram}"))
    assert trial.audit_verdict == trial.host_audit_verdict == "in memory"
    assert trial.audit_reason == f"{Path(zram).name} keeps its data compressed in memory"


@pytest.mark.parametrize("io_mode", first_of("direct", "buffered"))
def test_overlay_is_compared_with_the_disk_of_its_upper_directory(
    tmp_path: Path, mount: Mount, io_mode: IoMode
) -> None:
    disk = BlockDevice.under(tmp_path)
    if disk is None:
        pytest.skip("needs a filesystem on a block device")
    layers = [tmp_path / name for name in ("lower", "upper", "work")]
    for layer in layers:
        layer.mkdir()
    options = "lowerdir={},upperdir={},workdir={}".format(*layers)
    folder = mount("overlay", options)
    assert find_underlying(folder) == Underlying((disk,))
    trial = measured(folder, io_mode)
    assert trial.audit_verdict == "ok"
    assert trial.host_audit_verdict in NOT_REFUTED


def test_btrfs_is_compared_with_its_devices(
    tmp_path: Path, make_loop: MakeLoop, mount: Mount
) -> None:
    disk = BlockDevice.under(tmp_path)
    if disk is None or not probe_direct_io(tmp_path).is_available:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    loop = make_loop(image_in(tmp_path, "btrfs"), is_direct=True)
    folder = mount("btrfs", f"rw {loop}")
    assert os.major(folder.stat().st_dev) == 0
    assert find_underlying(folder) == Underlying((disk,))
    assert measured(folder).host_audit_verdict in NOT_REFUTED


@pytest.mark.long
def test_bindfs_is_compared_with_the_disk_of_its_directory(tmp_path: Path) -> None:
    disk = BlockDevice.under(tmp_path)
    bindfs = shutil.which("bindfs")
    if disk is None or bindfs is None:
        pytest.skip("needs bindfs, and a filesystem on a block device")
    source, folder = tmp_path / "source", tmp_path / "shown"
    source.mkdir()
    folder.mkdir()
    done = subprocess.run([bindfs, str(source), str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs FUSE: {done.stderr.decode().strip()}")
    try:
        assert find_underlying(folder) == Underlying((disk,))
        assert refuted(folder).audit_verdict == "served from page cache"
    finally:
        unmount(folder)
