"""Rules 6.3.4 to 6.5: the results of kv_cache, and where cache and results lie."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.kv_aggregates import AGGREGATES, MissingRanks, recomputed
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_description,
    of_metadata,
    of_summary,
    ok,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import System

TYPES = ("kv_cache",)
RUN = ("run",)
_RELATIVE = 1e-9
"""Tolerance of a recomputed aggregate: sums of other order differ in the last digit."""
RUN_RULES = Section(RULES.leaf, types=TYPES, commands=RUN)
SYSTEM_RULES = Section(RULES.system, types=TYPES)


def _aggregates(leaf: Leaf, names: tuple[str, ...]) -> Outcome:
    """Compare aggregates of the summary with those of the rank files."""
    summary = leaf.any_summary
    if isinstance(summary, Unreadable):
        return unknown(summary.cause)
    problems: list[str] = []
    missing: dict[str, None] = {}
    agreeing: dict[str, None] = {}
    for option, recorded in summary.items("options"):
        for name in names:
            own = recomputed(leaf, option, recorded, AGGREGATES[name])
            given = recorded.number(name)
            if not recorded.has(name):
                missing[f"option {option}: no {name}"] = None
            elif isinstance(own, MissingRanks):
                missing[f"option {option}: {own.cause}"] = None
            elif _agree(given, own):
                agreeing[f"option {option} agrees with its rank files"] = None
            else:
                problems.append(f"option {option}: {name} is {given}; its ranks give {own}")
    if problems:
        return violated_if([*problems, *missing], "")
    if missing or not agreeing:
        return unknown(*(missing or {"the summary has no options": None}), *agreeing)
    return ok("; ".join(agreeing))


def _agree(given: float | None, own: float | None) -> bool:
    if given is None or own is None:
        return given is own
    return math.isclose(given, own, rel_tol=_RELATIVE, abs_tol=1e-12)


@RUN_RULES.rule(
    "6.3.4.1",
    "kvcacheAggregateBandwidth",
    "Bandwidth is the mean over trials of the sum over ranks.",
    "rank files, summary",
)
def aggregate_bandwidth(leaf: Leaf) -> Outcome:
    return _aggregates(leaf, ("aggregated_read_bandwidth_gbps", "aggregated_write_bandwidth_gbps"))


@RUN_RULES.rule(
    "6.3.4.2",
    "kvcacheAggregateThroughput",
    "Tokens per second are the mean over trials of the sum over ranks.",
    "rank files, summary",
)
def aggregate_throughput(leaf: Leaf) -> Outcome:
    return _aggregates(
        leaf,
        (
            "aggregated_avg_throughput_tokens_per_sec",
            "aggregated_storage_throughput_tokens_per_sec",
        ),
    )


@RUN_RULES.rule(
    "6.3.4.3",
    "kvcacheAggregateDeviceLatency",
    "Latencies are the greatest p95 of a rank, over all ranks and trials.",
    "rank files, summary",
)
@of_summary
def aggregate_latency(leaf: Leaf, summary: Document) -> Outcome:
    later = (
        "aggregated_storage_read_p95_ms",
        "aggregated_device_read_p95_ms",
        "aggregated_device_write_p95_ms",
    )
    options = [option for _, option in summary.items("options")]
    named = [name for name in later if any(option.has(name) for option in options)]
    return _aggregates(leaf, ("aggregated_p95_latency_ms", *named))


@RUN_RULES.rule(
    "6.3.4.4",
    "kvcacheLatencyValidity",
    "In no option did every rank stay in the CPU tier.",
    "summary: cpu_tier_ranks, rank_count",
)
@of_summary
def latency_validity(_: Leaf, summary: Document) -> Outcome:
    problems = []
    for option, recorded in summary.items("options"):
        in_memory = len(recorded.parts("cpu_tier_ranks"))
        ranks, trials = recorded.count("rank_count"), recorded.count("trial_count")
        if ranks is None or trials is None:
            return unknown(f"option {option} lacks rank_count or trial_count")
        missing = len(recorded.parts("missing_files"))
        if in_memory and in_memory >= ranks * trials - missing:
            problems.append(f"option {option}: all {in_memory} ranks stayed in the CPU tier")
    return violated_if(problems, "storage was used in every option")


@RUN_RULES.rule(
    "6.3.4.5",
    "kvcacheHeadlineResult",
    "Read bandwidth, storage tokens per second, p95 latency and the number of ranks are reported.",
    "summary",
)
def headline(leaf: Leaf) -> Outcome:
    summary = leaf.any_summary
    if isinstance(summary, Unreadable):
        return violated_if([f"no figure is reported: {summary.cause}"], "")
    problems = [] if summary.count("total_ranks") else ["total_ranks is missing"]
    options = dict(summary.items("options"))
    if not options:
        problems.append("no option is reported")
    for option, recorded in options.items():
        problems += [
            f"option {option}: {name} is missing"
            for name in (
                "aggregated_read_bandwidth_gbps",
                "aggregated_storage_throughput_tokens_per_sec",
                "aggregated_p95_latency_ms",
            )
            if recorded.number(name) is None
        ]
    return violated_if(problems, "all headline figures are there")


@RUN_RULES.rule(
    "6.4.1",
    "kvcachePosixCacheDir",
    "Cache and results directory are set and lie on different filesystems.",
    "metadata: args, mlpstorage.filesystems; fs_separation.json",
)
@of_metadata
def separate_directories(leaf: Leaf, metadata: Document) -> Outcome:
    cache, results = metadata.text("args", "cache_dir"), metadata.text("args", "results_dir")
    own = metadata.part("mlpstorage", "filesystems")
    problems = [
        f"{name} is not set"
        for name, value in (("cache_dir", cache), ("results_dir", results))
        if not value
    ]
    if cache and results and PurePosixPath(cache) == PurePosixPath(results):
        problems.append("cache_dir and results_dir are the same")
    probed = None if isinstance(leaf.separation, Unreadable) else leaf.separation
    found = {one.flag("same_filesystem") for one in (probed, own) if one is not None} - {None}
    if True in found:
        problems.append("both directories lie on one filesystem")
    if problems:
        return violated_if(problems, "")
    if not found:
        return unknown("both are set and differ; their filesystems are recorded nowhere")
    return ok("set, different, and on different filesystems")


@RUN_RULES.rule(
    "6.4.2",
    "kvcachePosixIoModel",
    "Describes how files are written and read; demands nothing of a submission.",
    "none",
)
def io_model(_: Leaf) -> Outcome:
    return not_applicable("a description without a demand")


@SYSTEM_RULES.rule(
    "6.5.1",
    "kvcacheObjectViaGateway",
    "Object storage is used through a mounted filesystem.",
    "system description",
)
@of_description
def object_through_mount(_: System, description: Document) -> Outcome:
    architecture = description.part("system_under_test", "solution", "architecture")
    api = architecture.text("benchmark_API")
    if api is None:
        return unknown("the description has no benchmark_API")
    problems = ["benchmark_API is object; kv_cache has only files"] * (api == "object")
    return violated_if(problems, f"benchmark_API is {api}")


@SYSTEM_RULES.rule(
    "6.5.2",
    "kvcacheObjectLatencyScope",
    "For object storage and NFS, gateway or client and its mount options are recorded.",
    "system description",
)
@of_description
def object_latency_scope(_: System, description: Document) -> Outcome:
    architecture = description.part("system_under_test", "solution", "architecture")
    if architecture.text("storage_location") == "local":
        return not_applicable("local storage")
    return unknown("the description has no field for a gateway or for mount options")
