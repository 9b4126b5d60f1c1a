"""What a rank is asked for: the requests of its users, with the moment of each where that is set.

Closed loop: a user asks again when it has had its answer and has thought. Open loop: requests come
at moments of their own, whatever becomes of those before them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlpstorage_bench.kvcache.workload.arrivals import Rate, arrival_times
from mlpstorage_bench.kvcache.workload.requests import Request, UserStream, user_streams
from mlpstorage_bench.kvcache.workload.sharing import NOTHING_SHARED, SharedContent, Sharing

HASHED_REQUESTS_PER_USER = 64
HASHED_ARRIVALS = 4096


class Arrival(NamedTuple):
    """A request of the open loop."""

    due_s: float
    """From the start."""
    request: Request


Recorded = Callable[[], Iterator[Arrival]]
"""Gives a trace's requests from its beginning."""
Conversations = Sequence[Sequence[tuple[int, int]]]
"""Of a trace without times: tokens of context and answer, turn by turn."""


@dataclass(frozen=True)
class RequestSource:
    """The requests of one rank: a pure function of these values."""

    num_users: int
    seed: int
    first_user: int = 0
    sharing: Sharing = NOTHING_SHARED
    context_limit: int | None = None
    """Conversations end before they exceed so many tokens."""
    rate: Rate | None = None
    """Of the open loop."""
    limit: int | None = None
    """Of requests, in all."""
    recorded: Recorded | None = None
    conversations: Conversations | None = None

    @property
    def is_open_loop(self) -> bool:
        """Whether requests come at moments of their own."""
        return self.rate is not None or self.recorded is not None

    def streams(self) -> list[UserStream]:
        """Return the users and what each asks, one after the other; of the closed loop, all of it.

        A limit is divided over the users, so that it is the same requests however fast they go.
        """
        shared_content = SharedContent(self.sharing, self.seed)
        streams = user_streams(
            self.num_users, self.seed, self.first_user, shared_content, self.context_limit
        )
        if self.conversations is not None:
            streams = [
                self._replayed(stream, self.conversations[number :: self.num_users])
                for number, stream in enumerate(streams)
            ]
        if self.limit is None or self.is_open_loop:
            return streams
        share, more = divmod(self.limit, self.num_users)
        return [
            UserStream(s.user, s.start_s, itertools.islice(s.requests, share + (number < more)))
            for number, s in enumerate(streams)
        ]

    def arrivals(self) -> Iterator[Arrival]:
        """Yield the requests of the open loop in the order of their moments."""
        return itertools.islice(self._arrivals(), self.limit)

    def _arrivals(self) -> Iterator[Arrival]:
        if self.recorded is not None:
            return self.recorded()
        assert self.rate is not None
        users = itertools.cycle(self.streams())
        return self._at_rate(self.rate, users)

    def _at_rate(self, rate: Rate, users: Iterable[UserStream]) -> Iterator[Arrival]:
        """Let users ask in turn, passing those who have nothing more to ask."""
        silent = 0
        users = iter(users)
        for due_s in arrival_times(rate, self.seed):
            while (request := next(next(users).requests, None)) is None:
                silent += 1
                if silent == self.num_users:
                    return
            silent = 0
            yield Arrival(due_s, request)

    def _replayed(
        self, stream: UserStream, conversations: Sequence[Sequence[tuple[int, int]]]
    ) -> UserStream:
        """Let a user hold recorded conversations, with its own class, and its own time to think."""

        def requests() -> Iterator[Request]:
            user = stream.user
            for number, turns in enumerate(conversations):
                for turn, (context, answer) in enumerate(turns):
                    yield Request(
                        user=user.index,
                        priority=user.qos.priority,
                        conversation=number,
                        turn=turn,
                        context_tokens=context,
                        generated_tokens=answer,
                        think_s=user.think_s,
                        earlier=tuple(turns[:turn]),
                    )

        return UserStream(stream.user, stream.start_s, requests())

    def sha256(self) -> str:
        """Return the SHA-256 of the first 64 requests of each user, or the first 4096 arrivals.

        How many requests a run gets to depends on the storage; what each of them is does not.
        """
        digest = hashlib.sha256()
        if self.is_open_loop:
            for arrival in itertools.islice(self.arrivals(), HASHED_ARRIVALS):
                line = f"{arrival.due_s.hex()},{_canonical(arrival.request)}\n"
                digest.update(line.encode())
            return digest.hexdigest()
        for stream in self.streams():
            digest.update(f"{stream.user.index},{stream.start_s.hex()}\n".encode())
            for request in itertools.islice(stream.requests, HASHED_REQUESTS_PER_USER):
                digest.update(f"{_canonical(request)}\n".encode())
        return digest.hexdigest()


def _canonical(request: Request) -> str:
    """Return what is hashed of a request: values alone, so that a field can be renamed."""
    numbers = (request.user, request.priority, request.conversation, request.turn)
    tokens = (request.context_tokens, request.generated_tokens)
    line = ",".join([*map(str, numbers + tokens), request.think_s.hex()])
    shared = [s for s in (request.system_prompt, *request.documents) if s is not None]
    line += "".join(f",{segment.source}:{segment.tokens}" for segment in shared)
    return line + "".join(f",{access}" for access in request.accesses)
