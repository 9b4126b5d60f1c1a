"""A lane's worker: serves requests one after the other, cache operations and all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.kvcache.cache.tiered import TieredCache, Worker, WriteLimitError
from mlpstorage_bench.kvcache.profile import Workload
from mlpstorage_bench.kvcache.statistics import EndedRequest, RequestStatistics
from mlpstorage_bench.kvcache.turnstile import Ticket, Turnstile
from mlpstorage_bench.kvcache.workload.requests import (
    PREPARED_ENTRIES,
    PREPARED_TOKENS,
    Request,
    prepared_key,
)
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import NS_PER_S
from mlpstorage_bench.storage.lane import CutOffError


def entry_bytes(workload: Workload, tokens: int) -> int:
    """Return the size of the entry of so many tokens."""
    return max(1, round(tokens * workload.entry_scale)) * workload.bytes_per_token


class Servant:
    """Serves requests one after the other on one lane."""

    def __init__(
        self,
        workload: Workload,
        cache: TieredCache,
        worker: Worker,
        turnstile: Turnstile,
        limit_reached: threading.Event,
    ) -> None:
        self.statistics = RequestStatistics()
        self.corruption = ""
        """The first read that found other data than was written."""
        self._workload = workload
        self._cache = cache
        self._worker = worker
        self._turnstile = turnstile
        self._limit_reached = limit_reached
        self._generating: deque[EndedRequest] = deque()
        self._asked_ns = 0
        """When the next operation was wanted."""

    @property
    def recorder(self) -> Recorder:
        """What the lane's operations were."""
        return self._worker.recorder

    def serve_until_stopped(self) -> None:
        """Serve what the turnstile gives, until it gives no more or the write limit is reached."""
        while (ticket := self._turnstile.take()) is not None:
            taken_ns = time.perf_counter_ns()
            self._asked_ns = ticket.due_ns
            try:
                self._serve(ticket.request)
            except CutOffError:
                return
            except WriteLimitError:
                self._limit_reached.set()
                return
            self._finish(ticket, taken_ns, time.perf_counter_ns())

    def prepare(self, users: Iterable[int]) -> None:
        """Write what decoding will read, before anything is measured."""
        size = entry_bytes(self._workload, PREPARED_TOKENS)
        for user in users:
            for number in range(PREPARED_ENTRIES):
                self._cache.write(prepared_key(user, number), size, self._worker)

    def _serve(self, request: Request) -> None:
        """Read the conversation so far, write this turn (prefill), read it back (decode)."""
        if self._workload.phase == "decode":
            number = (request.conversation + request.turn) % PREPARED_ENTRIES
            self._decode(prepared_key(request.user, number), request.reads_per_answer)
            return
        if self._workload.phase == "mixed":
            for key in request.earlier_keys:
                if self._look_up(key) and self._counts_now():
                    self.statistics.multi_turn_hits += 1
        size = entry_bytes(self._workload, request.context_tokens)
        self._cache.write(request.key, size, self._worker, self._asked_ns)
        self._asked_ns = time.perf_counter_ns()
        if self._counts_now():
            self.statistics.prefill_writes += 1
        if self._workload.phase == "mixed":
            self._decode(request.key, request.decode_reads)

    def _decode(self, key: str, reads: int) -> None:
        if self._workload.decode_reads == "once":
            reads = min(reads, 1)
        for number in range(reads):
            self._look_up(key, is_repeated=number > 0)
            if self._counts_now():
                self.statistics.decode_reads += 1

    def _look_up(self, key: str, *, is_repeated: bool = False) -> bool:
        try:
            tier = self._cache.read(key, self._worker, self._asked_ns, is_repeated=is_repeated)
        except CorruptDataError as error:
            self.statistics.corrupt_reads += 1
            self.corruption = self.corruption or str(error)
            return False
        finally:
            self._asked_ns = time.perf_counter_ns()
        if self._counts_now():
            if tier is None:
                self.statistics.misses += 1
            else:
                self.statistics.hits[tier] += 1
        return tier is not None

    def _counts_now(self) -> bool:
        return self.recorder.window.contains(time.perf_counter_ns())

    def _finish(self, ticket: Ticket, taken_ns: int, cached_ns: int) -> None:
        request = ticket.request
        generation_s = request.generated_tokens * self._workload.generation_s_per_token
        ended_ns = cached_ns + round(generation_s * NS_PER_S)
        self._generating.append(
            EndedRequest(
                ticket.due_ns,
                taken_ns,
                cached_ns,
                ended_ns,
                request.context_tokens,
                request.generated_tokens,
                ticket.stream.user.qos,
            )
        )
        self._turnstile.finished(ticket, ended_ns)
        self._count_ended(cached_ns)

    def _count_ended(self, now_ns: int) -> None:
        for _ in range(len(self._generating)):
            ended = self._generating.popleft()
            if ended.ended_ns <= now_ns:
                ended.count(self.statistics, self.recorder.window)
            else:
                self._generating.append(ended)

    def count_generating(self) -> None:
        """Count the requests whose generation went on when the lane was done with them."""
        self._count_ended(2**63)
