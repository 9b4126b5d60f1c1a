"""Requests: the turns of each user's conversations, as a stream that depends on the seed alone."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlpstorage_bench.kvcache.workload.users import User, draw_user, user_random

MAX_TURNS = 50
END_PROBABILITY = 0.2
"""Probability that a conversation ends after a turn."""
DECODE_BATCH_TOKENS = 32
"""Tokens generated between two reads of the turn's own entry."""
PREFILL_ONLY_FROM_TOKENS = 10_000
"""Contexts from this length on are written and not decoded."""
PREPARED_ENTRIES, PREPARED_TOKENS = 10, 2048
"""What each user has in the cache before a run that only decodes."""
HASHED_REQUESTS_PER_USER = 64


@dataclass(frozen=True)
class Request:
    """One inference call: a turn of a conversation."""

    user: int
    priority: int
    conversation: int
    turn: int
    context_tokens: int
    generated_tokens: int
    think_s: float
    """What the user waits after the answer before the next turn."""

    @property
    def key(self) -> str:
        """The name of the entry that this turn writes."""
        return entry_key(self.user, self.conversation, self.turn)

    @property
    def earlier_keys(self) -> list[str]:
        """The entries of the conversation's earlier turns, first turn first."""
        return [entry_key(self.user, self.conversation, turn) for turn in range(self.turn)]

    @property
    def decode_reads(self) -> int:
        """How often decoding reads this turn's entry: once, and once per batch of tokens."""
        return 0 if self.context_tokens >= PREFILL_ONLY_FROM_TOKENS else self.reads_per_answer

    @property
    def reads_per_answer(self) -> int:
        """Reads of an entry while the answer is generated: once, and once per batch of tokens."""
        return 1 + -(-self.generated_tokens // DECODE_BATCH_TOKENS)


def entry_key(user: int, conversation: int, turn: int) -> str:
    """Return the name of a turn's entry, unique within a rank."""
    return f"user{user}-conversation{conversation}-turn{turn}"


def prepared_key(user: int, number: int) -> str:
    """Return the name of an entry that is there before a run that only decodes."""
    return f"user{user}-prepared{number}"


def requests_of(user: User, random: np.random.Generator) -> Iterator[Request]:
    """Yield a user's requests without end: conversation after conversation, turn after turn."""
    for conversation in itertools.count():
        for turn in range(MAX_TURNS):
            yield Request(
                user=user.index,
                priority=user.qos.priority,
                conversation=conversation,
                turn=turn,
                context_tokens=_quarter_to_whole(user.context_tokens, random),
                generated_tokens=_quarter_to_whole(user.generated_tokens, random),
                think_s=user.think_s * float(random.uniform(0.8, 1.2)),
            )
            if random.random() < END_PROBABILITY:
                break


def _quarter_to_whole(drawn: int, random: np.random.Generator) -> int:
    return int(random.integers(max(1, drawn // 4), drawn, endpoint=True))


@dataclass(frozen=True)
class UserStream:
    """A user and its requests."""

    user: User
    start_s: float
    """When it asks first: users do not all begin at once."""
    requests: Iterator[Request]


def user_streams(num_users: int, seed: int, first_user: int = 0) -> list[UserStream]:
    """Return a rank's users, from `first_user` on; a user depends on seed and index alone."""
    streams = []
    for index in range(first_user, first_user + num_users):
        random = user_random(seed, index)
        user = draw_user(index, random)
        start_s = user.think_s * float(random.random())
        streams.append(UserStream(user, start_s, requests_of(user, random)))
    return streams


def request_stream_sha256(num_users: int, seed: int, first_user: int = 0) -> str:
    """Return the SHA-256 of a rank's request stream: users, and the first 64 requests of each.

    How many requests a run gets to depends on the storage; what each of them is does not.
    """
    digest = hashlib.sha256()
    for stream in user_streams(num_users, seed, first_user):
        digest.update(f"{stream.user.index},{stream.start_s.hex()}\n".encode())
        for request in itertools.islice(stream.requests, HASHED_REQUESTS_PER_USER):
            digest.update(f"{_canonical(request)}\n".encode())
    return digest.hexdigest()


def _canonical(request: Request) -> str:
    """Return what is hashed of a request: values alone, so that a field can be renamed."""
    numbers = (request.user, request.priority, request.conversation, request.turn)
    tokens = (request.context_tokens, request.generated_tokens)
    return ",".join([*map(str, numbers + tokens), request.think_s.hex()])
