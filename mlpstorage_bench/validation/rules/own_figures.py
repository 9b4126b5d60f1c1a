"""Rules of our own: figures that an honest run does not have."""

from __future__ import annotations

import math
from datetime import datetime

from mlpstorage_bench.leaves.document import Document
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
    ok,
    unknown,
    violated_if,
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import System

KV_CACHE = ("kv_cache",)
RUN = ("run",)
_ROUNDING = 1e-6
_GB = 1e9
_BITS = 8
LEAF_RULES = Section(RULES.leaf)
RUN_RULES = Section(RULES.leaf, types=KV_CACHE, commands=RUN)
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
    for file, document in leaf.rank_documents:
        flushes = large_flushes(document)
        if flushes is None:
            continue
        judged += 1
        if flushes.move_nothing:
            problems.append(
                f"{file.place}: half of the flushes of "
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
    for file, document in leaf.rank_documents:
        elapsed = elapsed_s(document)
        latest = greatest_latency_s(document)
        if elapsed is None or latest is None:
            continue
        judged += 1
        if latest > elapsed:
            problems.append(
                f"{file.place}: a request took {latest:.1f} s; bytes are divided by {elapsed:.1f} s"
            )
    if not judged:
        return unknown("no rank file with latencies")
    return warning_if(problems, f"{judged} rank files")


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
    for file, document in leaf.rank_documents:
        stats = document.part("summary", "cache_stats")
        elapsed = document.number("summary", "elapsed_time")
        for way in ("read", "written"):
            moved = stats.number(f"tier_storage_kv_bytes_{way}_gb")
            kind = "read" if way == "read" else "write"
            bandwidth = stats.number(f"tier_storage_{kind}_bandwidth_gbps")
            if elapsed is None or moved is None or bandwidth is None:
                continue
            judged += 1
            if not math.isclose(bandwidth * elapsed, moved, rel_tol=_ROUNDING, abs_tol=1e-9):
                problems.append(
                    f"{file.place}: {moved:.4f} GiB "
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
    for file, document in leaf.rank_documents:
        summary = document.part("summary")
        figures = (
            summary.number("elapsed_time"),
            summary.number("total_storage_io_time"),
            summary.number("storage_io_latency_ms", "mean"),
        )
        if None in figures:
            continue
        judged += 1
        key = (file.option, file.rank, *figures)
        if key in seen:
            problems.append(f"{file.place} has the figures of {seen[key]}")
        seen.setdefault(key, file.place)
    if judged < 2:  # noqa: PLR2004 - two are compared
        return not_applicable("fewer than two rank files to compare")
    return violated_if(problems, f"{judged} rank files differ")
