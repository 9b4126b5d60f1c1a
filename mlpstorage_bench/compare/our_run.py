"""A run of this project as it is compared: conditions from its parameters, metrics and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.compare.figures import DEFINITIONS, OURS, figures_of, other_figures
from mlpstorage_bench.compare.reference_run import identity_of
from mlpstorage_bench.compare.subject import NOT_RECORDED, Figure, Program, Subject, by_case, span
from mlpstorage_bench.compare.workload_facts import workload_facts
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.leaves import kv_figures
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.preloads import preloaded
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.metric.values import Values, numbers_of
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
_OF_OTHER_TYPES = (
    ("accelerator", "{}"),
    ("format", "{} files"),
    ("reader", "reader {}"),
    ("epochs", "{} epochs"),
    ("steps", "{} steps"),
    ("scale", "scale {:g}"),
)
"""Parameters in the short line of a workload; differences are found in all facts of it."""
_KV_CACHE = "kv_cache"
_OF_CASES = ("options", "workloads")
"""Parts of a plan's parameters that have those of each case; types without apply all to each."""
_NULL = "null"
_FINGERPRINT = "workload fingerprint"


def our_subject(
    given: str, run: PastRun, metadata: RunMetadata, document: Document, leaf: Leaf
) -> Subject:
    """Return a run of this project for a comparison; `document` is its whole metadata."""
    planned = Document(metadata.effective_parameters, run.path)
    values = metadata.values_by_case
    recorded = {name: leaf.first_document_of(name) for name in values}
    workloads = {name: _parameters(recorded[name], planned, name) for name in values}
    libraries = sorted(preloaded(document))
    of_cases = {
        "trials": {name: f"{one.get('trials', '-')}" for name, one in values.items()},
        "workload": {name: _workload(one) for name, one in workloads.items()},
        "window": dict(_windows(values)),
        "direct I/O": {name: _io(one, recorded[name]) for name, one in workloads.items()},
        "flush": {name: _flush(one) for name, one in workloads.items()},
        "audit": {name: _audit(one) for name, one in values.items()},
        "reads checked": {name: _checks(one) for name, one in workloads.items()},
    }
    fingerprints = {
        case.name: case.workload_fingerprint
        for case in run.cases
        if case.workload_fingerprint is not None
    }
    if fingerprints:
        of_cases[_FINGERPRINT] = fingerprints
    conditions = {
        "program": str(Program.OURS),
        "benchmark type": run.benchmark_type,
        "model": run.model,
        "mode": run.mode,
        "ranks and hosts": f"{run.ranks} on {run.num_hosts}",
        "trials": by_case(of_cases["trials"]),
        "workload": by_case(of_cases["workload"]),
        "window": by_case(of_cases["window"]),
        "bytes that count": DEFINITIONS[OURS].partition(";")[0],
        "p95": DEFINITIONS[OURS].rpartition("; p95 ")[2],
        "direct I/O": by_case(of_cases["direct I/O"]),
        "flush": by_case(of_cases["flush"]),
        "audit": by_case(of_cases["audit"]),
        "reads checked": by_case(of_cases["reads checked"]),
        "preloads": ", ".join(one.rpartition("/")[2] for one in libraries) or "none recorded",
    }
    if run.benchmark_type == _KV_CACHE:
        cases = dict(_cases(values, leaf))
    else:
        del conditions["window"], of_cases["window"]  # it ends with the work: a figure
        cases = dict(_other_cases(values, descriptions_of(metadata)))
    return Subject(
        given,
        Program.OURS,
        identity_of(run),
        conditions,
        cases,
        _fingerprints(run, fingerprints),
        metadata.own.notes,
        of_cases,
        {
            name: workload_facts(metadata.cases[name].workload_fingerprint_parts, one.value)
            for name, one in workloads.items()
            if name in metadata.cases and metadata.cases[name].workload_fingerprint_parts
        },
    )


def _parameters(recorded: Document | None, planned: Document, case: str) -> Document:
    """Return the parameters of a case as it ran; those of the plan where no rank recorded them."""
    ran = None if recorded is None else recorded.part("mlpstorage", "parameters")
    if ran is not None and not ran.is_empty:
        return ran
    return next((planned.part(one, case) for one in _OF_CASES if planned.has(one)), planned)


def _fingerprints(run: PastRun, of_workloads: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of what has to be equal for comparable runs."""
    found = {_FINGERPRINT: by_case(of_workloads)} if of_workloads else {}
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


def _other_cases(
    values: Mapping[str, Values], described: Mapping[str, Description]
) -> Iterator[tuple[str, list[Figure]]]:
    """Yield the figures of a run of another benchmark type: those of the terminal's table."""
    shown = {name: one for name, one in described.items() if one.shown >= Shown.HEADLINE}
    for name, metrics in values.items():
        numbers = numbers_of({one: metrics[one] for one in shown if one in metrics})
        yield name, list(other_figures(numbers, described))


def _aggregated(summary: Document) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the aggregates of each case: of options, and of other cases under our own part."""
    for name, case in summary.items("mlpstorage", "cases"):
        yield name, kv_figures.of_summary(case)
    for name, option in summary.items("options"):
        yield name, kv_figures.of_summary(option)


def _workload(parameters: Document) -> str:
    found = []
    for name, form in (*_WORKLOAD, *_OF_OTHER_TYPES):
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


def _io(parameters: Document, recorded: Document | None) -> str:
    if parameters.text("storage") == _NULL:
        return "no storage: simulated"
    used = None if recorded is None else recorded.text("mlpstorage", "io_mode")
    mode = used or parameters.text("io_mode")
    return {
        "direct": "yes",
        "buffered": "no: through the page cache",
        "uncached": "no: through the page cache, staying out of it afterwards",
    }.get(mode or "", "where the filesystem has it")


def _flush(parameters: Document) -> str:
    durability, fsync = parameters.text("durability"), parameters.flag("fsync")
    if fsync is not None:  # of checkpoints
        return "fsync of each file" if fsync else "none"
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
