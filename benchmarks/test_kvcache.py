"""The storage under an LLM server's key/value cache: every option of the profile."""

from mlpstorage_bench.kvcache.case import KVCache


def test_option(kvcache: KVCache, kvcache_option: str) -> None:
    kvcache.run(kvcache_option)
