"""A scenario of one's own: what a user writes, from the import to the last line."""

import pytest

from mlpstorage_bench.kvcache.fixture import KVCache


@pytest.mark.mlps_slo("interactive", p95_ms=60_000)
def test_chat_with_a_shared_assistant(kvcache: KVCache) -> None:
    shared = {"keyed_by": "prefix", "system_prompt_share": 0.9, "decode_reads": "none"}
    result = kvcache.run(1, case="assistant", arrivals="poisson", rate=50.0, num_users=32, **shared)
    assert result.trials[0].lookups["system prompt"]["hits"]
