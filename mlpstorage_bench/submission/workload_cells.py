"""Cells of the table that the runs of a workload give, with those runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.submission.columns import (
    KV_FIGURES,
    KV_OPTIONS,
    NODES,
    READ,
    WRITE,
    Cell,
)
from mlpstorage_bench.units import GIB
from mlpstorage_bench.validation import edition

_DIGITS_OF_TIME = 14
_MIB_PER_GIB = 1024
_PERCENT = 100
_P95 = "aggregated_storage_read_p95_ms"
_RANK_P95 = ("summary", "cache_stats", "storage_read_p95_ms")
_RANKS_OF_A_CHECKPOINT = {"llama3-8b": 8, "llama3-70b": 8, "llama3-405b": 256, "llama3-1t": 512}
"""Ranks of one data-parallel instance as the published table counts them, by model."""


@dataclass(frozen=True)
class Figures:
    """Cells of a row without the beginning of their columns' names."""

    leaves: tuple[Leaf, ...]
    """The runs that they are of."""
    cells: dict[str, Cell | None]
    remarks: tuple[str, ...] = ()


def kv_cache_figures(leaves: Sequence[Leaf]) -> Figures:
    """Return the figures of the latest run that is complete, else of the latest.

    Columns of options have the option's name: `llama3.1-8b Storage Only - Read B/W (GiB/s)`.
    """
    runs = sorted(leaves, key=_time)
    run = next((leaf for leaf in reversed(runs) if _is_complete(leaf)), runs[-1])
    cells: dict[str, Cell | None] = {NODES: None}
    if isinstance(run.summary, Document):
        cells[NODES] = run.summary.count("host_count")
        for option, name in KV_OPTIONS.items():
            recorded = run.summary.part("options", option)
            for column, key in KV_FIGURES.items():
                cells[f"{name} - {column}"] = (
                    _read_p95_ms(run, option, recorded) if key == _P95 else recorded.number(key)
                )
    dropped = [leaf.timestamp for leaf in runs if leaf is not run]
    remark = f"{run}: reported instead of {', '.join(dropped)} of the same system"
    return Figures((run,), cells, (remark,) if dropped else ())


def _time(leaf: Leaf) -> tuple[str, str, str]:
    """Return the order of runs; a start has the form 2026-11-24T03:35:10 or 20261124_033510."""
    started = None if isinstance(leaf.metadata, Unreadable) else leaf.metadata.text("run_datetime")
    digits = re.sub(r"[^0-9]", "", started or "")[:_DIGITS_OF_TIME]
    return (digits, leaf.timestamp, str(leaf.path))


def _is_complete(leaf: Leaf) -> bool:
    summary = leaf.summary
    return (
        isinstance(summary, Document)
        and not summary.flag("partial_failure")
        and summary.part("trial_failures").is_empty
    )


def _read_p95_ms(run: Leaf, option: str, recorded: Document) -> float | None:
    """Return the summary's value; where it has none, the greatest of the ranks' files."""
    if recorded.has(_P95):
        return recorded.number(_P95)
    found = [
        value
        for file in run.rank_files
        if str(file.option) == option and isinstance(file.document, Document)
        if (value := file.document.number(*_RANK_P95)) is not None
    ]
    return max(found, default=None)


def training_figures(leaves: Sequence[Leaf]) -> Figures:
    """Return the means over the measured runs: all but the first, which warms up."""
    first, *measured = sorted(leaves, key=lambda leaf: leaf.timestamp)
    demanded = edition.TRAINING_RUNS - 1
    remark = f"{first.place}: {len(measured)} runs after the first; the rules demand {demanded}"
    remarks = () if len(measured) == demanded else (remark,)
    if not measured:
        return Figures((first,), {}, remarks)
    speeds = [_number(leaf, "metric", "train_io_mean_MB_per_second") for leaf in measured]
    known = [speed for speed in speeds if speed is not None]
    cells: dict[str, Cell | None] = {
        "Accelerator Type": accelerator_of(measured[0]),
        NODES: _first(measured, "num_hosts"),
        "# Simulated Accelerators": _first(measured, "num_accelerators"),
        READ: fmean(known) / _MIB_PER_GIB if len(known) == len(speeds) else None,
    }
    return Figures(tuple(measured), cells, remarks)


def accelerator_of(leaf: Leaf) -> str | None:
    """Return the accelerator that a run of training simulated."""
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return None
    return metadata.text("accelerator") or metadata.text("args", "accelerator_type")


