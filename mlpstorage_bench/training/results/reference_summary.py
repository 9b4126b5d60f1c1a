"""Run summary for the reference's readers: `summary.json`, as its training benchmark writes it.

Figures are those of the first training of the run, and of its last trial where it has several;
ours stand under `mlpstorage`: all trainings with their metrics, and whether they may stand beside
MLPerf's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.training.results.recorded_case import objections_to
from mlpstorage_bench.training.results.recorded_rank import recorded_trials
from mlpstorage_bench.training.results.reference_epochs import edges, metric, pooled_epochs
from mlpstorage_bench.training.workload.models import MODELS
from mlpstorage_bench.units import GIB

_MEANING = {
    "metric": "of the last trial of the first training; MB are MiB. mlpstorage.cases has all",
    "num_files_train": "files of the dataset; an epoch of limited steps may read fewer",
}


def summarise(
    cases: Sequence[CaseRecord],
    *,
    directory: Path,
    host_count: int,
    total_ranks: int,
    objections: Sequence[str] = (),
) -> Json:
    """Return the content of `summary.json`; the name of the run's directory is its time."""
    first = next((case for case in cases if case.trials), None)
    return {
        **({} if first is None else _of_case(first, host_count, total_ranks)),
        "mlpstorage": {
            "meaning": _MEANING,
            "run_datetime": directory.name,
            "cases": {
                case.case: {
                    **_judgement([*objections, *objections_to(case, total_ranks)]),
                    "metrics": case.metrics,
                }
                for case in cases
            },
        },
    }


def _of_case(case: CaseRecord, host_count: int, total_ranks: int) -> Json:
    """Return the reference's figures of a training's last trial."""
    ranks = recorded_trials(case)[-1]
    model = MODELS[str(case.parameters["model"])]
    files = _number(case.parameters, "num_files_train")
    per_file = _number(case.parameters, "num_samples_per_file") or model.samples_per_file
    record_bytes = ranks[0].mlpstorage.record_bytes if ranks else model.record_bytes
    epochs = pooled_epochs(ranks)
    start, end = edges(ranks)
    return {
        "start": start,
        "num_accelerators": total_ranks,
        "num_hosts": host_count,
        "hostname": ranks[0].mlpstorage.host if ranks else None,
        "metric": metric(epochs, record_bytes, model.least_au),
        "num_files_train": files,
        "num_files_eval": 0,
        "num_samples_per_file": per_file,
        "data_size_per_host_GB": files * per_file * record_bytes / GIB / max(1, host_count),
        "epochs": len(epochs),
        "end": end,
    }


def _number(parameters: Mapping[str, object], name: str) -> int:
    value = parameters.get(name)
    return value if isinstance(value, int) else 0


def _judgement(objections: Sequence[str]) -> Json:
    return {"valid": not objections, "not_valid_because": objections}
