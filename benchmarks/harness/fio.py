"""fio under the same load, as the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.flat_load import Load, Sample
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import GIB

HUGE = "shmhuge"
MEMORIES = {"": "malloc", "huge_": HUGE}
"""fio's memory (option `iomem`) by the prefix of the figures that are beside it."""
_VERIFY = ("--verify=xxhash", "--verify_state_save=0")
CHECKED = {"read": _VERIFY, "write": (*_VERIFY, "--do_verify=0", "--refill_buffers")}
"""Options for reads that are checked, and for writes that can be: each block is made anew with its
checksum, and nothing is read back."""


class Fio:
    """One fio process per sample.

    The storage layer's buffers are in huge pages; fio's are only with the memory HUGE, for which
    the host has to set pages aside (`set_aside`).
    """

    def __init__(
        self,
        file: Path,
        load: Load,
        io_mode: IoMode,
        memory: str = "malloc",
        options: Sequence[str] = (),
    ) -> None:
        """Use these options beside, or in place of, those of the load."""
        binary = shutil.which("fio")
        if binary is None:
            raise FileNotFoundError("fio is not installed (Debian package fio)")
        self._load = load
        self._command = [binary, *arguments(file, load, io_mode, memory), *options]

    def run(self, window_s: float, ramp_s: float) -> Sample:
        """Run the load and return fio's figures, without its ramp.

        Without a ramp, and if fio checks what it reads, the window also ends with the file.
        """
        job = _run([*self._command, *timing(window_s, ramp_s)])
        moved_bytes = job["read"]["io_bytes"] + job["write"]["io_bytes"]
        runtime_s = job["job_runtime"] / 1000
        kind = "read" if self._load.read_share else "write"
        return Sample(
            gib_s=(job["read"]["bw_bytes"] + job["write"]["bw_bytes"]) / GIB,
            p95_ms=job[kind]["lat_ns"]["percentile"]["95.000000"] / 1e6,
            cpu_s_per_gib=(job["usr_cpu"] + job["sys_cpu"]) / 100 * runtime_s / (moved_bytes / GIB),
            read_share=job["read"]["io_bytes"] / moved_bytes,
        )

    def write_file(self) -> None:
        """Write the whole file once, with what fio needs to check what it reads."""
        _run([*self._command, "--rw=write", *CHECKED["write"]])


def arguments(file: Path, load: Load, io_mode: IoMode, memory: str) -> list[str]:
    """Return fio's arguments for a load, without its duration."""
    pattern = {1.0: "read", 0.0: "write"}.get(load.read_share, "rw")
    return [
        "--name=parity",
        f"--filename={file}",
        f"--size={load.file_bytes}",
        f"--bs={load.block_bytes}",
        f"--rw={pattern}",
        f"--rwmixread={load.read_share * 100:.0f}",
        f"--direct={int(io_mode == 'direct')}",
        "--ioengine=libaio",
        f"--iomem={memory}",
        f"--iodepth={load.in_flight}",
        "--lat_percentiles=1",  # from submission to completion, like a chunk's
        "--percentile_list=95",
        "--output-format=json",
    ]


def timing(window_s: float, ramp_s: float) -> list[str]:
    """Return fio's arguments for a duration: in ms, as fio takes 0.7s for 0 and ignores it."""
    ramp = [f"--ramp_time={ramp_s * 1000:.0f}ms"] if ramp_s else []
    return ["--time_based", f"--runtime={window_s * 1000:.0f}ms", *ramp]


def _run(command: list[str]) -> dict[str, Any]:
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if process.returncode:
        raise RuntimeError(f"fio failed ({process.returncode}): {process.stderr or process.stdout}")
    start = process.stdout.index("{")  # fio may print notes before the JSON
    job: dict[str, Any] = json.loads(process.stdout[start:])["jobs"][0]
    return job
