"""A run of this project as it is compared: conditions from its parameters, metrics and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.compare.figures import DEFINITIONS, OURS, figures_of
from mlpstorage_bench.compare.reference_run import identity_of
from mlpstorage_bench.compare.subject import NOT_RECORDED, Figure, Program, Subject, by_case, span
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.leaves import kv_figures
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.preloads import preloaded
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.results.run_metadata import RunMetadata

_OF_SUMMARY = ("storage_tokens_per_s", "read_host_p95_ms", "request_io_p95_ms")
"""Figures that only the summary has, by the reference's aggregation."""
_WORKLOAD = (
    ("model", "{}"),
    ("num_users", "{} users"),
    ("duration", "{:g} s"),
    ("gpu_mem_gb", "GPU {:g} GiB"),
    ("cpu_mem_gb", "CPU {:g} GiB"),
    ("max_concurrent_allocs", "{} at once"),
    ("generation_mode", "generation {}"),
)
_NULL = "null"


def our_subject(
    given: str, run: PastRun, metadata: RunMetadata, document: Document, leaf: Leaf
) -> Subject:
    """Return a run of this project for a comparison; `document` is its whole metadata."""
    options = Document(metadata.effective_parameters, run.path).part("options")
    values = metadata.values_by_case
    workloads = {name: options.part(name) for name in values}
    used = _modes(leaf)
    libraries = sorted(preloaded(document))
    conditions = {
        "program": str(Program.OURS),
        "benchmark type": run.benchmark_type,
        "model": run.model,
        "mode": run.mode,
        "ranks and hosts": f"{run.ranks} on {run.num_hosts}",
        "trials": by_case({name: f"{one.get('trials', '-')}" for name, one in values.items()}),
        "workload": by_case({name: _workload(one) for name, one in workloads.items()}),
        "window": by_case(dict(_windows(values))),
        "bytes that count": DEFINITIONS[OURS].partition(";")[0],
        "p95": DEFINITIONS[OURS].rpartition("; p95 ")[2],
        "direct I/O": by_case({name: _io(one, used.get(name)) for name, one in workloads.items()}),
        "flush": by_case({name: _flush(one) for name, one in workloads.items()}),
        "audit": by_case({name: _audit(one) for name, one in values.items()}),
        "reads checked": by_case({name: _checks(one) for name, one in workloads.items()}),
        "preloads": ", ".join(one.rpartition("/")[2] for one in libraries) or "none recorded",
    }
    cases = dict(_cases(values, leaf))
    return Subject(
        given,
        Program.OURS,
        identity_of(run),
        conditions,
        cases,
        _fingerprints(run),
        metadata.own.notes,
    )


def _fingerprints(run: PastRun) -> dict[str, str]:
    """Return the digests of what has to be equal for comparable runs."""
    workloads = {case.name: case.workload_fingerprint for case in run.cases}
    known = {name: one for name, one in workloads.items() if one is not None}
    found = {"workload fingerprint": by_case(known)} if known else {}
    if run.system_fingerprint is not None:
        found["system fingerprint"] = run.system_fingerprint
    return found


def _cases(values: Mapping[str, Values], leaf: Leaf) -> Iterator[tuple[str, list[Figure]]]:
    summary = leaf.any_summary
    options = {} if isinstance(summary, Unreadable) else dict(_aggregated(summary))
    for name, metrics in values.items():
        aggregated = options.get(name, {})
        others = {one: aggregated[one] for one in _OF_SUMMARY if one in aggregated}
        yield name, list(figures_of({**metrics, **others}, OURS))


def _aggregated(summary: Document) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the aggregates of each case: of options, and of other cases under our own part."""
    for name, case in summary.items("mlpstorage", "cases"):
        yield name, kv_figures.of_summary(case)
    for name, option in summary.items("options"):
        yield name, kv_figures.of_summary(option)


def _workload(parameters: Document) -> str:
    found = []
    for name, form in _WORKLOAD:
        number, text = parameters.number(name), parameters.text(name)
        if number is not None and "g}" in form:
            found.append(form.format(number))
        elif number is not None:
            found.append(form.format(f"{number:g}"))
        elif text is not None:
            found.append(form.format(text))
    return ", ".join(found)


def _windows(values: Mapping[str, Values]) -> Iterator[tuple[str, str]]:
    for name, metrics in values.items():
        given = metrics.get("window_s")
        windows = given if isinstance(given, list) else [given]
        numbers = [one for one in windows if isinstance(one, int | float)]
        yield name, f"{span(numbers)} s" if numbers else "none"


def _modes(leaf: Leaf) -> dict[str, str]:
    """Return how each option moved bytes, as the file of its first rank records it."""
    first = {str(file.option): file for file in reversed(leaf.rank_files)}
    documents = {option: file.document for option, file in first.items()}
    modes = {
        option: document.text("mlpstorage", "io_mode")
        for option, document in documents.items()
        if not isinstance(document, Unreadable)
    }
    return {option: mode for option, mode in modes.items() if mode is not None}


def _io(parameters: Document, used: str | None) -> str:
    if parameters.text("storage") == _NULL:
        return "no storage: simulated"
    mode = used or parameters.text("io_mode")
    return {
        "direct": "yes",
        "buffered": "no: through the page cache",
    }.get(mode or "", "where the filesystem has it")


def _flush(parameters: Document) -> str:
    durability = parameters.text("durability")
    if durability == "none":
        return "none"
    return f"{durability} of each entry" if durability else NOT_RECORDED


def _audit(metrics: Values) -> str:
    verdict, ratio = metrics.get("audit_verdict"), metrics.get("audit_ratio")
    if isinstance(ratio, int | float):
        return f"{verdict}, {ratio:.3f} of the kernel's count"
    return str(verdict or "none")


def _checks(parameters: Document) -> str:
    rate = parameters.number("verify_rate")
    return "none" if not rate else f"{rate:.0%} of chunks"
