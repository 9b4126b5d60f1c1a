"""Key/value cache of an LLM server: each workload of the profile, and scenarios.

A scenario changes the first workload of the profile; values of the command line override it.
"""

import pytest

from mlpstorage_bench.kvcache.fixture import KVCache

scenario = pytest.mark.mlps_scenario


def test_workload(kvcache: KVCache, kvcache_workload: str) -> None:
    kvcache.run(kvcache_workload)


@scenario
def test_prefill_only(kvcache: KVCache) -> None:
    kvcache.run(kvcache.workloads[0], case="prefill-only", phase="prefill")


@scenario
def test_decode_only(kvcache: KVCache) -> None:
    kvcache.run(kvcache.workloads[0], case="decode-only", phase="decode")


@scenario
def test_shared_prefixes(kvcache: KVCache) -> None:
    shared = {"keyed_by": "prefix", "system_prompt_share": 0.5, "decode_reads": "none"}
    kvcache.run(kvcache.workloads[0], case="shared-prefixes", **shared)


@scenario
def test_rag(kvcache: KVCache) -> None:
    kvcache.run(kvcache.workloads[0], case="rag", rag_share=0.5, decode_reads="once")


@scenario
def test_open_loop(kvcache: KVCache) -> None:
    kvcache.run(kvcache.workloads[0], case="open-loop", arrivals="poisson", rate=20.0)


@scenario
@pytest.mark.parametrize("tokens", [16, 256, 512])
def test_block_size(kvcache: KVCache, tokens: int) -> None:
    kvcache.run(
        kvcache.workloads[0], case=f"blocks-{tokens}", layout="block", tokens_per_block=tokens
    )
