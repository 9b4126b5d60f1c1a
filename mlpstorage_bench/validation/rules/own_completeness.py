"""Rules of our own: every rank, trial, host and file of a run is there, and one run is reported."""

from __future__ import annotations

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.kv_aggregates import expected_files, rank_files_of
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    of_summary,
    ok,
    unknown,
    violated_if,
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import Workload

KV_CACHE = ("kv_cache",)
RUN = ("run",)
RUN_RULES = Section(RULES.leaf, types=KV_CACHE, commands=RUN)
WORKLOAD_RULES = Section(RULES.workload, types=KV_CACHE)


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
