"""Models: how their samples lie in files, and what an accelerator does with a batch.

Source: the reference's workloads, edition 3.0; those of a100 and h100 are of earlier editions. The
dataset of a model is the same for all its accelerators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

ModelName = Literal["unet3d", "retinanet", "flux", "dlrm"]
FileFormat = Literal["npz", "jpeg", "parquet"]


@dataclass(frozen=True)
class Accelerator:
    """One accelerator: its batches and the time that it works on each."""

    batch_size: int
    """Samples of a step."""
    computation_s: float
    """Time in which it works on a batch."""
    read_threads: int
    """Workers of its loader; 0: it reads by itself."""
    epochs: int


@dataclass(frozen=True)
class TrainingModel:
    """The dataset of a model, and its accelerators."""

    name: ModelName
    file_format: FileFormat
    record_bytes: int
    """Mean size of a sample."""
    files: int
    """Number of files of the reference's dataset before it is adapted to the hosts."""
    least_au: float
    """Least accelerator utilization, as a share, that the rules accept."""
    accelerators: Mapping[str, Accelerator]
    samples_per_file: int = 1
    samples_per_group: int = 1
    """Samples that lie together and are read together."""
    record_stdev_bytes: int = 0
    columns: int = 1
    """Columns of a group, which lie one behind the other."""
    column_bytes: tuple[int, ...] = ()
    """Bytes of a sample in each column of a file with columns; () if all are equal."""
    read_every: int = 1
    """Number of columns of which one is read."""
    is_sanctioned: bool = False
    """Whether the closed division has the model."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Further facts of the model's part of the reference's parameters."""


def _by_name(*models: TrainingModel) -> Mapping[str, TrainingModel]:
    return MappingProxyType({model.name: model for model in models})


MODELS = _by_name(
    TrainingModel(
        name="unet3d",
        file_format="npz",
        record_bytes=146_600_628,
        record_stdev_bytes=68_341_808,
        files=7200,
        least_au=0.90,
        accelerators={
            "b200": Accelerator(7, 0.162, read_threads=4, epochs=5),
            "h100": Accelerator(7, 0.323, read_threads=4, epochs=5),
            "a100": Accelerator(7, 0.636, read_threads=4, epochs=5),
        },
        is_sanctioned=True,
        facts={"type": "cnn", "model_size": 499_153_191},
    ),
    TrainingModel(
        name="retinanet",
        file_format="jpeg",
        record_bytes=322_957,
        files=1_170_301,
        least_au=0.85,
        accelerators={
            "b200": Accelerator(24, 0.04755, read_threads=8, epochs=8),
            "mi355": Accelerator(36, 0.071325, read_threads=8, epochs=8),
        },
        is_sanctioned=True,
        facts={"type": "cnn"},
    ),
    TrainingModel(
        name="flux",
        file_format="parquet",
        record_bytes=2_164_832,
        files=4296,
        least_au=0.90,
        accelerators={
            "b200": Accelerator(48, 1.35, read_threads=8, epochs=1),
            "mi355": Accelerator(72, 2.025, read_threads=8, epochs=1),
        },
        samples_per_file=288,
        column_bytes=tuple(4 * floats for floats in (524_328, 409, 8232, 8232, 7)),
    ),
    TrainingModel(
        name="dlrm",
        file_format="parquet",
        record_bytes=761,
        files=1024,
        least_au=0.70,
        accelerators={
            "b200": Accelerator(12_288, 0.000375, read_threads=0, epochs=2),
            "mi355": Accelerator(18_432, 0.0005625, read_threads=4, epochs=1),
        },
        samples_per_file=1_536_000,
        samples_per_group=6144,
        columns=200,
        read_every=5,
    ),
)
