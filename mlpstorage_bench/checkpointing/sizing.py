"""Bytes that checkpoints need on storage and in memory, and whether they fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.sizes import CaseSize, SizeReport
from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.config.profile_file import Profile
from mlpstorage_bench.checkpointing.model.datasize import datasize_gib
from mlpstorage_bench.checkpointing.model.shares import bytes_of_rank
from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.units import GIB, KIB, gib

_DECIMALS = 3
_SHOWS_SIZES = "pytest --mlps-datasize shows the sizes"


@dataclass(frozen=True)
class CheckpointCaseSize(CaseSize):
    """Sizes of the checkpoints of a run; those per rank or host are of the largest."""

    model: str
    checkpoints: int
    checkpoint_bytes: int
    """Bytes of tensors in one checkpoint of all ranks."""
    storage_bytes_per_rank: int
    """Bytes of all checkpoints."""
    storage_bytes_per_host: int
    storage_bytes: int
    memory_bytes_per_host: int
    """Bytes of copies in memory of asynchronous checkpoints."""
    reference_gib: float
    """Size of a checkpoint by the reference's rounded sizes."""
    reference_gib_per_rank: tuple[float, ...]
    """Different shares of ranks of one checkpoint, by the reference's rounded sizes."""

    @property
    def lines(self) -> Sequence[str]:
        """Lines for people: sizes by rank and host, and those that the reference has."""
        shares = " or ".join(f"{share:.3f}" for share in self.reference_gib_per_rank)
        copies, of_host = gib(self.memory_bytes_per_host), gib(self.storage_bytes_per_host)
        return [
            (
                f"checkpointing {self.model}: {self.checkpoints} checkpoints of "
                f"{gib(self.checkpoint_bytes)} GiB"
            ),
            (
                f"  {gib(self.storage_bytes)} GiB on storage, {of_host} of "
                f"a host, {gib(self.storage_bytes_per_rank)} of a rank"
            ),
            *([f"  {copies} GiB of memory of a host"] if self.memory_bytes_per_host else []),
            (
                f"  by the reference's rounded sizes: {self.reference_gib:.6g} GiB a checkpoint, "
                f"{shares} of a rank"
            ),
        ]


def not_fitting(
    parameters: Parameters,
    share_bytes: int,
    free_bytes: int | None,
    memory_bytes: int | None,
    there: int = 0,
) -> None:
    """Raise CapacityError if a rank's checkpoints do not fit the storage, or a copy the memory.

    `there` is the number of checkpoints that lie on the storage already.
    """
    problems = [*_problems(parameters, share_bytes, free_bytes, memory_bytes, there)]
    if problems:
        raise CapacityError(f"{'. '.join(problems)}. {_SHOWS_SIZES}")


def datasize(
    profile: Profile, cache_dir: str, ranks_by_host: Sequence[int], capacity: HostCapacity
) -> SizeReport:
    """Return the sizes of a run; hosts are assumed to be like this one."""
    parameters = profile.parameters
    free = None if capacity.storage is None else capacity.storage // capacity.sharers
    memory = None if capacity.memory is None else capacity.memory // max(ranks_by_host)
    ranks = sum(ranks_by_host)
    sharers = parameters.sharers(ranks)
    model = parameters.trained
    shares = [bytes_of_rank(model, rank, sharers, parameters.scale) for rank in range(ranks)]
    largest = max(shares)
    problems = [
        *filter(None, [capacity.storage_problem]),
        *_problems(parameters, largest, free, memory),
    ]
    reference = [datasize_gib(model, rank, sharers) for rank in range(ranks)]
    of_ranks = iter(shares)
    of_host = max(sum(itertools.islice(of_ranks, count)) for count in ranks_by_host)
    size = CheckpointCaseSize(
        case=profile.model,
        problems=problems,
        model=profile.model,
        checkpoints=parameters.num_checkpoints_write,
        checkpoint_bytes=sum(shares),
        storage_bytes_per_rank=parameters.num_checkpoints_write * largest,
        storage_bytes_per_host=parameters.num_checkpoints_write * of_host,
        storage_bytes=parameters.num_checkpoints_write * sum(shares),
        memory_bytes_per_host=of_host if parameters.asynchronous else 0,
        reference_gib=sum(reference),
        reference_gib_per_rank=tuple(
            sorted({round(share, _DECIMALS) for share in reference}, reverse=True)
        ),
    )
    return SizeReport(
        profile=profile.name,
        seed=profile.seed,
        cache_dir=cache_dir,
        ranks_by_host=ranks_by_host,
        free_storage_bytes_per_rank=free,
        free_memory_bytes_per_rank=memory,
        limits=capacity.limits,
        cases=[size],
    )


def _problems(
    parameters: Parameters,
    share_bytes: int,
    free_bytes: int | None,
    memory_bytes: int | None,
    there: int = 0,
) -> Iterator[str]:
    count = max(0, parameters.num_checkpoints_write - there)
    needed = count * share_bytes
    if parameters.phase != "read" and free_bytes is not None and needed > free_bytes:
        yield (
            f"{count} checkpoints need {gib(needed)} GiB for a rank, and {gib(free_bytes)} GiB are "
            "free for it: lower scale or num_checkpoints_write, or use a larger filesystem"
        )
    if parameters.asynchronous and memory_bytes is not None and share_bytes > memory_bytes:
        yield (
            f"an asynchronous checkpoint takes {gib(share_bytes)} GiB of memory for a rank, which "
            f"may have {gib(memory_bytes)} GiB"
        )
    buffers = parameters.lanes * (parameters.chunks_in_flight + 1) * parameters.io_chunk_kib * KIB
    if memory_bytes is not None and buffers > memory_bytes:
        yield (
            f"its lanes need {buffers / GIB:.2f} GiB of memory for chunks: lower lanes, "
            "chunks_in_flight or io_chunk_kib"
        )
