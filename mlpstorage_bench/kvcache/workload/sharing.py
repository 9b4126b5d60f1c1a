"""Shared content: system prompts of conversations, and documents for retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlpstorage_bench.kvcache.workload.blocks import Segment

MIN_PROMPT_TOKENS = 50
"""Smallest length of a system prompt, unless the largest is smaller."""
_SPAWN_KEY = (0, 0, 1)
"""Spawn key of the generator for shared content; keys of users never have three parts."""

Popularity = Literal["zipfian", "uniform"]


@dataclass(frozen=True)
class Sharing:
    """Amount of shared content; none by default."""

    system_prompt_share: float = 0.0
    """Share of conversations that start with a shared system prompt."""
    system_prompts: int = 10
    """Number of different system prompts."""
    system_prompt_tokens: int = 1024
    """Largest length of a system prompt; the smallest is a quarter of it."""
    rag_share: float = 0.0
    """Share of requests that retrieve from documents."""
    rag_documents: int = 10
    rag_document_tokens: tuple[int, int] = (4000, 12_000)
    rag_chunk_tokens: int = 512
    rag_top_k: int = 5
    """Chunks that a retrieval returns."""
    rag_retrieval: Popularity = "zipfian"


NOTHING_SHARED = Sharing()


class SharedContent:
    """Shared content of a rank: a function of sharing and seed."""

    def __init__(self, sharing: Sharing, seed: int) -> None:
        self._sharing = sharing
        random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed, spawn_key=_SPAWN_KEY))
        )
        self.system_prompts: tuple[Segment, ...] = ()
        self.documents: tuple[tuple[Segment, ...], ...] = ()
        """The chunks of each document."""
        if sharing.system_prompt_share:
            longest = sharing.system_prompt_tokens
            least = min(longest, max(MIN_PROMPT_TOKENS, longest // 4))
            self.system_prompts = tuple(
                Segment(
                    f"system-prompt{number}",
                    int(random.integers(least, longest, endpoint=True)),
                    "system prompt",
                )
                for number in range(sharing.system_prompts)
            )
        if sharing.rag_share:
            self.documents = tuple(
                _chunks(number, int(tokens), sharing.rag_chunk_tokens)
                for number, tokens in enumerate(
                    random.integers(
                        *sharing.rag_document_tokens, size=sharing.rag_documents, endpoint=True
                    )
                )
            )
        self._prompt_popularity = _cumulative("zipfian", len(self.system_prompts))
        self._document_popularity = _cumulative(sharing.rag_retrieval, len(self.documents))

    def __bool__(self) -> bool:
        """Return whether anything is shared."""
        return bool(self.system_prompts or self.documents)

    def open_conversation(self, random: np.random.Generator) -> Segment | None:
        """Draw the system prompt of a conversation; None: not a shared one."""
        if not self.system_prompts or random.random() >= self._sharing.system_prompt_share:
            return None
        return self.system_prompts[_draw(self._prompt_popularity, random)]

    def retrieve(self, random: np.random.Generator) -> tuple[Segment, ...]:
        """Draw the chunks of one document that a request retrieves; () for most requests."""
        if not self.documents or random.random() >= self._sharing.rag_share:
            return ()
        chunks = self.documents[_draw(self._document_popularity, random)]
        left = list(chunks)
        found = []
        for _ in range(min(self._sharing.rag_top_k, len(chunks))):
            popularity = _cumulative(self._sharing.rag_retrieval, len(left))
            found.append(left.pop(_draw(popularity, random)))
        return tuple(found)


def _chunks(document: int, tokens: int, chunk_tokens: int) -> tuple[Segment, ...]:
    return tuple(
        Segment(f"document{document}-chunk{number}", min(chunk_tokens, tokens - first), "document")
        for number, first in enumerate(range(0, tokens, chunk_tokens))
    )


def _cumulative(popularity: Popularity, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return cumulative probabilities of `count` items; zipfian: the nth has weight 1/n."""
    if not count:
        return np.empty(0)
    weights = 1 / np.arange(1, count + 1) if popularity == "zipfian" else np.ones(count)
    return np.asarray(np.cumsum(weights) / weights.sum())


def _draw(
    cumulative: np.ndarray[tuple[int], np.dtype[np.float64]], random: np.random.Generator
) -> int:
    return min(int(np.searchsorted(cumulative, random.random(), side="right")), len(cumulative) - 1)
