"""Rules 6.3.3: ranks of kv_cache, each a client of its own."""

from __future__ import annotations

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.units import counted
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.lookups import has_directory
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_summary,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.rules.shared import launches_of

TYPES = ("kv_cache",)
RUN = ("run",)
CLOSED = ("closed",)
RUN_RULES = Section(RULES.leaf, types=TYPES, commands=RUN)


@RUN_RULES.rule(
    "6.3.3.1",
    "kvcacheClientDefinition",
    "The number of ranks is ranks per host x hosts, the same everywhere.",
    "summary, commands",
)
@of_summary
def client_definition(leaf: Leaf, summary: Document) -> Outcome:
    ranks, hosts = summary.count("total_ranks"), summary.count("host_count")
    per_host = summary.count("npernode")
    if ranks is None or hosts is None or per_host is None:
        return unknown("the summary lacks total_ranks, host_count or npernode")
    problems = []
    seen = f"{counted(ranks, 'rank')} on {counted(hosts, 'host')}"
    if ranks != hosts * per_host:
        problems.append(f"{seen} with {counted(per_host, 'rank')} each")
    launches = launches_of(leaf)
    for launch in [] if isinstance(launches, Outcome) else launches:
        if launch.ranks is not None and launch.ranks != ranks:
            problems.append(f"{launch.place}: -n {launch.ranks}; the summary has {ranks}")
        if launch.slots is not None and sum(launch.slots.values()) != ranks:
            total = sum(launch.slots.values())
            problems.append(f"{launch.place}: {total} slots on the hosts for {ranks} ranks")
        if launch.slots is not None and len(launch.slots) != hosts:
            named = counted(len(launch.slots), "host")
            problems.append(f"{launch.place}: {named}; the summary has {hosts}")
    return violated_if(problems, seen)


@RUN_RULES.rule(
    "6.3.3.2",
    "kvcacheScaleUpModel",
    "Every rank has the option's full number of users and of requests in flight.",
    "commands, rank files",
    divisions=CLOSED,
)
def scale_up(leaf: Leaf) -> Outcome:
    launches = launches_of(leaf)
    if isinstance(launches, Outcome):
        return launches
    problems = []
    for launch in launches:
        sanctioned = edition.KV_OPTIONS.get(launch.option or 0)
        if sanctioned is None:
            continue
        for flag, expected in (
            ("--num-users", sanctioned.num_users),
            ("--max-concurrent-allocs", sanctioned.max_concurrent_allocs),
        ):
            if launch.number(flag) != expected:
                found = launch.value(flag)
                problems.append(f"{launch.place}: {flag} {found}; {expected} per rank")
    for file in leaf.rank_files:
        seed = None if isinstance(file.document, Unreadable) else file.document.count("seed")
        if seed is not None and seed != edition.KV_SEED + file.rank:
            problems.append(
                f"{file.place}: seed {seed}; {edition.KV_SEED + file.rank} is that of this rank"
            )
    return violated_if(problems, "one command for all ranks, with the option's users")


@RUN_RULES.rule(
    "6.3.3.3",
    "kvcachePerClientIsolation",
    "No two ranks share a results file or a cache directory.",
    "tree, commands",
)
def isolation(leaf: Leaf) -> Outcome:
    places: dict[tuple[int, int, int], int] = {}
    for file in leaf.rank_files:
        key = (file.option, file.trial, file.rank)
        places[key] = places.get(key, 0) + 1
    problems = [
        f"option_{option}/trial_{trial}/rank_{rank} holds {files} results files"
        for (option, trial, rank), files in places.items()
        if files > 1
    ]
    launches = launches_of(leaf)
    problems += [
        f"{launch.place}: no --rank-cache-base, so ranks share a directory"
        for launch in ([] if isinstance(launches, Outcome) else launches)
        if launch.value("--rank-cache-base") is None
    ]
    if not places and isinstance(launches, Outcome):
        return unknown("neither rank files nor commands")
    return violated_if(problems, "each rank has its own directory and cache")


@RUN_RULES.rule(
    "6.3.3.4",
    "kvcacheSharedResultsDir",
    "With several hosts, the results directory is the same on each of them.",
    ".fs_probe, summary",
)
def shared_results(leaf: Leaf) -> Outcome:
    summary = leaf.any_summary
    hosts = None if isinstance(summary, Unreadable) else summary.count("host_count")
    if hosts is None:
        return unknown("the number of hosts is not recorded")
    if hosts == 1:
        return not_applicable("one host")
    probe = leaf.path / ".fs_probe"
    if not has_directory(probe):
        return unknown(f"{hosts} hosts, and no .fs_probe")
    markers = len({path.name.rpartition("__")[2] for path in probe.glob("*.ok")})
    problems = [f"{markers} of {hosts} hosts left a marker in .fs_probe"] * (markers < hosts)
    return violated_if(problems, f"each of {hosts} hosts left a marker")
