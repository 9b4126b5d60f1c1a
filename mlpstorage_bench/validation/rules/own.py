"""Rules of our own: what makes figures unlike those of an honest run."""

from __future__ import annotations

import math
from datetime import datetime

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.kv_aggregates import expected_files, rank_files_of
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.preloads import host_checks, is_allocator, preloaded
from mlpstorage_bench.leaves.rank_figures import elapsed_s, greatest_latency_s, large_flushes
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.units import GIB
from mlpstorage_bench.validation import edition
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
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import System, Workload

KV_CACHE = ("kv_cache",)
RUN = ("run",)
_ROUNDING = 1e-6
_GB = 1e9
_BITS = 8
LEAF_RULES = Section(RULES.leaf)
RUN_RULES = Section(RULES.leaf, types=KV_CACHE, commands=RUN)
WORKLOAD_RULES = Section(RULES.workload, types=KV_CACHE)
SYSTEM_RULES = Section(RULES.system, types=KV_CACHE)


@LEAF_RULES.rule(
    "X-preload",
    "no preloaded libraries",
    "No library is preloaded that could change what I/O does; a memory allocator is a warning. "
    "If the run has checked its hosts, its findings count, and not the names of libraries.",
    "metadata: commands, args.mpi_params, system_info.mlpstorage",
)
def preload(leaf: Leaf) -> Outcome:
    if isinstance(leaf.metadata, Unreadable):
        return unknown(leaf.metadata.cause)
    libraries = sorted(preloaded(leaf.metadata))
    checks = host_checks(leaf.metadata)
    if checks.findings:
        found = [*checks.findings, *(f"{library} was preloaded" for library in libraries)]
        return violated_if(found, "") if leaf.division == "closed" else warning_if(found, "")
    if libraries and checks.functions_are_original:
        return ok(f"{', '.join(libraries)}: preloaded, and the functions are the C library's")
    others = _doubtful_libraries(leaf.metadata)
    if others and leaf.division == "closed":
        return violated_if([f"{library} was preloaded" for library in libraries], "")
    return warning_if(
        [f"{library} was preloaded" for library in libraries],
        "no command and no recorded fact names one",
    )


def _doubtful_libraries(metadata: Document) -> set[str]:
    """Return the preloaded libraries that may change what I/O does."""
    if host_checks(metadata).functions_are_original:
        return set()
    return {library for library in preloaded(metadata) if not is_allocator(library)}


@RUN_RULES.rule(
    "X-fsync",
    "flushes take time",
    "The median flush of entries of 0.5 GiB or more takes at least 0.05 ms.",
    "rank files: storage_write_device_p50_ms, bytes and number of writes",
)
def flush(leaf: Leaf) -> Outcome:
    problems, judged = [], 0
    for file in leaf.rank_files:
        if isinstance(file.document, Unreadable):
            continue
        flushes = large_flushes(file.document)
        if flushes is None:
            continue
        judged += 1
        if flushes.move_nothing:
            problems.append(
                f"option_{file.option}/trial_{file.trial}/rank_{file.rank}: half of the flushes of "
                f"{flushes.gib_per_write:.2f} GiB took less than {flushes.median_ms:.4f} ms"
            )
    if not judged:
        return unknown("no rank file with writes of 0.5 GiB or more")
    metadata = leaf.metadata
    libraries = set() if isinstance(metadata, Unreadable) else _doubtful_libraries(metadata)
    if problems and libraries:
        return violated_if(problems, "")
    return warning_if(problems, f"{judged} rank files")


@RUN_RULES.rule(
    "X-drain",
    "requests end within the measured time",
    "No request takes longer than the time by which bytes are divided.",
    "rank files: elapsed_time, latencies",
)
def drain(leaf: Leaf) -> Outcome:
    problems, judged = [], 0
    for file in leaf.rank_files:
        if isinstance(file.document, Unreadable):
            continue
        elapsed = elapsed_s(file.document)
        latest = greatest_latency_s(file.document)
        if elapsed is None or latest is None:
            continue
        judged += 1
        if latest > elapsed:
            problems.append(
                f"option_{file.option}/trial_{file.trial}/rank_{file.rank}: a request took "
                f"{latest:.1f} s; bytes are divided by {elapsed:.1f} s"
            )
    if not judged:
        return unknown("no rank file with latencies")
    return warning_if(problems, f"{judged} rank files")