def checkpointing_figures(leaves: Sequence[Leaf]) -> Figures:
    """Return the means over the runs that write, and over those that read."""
    runs = sorted(leaves, key=lambda leaf: leaf.timestamp)
    first = runs[0]
    cells: dict[str, Cell | None] = {
        "Checkpoint Mode": "Subset" if _is_subset(first) else "Full",
        NODES: _first(runs, "num_hosts"),
        "DP Instances": _instances(first),
        WRITE: _mean(runs, "write", "save_checkpoint_io_mean_GB_per_second"),
        "Write Duration (secs)": _mean(runs, "write", "save_checkpoint_duration_mean_seconds"),
        READ: _mean(runs, "read", "load_checkpoint_io_mean_GB_per_second"),
        "Read Duration (secs)": _mean(runs, "read", "load_checkpoint_duration_mean_seconds"),
    }
    return Figures(tuple(runs), cells)


def _instances(leaf: Leaf) -> int | None:
    """Return the whole data-parallel instances among a run's ranks; None without one."""
    model, metadata = edition.CHECKPOINT_MODELS.get(leaf.model), leaf.metadata
    if model is None:
        return None
    recorded = None if isinstance(metadata, Unreadable) else metadata.count("num_processes")
    return (recorded or model.ranks) // _RANKS_OF_A_CHECKPOINT[leaf.model] or None


def _is_subset(leaf: Leaf) -> bool:
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return False
    mode = metadata.text("parameters", "checkpoint", "mode")
    return mode == "subset" or bool(metadata.flag("args", "checkpoint_subset"))


def _checkpoints(leaf: Leaf, way: str) -> float | None:
    metadata, name = leaf.metadata, f"num_checkpoints_{way}"
    if isinstance(metadata, Unreadable):
        return None
    recorded = metadata.number("parameters", "checkpoint", name)
    return metadata.number("args", name) if recorded is None else recorded


def _mean(runs: Sequence[Leaf], way: str, name: str) -> float | None:
    """Return the mean over the runs that were to write (read); None if one of them lacks it.

    Where a run does not say what it was to do, the mean is over the runs that have a value.
    """
    counts = [_checkpoints(leaf, way) for leaf in runs]
    are_known = None not in counts
    producing = [leaf for leaf, count in zip(runs, counts, strict=True) if count or not are_known]
    values = [_number(leaf, "metric", name) for leaf in producing]
    known = [value for value in values if value is not None]
    if are_known and len(known) < len(values):
        return None
    return fmean(known) if known else None


def vector_figures(leaves: Sequence[Leaf]) -> Figures:
    """Return the figures of the latest run."""
    runs = sorted(leaves, key=lambda leaf: leaf.timestamp)
    run = runs[-1]
    summary = run.summary if isinstance(run.summary, Document) else Document(None, run.path)
    recall = summary.number("recall")
    read_bytes = summary.number("disk_io", "total_bytes_read_per_sec")
    operations = [summary.number("disk_io", f"{way}_iops") for way in ("read", "write")]
    known = [number for number in operations if number is not None]
    cells: dict[str, Cell | None] = {
        NODES: summary.count("disk_io", "host_count") or _recorded_hosts(run),
        "Vector Count": summary.count("num_vectors"),
        "Vector Dimension": summary.count("dimension"),
        "Index Type": summary.text("index_type") or run.index or None,
        "Queries per Sec": summary.number("throughput_qps"),
        "Query Latency (ms)": summary.number("p99_latency_ms"),
        "Recall Percentage": None if recall is None else recall * _PERCENT,
        "Storage IOPs": sum(known) if known else None,
        READ: None if read_bytes is None else read_bytes / GIB,
    }
    dropped = [leaf.timestamp for leaf in runs[:-1]]
    remark = f"{run}: reported instead of {', '.join(dropped)} of the same index"
    return Figures((run,), cells, (remark,) if dropped else ())


def _recorded_hosts(leaf: Leaf) -> int | None:
    if isinstance(leaf.metadata, Unreadable):
        return None
    hosts = leaf.metadata.texts("args", "hosts")
    return leaf.metadata.count("args", "num_client_hosts") or len(hosts) or None


def _number(leaf: Leaf, *keys: str) -> float | None:
    return leaf.summary.number(*keys) if isinstance(leaf.summary, Document) else None


def _first(leaves: Sequence[Leaf], name: str) -> int | None:
    found = (leaf.summary.count(name) for leaf in leaves if isinstance(leaf.summary, Document))
    return next((value for value in found if value is not None), None)
