"""Rules 4.7: writing and reading as separate invocations, and the time between them."""

from __future__ import annotations

from datetime import datetime

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_description,
    unknown,
    violated_if,
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import System, Workload

TYPES = ("checkpointing",)
WORKLOAD_RULES = Section(RULES.workload, types=TYPES)
SYSTEM_RULES = Section(RULES.system, types=TYPES)


def _phases(workload: Workload) -> tuple[Leaf, Leaf] | Outcome:
    """Return the leaves of writing and of reading, if these are two invocations."""
    leaves = workload.of_command("run")
    if len(leaves) != 2:  # noqa: PLR2004 - write, then read
        return not_applicable(f"{len(leaves)} invocation")
    return leaves[0], leaves[1]


@WORKLOAD_RULES.rule(
    "4.7.1",
    "checkpointCacheFlushValidation",
    "Of two invocations, reading starts within 30 s of the end of writing.",
    "metadata: invocation_start_time; summary: end",
)
def handover(workload: Workload) -> Outcome:
    phases = _phases(workload)
    if isinstance(phases, Outcome):
        return phases
    write, read = phases
    if isinstance(write.summary, Unreadable):
        return unknown(f"writing: {write.summary.cause}")
    if isinstance(read.metadata, Unreadable):
        return unknown(f"reading: {read.metadata.cause}")
    end, start = (
        _time(write.summary.text("end")),
        _time(read.metadata.text("invocation_start_time")),
    )
    if end is None or start is None:
        return unknown("the end of writing or the start of reading is not recorded")
    gap = (start - end).total_seconds()
    if gap < 0:
        return warning_if([f"reading started {-gap:.0f} s before: the hosts' clocks differ"], "")
    limit = edition.CHECKPOINT_HANDOVER_S
    return violated_if([f"{gap:.0f} s; at most {limit} s"] * (gap > limit), f"{gap:.0f} s")


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


@WORKLOAD_RULES.rule(
    "4.7.2",
    "checkpointTotalTestDuration",
    "The test lasts from the first write to the last read, with remapping between.",
    "summaries",
)
def total_duration(workload: Workload) -> Outcome:
    leaves = workload.of_command("run")
    times = []
    for leaf in leaves:
        if isinstance(leaf.summary, Unreadable):
            return unknown(f"{leaf.timestamp}: {leaf.summary.cause}")
        start, end = _time(leaf.summary.text("start")), _time(leaf.summary.text("end"))
        if start is None or end is None:
            return unknown(f"{leaf.timestamp}: start or end is not recorded")
        times.append((start, end))
    if not times:
        return unknown("no invocation")
    problems = [
        f"{leaf.timestamp} ends before it starts"
        for leaf, (start, end) in zip(leaves, times, strict=True)
        if end < start
    ]
    lasted = (max(end for _, end in times) - min(start for start, _ in times)).total_seconds()
    return violated_if(problems, f"{lasted:.0f} s")


@SYSTEM_RULES.rule(
    "4.7.3",
    "checkpointRemappingTimeReporting",
    "The time for remapping is given.",
    "system description",
)
@of_description
def remapping(_: System, description: Document) -> Outcome:
    found = description.number(
        "system_under_test", "solution", "capabilities", "remap_time_in_seconds"
    )
    return violated_if(
        [] if found is not None else ["remap_time_in_seconds is missing"], f"{found} s"
    )


@SYSTEM_RULES.rule(
    "4.7.4",
    "checkpointSimultaneousRwSupport",
    "Simultaneous reading and writing are declared and agree with the remapping time.",
    "system description",
)
@of_description
def simultaneous(_: System, description: Document) -> Outcome:
    found = description.part("system_under_test", "solution", "capabilities")
    write, read = found.flag("simultaneous_write"), found.flag("simultaneous_read")
    problems = [
        f"{name} is missing"
        for name, value in (("simultaneous_write", write), ("simultaneous_read", read))
        if value is None
    ]
    remap = found.number("remap_time_in_seconds")
    if not problems and remap is not None and (remap == 0) != bool(write and read):
        problems.append(f"remap_time_in_seconds is {remap:g} with write {write} and read {read}")
    return warning_if(problems, "declared and consistent")