@RUN_RULES.rule(
    "X-rank-files",
    "every counted rank file is there",
    "Each rank file that the summary counts is in the leaf or named in missing_files.",
    "summary, tree",
)
@of_summary
def rank_files(leaf: Leaf, summary: Document) -> Outcome:
    problems = []
    for option, recorded in summary.items("options"):
        expected, found = expected_files(recorded), len(rank_files_of(leaf, option))
        if expected is None:
            return unknown(f"option {option} lacks rank_count or trial_count")
        if found < expected:
            problems.append(f"option {option}: {found} of {expected} rank files are in the leaf")
    return violated_if(problems, "all are there")


@RUN_RULES.rule(
    "X-missing-ranks",
    "no rank is missing",
    "The summary misses no rank; its sums are of all ranks.",
    "summary: missing_files, trial_failures",
)
@of_summary
def missing_ranks(_: Leaf, summary: Document) -> Outcome:
    problems = []
    for option, recorded in summary.items("options"):
        missing = len(recorded.parts("missing_files"))
        if missing:
            ranks, trials = recorded.count("rank_count"), recorded.count("trial_count")
            total = "an unknown number" if ranks is None or trials is None else ranks * trials
            problems.append(f"option {option}: {missing} of {total} rank files are missing")
    for option, failures in summary.items("trial_failures"):
        problems += [
            f"option {option}: trial {failure.count('trial')} failed"
            for failure in failures.parts()
        ]
    return violated_if(problems, "no rank and no trial")


@RUN_RULES.rule(
    "X-hosts",
    "every host is described",
    "The system information covers as many hosts as took part.",
    "metadata: system_info.num_hosts; summary: host_count",
)
def hosts(leaf: Leaf) -> Outcome:
    if isinstance(leaf.metadata, Unreadable):
        return unknown(leaf.metadata.cause)
    if isinstance(leaf.any_summary, Unreadable):
        return unknown(leaf.any_summary.cause)
    described = leaf.metadata.count("system_info", "num_hosts")
    took_part = leaf.any_summary.count("host_count")
    if described is None or took_part is None:
        return unknown("system_info.num_hosts or host_count is not recorded")
    problems = [f"{described} of {took_part} hosts are described"] * (described < took_part)
    return violated_if(problems, f"{described} hosts")


@RUN_RULES.rule(
    "X-summary-name",
    "the summary has the name that readers read",
    "The summary is summary.json; readers ignore the former name and withhold the row.",
    "tree",
)
def summary_name(leaf: Leaf) -> Outcome:
    former = sorted(name for name in leaf.names if name.startswith("kvcache_run_summary"))
    if "summary.json" in leaf.names:
        return ok("summary.json")
    if former:
        return violated_if([f"only {', '.join(former)}; rename it to summary.json"], "")
    return unknown("no summary under either name")


@WORKLOAD_RULES.rule(
    "X-several-runs",
    "one run of a system is reported",
    "A system has one run of kv_cache; of several, readers report one.",
    "tree",
)
def several_runs(workload: Workload) -> Outcome:
    runs = workload.of_command("run")
    if len(runs) < 2:  # noqa: PLR2004 - several
        return ok(f"{len(runs)} run")
    complete = [leaf for leaf in runs if _is_complete(leaf)]
    reported = (complete or runs)[-1]
    return warning_if([f"{len(runs)} runs: {reported.timestamp} is the one that is reported"], "")


def _is_complete(leaf: Leaf) -> bool:
    summary = leaf.summary
    if isinstance(summary, Unreadable):
        return False
    failures = summary.part("trial_failures")
    return not summary.flag("partial_failure") and failures.is_empty


@SYSTEM_RULES.rule(
    "X-rate",
    "bandwidth is possible",
    "No reported bandwidth is above the rate of the clients' links or, locally, of the drives.",
    "system description, summaries",
)
@of_description
def rate(system: System, description: Document) -> Outcome:
    described = description.part("system_under_test")
    is_local = described.text("solution", "architecture", "storage_location") == "local"
    limit = _drives_gib_s(described) if is_local else _links_gib_s(described)
    what = "drives read" if is_local else "clients' links carry"
    if not limit:
        return unknown(f"the description does not say how much the {what}")
    problems = []
    for leaf in system.leaves:
        if leaf.benchmark_type != "kv_cache" or isinstance(leaf.any_summary, Unreadable):
            continue
        for option, recorded in leaf.any_summary.items("options"):
            found = recorded.number("aggregated_read_bandwidth_gbps")
            if found is not None and found > limit:
                problems.append(
                    f"{leaf.timestamp}, option {option}: {found:.1f} GiB/s read; the {what} "
                    f"{limit:.1f} GiB/s"
                )
    return violated_if(problems, f"below {limit:.1f} GiB/s")


