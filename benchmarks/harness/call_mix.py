"""The mix of a workload's system calls, as its trace of operations tells it, for fio."""

from __future__ import annotations

import csv
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.storage.buffers import round_up_to_sector


@dataclass(frozen=True)
class CallMix:
    """System calls of reads and writes by size, and the entries that they belong to."""

    reads: Counter[int]
    writes: Counter[int]
    calls_per_entry: int
    """Mean number of consecutive calls."""

    def fio_options(self, read_share: float) -> list[str]:
        """Return fio's options for these sizes, in runs as long as an entry.

        `read_share` is the share of reads of all calls.
        """
        return [
            f"--rw=randrw:{self.calls_per_entry}",
            f"--bssplit={percentages(self.reads)},{percentages(self.writes)}",
            f"--rwmixread={read_share * 100:.0f}",
            "--norandommap",
        ]


def call_mix(trace: Path, chunk_bytes: int) -> CallMix:
    """Return the mix of the operations on storage in a trace, moved in chunks of this size."""
    calls: dict[str, Counter[int]] = {"Read": Counter(), "Write": Counter()}
    lengths = []
    with trace.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if row["Tier"] != STORAGE_TIER:
                continue
            whole, rest = divmod(round_up_to_sector(int(row["Object_Size_Bytes"])), chunk_bytes)
            sizes = Counter({chunk_bytes: whole}) + Counter({rest: 1} if rest else {})
            calls[row["Operation"]] += sizes
            lengths.append(sizes.total())
    mean = round(statistics.fmean(lengths))
    return CallMix(calls["Read"], calls["Write"], calls_per_entry=mean)


def percentages(sizes: Mapping[int, int]) -> str:
    """Return the sizes in the form of fio's `bssplit`: whole percentages, 100 in total.

    Sizes of less than half a per cent are left out; the most frequent one takes the rest.
    """
    total = sum(sizes.values())
    shares = {size: round(100 * count / total) for size, count in sizes.items()}
    most = max(sizes, key=lambda size: sizes[size])
    shares[most] += 100 - sum(shares.values())
    return ":".join(f"{size}/{share}" for size, share in sorted(shares.items()) if share)
