"""Objectives: a test fails if requests take longer than 60 s, or if no prefix is shared."""

import pytest

from mlpstorage_bench import KVCache


@pytest.mark.mlps_slo("interactive", p95_ms=60_000)
def test_chat_with_a_shared_assistant(kvcache: KVCache) -> None:
    result = kvcache.run(
        1,
        case="assistant",
        arrivals="poisson",
        rate=50.0,
        num_users=32,
        keyed_by="prefix",
        system_prompt_share=0.9,
        decode_reads="none",
    )
    assert result.trials[0].lookups["system prompt"]["hits"]