def _drives_gib_s(description: Document) -> float:
    return sum(
        (node.number("quantity") or 1)
        * (drive.number("unit_count") or 0)
        * (drive.number("performance", "seq_read_MBps") or 0)
        * 1e6
        / GIB
        for node in description.parts("product_nodes")
        for drive in node.parts("drives")
    )


def _links_gib_s(description: Document) -> float:
    return sum(
        (client.number("quantity") or 1)
        * (port.number("unit_count") or 0)
        * (port.number("speed") or 0)
        * _GB
        / _BITS
        / GIB
        for client in description.parts("clients")
        for port in client.parts("networking")
        if port.text("state") == "up"
    )


@RUN_RULES.rule(
    "X-bytes",
    "bytes are bandwidth x time",
    "In each rank file, bandwidth is bytes divided by the elapsed time.",
    "rank files",
)
def consistent_bytes(leaf: Leaf) -> Outcome:
    problems, judged = [], 0
    for file in leaf.rank_files:
        if isinstance(file.document, Unreadable):
            continue
        stats = file.document.part("summary", "cache_stats")
        elapsed = file.document.number("summary", "elapsed_time")
        for way in ("read", "written"):
            moved = stats.number(f"tier_storage_kv_bytes_{way}_gb")
            kind = "read" if way == "read" else "write"
            bandwidth = stats.number(f"tier_storage_{kind}_bandwidth_gbps")
            if elapsed is None or moved is None or bandwidth is None:
                continue
            judged += 1
            if not math.isclose(bandwidth * elapsed, moved, rel_tol=_ROUNDING, abs_tol=1e-9):
                problems.append(
                    f"option_{file.option}/trial_{file.trial}/rank_{file.rank}: {moved:.4f} GiB "
                    f"{way}; {bandwidth:.4f} GiB/s x {elapsed:.1f} s is {bandwidth * elapsed:.4f}"
                )
    if not judged:
        return unknown("no rank file with bytes and bandwidth")
    return violated_if(problems, f"{judged} figures")


@RUN_RULES.rule(
    "X-wall",
    "the run took as long as its sequence",
    "A closed run lasts at least as long as its windows and pauses.",
    "metadata: runtime, invocation times, command_output_files",
    divisions=("closed",),
)
@of_metadata
def wall_time(_: Leaf, metadata: Document) -> Outcome:
    if not metadata.part("mlpstorage", "resumed").is_empty:
        return warning_if(["the run was interrupted and resumed: it has several parts"], "")
    runtime = _wall_s(metadata)
    if runtime is None:
        return unknown("neither invocation times nor runtime are recorded")
    delay = metadata.number("args", "inter_option_delay")
    trials = len(edition.KV_OPTIONS) * edition.KV_TRIALS
    window = next(iter(edition.KV_OPTIONS.values())).duration
    pauses = edition.KV_PAUSES_PER_TRIAL * edition.KV_DELAY_S
    least = trials * (window + pauses) + (len(edition.KV_OPTIONS) - 1) * (
        edition.KV_DELAY_S if delay is None else delay
    )
    problems = [f"{runtime:.0f} s; the sequence alone takes {least:.0f} s"] * (runtime < least)
    return violated_if(problems, f"{runtime:.0f} s, at least {least:.0f} s")


def _wall_s(metadata: Document) -> float | None:
    start, end = metadata.text("invocation_start_time"), metadata.text("invocation_end_time")
    try:
        if start and end:
            return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None
    return metadata.number("runtime")


@RUN_RULES.rule(
    "X-equal-trials",
    "trials are measurements of their own",
    "No two trials of an option have the same figures to the last digit.",
    "rank files",
)
def equal_trials(leaf: Leaf) -> Outcome:
    seen: dict[tuple[object, ...], str] = {}
    problems, judged = [], 0
    for file in leaf.rank_files:
        if isinstance(file.document, Unreadable):
            continue
        summary = file.document.part("summary")
        figures = (
            summary.number("elapsed_time"),
            summary.number("total_storage_io_time"),
            summary.number("storage_io_latency_ms", "mean"),
        )
        if None in figures:
            continue
        judged += 1
        key = (file.option, file.rank, *figures)
        place = f"option_{file.option}/trial_{file.trial}/rank_{file.rank}"
        if key in seen:
            problems.append(f"{place} has the figures of {seen[key]}")
        seen.setdefault(key, place)
    if judged < 2:  # noqa: PLR2004 - two are compared
        return not_applicable("fewer than two rank files to compare")
    return violated_if(problems, f"{judged} rank files differ")
