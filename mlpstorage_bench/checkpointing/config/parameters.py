"""Parameters of checkpointing, and their validation. Names are the reference's, if it has them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mlpstorage_bench.checkpointing.model.shapes import Model, model_named
from mlpstorage_bench.checkpointing.model.writers import FileForm, Writer
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.profiles.quantities import Seconds, unit
from mlpstorage_bench.profiles.schema import Strict
from mlpstorage_bench.storage.files import Durability, IoMode
from mlpstorage_bench.storage.kernel_queue import QueueChoice

ModelName = Literal["llama3-8b", "llama3-70b", "llama3-405b", "llama3-1t"]
Phase = Literal["both", "write", "read"]
Kind = Literal["write", "read"]
KINDS: tuple[Kind, ...] = ("write", "read")
MOST_CHECKPOINTS = 255
"""Each has a directory whose name has two hexadecimal digits."""


class Parameters(Strict):
    """Parameters of one run: the checkpoints of one model."""

    model: ModelName
    """Model whose training state is written."""
    phase: Phase = "both"
    """`write` writes checkpoints and leaves them; `read` reads those that a run before has left."""
    accelerator: Literal["b200", "mi355", "h100", "a100"] | None = None
    """Accelerator whose memory the rules compare with the size of a checkpoint."""
    num_checkpoints_write: int = Field(default=10, ge=1, le=MOST_CHECKPOINTS)
    """Checkpoints that are written."""
    num_checkpoints_read: int = Field(default=10, ge=1, le=MOST_CHECKPOINTS)
    """Checkpoints that are read, the first one first."""
    time_between_checkpoints: Seconds = 5.0
    """Pause before each checkpoint, in seconds, as training goes on; no measured time includes it.
    After an asynchronous checkpoint it begins when that is in memory."""
    fsync: bool = True
    """Whether a file is complete when it is on the storage."""
    writer: Writer = "rank"
    """Form of the files: one per rank, PyTorch's DCP, Megatron's, or safetensors."""
    files_per_rank: int = Field(default=1, ge=1, le=64)
    """Files among which a rank divides its share, with the writer `dcp`."""
    shard_gb: float = Field(
        default=5.0, ge=1e-6, le=1e6, allow_inf_nan=False, json_schema_extra=unit("GB")
    )
    """Largest file of the writer `safetensors`, in GB of 10^9 bytes."""
    subset: bool = False
    """Whether there are fewer ranks than the model's, which write the shares of the first ones."""
    scale: float = Field(default=1.0, ge=1e-9, le=1, allow_inf_nan=False)
    """Factor of the size of each tensor, for small machines."""
    asynchronous: bool = False
    """Whether a checkpoint is copied to memory first, and training goes on while it is written."""
    drop_caches: bool = True
    """Whether the files' pages are dropped from the page cache before the first read, and before a
    checkpoint is read again."""
    call_out: str | None = None
    """Command that each host runs whenever caches are dropped, such as one that empties those of
    the storage."""
    io_mode: IoMode | None = None
    """direct, buffered or uncached; None: direct, where the filesystem has it."""
    io_chunk_kib: int = Field(
        default=1024, ge=4, le=1 << 20, multiple_of=4, json_schema_extra=unit("KiB")
    )
    """Largest size of a system call, in KiB; no call crosses the end of a tensor."""
    chunks_in_flight: int = Field(default=8, ge=1, le=256)
    """Chunks of one file that are written or read concurrently."""
    lanes: int = Field(default=4, ge=1, le=256)
    """Files that a rank writes or reads concurrently."""
    io_threads: int = Field(default=1, ge=1, le=64)
    """Threads that serve the lanes of a rank."""
    io_queue: QueueChoice = "auto"
    """Queue of the kernel for transfers; auto: io_uring, or Linux AIO where it is refused."""
    verify_rate: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    """Share of read chunks whose content is checked."""

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        written = self.num_checkpoints_write
        if self.phase == "both" and self.num_checkpoints_read > written:
            raise ValueError(
                f"num_checkpoints_read {self.num_checkpoints_read} is more than the {written} that "
                "are written"
            )
        if self.files_per_rank > 1 and self.writer != "dcp":
            raise ValueError("files_per_rank: only the writer dcp divides a share among files")
        return self

    @property
    def trained(self) -> Model:
        """The model."""
        return model_named(self.model)

    @property
    def form(self) -> FileForm:
        """The form of its files."""
        return FileForm(self.writer, self.files_per_rank, self.shard_gb)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of checkpoints in the order in which they run: write, read, or both."""
        return KINDS if self.phase == "both" else (self.phase,)

    def checkpoints(self, kind: Kind) -> int:
        """Return the number of checkpoints that are written or read."""
        return self.num_checkpoints_write if kind == "write" else self.num_checkpoints_read

    @property
    def durability(self) -> Durability:
        """How files are made durable."""
        return "fsync" if self.fsync else "none"

    def sharers(self, ranks: int) -> int:
        """Return the ranks over which the model is divided, of a run with so many ranks.

        InvalidInputError if it cannot be divided so.
        """
        model = self.trained
        if not self.subset:
            model.parallelism.instances(ranks)
            return ranks
        if ranks >= model.ranks:
            raise InvalidInputError(
                "subset", ranks, f"fewer ranks than the {model.ranks} of {model.name}"
            )
        return model.ranks
