"""Requests: the turns of each user's conversations, as a stream that depends on the seed alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlpstorage_bench.kvcache.workload.blocks import Access, Segment
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.kvcache.workload.users import (
    QOS_BY_PRIORITY,
    QosClass,
    User,
    draw_user,
    user_random,
)

MAX_TURNS = 50
END_PROBABILITY = 0.2
"""Probability that a conversation ends after a turn."""
DECODE_BATCH_TOKENS = 32
"""Tokens generated between two reads of the turn's own entry."""
PREFILL_ONLY_FROM_TOKENS = 10_000
"""Contexts from this length on are written and not decoded."""
_DRAWN_AT_ONCE = 64
PREPARED_ENTRIES, PREPARED_TOKENS = 10, 2048
"""What each user has in the cache before a run that only decodes."""


@dataclass(frozen=True, slots=True)
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
    earlier: tuple[tuple[int, int], ...] = ()
    """Tokens of context and answer of the conversation's earlier turns, first turn first."""
    system_prompt: Segment | None = None
    """What the conversation opens with, where that is shared."""
    documents: tuple[Segment, ...] = ()
    """Chunks that this turn retrieves."""
    accesses: tuple[Access, ...] = ()
    """What it does in the cache, where a trace says so."""

    @property
    def key(self) -> str:
        """The name of the entry that this turn writes."""
        return entry_key(self.user, self.conversation, self.turn)

    @property
    def qos(self) -> QosClass:
        """The class of service of who asks."""
        return QOS_BY_PRIORITY[self.priority]

    @property
    def prompt_tokens(self) -> int:
        """The whole conversation up to this turn's answer."""
        opening = 0 if self.system_prompt is None else self.system_prompt.tokens
        return opening + sum(map(sum, self.earlier)) + self.context_tokens

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


def requests_of(
    user: User,
    random: np.random.Generator,
    shared: SharedDraws | None = None,
    context_limit: int | None = None,
) -> Iterator[Request]:
    """Yield a user's requests without end: conversation after conversation, turn after turn.

    A conversation also ends when its next turn might make it longer than the context limit.
    """
    uniform = _uniforms(random)
    for conversation in itertools.count():
        system_prompt = shared.system_prompt() if shared else None
        earlier: tuple[tuple[int, int], ...] = ()
        for turn in range(MAX_TURNS):
            request = Request(
                user=user.index,
                priority=user.qos.priority,
                conversation=conversation,
                turn=turn,
                context_tokens=_quarter_to_whole(user.context_tokens, next(uniform)),
                generated_tokens=_quarter_to_whole(user.generated_tokens, next(uniform)),
                think_s=user.think_s * (0.8 + 0.4 * next(uniform)),
                earlier=earlier,
                system_prompt=system_prompt,
                documents=shared.documents() if shared else (),
            )
            yield request
            earlier = (*earlier, (request.context_tokens, request.generated_tokens))
            is_last = next(uniform) < END_PROBABILITY
            is_full = context_limit is not None and (
                request.prompt_tokens + request.generated_tokens + user.context_tokens
                > context_limit
            )
            if is_last or is_full:
                break


class SharedDraws:
    """What a user draws of the shared material: from a generator of its own.

    So the same user asks the same with and without sharing.
    """

    def __init__(self, shared_content: SharedContent, seed: int, user: int) -> None:
        self._shared_content = shared_content
        self._random = user_random(seed, user, stream=1)

    def system_prompt(self) -> Segment | None:
        """Draw what a conversation opens with."""
        return self._shared_content.open_conversation(self._random)

    def documents(self) -> tuple[Segment, ...]:
        """Draw what a request retrieves."""
        return self._shared_content.retrieve(self._random)


def _uniforms(random: np.random.Generator) -> Iterator[float]:
    """Yield numbers from [0, 1), drawn many at once, which takes a tenth of the time."""
    while True:
        yield from random.random(_DRAWN_AT_ONCE).tolist()


def _quarter_to_whole(drawn: int, uniform: float) -> int:
    """Return a whole number from a quarter of what was drawn up to all of it."""
    least = max(1, drawn // 4)
    return least + int(uniform * (drawn - least + 1))


@dataclass(frozen=True)
class UserStream:
    """A user and its requests."""

    user: User
    start_s: float
    """When it asks first: users do not all begin at once."""
    requests: Iterator[Request]


def user_streams(
    num_users: int,
    seed: int,
    first_user: int = 0,
    shared_content: SharedContent | None = None,
    context_limit: int | None = None,
) -> list[UserStream]:
    """Return a rank's users, from `first_user` on; a user depends on seed and index alone."""
    streams = []
    for index in range(first_user, first_user + num_users):
        random = user_random(seed, index)
        user = draw_user(index, random)
        start_s = user.think_s * float(random.random())
        shared = None if shared_content is None else SharedDraws(shared_content, seed, index)
        streams.append(UserStream(user, start_s, requests_of(user, random, shared, context_limit)))
    return streams
