"""A run of the reference as it is compared: conditions from its commands and the files of ranks."""

from __future__ import annotations

from statistics import median

from mlpstorage_bench.compare.figures import DEFINITIONS, REFERENCE, figures_of, other_figures
from mlpstorage_bench.compare.reference_workload import (
    facts_of_command,
    facts_of_run,
    in_short,
)
from mlpstorage_bench.compare.subject import (
    NOT_RECORDED,
    Figure,
    Program,
    Subject,
    by_case,
    span,
)
from mlpstorage_bench.compare.workload_facts import WorkloadFacts
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.leaves.definitions import UNLIKE_OURS
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import Invocation, invocations
from mlpstorage_bench.leaves.leaf import Leaf, RankFile
from mlpstorage_bench.leaves.preloads import preloaded
from mlpstorage_bench.leaves.rank_figures import (
    Flushes,
    elapsed_s,
    greatest_latency_s,
    large_flushes,
)
from mlpstorage_bench.leaves.reading import Unreadable, read_json
from mlpstorage_bench.leaves.reference_run import COUNT_AS_ONE_TRIAL
from mlpstorage_bench.results.run_metadata import RunMetadata

_WORKLOAD = (
    ("--model", "{}"),
    ("--num-users", "{} users"),
    ("--duration", "{} s"),
    ("--gpu-mem-gb", "GPU {} GiB"),
    ("--cpu-mem-gb", "CPU {} GiB"),
    ("--max-concurrent-allocs", "{} at once"),
    ("--generation-mode", "generation {}"),
)
"""Options of a rank, and how a value is shown."""
BUFFERED = "no: through the page cache, which each read is to drop first"
"""The reference has no other way."""
_RUN = "run"
"""Name for the only case of a run that has none."""


def reference_subject(given: str, run: PastRun, metadata: RunMetadata, leaf: Leaf) -> Subject:
    """Return a run of the reference for a comparison; `metadata` has its trials."""
    described = descriptions_of(metadata)
    cases: dict[str, list[Figure]] = {
        name: list(figures_of(values, REFERENCE))
        for name, values in metadata.values_by_case.items()
    }
    is_of_cases = bool(metadata.own.metric_descriptions)
    content = leaf.metadata
    known = Document(None, leaf.path) if isinstance(content, Unreadable) else content
    workloads: dict[str, WorkloadFacts] = {}
    conditions = {
        "program": str(Program.REFERENCE),
        "benchmark type": run.benchmark_type,
        "model": run.model,
        "mode": run.mode,
        "ranks and hosts": f"{run.ranks} on {run.num_hosts}",
    }
    if is_of_cases:
        commands = _first_commands(known)
        conditions |= _kv_conditions(metadata, leaf, commands)
        workloads = {name: facts_of_command(one) for name, one in commands.items()}
    elif metadata.numbers:
        conditions["workload"] = in_short(known)
        cases[_RUN] = list(other_figures(metadata.numbers, described))
        facts = facts_of_run(known)
        workloads = {} if facts is None else {_RUN: facts}
    conditions["preloads"] = _preloads(leaf)
    notes = tuple(
        note
        for note in metadata.own.notes
        if note not in UNLIKE_OURS and not note.endswith(COUNT_AS_ONE_TRIAL)
    )
    return Subject(
        given,
        Program.REFERENCE,
        identity_of(run),
        conditions,
        cases,
        notes=notes,
        workloads=workloads,
    )


def identity_of(run: PastRun) -> str:
    """Return what a run is, in one line."""
    of = " ".join(filter(None, (run.mode, run.systemname, run.benchmark_type, run.model)))
    return f"{run.run_id}: {of} {run.command}, {run.status}"


def _kv_conditions(
    metadata: RunMetadata, leaf: Leaf, commands: dict[str, Invocation]
) -> dict[str, str]:
    ends = _Ends(leaf.rank_files)
    trials = {name: str(len(case.trials)) for name, case in metadata.cases.items()}
    counted = {
        option: f"{found.count('trial_count')}"
        for option, found in _options(leaf)
        if found.count("trial_count") is not None
    }
    return {
        "trials": by_case(counted or trials),
        "workload": by_case({name: _workload(one) for name, one in commands.items()}),
        "window": by_case(_windows(commands, ends)),
        "bytes that count": DEFINITIONS[REFERENCE].partition(";")[0],
        "p95": DEFINITIONS[REFERENCE].rpartition("; p95 ")[2],
        "direct I/O": BUFFERED,
        "flush": _flush(ends),
        "audit": "none",
        "reads checked": "none",
    }


def _options(leaf: Leaf) -> list[tuple[str, Document]]:
    summary = leaf.any_summary
    return [] if isinstance(summary, Unreadable) else list(summary.items("options"))


def _first_commands(metadata: Document) -> dict[str, Invocation]:
    """Return the first command of each option."""
    found: dict[str, Invocation] = {}
    for one in invocations(metadata):
        if one.option is not None:
            found.setdefault(str(one.option), one)
    return found


def _workload(command: Invocation) -> str:
    values = ((command.value(option), form) for option, form in _WORKLOAD)
    return ", ".join(form.format(value) for value, form in values if value is not None)


class _Ends:
    """How long the ranks of each option measured, and how long their last requests took."""

    def __init__(self, files: list[RankFile]) -> None:
        self.elapsed: dict[str, list[float]] = {}
        self.latest: dict[str, list[float]] = {}
        self.flushes: list[Flushes] = []
        for file in files:
            document = read_json(file.path)  # large, and not kept
            if isinstance(document, Unreadable):
                continue
            elapsed, latest = elapsed_s(document), greatest_latency_s(document)
            if elapsed is not None:
                self.elapsed.setdefault(str(file.option), []).append(elapsed)
            if latest is not None:
                self.latest.setdefault(str(file.option), []).append(latest)
            flushes = large_flushes(document)
            if flushes is not None:
                self.flushes.append(flushes)


def _windows(commands: dict[str, Invocation], ends: _Ends) -> dict[str, str]:
    found = {
        name: f"{duration} s"
        for name, command in commands.items()
        if (duration := command.value("--duration")) is not None
    }
    for name, elapsed in ends.elapsed.items():
        late = max(ends.latest.get(name, [0.0]))
        after = f", a request took {late:.1f} s" if late > max(elapsed) else ""
        found[name] = f"{span(elapsed)} s{after}"
    return dict(sorted(found.items()))


def _flush(ends: _Ends) -> str:
    if not ends.flushes:
        return "each entry (fsync); how long it took is not recorded"
    took = median(one.median_ms for one in ends.flushes)
    nothing = any(one.move_nothing for one in ends.flushes)
    meaning = ", too little to move anything to a device" if nothing else ""
    return f"each entry (fsync); half took less than {took:.3g} ms{meaning}"


def _preloads(leaf: Leaf) -> str:
    if isinstance(leaf.metadata, Unreadable):
        return NOT_RECORDED
    libraries = sorted(preloaded(leaf.metadata))
    return ", ".join(one.rpartition("/")[2] for one in libraries) or "none recorded"
