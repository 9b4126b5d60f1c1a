"""Parameters of a training, and their validation. Names are the reference's, if it has them."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from mlpstorage_bench.profiles.quantities import SomeGib, unit
from mlpstorage_bench.profiles.schema import Strict
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.training.workload.epochs import Epochs
from mlpstorage_bench.training.workload.models import MODELS, Accelerator, ModelName, TrainingModel
from mlpstorage_bench.training.workload.samples import SECTOR_BYTES, Dataset

AcceleratorName = Literal["a100", "b200", "h100", "mi355"]
Format = Literal["raw", "npz", "jpeg", "parquet"]
Reader = Literal["model", "torch"]
TrainingIoMode = Literal["direct", "buffered"]

SYNONYMS = {"data_format": "format", "workers": "read_threads", "files": "num_files_train"}
"""Another accepted name of a parameter → its own name."""


class TrainingWorkload(Strict):
    """Parameters of one training, which runs in one test case."""

    title: str = "untitled"
    """Name of the training for readers."""
    model: ModelName
    """Model whose samples are read."""
    accelerator: AcceleratorName = "b200"
    """Accelerator that each rank simulates: its batch size and computation time."""
    batch_size: int | None = Field(default=None, ge=1, le=1 << 24)
    """Samples of a step; None: the accelerator's."""
    computation_time: float | None = Field(
        default=None, ge=0, le=3600, allow_inf_nan=False, json_schema_extra=unit("s")
    )
    """Time that the accelerator works on a batch; None: the accelerator's."""
    epochs: int | None = Field(default=None, ge=1, le=1000)
    """Passes over the dataset; None: the accelerator's."""
    steps: int | None = Field(default=None, ge=2, le=1 << 31)
    """Limit of the steps of an epoch; None: until the data is used up.

    If `num_files_train` is not set, the dataset is as large as these steps need.
    """
    scale: float = Field(default=1.0, ge=1e-6, le=1.0, allow_inf_nan=False)
    """Factor for the size of samples, for small machines; the computation time stays."""
    num_files_train: int | None = Field(default=None, ge=1, le=1 << 32)
    """Files of the dataset; None: as many as `steps`, or else the rules, demand."""
    num_samples_per_file: int | None = Field(default=None, ge=1, le=1 << 32)
    """Samples of a file; None: the model's."""
    client_host_memory_in_gb: SomeGib | None = None
    """Memory of a host for the size of the dataset; None: the memory that it has."""
    format: Format = "raw"
    """`raw`: checked bytes in files of the right size; the others: files of the model's format."""
    reader: Reader = "model"
    """`model`: our model of PyTorch's loader; `torch`: PyTorch's loader itself."""
    read_threads: int | None = Field(default=None, ge=0, le=1024)
    """Workers of a rank's loader; None: the accelerator's; 0: it reads by itself."""
    prefetch_size: int = Field(default=2, ge=0, le=4096)
    """Batches that are read ahead, as the reference counts them: at least one per worker."""
    prefetch_factor: int | None = Field(default=None, ge=1, le=4096)
    """Batches that each worker reads ahead; None: `prefetch_size` ÷ workers, rounded up."""
    io_mode: TrainingIoMode | None = None
    """`direct`, or `buffered`: through the page cache; None: direct where it is available."""
    io_chunk_kib: int = Field(default=1024, ge=4, le=1 << 16, multiple_of=4)
    """Largest part of a file that is moved at once."""
    chunks_in_flight: int = Field(default=4, ge=1, le=256)
    """Chunks that a worker has in flight at once."""
    io_threads: int = Field(default=1, ge=1, le=64)
    """Threads that serve a rank's workers."""
    io_queue: QueueChoice = "auto"
    """Interface of the kernel that moves chunks."""
    verify_rate: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    """Share of chunks whose content is checked when they are read."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        model = self.training_model
        if self.accelerator not in model.accelerators and (
            self.batch_size is None or self.computation_time is None
        ):
            known = " or ".join(model.accelerators)
            models = " or ".join(
                name for name, other in MODELS.items() if self.accelerator in other.accelerators
            )
            raise ValueError(
                f"{self.model} has no times of {self.accelerator}: set accelerator to {known}, "
                f"model to {models}, or both batch_size and computation_time"
            )
        group = model.samples_per_group
        for name, value in (
            ("batch_size", self.batch),
            ("num_samples_per_file", self.samples_per_file),
        ):
            if value % group:
                raise ValueError(
                    f"{name} of {self.model} is a multiple of {group}, the samples that lie "
                    f"together (given: {value})"
                )
        if self.format not in ("raw", model.file_format):
            raise ValueError(f"{self.model} has the formats raw and {model.file_format}")
        if self.reads_by_library and self.io_mode == "direct":
            raise ValueError("libraries read through the page cache: io_mode buffered")
        if self.format == "raw" and not self.dataset(1, 0).read_bytes(0):
            least = model.columns * SECTOR_BYTES / (group * model.record_bytes)
            raise ValueError(
                f"scale {self.scale:g} makes columns of {self.model} smaller than the unit of "
                f"{SECTOR_BYTES} bytes that raw files are read in, and nothing would be read: from "
                f"{least:.2g} on, each column has such a unit"
            )
        return self

    @property
    def reads_by_library(self) -> bool:
        """Whether a library reads the files, and not this package's queues."""
        return self.format != "raw" or self.reader == "torch"

    @property
    def asked_mode(self) -> TrainingIoMode | None:
        """Mode of reads; None: direct where it is available."""
        return "buffered" if self.reads_by_library else self.io_mode

    @property
    def settings_of_direct_reads(self) -> str:
        """Settings with which the same samples are read around the page cache."""
        others = (
            ("format", self.format, "raw"),
            ("reader", self.reader, "model"),
            ("io_mode", self.io_mode, "direct"),
        )
        return " and ".join(f"{name}={other}" for name, own, other in others if own != other)

    @property
    def training_model(self) -> TrainingModel:
        """The model's facts."""
        return MODELS[self.model]

    @property
    def _accelerator(self) -> Accelerator | None:
        return self.training_model.accelerators.get(self.accelerator)

    @property
    def _any_accelerator(self) -> Accelerator:
        """The accelerator, or the first of the model if its facts are given by hand."""
        return self._accelerator or next(iter(self.training_model.accelerators.values()))

    @property
    def batch(self) -> int:
        """Samples of a step of one rank."""
        return self._any_accelerator.batch_size if self.batch_size is None else self.batch_size

    @property
    def computation_s(self) -> float:
        """Time that the accelerator works on a batch."""
        given = self.computation_time
        return self._any_accelerator.computation_s if given is None else given

    @property
    def workers(self) -> int:
        """Workers of a rank's loader."""
        given = self.read_threads
        return self._any_accelerator.read_threads if given is None else given

    @property
    def epoch_count(self) -> int:
        """Passes over the dataset."""
        return self._any_accelerator.epochs if self.epochs is None else self.epochs

    @property
    def ahead(self) -> int:
        """Batches that each worker reads ahead."""
        if self.prefetch_factor is not None:
            return self.prefetch_factor
        return math.ceil(self.prefetch_size / self.workers) or 2 if self.workers else 0

    @property
    def samples_per_file(self) -> int:
        """Samples of a file."""
        given = self.num_samples_per_file
        return self.training_model.samples_per_file if given is None else given

    @property
    def groups_per_batch(self) -> int:
        """Units that are read as a whole, of a batch."""
        return self.batch // self.training_model.samples_per_group

    @property
    def lanes(self) -> int:
        """Concurrent readers of a rank."""
        return max(1, self.workers)

    def files_for_steps(self, ranks: int) -> int | None:
        """Return the number of files that the limit of steps needs; None without a limit."""
        if self.steps is None:
            return None
        return -(-self.steps * self.batch * ranks // self.samples_per_file)

    def dataset(self, files: int, seed: int) -> Dataset:
        """Return a dataset of so many files."""
        return Dataset(self.training_model, files, seed, self.scale, self.samples_per_file)

    def epochs_of(self, dataset: Dataset, ranks: int) -> Epochs:
        """Return the order in which ranks read a dataset."""
        return Epochs(dataset.groups, self.groups_per_batch, ranks, dataset.seed, self.steps)
