"""Shared system prompts and documents: shares and popularity."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.sharing import SharedContent, Sharing

PROMPTS = Sharing(system_prompt_share=0.2, system_prompts=8, system_prompt_tokens=1000)
RAG = Sharing(rag_share=0.1)


def requests(sharing: Sharing, users: int = 40, each: int = 100, seed: int = 42) -> list[Request]:
    streams = RequestSource(users, seed, sharing=sharing).streams()
    return [r for s in streams for r in itertools.islice(s.requests, each)]


@pytest.mark.slow
def test_system_prompt_share_of_conversations_starts_with_a_prompt() -> None:
    drawn = requests(PROMPTS, users=200)
    share = sum(r.system_prompt is not None for r in drawn) / len(drawn)
    assert share == pytest.approx(0.2, abs=0.02)
    prompts = {r.system_prompt for r in drawn} - {None}
    assert len(prompts) == 8
    assert all(250 <= p.tokens <= 1000 for p in prompts if p)


def test_turns_of_a_conversation_have_the_same_prompt() -> None:
    opened: dict[tuple[int, int], object] = {}
    for request in requests(PROMPTS):
        key = (request.user, request.conversation)
        assert opened.setdefault(key, request.system_prompt) == request.system_prompt


@pytest.mark.slow
def test_popularity_is_as_configured() -> None:
    def drawn(retrieval: str) -> Counter[str]:
        sharing = Sharing(rag_share=1.0, rag_retrieval=retrieval)  # type: ignore[arg-type]  # a literal
        shared_content, random = SharedContent(sharing, 1), np.random.default_rng(1)
        found = [shared_content.retrieve(random)[0].source.partition("-")[0] for _ in range(20_000)]
        return Counter(found)

    zipfian, uniform = drawn("zipfian"), drawn("uniform")
    assert zipfian["document0"] / zipfian["document4"] == pytest.approx(5, rel=0.1)
    assert uniform["document0"] / uniform["document9"] == pytest.approx(1, rel=0.1)


def test_retrieval_returns_distinct_chunks_of_one_document() -> None:
    shared_content, random = (
        SharedContent(Sharing(rag_share=1.0, rag_chunk_tokens=512), 7),
        np.random.default_rng(1),
    )
    assert len(shared_content.documents) == 10
    for document in shared_content.documents:
        assert 4000 <= sum(chunk.tokens for chunk in document) <= 12_000
        assert {chunk.tokens for chunk in document[:-1]} == {512}
    for _ in range(100):
        chunks = shared_content.retrieve(random)
        assert len(set(chunks)) == len(chunks) == 5
        assert len({chunk.source.partition("-")[0] for chunk in chunks}) == 1


@pytest.mark.slow
def test_rag_share_of_requests_retrieve() -> None:
    drawn = requests(RAG, users=100)
    assert sum(bool(r.documents) for r in drawn) / len(drawn) == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
@given(st.integers(0, 2**63 - 1))
def test_sharing_does_not_change_other_fields_of_requests(seed: int) -> None:
    def bare(drawn: list[Request]) -> list[tuple[object, ...]]:
        return [(r.user, r.turn, r.context_tokens, r.generated_tokens, r.think_s) for r in drawn]

    both = Sharing(system_prompt_share=0.5, rag_share=0.5)
    assert bare(requests(both, 3, 20, seed)) == bare(requests(Sharing(), 3, 20, seed))


def test_hash_covers_shared_content() -> None:
    hashes = {RequestSource(5, 42, sharing=s).sha256() for s in (Sharing(), PROMPTS, RAG)}
    assert len(hashes) == 3
