"""Parameters of the reference's `--params`, and the setting here of each; or that there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_KIB = 1024

_SETTINGS: Mapping[str, str] = {
    "dataset.num_files_train": "training.num_files_train",
    "dataset.num_samples_per_file": "training.num_samples_per_file",
    "dataset.format": "training.format",
    "reader.batch_size": "training.batch_size",
    "reader.read_threads": "training.read_threads",
    "reader.prefetch_size": "training.prefetch_size",
    "train.epochs": "training.epochs",
    "train.computation_time": "training.computation_time",
    "train.total_training_steps": "training.steps",
    "checkpoint.num_checkpoints_write": "checkpointing.num_checkpoints_write",
    "checkpoint.num_checkpoints_read": "checkpointing.num_checkpoints_read",
    "checkpoint.fsync": "checkpointing.fsync",
    "checkpoint.time_between_checkpoints": "checkpointing.time_between_checkpoints",
}
"""Those with the same values here, and their keys."""

NO_SETTING = "there is no such setting here; leave it out"
"""Form of a parameter that is unknown, or has no counterpart."""
_SIZES = "no setting: sizes are those of the model, times --mlps-set training.scale=VALUE"
_FILES_ALONE = "only files are measured"
_OTHERS: Mapping[str, str] = {
    "dataset.data_folder": "--mlps-cache-dir {}",
    "checkpoint.checkpoint_folder": "--mlps-cache-dir {}",
    "storage.storage_root": "--mlps-cache-dir {}",
    "storage.storage_type": _FILES_ALONE,
    "storage.storage_options": _FILES_ALONE,
    "storage.s3_force_path_style": _FILES_ALONE,
    "dataset.record_length_bytes": _SIZES,
    "dataset.record_length_bytes_stdev": _SIZES,
    "dataset.record_length_bytes_resize": _SIZES,
    "dataset.num_subfolders_train": "no setting: a dataset has no subfolders",
    "dataset.skip_listing": NO_SETTING,
    "dataset.listing_validation_interval": NO_SETTING,
    "dataset.num_files_eval": "no setting: there is no evaluation",
    "dataset.keep_files": "no setting: data stays for other runs",
    "reader.data_loader": "--mlps-set training.reader=torch, for PyTorch's loader itself",
    "reader.computation_threads": NO_SETTING,
    "reader.multiprocessing_context": NO_SETTING,
    "reader.file_shuffle": "no setting: files are shuffled by --mlps-seed",
    "reader.sample_shuffle": "no setting: samples are shuffled by --mlps-seed",
    "train.seed": "--mlps-seed {}",
    "checkpoint.mode": "--mlps-set checkpointing.subset=true, for subset",
    "checkpoint.checkpoint_after_epoch": "no setting: the type checkpointing writes checkpoints",
    "workflow.generate_data": "--mlps-datagen",
    "workflow.train": NO_SETTING,
    "workflow.checkpoint": "no setting: the type checkpointing writes checkpoints",
    "metric.au": "--mlps-gate-rule 'au: >= 90', with the least percentage",
    "framework": "no setting: PyTorch's way of loading",
}
"""Other parameters, and their form here; {} is the value."""
_CONVERTED = ("reader.odirect", "reader.transfer_size")
_SECTIONS = frozenset(name.partition(".")[0] for name in (*_SETTINGS, *_OTHERS)) - {"framework"}


def form_of_parameter(name: str, value: str) -> str:
    """Return the form here of a parameter of the reference; '' if it is none of its names."""
    if name in _SETTINGS:
        return f"--mlps-set {_SETTINGS[name]}={value}"
    if name == "reader.odirect":
        mode = "buffered" if value.lower() in ("false", "0") else "direct"
        return f"--mlps-set training.io_mode={mode}"
    if name == "reader.transfer_size":
        size = f"{int(value) // _KIB}" if value.isdecimal() else "KIB"
        return f"--mlps-set training.io_chunk_kib={size}, in KiB"
    group = ".".join(name.split(".")[:2])
    if group in _OTHERS:
        return _OTHERS[group].format(value)
    section, dot, _ = name.partition(".")
    return NO_SETTING if dot and section in _SECTIONS else ""


def every_parameter() -> Iterator[tuple[str, str]]:
    """Yield each known parameter of the reference, and its form here."""
    for name in (*_SETTINGS, *_CONVERTED, *_OTHERS):
        yield name, form_of_parameter(name, "VALUE")
