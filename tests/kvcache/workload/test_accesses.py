"""Cache accesses of requests: the reference's steps, and prefixes keyed by content."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.workload.accesses import Rules, accesses, cache_growth
from mlpstorage_bench.kvcache.workload.blocks import Block, Read, ReadOrWrite, Segment, Write
from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.sharing import Sharing

PROMPT = Segment("system-prompt0", 100, "system prompt")
CHUNK = Segment("document3-chunk1", 512, "document")
SECOND_TURN = Request(
    user=7,
    priority=1,
    conversation=3,
    turn=1,
    context_tokens=1000,
    generated_tokens=33,
    think_s=0.5,
    earlier=((200, 20),),
    system_prompt=PROMPT,
    documents=(CHUNK,),
)
OWN = Block("user7-conversation3-turn1", 1000, "answer")
EARLIER = Block("user7-conversation3-turn0", 200, "conversation")


def test_turn_reads_shared_and_earlier_entries_and_writes_its_own() -> None:
    assert list(accesses(SECOND_TURN, Rules())) == [
        ReadOrWrite((Block(*PROMPT),)),
        ReadOrWrite((Block(*CHUNK),)),
        Read(EARLIER),
        Write(OWN),
        *[Read(OWN)] * 3,
    ]


def test_prefill_phase_writes_and_decode_phase_reads_only() -> None:
    prefill = list(accesses(SECOND_TURN, Rules(phase="prefill")))
    assert prefill == [
        ReadOrWrite((Block(*PROMPT),), is_read=False),
        ReadOrWrite((Block(*CHUNK),), is_read=False),
        Write(OWN),
    ]
    decode = list(accesses(SECOND_TURN, Rules(phase="decode")))
    assert decode == [Read(Block("user7-prepared4", 2048, "answer"))] * 3


@pytest.mark.parametrize(("decode_reads", "times"), [("reference", 3), ("once", 1), ("none", 0)])
@pytest.mark.parametrize("keyed_by", ["turn", "prefix"])
def test_decode_reads_sets_the_number_of_reads(
    decode_reads: str, times: int, keyed_by: str
) -> None:
    rules = Rules(decode_reads=decode_reads, keyed_by=keyed_by, tokens_per_block=256)  # type: ignore[arg-type]  # literals
    reads = [
        a
        for a in accesses(SECOND_TURN, rules)
        if isinstance(a, Read)
        if a.block.purpose == "answer"
    ]
    blocks = 1 if keyed_by == "turn" else (100 + 220 + 1000) // 256
    assert len(reads) == times * blocks


def test_prompt_blocks_extend_those_of_the_previous_turn() -> None:
    rules = Rules(keyed_by="prefix", tokens_per_block=16, decode_reads="none")
    first = SECOND_TURN._replace(
        turn=0, earlier=(), context_tokens=200, generated_tokens=20, documents=()
    )
    (before,) = [a.blocks for a in accesses(first, rules) if isinstance(a, ReadOrWrite)]
    (chunk, after) = [a.blocks for a in accesses(SECOND_TURN, rules) if isinstance(a, ReadOrWrite)]
    assert after[: len(before)] == before
    assert len(before) == 300 // 16
    assert len(after) == 1320 // 16
    assert len(chunk) == 512 // 16
    of_other_user = first._replace(user=8)
    (others,) = [a.blocks for a in accesses(of_other_user, rules) if isinstance(a, ReadOrWrite)]
    shared = [a for a, b in zip(before, others, strict=True) if a == b]
    assert shared == list(before[: 100 // 16]), "only blocks that the system prompt fills"


@pytest.mark.long
@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32),
    keyed_by=st.sampled_from(["turn", "prefix"]),
    phase=st.sampled_from(["mixed", "prefill"]),
    size=st.sampled_from([16, 256, 512]),
)
@settings(deadline=None)
def test_growth_equals_writes_to_a_cache_without_eviction(
    seed: int, keyed_by: str, phase: str, size: int
) -> None:
    rules = Rules(phase, "none", keyed_by, size)  # type: ignore[arg-type]  # literals
    sharing = Sharing(system_prompt_share=0.5, rag_share=0.3)
    streams = RequestSource(4, seed, sharing=sharing, context_limit=60_000).streams()
    seen: set[str] = set()
    cache: dict[str, int] = {}
    grown = 0
    for request in (r for s in streams for r in itertools.islice(s.requests, 8)):
        grown += sum(g.number * g.block.tokens for g in cache_growth(request, rules, seen))
        for access in accesses(request, rules):
            if isinstance(access, ReadOrWrite):
                cache |= {block.key: block.tokens for block in access.blocks}
            elif isinstance(access, Write):
                cache[access.block.key] = access.block.tokens
        if keyed_by == "prefix":  # documents are there before; growth leaves them to preparation
            documents = {
                block.key: block.tokens
                for access in accesses(request, rules)
                if isinstance(access, ReadOrWrite) and access.blocks[0].purpose == "document"
                for block in access.blocks
            }
            for key in documents.keys() - seen:
                seen.add(key)
                grown += documents[key]
    assert grown == sum(cache.values())


def test_conversations_stay_within_the_context_limit() -> None:
    for stream in RequestSource(9, 42, context_limit=50_000).streams():
        for request in itertools.islice(stream.requests, 200):
            assert request.prompt_tokens <= max(50_000, request.context_tokens)


def seconds_of(seed: int, end_s: float) -> tuple[float, float, float]:
    """Mean and median MiB written, and bytes read per byte written, with storage of no cost."""
    written, read = [], 0
    for stream in RequestSource(20, seed).streams():
        now_s = stream.start_s
        for request in stream.requests:
            if now_s >= end_s:
                break
            for access in accesses(request, Rules()):
                if isinstance(access, Write):
                    written.append(access.block.tokens * 131_072)
                elif isinstance(access, Read):
                    read += access.block.tokens * 131_072
            now_s += request.think_s
    mib = 2**20
    return statistics.mean(written) / mib, statistics.median(written) / mib, read / sum(written)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "reference"),
    [
        pytest.param(0, 480, marks=pytest.mark.long),
        pytest.param(1, 265, marks=pytest.mark.long),
        (2, 8.2),
    ],
)
def test_sanctioned_workload_has_the_mix_of_the_reference(which: int, reference: float) -> None:
    """Reference figures: its trace of workload 1 with 20 users; ours over 20 seeds."""
    ours = [seconds_of(seed, 60.0)[which] for seed in range(20)]
    assert min(ours) <= reference <= max(ours)
    assert statistics.median(ours) == pytest.approx(reference, rel=0.25)
