"""Cache accesses of a request, step by step: pure, so that hits can be predicted from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mlpstorage_bench.kvcache.workload.blocks import (
    Access,
    Block,
    Read,
    ReadOrWrite,
    Segment,
    Write,
    as_block,
    hash_chain_blocks,
)
from mlpstorage_bench.kvcache.workload.requests import (
    PREPARED_ENTRIES,
    PREPARED_TOKENS,
    Request,
    entry_key,
    prepared_key,
)
from mlpstorage_bench.kvcache.workload.sharing import SharedContent

Phase = Literal["mixed", "prefill", "decode"]
DecodeReads = Literal["reference", "once", "none"]
KeyedBy = Literal["turn", "prefix"]


@dataclass(frozen=True)
class Rules:
    """Rules that turn requests into accesses."""

    phase: Phase = "mixed"
    """`prefill` only writes; `decode` only reads entries that were written before."""
    decode_reads: DecodeReads = "reference"
    keyed_by: KeyedBy = "turn"
    """`turn`: an entry per turn, like the reference; `prefix`: blocks keyed by hash chain."""
    tokens_per_block: int = 256


def accesses(request: Request, rules: Rules) -> Iterator[Access]:
    """Yield the accesses of a request in order."""
    if request.accesses:
        yield from request.accesses
    elif rules.phase == "decode":
        number = (request.conversation + request.turn) % PREPARED_ENTRIES
        key = prepared_key(request.user, number)
        prepared = (Block(key, PREPARED_TOKENS, "answer"),)
        yield from decode(prepared, request.reads_per_answer, rules)
    elif rules.keyed_by == "prefix":
        yield from _by_prefix(request, rules)
    else:
        yield from _by_turn(request, rules)


def _by_turn(request: Request, rules: Rules) -> Iterator[Access]:
    """Read shared content and the conversation so far, write this turn, and read it to decode."""
    is_read = rules.phase == "mixed"
    for segment in _shared(request):
        yield ReadOrWrite((as_block(segment),), is_read)
    if is_read:
        for turn, (tokens, _) in enumerate(request.earlier):
            key = entry_key(request.user, request.conversation, turn)
            yield Read(Block(key, tokens, "conversation"))
    own = Block(request.key, request.context_tokens, "answer")
    yield Write(own)
    if is_read:
        yield from decode((own,), request.decode_reads, rules)


def _shared(request: Request) -> tuple[Segment, ...]:
    """Return the shared content of a request: its system prompt and retrieved documents."""
    opening = () if request.system_prompt is None else (request.system_prompt,)
    return (*opening, *request.documents)


def _by_prefix(request: Request, rules: Rules) -> Iterator[Access]:
    """Read or write the blocks of documents and of the prompt, and read the prompt to decode."""
    is_read = rules.phase == "mixed"
    size = rules.tokens_per_block
    for segment in request.documents:
        yield ReadOrWrite(_chunk(segment, rules), is_read)
    conversation = f"user{request.user}-conversation{request.conversation}"
    turns = [
        Segment(f"{conversation}-turn{turn}", context + answer, "conversation")
        for turn, (context, answer) in enumerate((*request.earlier, (request.context_tokens, 0)))
    ]
    prompt = hash_chain_blocks([*filter(None, [request.system_prompt]), *turns], size)
    if prompt:
        yield ReadOrWrite(prompt, is_read)
    if is_read:
        yield from decode(prompt, request.decode_reads, rules)


def decode(blocks: tuple[Block, ...], reads: int, rules: Rules) -> Iterator[Read]:
    """Yield the reads of these blocks while an answer is generated."""
    times = {"reference": reads, "once": min(reads, 1), "none": 0}[rules.decode_reads]
    answers = [block._replace(purpose="answer") for block in blocks] if times else []
    for _ in range(times):
        for block in answers:
            yield Read(block)


def prepared(users: Iterable[int], shared_content: SharedContent, rules: Rules) -> Iterator[Block]:
    """Yield the blocks written before the first request: documents, and entries for `decode`."""
    for segment in itertools.chain.from_iterable(shared_content.documents):
        yield from _chunk(segment, rules)
    if rules.phase == "decode":
        for user in users:
            for number in range(PREPARED_ENTRIES):
                yield Block(prepared_key(user, number), PREPARED_TOKENS, "answer")


def _chunk(segment: Segment, rules: Rules) -> tuple[Block, ...]:
    """Return the blocks of a document's chunk, which do not depend on its place in a prompt."""
    if rules.keyed_by == "turn":
        return (as_block(segment),)
    return hash_chain_blocks([segment], rules.tokens_per_block) or (as_block(segment),)


class CacheGrowth(NamedTuple):
    """New blocks of one size."""

    number: int
    block: Block


def cache_growth(request: Request, rules: Rules, seen: set[str]) -> Iterator[CacheGrowth]:
    """Yield the blocks that a request adds to a cache without eviction; shared content once.

    `seen` has the keys of shared content so far, and is updated. Blocks of conversations are
    counted without keys: each prompt begins with the previous one.
    """
    if rules.phase == "decode":
        return
    if request.accesses or rules.keyed_by == "turn":
        for block in _added(request):
            if block.key == request.key:
                yield CacheGrowth(1, block)
            elif block.key not in seen:
                seen.add(block.key)
                yield CacheGrowth(1, block)
        return
    size = rules.tokens_per_block
    opening = request.system_prompt
    shared = 0 if opening is None else opening.tokens // size
    if opening is not None and opening.source not in seen:
        seen.add(opening.source)
        yield CacheGrowth(shared, Block("", size, "system prompt"))
    answer = request.earlier[-1][1] if request.earlier else 0
    before = (request.prompt_tokens - request.context_tokens - answer) // size
    after = request.prompt_tokens // size
    yield CacheGrowth(
        after - (before if request.earlier else shared), Block("", size, "conversation")
    )


def _added(request: Request) -> Iterator[Block]:
    """Yield the blocks that a request may add, with an entry per turn or accesses of a trace."""
    if not request.accesses:
        yield from map(as_block, _shared(request))
        yield Block(request.key, request.context_tokens, "answer")
    for access in request.accesses:
        if isinstance(access, ReadOrWrite):
            yield from access.blocks
        elif isinstance(access, Write):
            yield access.block
