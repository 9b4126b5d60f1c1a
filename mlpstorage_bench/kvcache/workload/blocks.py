"""Blocks of tokens, keyed by a hash chain: equal prefixes have equal keys, whoever asks.

As inference engines do it (vLLM's automatic prefix caching, LMCache): a block's key is the hash of
its parent's key and of its own tokens, so that it stands for everything up to its end. Tokens are
not made here: a prompt is a sequence of segments, and a token is (segment, position in it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Purpose = Literal["system prompt", "document", "conversation", "answer"]
"""What a block is looked up for: something shared, the conversation so far, or to decode."""


class Segment(NamedTuple):
    """Consecutive tokens of a prompt that come from one place."""

    source: str
    """Equal sources have equal tokens."""
    tokens: int
    purpose: Purpose


class Block(NamedTuple):
    """The unit that is looked up, read and written: a block of tokens, or a whole turn."""

    key: str
    tokens: int
    purpose: Purpose
    size: int | None = None
    """In bytes, where a trace says so."""


@dataclass(frozen=True)
class ReadOrWrite:
    """Have these blocks: read as many from the first on as the cache has, write the rest."""

    blocks: tuple[Block, ...]
    is_read: bool = True
    """Whether those that the cache has are read; else they are only not written again."""


@dataclass(frozen=True)
class Read:
    """Read a block, if the cache has it."""

    block: Block


@dataclass(frozen=True)
class Write:
    """Write a new block."""

    block: Block


Access = ReadOrWrite | Read | Write
"""A step of a request in the cache."""


def hash_chain_blocks(segments: Iterable[Segment], tokens_per_block: int) -> tuple[Block, ...]:
    """Return the full blocks of a prompt, first block first; what is left over is not cached.

    A block's purpose is that of its first token.
    """
    blocks = []
    parent = ""
    for parts in _cut(segments, tokens_per_block):
        covered = ";".join(f"{source},{first},{count}" for source, first, count, _ in parts)
        parent = hashlib.blake2b(f"{parent}|{covered}".encode(), digest_size=16).hexdigest()
        blocks.append(Block(parent, tokens_per_block, parts[0][3]))
    return tuple(blocks)


def as_block(segment: Segment) -> Block:
    """Return a segment as one block of its own, whatever its length."""
    return Block(segment.source, segment.tokens, segment.purpose)


def _cut(
    segments: Iterable[Segment], tokens_per_block: int
) -> Iterator[Sequence[tuple[str, int, int, Purpose]]]:
    """Yield the parts (source, first token, tokens, purpose) that each full block is made of."""
    parts: list[tuple[str, int, int, Purpose]] = []
    missing = tokens_per_block
    for source, tokens, purpose in segments:
        first = 0
        while first < tokens:
            count = min(missing, tokens - first)
            parts.append((source, first, count, purpose))
            first += count
            missing -= count
            if not missing:
                yield parts
                parts, missing = [], tokens_per_block
