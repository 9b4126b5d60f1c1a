"""How much space a workload takes, from the request stream itself: nothing is averaged.

What a rank writes in a trial is bounded by time: no storage is faster than one that answers at
once, and then every user asks as soon as it has thought. Where nothing takes time (no thinking, no
generation), only the tiers' capacities bound it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlpstorage_bench.kvcache.cache.tier import LARGEST_ENTRY, TARGET_USAGE
from mlpstorage_bench.kvcache.profile import GIB, Workload
from mlpstorage_bench.kvcache.servant import entry_bytes
from mlpstorage_bench.kvcache.site import KIB, block_bytes
from mlpstorage_bench.kvcache.workload.requests import (
    PREPARED_ENTRIES,
    PREPARED_TOKENS,
    UserStream,
    user_streams,
)
from mlpstorage_bench.storage.buffers import round_up_to_sector

EDGE_S = 0.5
"""What windows may begin late, as ranks wait for each other: users go on asking meanwhile."""
USABLE_SHARE = 0.8
"""Of the free space: what a run may use when the profile does not say."""
HARNESS_BYTES = 200 << 20
"""Resident memory of a rank beside its buffers and memory tiers, at most."""
MOST_USERS = 10_000
"""No search for users that fit goes further."""


@dataclass(frozen=True)
class RankSize:
    """What one rank takes in a trial, in bytes."""

    written: int | None
    """The most that it writes; None where only capacities bound it."""
    largest_entry: int
    storage_capacity: int
    storage: int
    """The most that it has on storage at once."""
    memory: int
    """The most that it has resident: memory tiers, buffers, the harness itself."""
    users: int
    users_that_fit: int
    """The most users whose entries would all stay on storage."""

    @property
    def evicts(self) -> bool:
        """Whether entries may have to go."""
        return self.written is None or self.written > TARGET_USAGE * self.storage_capacity

    def problems(self, free_storage: int, free_memory: int) -> list[str]:
        """Return why it cannot run with so much space left for it."""
        problems = []
        if self.storage > free_storage:
            problems.append(
                f"storage: up to {self.storage / GIB:.2f} GiB, of which "
                f"{free_storage / GIB:.2f} are free"
            )
        if self.largest_entry > LARGEST_ENTRY * self.storage_capacity:
            problems.append(
                f"an entry of {self.largest_entry / GIB:.2f} GiB does not fit a capacity of "
                f"{self.storage_capacity / GIB:.2f}"
            )
        if self.memory > free_memory:
            problems.append(
                f"memory: up to {self.memory / GIB:.2f} GiB, but {free_memory / GIB:.2f} are free"
            )
        return problems


def size_of_rank(workload: Workload, seed: int, free_storage: int, first_user: int = 0) -> RankSize:
    """Return what a rank takes: of its own users and seed, with its share of the free bytes."""
    capacity = storage_capacity(workload, free_storage)
    occupied = footprint(workload)
    streams = user_streams(workload.num_users, seed, first_user)
    per_user = [_written_by(workload, stream, occupied) for stream in streams]
    bounded = [size for size in per_user if size is not None]
    written = sum(bounded) if len(bounded) == len(per_user) else None
    if written is not None and workload.write_limit_gb is not None and workload.layout != "slab":
        written = min(written, round(workload.write_limit_gb * GIB))
    at_once = capacity if written is None else min(capacity, written)
    tiers = sum(round(gb * GIB) for gb in (workload.gpu_mem_gb, workload.cpu_mem_gb))
    lanes = min(workload.max_concurrent_allocs, workload.num_users)
    buffers = lanes * workload.chunks_in_flight * workload.io_chunk_kib * KIB
    return RankSize(
        written=written,
        largest_entry=max(_largest_entry(workload, stream, occupied) for stream in streams),
        storage_capacity=capacity,
        storage=at_once,
        memory=(tiers if written is None else min(tiers, written)) + buffers + HARNESS_BYTES,
        users=workload.num_users,
        users_that_fit=_users_that_fit(workload, seed, capacity, occupied),
    )


def storage_capacity(workload: Workload, free_storage: int) -> int:
    """Return what a rank may keep on storage: as the profile says, or a share of what is free."""
    if workload.storage_capacity_gb is not None:
        return round(workload.storage_capacity_gb * GIB)
    return int(USABLE_SHARE * free_storage)


def footprint(workload: Workload) -> Callable[[int], int]:
    """Return what an entry of so many bytes occupies on storage in the workload's layout."""
    if workload.layout != "slab":
        return round_up_to_sector
    slot = block_bytes(workload)
    return lambda size: -(-round_up_to_sector(size) // slot) * slot


def _written_by(
    workload: Workload, stream: UserStream, occupied: Callable[[int], int]
) -> int | None:
    """Return what a user's entries occupy by the window's end; None where nothing bounds it."""
    if workload.phase == "decode":
        return PREPARED_ENTRIES * occupied(entry_bytes(workload, PREPARED_TOKENS))
    if not (workload.think_time_scale or workload.generation_s_per_token):
        return None
    ends_s = workload.warmup + workload.duration + EDGE_S
    now_s = stream.start_s * workload.think_time_scale
    written = 0
    for request in stream.requests:
        if now_s >= ends_s:
            break
        written += occupied(entry_bytes(workload, request.context_tokens))
        now_s += request.generated_tokens * workload.generation_s_per_token
        now_s += request.think_s * workload.think_time_scale
    return written


def _largest_entry(workload: Workload, stream: UserStream, occupied: Callable[[int], int]) -> int:
    tokens = PREPARED_TOKENS if workload.phase == "decode" else stream.user.context_tokens
    return occupied(entry_bytes(workload, tokens))


def _users_that_fit(
    workload: Workload, seed: int, capacity: int, occupied: Callable[[int], int]
) -> int:
    """Return how many users' entries all stay, if there were as many as that."""
    left = TARGET_USAGE * capacity
    for number in range(MOST_USERS):
        (stream,) = user_streams(1, seed, number)
        written = _written_by(workload, stream, occupied)
        if written is None or written > left:
            return number
        left -= written
    return MOST_USERS
