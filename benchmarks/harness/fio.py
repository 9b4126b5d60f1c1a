"""fio under the same load, as the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.harness.flat_load import RAMP_S, Load, Sample
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import GIB


class Fio:
    """One fio process per sample, on the same file as the storage layer's own load.

    The storage layer's buffers are in huge pages. fio uses huge pages only if enough of them are
    reserved (/proc/sys/vm/nr_hugepages), so it gets the option only then.
    """

    def __init__(self, file: Path, load: Load, io_mode: IoMode) -> None:
        binary = shutil.which("fio")
        if binary is None:
            raise FileNotFoundError("fio is not installed (Debian package fio)")
        self._binary = binary
        self._load = load
        self._file = file
        self._io_mode = io_mode
        enough = _free_huge_bytes() >= load.in_flight * load.block_bytes
        self.memory = "shmhuge" if enough else "malloc"
        """Value of fio's option `iomem`."""

    def run(self, window_s: float) -> Sample:
        """Run the load and return fio's figures, without its ramp."""
        timing = ("--time_based", f"--runtime={window_s:g}s", f"--ramp_time={RAMP_S:g}s")
        job = self._run(*timing)
        transferred = job["read"]["io_bytes"] + job["write"]["io_bytes"]
        runtime_s = job["job_runtime"] / 1000
        kind = "read" if self._load.read_share else "write"
        return Sample(
            gib_s=(job["read"]["bw_bytes"] + job["write"]["bw_bytes"]) / GIB,
            p95_ms=job[kind]["lat_ns"]["percentile"]["95.000000"] / 1e6,
            cpu_s_per_gib=(job["usr_cpu"] + job["sys_cpu"]) / 100 * runtime_s / (transferred / GIB),
            read_share=job["read"]["io_bytes"] / transferred,
        )

    def _run(self, *more: str) -> dict[str, Any]:
        load = self._load
        pattern = {1.0: "read", 0.0: "write"}.get(load.read_share, "rw")
        command = [
            self._binary,
            "--name=parity",
            f"--filename={self._file}",
            f"--size={load.file_bytes}",
            f"--bs={load.block_bytes}",
            f"--rw={pattern}",
            f"--rwmixread={load.read_share * 100:.0f}",
            f"--direct={int(self._io_mode == 'direct')}",
            "--ioengine=libaio",
            f"--iomem={self.memory}",
            f"--iodepth={load.in_flight}",
            "--lat_percentiles=1",  # from submission to completion, like a chunk's
            "--percentile_list=95",
            "--output-format=json",
            *more,
        ]
        process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        if process.returncode:
            raise RuntimeError(
                f"fio failed ({process.returncode}): {process.stderr or process.stdout}"
            )
        start = process.stdout.index("{")  # fio may print notes before the JSON
        job: dict[str, Any] = json.loads(process.stdout[start:])["jobs"][0]
        return job


def _free_huge_bytes() -> int:
    """Return the bytes of reserved huge pages that are free."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    values = {name: words.split()[0] for name, _, words in (line.partition(":") for line in lines)}
    return int(values.get("HugePages_Free", 0)) * int(values.get("Hugepagesize", 0)) * 1024
