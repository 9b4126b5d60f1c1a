"""Requests: the turns of each user's conversations, as streams that depend only on the seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlpstorage_bench.kvcache.workload.blocks import Access, Segment
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.kvcache.workload.turns import turns_one_by_one
from mlpstorage_bench.kvcache.workload.users import (
    QOS_BY_PRIORITY,
    QosClass,
    User,
    draw_user,
    user_random,
)

MAX_TURNS = 50
DECODE_BATCH_TOKENS = 32
"""Tokens generated between two reads of the turn's entry."""
PREFILL_ONLY_FROM_TOKENS = 10_000
"""Contexts of this length or longer are written but not decoded."""
PREPARED_ENTRIES, PREPARED_TOKENS = 10, 2048
"""Number and size of each user's entries written before a run with phase `decode`."""


class Request(NamedTuple):
    """One inference call: a turn of a conversation."""

    user: int
    priority: int
    conversation: int
    turn: int
    context_tokens: int
    generated_tokens: int
    think_s: float
    """Wait of the user between the answer and the next turn."""
    earlier: tuple[tuple[int, int], ...] = ()
    """Tokens of context and answer of each earlier turn of the conversation, in order."""
    system_prompt: Segment | None = None
    """Shared system prompt at the start of the conversation, if there is one."""
    documents: tuple[Segment, ...] = ()
    """Chunks that this turn retrieves."""
    accesses: tuple[Access, ...] = ()
    """Cache accesses, if a trace gives them."""

    @property
    def key(self) -> str:
        """Name of the entry that this turn writes."""
        return entry_key(self.user, self.conversation, self.turn)

    @property
    def qos(self) -> QosClass:
        """Class of service of the user."""
        return QOS_BY_PRIORITY[self.priority]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the whole conversation before this turn's answer."""
        opening = 0 if self.system_prompt is None else self.system_prompt.tokens
        return opening + sum(map(sum, self.earlier)) + self.context_tokens

    @property
    def decode_reads(self) -> int:
        """Reads of this turn's entry for decoding; 0 for long contexts."""
        return 0 if self.context_tokens >= PREFILL_ONLY_FROM_TOKENS else self.reads_per_answer

    @property
    def reads_per_answer(self) -> int:
        """Reads of an entry while an answer is generated: 1, plus 1 per batch of tokens."""
        return 1 + -(-self.generated_tokens // DECODE_BATCH_TOKENS)


def entry_key(user: int, conversation: int, turn: int) -> str:
    """Return the name of a turn's entry, unique within a rank."""
    return f"user{user}-conversation{conversation}-turn{turn}"


def prepared_key(user: int, number: int) -> str:
    """Return the name of an entry written before a run with phase `decode`."""
    return f"user{user}-prepared{number}"


def requests_of(
    user: User,
    random: np.random.Generator,
    shared: SharedDraws | None = None,
    context_limit: int | None = None,
) -> Iterator[Request]:
    """Yield a user's requests without end: conversation after conversation, turn after turn.

    A conversation also ends if its next turn might exceed the context limit.
    """
    drawn = turns_one_by_one(user, random)
    for conversation in itertools.count():
        system_prompt = shared.system_prompt() if shared else None
        earlier: tuple[tuple[int, int], ...] = ()
        for turn in range(MAX_TURNS):
            context_tokens, generated_tokens, think_s, is_last = next(drawn)
            request = Request(
                user=user.index,
                priority=user.qos.priority,
                conversation=conversation,
                turn=turn,
                context_tokens=context_tokens,
                generated_tokens=generated_tokens,
                think_s=think_s,
                earlier=earlier,
                system_prompt=system_prompt,
                documents=shared.documents() if shared else (),
            )
            yield request
            earlier = (*earlier, (context_tokens, generated_tokens))
            is_full = context_limit is not None and (
                request.prompt_tokens + request.generated_tokens + user.context_tokens
                > context_limit
            )
            if is_last or is_full:
                break


class SharedDraws:
    """Draws shared content for a user, from a separate generator.

    A user's own requests are thus the same with and without sharing.
    """

    def __init__(self, shared_content: SharedContent, seed: int, user: int) -> None:
        self._shared_content = shared_content
        self._random = user_random(seed, user, stream=1)

    def system_prompt(self) -> Segment | None:
        """Draw the system prompt of a conversation; None: not a shared one."""
        return self._shared_content.open_conversation(self._random)

    def documents(self) -> tuple[Segment, ...]:
        """Draw the chunks that a request retrieves."""
        return self._shared_content.retrieve(self._random)


@dataclass(frozen=True)
class UserStream:
    """A user and the stream of its requests."""

    user: User
    start_s: float
    """Time of the first request, different for each user."""
    requests: Iterator[Request]


@dataclass(frozen=True)
class UserDraws:
    """A user, and the generator from which its turns are drawn."""

    user: User
    start_s: float
    """Time of the first request, different for each user."""
    random: np.random.Generator


def draw_users(num_users: int, seed: int, first_user: int = 0) -> Iterator[UserDraws]:
    """Yield a rank's users, which depend only on the seed and the user's index."""
    for index in range(first_user, first_user + num_users):
        random = user_random(seed, index)
        user = draw_user(index, random)
        yield UserDraws(user, user.think_s * float(random.random()), random)


def user_streams(
    num_users: int,
    seed: int,
    first_user: int = 0,
    shared_content: SharedContent | None = None,
    context_limit: int | None = None,
) -> list[UserStream]:
    """Return the streams of a rank's users, which depend only on the seed and the user's index."""
    streams = []
    for drawn in draw_users(num_users, seed, first_user):
        user = drawn.user
        shared = SharedDraws(shared_content, seed, user.index) if shared_content else None
        requests = requests_of(user, drawn.random, shared, context_limit)
        streams.append(UserStream(user, drawn.start_s, requests))
    return streams
