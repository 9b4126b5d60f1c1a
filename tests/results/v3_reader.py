"""Reader of the reference's kv_cache results, made from their description: it imports no writer.

It knows names, types and definitions of published results, and nothing of this package.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEAF = re.compile(r"\d{8}_\d{6}")
NUMBER = (int, float)
TEXT = str
METADATA: dict[str, tuple[type, ...]] = {
    "benchmark_type": (str,),
    "model": (str,),
    "command": (str,),
    "run_datetime": (str,),
    "num_processes": (int, type(None)),
    "accelerator": (str, type(None)),
    "result_dir": (str,),
    "parameters": (dict,),
    "override_parameters": (dict,),
    "system_info": (dict, type(None)),
    "cluster_snapshots": (dict,),
    "timeseries_data": (dict,),
    "runtime": (float,),
    "invocation_start_time": (str,),
    "invocation_end_time": (str,),
    "verification": (str, type(None)),
    "exit_status": (int,),
    "executed_command": (str,),
    "command_output_files": (list,),
    "args": (dict,),
    "kvcache_model": (str,),
    "num_users": (int,),
    "duration": (int,),
    "gpu_mem_gb": (float,),
    "cpu_mem_gb": (float,),
    "cache_dir": (str,),
    "generation_mode": (str,),
    "performance_profile": (str,),
    "exec_type": (str,),
    "hosts": (list,),
}
"""Keys of the metadata of a run, in order, and the types of their values."""
OPTIONAL = frozenset(
    {
        *("cluster_snapshots", "timeseries_data", "invocation_start_time"),
        *("invocation_end_time", "exit_status"),
    }
)
"""Keys that some versions of the tool do not write."""
OPTION_VALUES = (
    *("model", "num_users", "duration", "gpu_mem_gb", "cpu_mem_gb", "max_concurrent_allocs"),
    "generation_mode",
)
SUMMARY = (
    *("schema_version", "run_datetime", "npernode", "host_count", "total_ranks"),
    *("trials_per_option", "options", "partial_failure", "trial_failures"),
)
SUMS = {
    "aggregated_read_bandwidth_gbps": ("cache_stats", "tier_storage_read_bandwidth_gbps"),
    "aggregated_write_bandwidth_gbps": ("cache_stats", "tier_storage_write_bandwidth_gbps"),
    "aggregated_avg_throughput_tokens_per_sec": ("avg_throughput_tokens_per_sec",),
    "aggregated_storage_throughput_tokens_per_sec": ("storage_throughput_tokens_per_sec",),
}
"""Sum over ranks, mean over trials: aggregate and the value of a rank's summary."""
MAXIMA = {
    "aggregated_p95_latency_ms": ("storage_io_latency_ms", "p95"),
    "aggregated_storage_read_p95_ms": ("cache_stats", "storage_read_p95_ms"),
    "aggregated_device_read_p95_ms": ("cache_stats", "storage_read_device_p95_ms"),
    "aggregated_device_write_p95_ms": ("cache_stats", "storage_write_device_p95_ms"),
}
"""Maximum over ranks and trials; the last three are not in all published summaries."""
PERCENTILES = ("p50", "p95", "p99", "p999", "p9999")
RANK = (
    *("requests_completed", "total_tokens_generated", "total_storage_io_latency"),
    *("total_generation_latency", "end_to_end_latencies", "storage_latencies"),
    *("generation_latencies", "throughput_timeline", "prefill_latencies", "decode_latencies"),
    *("multi_turn_cache_hits", "multi_turn_cache_misses", "seed", "summary"),
)
RANK_SUMMARY = (
    *("total_requests", "total_tokens", "elapsed_time", "avg_throughput_tokens_per_sec"),
    *("total_storage_io_time", "storage_throughput_tokens_per_sec", "requests_per_second"),
    *("end_to_end_latency_ms", "storage_io_latency_ms", "generation_latency_ms", "cache_stats"),
    *("qos_metrics", "prefix_cache_stats", "autoscaling_stats", "autoscaling_summary"),
    "multi_turn_stats",
)


@dataclass(frozen=True)
class RankFile:
    """The results of one rank in one trial of an option."""

    option: int
    trial: int
    rank: int
    path: Path
    content: dict[str, Any]

    def value(self, keys: tuple[str, ...]) -> float | None:
        """Return a number of the rank's summary; None if it has none."""
        found: Any = self.content["summary"]
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, NUMBER) else None


