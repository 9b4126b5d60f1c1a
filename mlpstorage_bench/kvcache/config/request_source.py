"""Construction of a rank's request source from a workload: its users, or a trace."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.workload import MOST_USERS_PER_RANK, Workload
from mlpstorage_bench.kvcache.trace_input import detect
from mlpstorage_bench.kvcache.workload.request_source import (
    Conversations,
    Recorded,
    RequestSource,
)
from mlpstorage_bench.kvcache.workload.traces.replay import Replay

_HASHES: dict[Hashable, str] = {}
"""Hashes of requests by what they depend on: a run states them once, and each case."""


@dataclass(frozen=True)
class RankWorkload:
    """The part of a workload that one rank runs: its users, and the seed of its requests."""

    workload: Workload
    """With this rank's number of users."""
    seed: int
    first_user: int = 0

    @classmethod
    def for_rank(cls, workload: Workload, seed: int, rank: int, ranks: int) -> RankWorkload:
        """Return a rank's part: its own users, or its share of the workload's `users_total`.

        `seed` is the run's. Users of its own differ from those of other ranks by seed; users of
        a total differ by number and have one seed, so that they are the same on any number of
        ranks. InvalidInputError where a rank has no user, or too many.
        """
        total = workload.users_total
        if total is None:
            return cls(workload, seed + rank)
        if total < ranks:
            raise InvalidInputError(
                "users_total", total, f"at least one user for each of {ranks} ranks"
            )
        if -(-total // ranks) > MOST_USERS_PER_RANK:
            raise InvalidInputError(
                "users_total",
                total,
                f"at most {MOST_USERS_PER_RANK} users for each of {ranks} ranks",
            )
        first, after = total * rank // ranks, total * (rank + 1) // ranks
        return cls(workload.model_copy(update={"num_users": after - first}), seed, first)

    def sha256(self) -> str:
        """Return the hash of this rank's requests; it is computed once in a process."""
        key = self._requests_depend_on()
        if key not in _HASHES:
            _HASHES[key] = self.request_source().sha256()
        return _HASHES[key]

    def _requests_depend_on(self) -> Hashable:
        """Return the source, which is the same for many workloads; of a trace, all parameters."""
        if self.workload.trace_in is None:
            return self.request_source()
        return self.workload.model_dump_json(), self.seed, self.first_user

    def request_source(self) -> RequestSource:
        """Return the source of this rank's requests: its users, or the trace that it replays."""
        workload = self.workload
        recorded: Recorded | None = None
        recorded_conversations: Conversations | None = None
        if workload.trace_in is not None:
            trace = detect(Path(workload.trace_in))
            if trace.has_times:
                replay = Replay(workload.rules, self.seed, workload.trace_speed)
                recorded = partial(trace.arrivals, replay)
            else:
                recorded_conversations = trace.conversations()
        return RequestSource(
            num_users=workload.users,
            seed=self.seed,
            first_user=self.first_user,
            sharing=workload.sharing,
            context_limit=workload.context_limit if workload.keyed_by == "prefix" else None,
            rate=workload.rate_of_arrivals,
            limit=workload.requests,
            recorded=recorded,
            conversations=recorded_conversations,
        )
