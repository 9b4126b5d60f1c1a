"""A first benchmark: one case, its bandwidth, and a condition on it.

Run it on the storage to be measured:

    pytest examples/test_first_benchmark.py --mlps-cache-dir=/mnt/array/cache
"""

from mlpstorage_bench import KVCache, KVCacheResult


def test_chat(kvcache: KVCache) -> None:
    result: KVCacheResult = kvcache.run(1, case="chat", num_users=16)
    assert result.read_gib_s > 0
    assert result.write_gib_s > 0