@dataclass(frozen=True)
class Run:
    """The leaf of a kv_cache run."""

    path: Path
    metadata: dict[str, Any] | None
    summary: dict[str, Any] | None
    ranks: list[RankFile]

    def of_option(self, option: str) -> list[RankFile]:
        """Return an option's files, by trial and rank."""
        return [file for file in self.ranks if str(file.option) == option]


def read(leaf: Path) -> Run:
    """Return the run in a directory that is named by its time."""
    assert LEAF.fullmatch(leaf.name), leaf
    metadata = sorted(leaf.glob("kv_cache_*_metadata.json"))
    assert len(metadata) <= 1, metadata
    summary = leaf / "summary.json"
    return Run(
        leaf,
        _json(metadata[0]) if metadata else None,
        _json(summary) if summary.is_file() else None,
        sorted(_rank_files(leaf), key=lambda file: (file.option, file.trial, file.rank)),
    )


def _rank_files(leaf: Path) -> list[RankFile]:
    found = []
    for path in leaf.glob("option_*/trial_*/rank_*/kvcache_results_*.json"):
        option, trial, rank = (int(part.rpartition("_")[2]) for part in path.parts[-4:-1])
        assert re.fullmatch(r"kvcache_results_\d{8}_\d{6}\.json", path.name)
        found.append(RankFile(option, trial, rank, path, _json(path)))
    return found


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), path
    return content


def aggregates(files: list[RankFile]) -> dict[str, float | None]:
    """Return an option's aggregates, recomputed from its rank files."""
    trials: dict[int, list[RankFile]] = {}
    for file in files:
        trials.setdefault(file.trial, []).append(file)
    found: dict[str, float | None] = {}
    for name, keys in SUMS.items():
        sums = [sum(file.value(keys) or 0.0 for file in trial) for trial in trials.values()]
        found[name] = math.fsum(sums) / len(sums) if sums else None
    for name, keys in MAXIMA.items():
        values = [value for file in files if (value := file.value(keys)) is not None]
        found[name] = max(values, default=None)
    return found


def in_memory(files: list[RankFile]) -> list[str]:
    """Return the files of ranks that had no entry on storage at the end."""
    stats = ((str(file.path), file.content["summary"]["cache_stats"]) for file in files)
    return [path for path, one in stats if one["storage_entries"] == 0]


def missing(run: Run, option: str) -> list[str]:
    """Return the directories of the rank files that should be there."""
    assert run.summary is not None
    present = {(file.trial, file.rank) for file in run.of_option(option)}
    return [
        str(run.path / f"option_{option}" / f"trial_{trial}" / f"rank_{rank}")
        for trial in range(run.summary["trials_per_option"])
        for rank in range(run.summary["total_ranks"])
        if (trial, rank) not in present
    ]


def keys_of_cache_stats(stats: dict[str, Any]) -> list[str]:
    """Return the keys that a rank's cache_stats has, in order: latencies of tiers that it used."""
    used = [
        prefix
        for prefix in (
            *(f"{tier}_{kind}" for tier in ("gpu", "cpu", "storage") for kind in ("read", "write")),
            *(
                f"storage_{kind}_{part}"
                for kind in ("read", "write")
                for part in ("device", "host")
            ),
        )
        if f"{prefix}_p50_ms" in stats
    ]
    return [*_CACHE_STATS, *(f"{prefix}_{p}_ms" for prefix in used for p in PERCENTILES)]


_CACHE_STATS = (
    *("cache_hit_rate", "cache_hits", "cache_misses", "gpu_entries", "cpu_entries"),
    *("storage_entries", "gpu_memory_used_gb", "cpu_memory_used_gb", "offloads_cpu"),
    *("offloads_storage", "storage_health", "prefill_writes", "decode_reads"),
    *("tier_gpu_kv_bytes_written_gb", "tier_cpu_kv_bytes_written_gb"),
    *("tier_storage_kv_bytes_written_gb", "tier_gpu_kv_bytes_read_gb"),
    *("tier_cpu_kv_bytes_read_gb", "tier_storage_kv_bytes_read_gb"),
    *("tier_gpu_read_bandwidth_gbps", "tier_gpu_write_bandwidth_gbps"),
    *("tier_cpu_read_bandwidth_gbps", "tier_cpu_write_bandwidth_gbps"),
    *("tier_storage_read_bandwidth_gbps", "tier_storage_write_bandwidth_gbps"),
    *("system_prompt_hits", "common_phrase_hits", "user_cache_hits", "multi_turn_hits"),
    *("total_read_bytes", "total_write_bytes", "total_read_gb", "total_write_gb"),
    *("read_write_ratio", "read_iops", "write_iops", "storage_tokens_processed"),
)
