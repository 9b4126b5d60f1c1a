from __future__ import annotations

import pytest

from mlpstorage_bench.kvcache.config.models import MODELS, Dtype, LatentAttentionModel

BYTES_PER_TOKEN = {
    "tiny-1b": 24_576,
    "mistral-7b": 131_072,
    "llama2-7b": 524_288,
    "llama3.1-8b": 131_072,
    "llama3.1-70b-instruct": 327_680,
    "deepseek-v3": 70_272,
    "qwen3-32b": 262_144,
    "gpt-oss-120b": 73_728,
    "gpt-oss-20b": 49_152,
}


def test_bytes_per_token_of_every_reference_model() -> None:
    assert {name: model.bytes_per_token() for name, model in MODELS.items()} == BYTES_PER_TOKEN


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", 262_144), ("float16", 131_072), ("bfloat16", 131_072), ("float8", 65_536)],
)
def test_bytes_per_token_depend_on_dtype(dtype: Dtype, expected: int) -> None:
    assert MODELS["llama3.1-8b"].bytes_per_token(dtype) == expected


def test_latent_attention_stores_one_vector_per_layer() -> None:
    model = LatentAttentionModel(layers=2, hidden_size=64, kv_lora_rank=16, qk_rope_head_dim=8)
    assert model.bytes_per_token("float8") == 2 * (16 + 8)


def test_shard_stores_its_heads_but_the_whole_latent_vector() -> None:
    assert MODELS["llama3.1-70b-instruct"].bytes_per_token(tensor_parallel=8) == 327_680 // 8
    assert MODELS["deepseek-v3"].bytes_per_token(tensor_parallel=8) == 70_272
    with pytest.raises(ValueError, match="tensor_parallel 3 does not divide 131072 bytes"):
        MODELS["llama3.1-8b"].bytes_per_token(tensor_parallel=3)
