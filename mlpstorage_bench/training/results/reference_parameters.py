"""Parameters of a training in the reference's form: nested, with its names and words.

Format and loader are those that the reference has for the model: its readers know neither raw files
nor our model of the loader. Facts of the case say what was used (`fixture.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.place import Contents, DatasetPlace
from mlpstorage_bench.training.workload.models import MODELS

DOTTED: Mapping[str, str] = {
    "num_files_train": "dataset.num_files_train",
    "num_samples_per_file": "dataset.num_samples_per_file",
    "format": "dataset.format",  # of its own formats: raw is ours
    "batch_size": "reader.batch_size",
    "read_threads": "reader.read_threads",
    "prefetch_size": "reader.prefetch_size",
    "io_mode": "reader.odirect",
    "io_chunk_kib": "reader.transfer_size",
    "reader": "reader.data_loader",
    "epochs": "train.epochs",
    "computation_time": "train.computation_time",
    "steps": "train.total_training_steps",
}
"""Our parameter → the reference's, where it has one."""
_OURS_ALONE = frozenset({("format", "raw"), ("reader", "model")})
"""Values of ours that the reference does not have."""
ARGUMENTS = frozenset({"model", "accelerator", "client_host_memory_in_gb"})
"""Keys of arguments of the reference's command, which are no parameters of the workload."""
_RESOLVED: Mapping[str, str] = {
    "batch_size": "batch",
    "computation_time": "computation_s",
    "epochs": "epoch_count",
    "num_samples_per_file": "samples_per_file",
    "read_threads": "workers",
}
"""Parameter that may be left to the model → what then has its value."""
_LOADER = "pytorch"
_KIB = 1024


def reference_parameters(
    workload: TrainingWorkload, files: int, data_folder: str, *, generates: bool = False
) -> Json:
    """Return the resolved parameters of a training of so many files."""
    model = MODELS[workload.model]
    return {
        "model": {"name": model.name, **model.facts},
        "framework": _LOADER,
        "workflow": {"generate_data": generates, "train": not generates, "checkpoint": False},
        "dataset": {
            "data_folder": data_folder,
            "format": model.file_format if workload.format == "raw" else workload.format,
            "num_files_train": files,
            "num_samples_per_file": workload.samples_per_file,
            "record_length_bytes": max(1, round(model.record_bytes * workload.scale)),
            **(
                {"record_length_bytes_stdev": round(model.record_stdev_bytes * workload.scale)}
                if model.record_stdev_bytes
                else {}
            ),
            "num_subfolders_train": 0,
        },
        "reader": {
            "data_loader": _LOADER,
            "batch_size": workload.batch,
            "read_threads": workload.workers,
            "prefetch_size": workload.prefetch_size,
            "transfer_size": workload.io_chunk_kib * _KIB,
            "file_shuffle": "seed",
            "sample_shuffle": "seed",
            "odirect": workload.io_mode == "direct",
        },
        "train": {"epochs": workload.epoch_count, "computation_time": workload.computation_s},
        "metric": {"au": model.least_au},
    }


def parameters_of_run(parameters: Json, cases: Sequence[CaseRecord]) -> Json:
    """Return the resolved parameters of a run's first training.

    `parameters` are the plan's: those of a run in which none has started yet.
    """
    workload = _first(parameters, cases)
    if workload is None:
        return {}
    cache_dir = str(parameters.get("cache_dir", ""))
    return reference_parameters(
        workload,
        workload.num_files_train or 0,
        _data_folder(workload, cache_dir, parameters.get("seed")),
        generates=parameters.get("generates") is True,
    )


def accelerator_of_run(parameters: Json, cases: Sequence[CaseRecord]) -> str | None:
    """Return the accelerator of a run's first training; None if there is none."""
    workload = _first(parameters, cases)
    return None if workload is None else workload.accelerator


def resolved_arguments(parameters: Json, cases: Sequence[CaseRecord]) -> Json:
    """Return the reference's arguments that a run has resolved; none before its first training."""
    workload = _first(parameters, cases) if cases else None
    return {} if workload is None else {"o_direct": workload.io_mode == "direct"}


def _first(parameters: Json, cases: Sequence[CaseRecord]) -> TrainingWorkload | None:
    planned = parameters.get("workloads")
    first = next(iter(planned.values()), None) if isinstance(planned, Mapping) else None
    found = cases[0].parameters if cases else first
    return TrainingWorkload.model_validate(found) if isinstance(found, Mapping) else None


def _data_folder(workload: TrainingWorkload, cache_dir: str, seed: object) -> str:
    """Return the directory of a training's data; the cache directory before its size is known."""
    files = workload.num_files_train
    if files is None or not isinstance(seed, int):
        return cache_dir
    contents = Contents.of(workload, files, seed, workload.io_chunk_kib * _KIB)
    return str(DatasetPlace(Path(cache_dir), contents, workload.dataset(files, seed)).directory)


def changed_parameters(workload: TrainingWorkload) -> dict[str, object]:
    """Return the parameters in which a training differs from its model's, by our names."""
    plain = TrainingWorkload.model_construct(model=workload.model, accelerator=workload.accelerator)
    has_times = workload.accelerator in workload.training_model.accelerators
    return {
        name: value
        for name, value in workload.model_dump().items()
        if name not in ARGUMENTS | {"title"}
        and value != getattr(plain, name)
        and not (has_times and name in _RESOLVED and _resolved(workload, plain, name))
    }


def _resolved(workload: TrainingWorkload, plain: TrainingWorkload, name: str) -> bool:
    """Return whether a value is the one that the model has anyway."""
    return bool(getattr(workload, _RESOLVED[name]) == getattr(plain, _RESOLVED[name]))


def dotted(name: str, value: object) -> tuple[str, object]:
    """Return the reference's name and value of a parameter; ours where it has none."""
    known = DOTTED.get(name)
    if known is None or (name, value) in _OURS_ALONE:
        return f"mlpstorage.{name}", value
    if name == "io_mode":
        return known, value == "direct"
    if name == "reader":
        return known, _LOADER
    if name == "io_chunk_kib" and isinstance(value, int):  # in bytes there
        return known, value * _KIB
    return known, value
