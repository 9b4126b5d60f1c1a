"""Blocks of tokens, keyed by a hash chain: equal prefixes have equal keys for all users.

Like in inference engines (vLLM's automatic prefix caching, LMCache): a block's key is the hash of
its parent's key and of its own tokens, so that it identifies the whole prefix up to its end. Tokens
are not generated: a prompt is a sequence of segments, and a token is (segment, position in it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

Purpose = Literal["system prompt", "document", "conversation", "answer"]
"""Purpose of a lookup: shared content, the conversation so far, or decoding an answer."""


class Segment(NamedTuple):
    """Consecutive tokens of a prompt with one source."""

    source: str
    """Name of the content: equal sources have equal tokens."""
    tokens: int
    purpose: Purpose


class Block(NamedTuple):
    """Unit of lookups, reads and writes: a block of tokens, or a whole turn."""

    key: str
    tokens: int
    purpose: Purpose
    size: int | None = None
    """Size in bytes, if a trace gives it."""


class ReadOrWrite(NamedTuple):
    """Read the longest prefix of these blocks that the cache has, and write the others."""

    blocks: tuple[Block, ...]
    is_read: bool = True
    """Whether the prefix is read; if not, it is only not written again."""


class Read(NamedTuple):
    """Read a block, if the cache has it."""

    block: Block


class Write(NamedTuple):
    """Write a new block."""

    block: Block


Access = ReadOrWrite | Read | Write
"""One step of a request in the cache."""


def hash_chain_blocks(segments: Iterable[Segment], tokens_per_block: int) -> tuple[Block, ...]:
    """Return the full blocks of a prompt in order; an incomplete last block is not cached.

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
    """Return a segment as one block of any length."""
    return Block(segment.source, segment.tokens, segment.purpose)


def _cut(
    segments: Iterable[Segment], tokens_per_block: int
) -> Iterator[Sequence[tuple[str, int, int, Purpose]]]:
    """Yield the parts (source, first token, tokens, purpose) of each full block."""
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
