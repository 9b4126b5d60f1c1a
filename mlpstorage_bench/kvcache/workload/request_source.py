"""Requests of one rank: the streams of its users, or arrivals with due times.

Closed loop: a user sends its next request after the answer and its think time. Open loop: each
request has a due time that does not depend on earlier requests.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlpstorage_bench.kvcache.workload.arrivals import Rate, arrival_times
from mlpstorage_bench.kvcache.workload.blocks import Access, Block, Read, ReadOrWrite
from mlpstorage_bench.kvcache.workload.requests import (
    Request,
    UserDraws,
    UserStream,
    draw_users,
    user_streams,
)
from mlpstorage_bench.kvcache.workload.sharing import NOTHING_SHARED, SharedContent, Sharing

HASHED_REQUESTS_PER_USER = 64
HASHED_ARRIVALS = 4096


class Arrival(NamedTuple):
    """A request of an open loop."""

    due_s: float
    """Due time in seconds from the start."""
    request: Request


Recorded = Callable[[], Iterator[Arrival]]
"""Function that yields a trace's requests from its beginning."""
Conversations = Sequence[Sequence[tuple[int, int]]]
"""Conversations of a trace without times: tokens of context and answer of each turn."""


@dataclass(frozen=True)
class RequestSource:
    """Source of one rank's requests, which are a pure function of these values."""

    num_users: int
    seed: int
    first_user: int = 0
    sharing: Sharing = NOTHING_SHARED
    context_limit: int | None = None
    """Largest number of tokens in a conversation, which ends before."""
    rate: Rate | None = None
    """Arrival rate of an open loop."""
    limit: int | None = None
    """Total number of requests."""
    recorded: Recorded | None = None
    """Requests of a trace with times, an open loop."""
    conversations: Conversations | None = None
    """Conversations of a trace without times, which replace those of the users."""

    @property
    def is_open_loop(self) -> bool:
        """Whether requests have due times."""
        return self.rate is not None or self.recorded is not None

    def streams(self) -> list[UserStream]:
        """Return the stream of each user's requests; in a closed loop these are all requests.

        A limit is divided among the users, so that the set of requests does not depend on speed.
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
        return [
            UserStream(s.user, s.start_s, itertools.islice(s.requests, share))
            for s, share in zip(streams, self._shares(), strict=True)
        ]

    def _shares(self) -> Iterator[int | None]:
        """Yield each user's part of the limit."""
        if self.limit is None:
            yield from itertools.repeat(None, self.num_users)
            return
        share, more = divmod(self.limit, self.num_users)
        for number in range(self.num_users):
            yield share + (number < more)

    @property
    def is_by_user(self) -> bool:
        """Whether each request is a turn of a user alone: nothing recorded, shared or limited."""
        is_recorded = self.is_open_loop or self.conversations is not None
        is_shared = bool(SharedContent(self.sharing, self.seed))
        return not is_recorded and not is_shared and self.context_limit is None

    def draws(self) -> Iterator[tuple[UserDraws, int | None]]:
        """Yield each user and the limit of its requests, in the order of `streams`."""
        users = draw_users(self.num_users, self.seed, self.first_user)
        return zip(users, self._shares(), strict=True)

    def arrivals(self) -> Iterator[Arrival]:
        """Yield the requests of an open loop in the order of their due times."""
        return itertools.islice(self._arrivals(), self.limit)

    def _arrivals(self) -> Iterator[Arrival]:
        if self.recorded is not None:
            return self.recorded()
        assert self.rate is not None
        users = itertools.cycle(self.streams())
        return self._at_rate(self.rate, users)

    def _at_rate(self, rate: Rate, users: Iterable[UserStream]) -> Iterator[Arrival]:
        """Take requests from users in turn, skipping users without further requests."""
        exhausted = 0
        users = iter(users)
        for due_s in arrival_times(rate, self.seed):
            while (request := next(next(users).requests, None)) is None:
                exhausted += 1
                if exhausted == self.num_users:
                    return
            exhausted = 0
            yield Arrival(due_s, request)

    def _replayed(
        self, stream: UserStream, conversations: Sequence[Sequence[tuple[int, int]]]
    ) -> UserStream:
        """Replace a user's requests by recorded conversations; class and think time stay."""

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
        """Return the SHA-256 of the first 64 requests of each user, or of the first 4096 arrivals.

        The number of requests that a run serves depends on the storage; their content does not.
        """
        digest = hashlib.sha256()
        if self.is_open_loop:
            for arrival in itertools.islice(self.arrivals(), HASHED_ARRIVALS):
                line = f"{arrival.due_s.hex()},{_canonical(arrival.request)}\n"
                digest.update(line.encode())
            return digest.hexdigest()
        for stream in self.streams():
            digest.update(f"{stream.user.index},{stream.start_s.hex()}\n".encode())
            requests = itertools.islice(stream.requests, HASHED_REQUESTS_PER_USER)
            digest.update("".join(f"{_canonical(request)}\n" for request in requests).encode())
        return digest.hexdigest()


def _canonical(request: Request) -> str:
    """Return a request's text for the hash: values only, so that fields can be renamed."""
    line = (
        f"{request.user},{request.priority},{request.conversation},{request.turn},"
        f"{request.context_tokens},{request.generated_tokens},{request.think_s.hex()}"
    )
    if not (request.system_prompt or request.documents or request.accesses):
        return line  # almost all requests
    shared = [s for s in (request.system_prompt, *request.documents) if s is not None]
    line += "".join(f",{segment.source}:{segment.tokens}" for segment in shared)
    return line + "".join(f",{_canonical_access(access)}" for access in request.accesses)


def _canonical_access(access: Access) -> str:
    """Return an access's text for the hash; its words are independent of the names of classes."""
    if isinstance(access, ReadOrWrite):
        blocks = ", ".join(map(_canonical_block, access.blocks))
        comma = "," if len(access.blocks) == 1 else ""
        return f"Obtain(blocks=({blocks}{comma}), is_read={access.is_read})"
    kind = "Read" if isinstance(access, Read) else "Write"
    return f"{kind}(block={_canonical_block(access.block)})"


def _canonical_block(block: Block) -> str:
    key, tokens, purpose, size = block
    return f"Block(key={key!r}, tokens={tokens}, purpose={purpose!r}, size={size})"
