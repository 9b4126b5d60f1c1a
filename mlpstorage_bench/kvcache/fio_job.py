"""Conversion of a trace of operations to an fio job with the same mix and sizes.

The job has the storage tier's share of reads by bytes, system calls of up to 1 MiB, and runs of
consecutive calls as long as an entry. It cannot express the order, time and repetition of reads.
The user sets directory and size, so that a trace of terabytes does not fill a disk unexpectedly.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlpstorage_bench.errors import InvalidFileError, InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.kvcache.trace_input import detect
from mlpstorage_bench.kvcache.workload.traces.operations import OPERATIONS, Operation
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.units import GIB

OPTION = "--mlps-fio-job"
LARGEST_CALL = 1 << 20
SECTOR = 4096
IN_FLIGHT = 16
"""Number of concurrent requests of MLPerf's workload."""


@dataclass
class _Operations:
    """Operations of a trace on the storage tier."""

    sizes: dict[str, list[int]] = field(default_factory=lambda: {"Read": [], "Write": []})
    occupied: dict[str, int] = field(default_factory=dict)
    """Size by key."""
    first_s: float = 0.0
    last_s: float = 0.0


def fio_job(path: Path) -> str:
    """Return an fio job for a trace of operations; InvalidInputError for other files."""
    trace = detect(path, OPTION)
    if trace.timed is not OPERATIONS:
        raise InvalidFileError.of(
            InputFile(OPTION, path, "a trace of operations, as trace_out writes it"),
            "Its first line is that of another format",
        )
    operations = _tally(trace.operations())
    reads, writes = operations.sizes["Read"], operations.sizes["Write"]
    sizes = reads + writes
    if not sizes:
        raise InvalidInputError(
            OPTION, str(path), "a trace with operations on storage", hint="It has none"
        )
    call = min(LARGEST_CALL, _sectors(round(statistics.median(sizes))) * SECTOR)
    consecutive = max(1, round(statistics.fmean(sizes) / call))
    read_share = round(100 * sum(reads) / sum(sizes))
    pattern = "randread" if not writes else "randwrite" if not reads else "randrw"
    job = [
        f"; made from {for_terminal(path.name)}",
        f"; {len(reads)} reads of {sum(reads) / GIB:.2f} GiB",
        f"; {len(writes)} writes of {sum(writes) / GIB:.2f} GiB",
        f"; its entries take {sum(operations.occupied.values()) / GIB:.2f} GiB",
        "; DIRECTORY=/mnt/array SIZE=20g fio FILE",
        "[global]",
        "ioengine=libaio",
        "direct=1",
        f"bs={call}",
        f"iodepth={IN_FLIGHT}",
        "directory=${DIRECTORY}",
        "size=${SIZE}",
        "time_based=1",
        f"runtime={max(1, round(operations.last_s - operations.first_s))}s",
        "",
        "[kv-cache]",
        f"rw={pattern}:{consecutive}",
        *([f"rwmixread={read_share}"] if pattern == "randrw" else []),
    ]
    return "\n".join(job) + "\n"


def _tally(recorded: Iterable[Operation]) -> _Operations:
    operations = _Operations()
    for number, operation in enumerate(recorded):
        operations.first_s = operations.first_s if number else operation.time_s
        operations.last_s = operation.time_s
        if operation.tier == STORAGE_TIER:
            operations.sizes[operation.kind].append(operation.size)
            operations.occupied[operation.key] = operation.size
    return operations


def _sectors(size: int) -> int:
    return -(-size // SECTOR)
