from __future__ import annotations

import pytest

from mlpstorage_bench.kvcache.models import MODELS, LatentAttentionModel, Model

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


def test_every_model_of_the_reference_has_its_bytes_per_token() -> None:
    assert {name: model.bytes_per_token for name, model in MODELS.items()} == BYTES_PER_TOKEN


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float32", 262_144), ("bfloat16", 131_072), ("float8", 65_536)]
)
def test_bytes_per_token_follow_the_type_of_numbers(dtype: str, expected: int) -> None:
    assert Model(32, 4096, 32, 8, 128, dtype).bytes_per_token == expected


def test_latent_attention_caches_one_vector_per_layer() -> None:
    assert LatentAttentionModel(2, 64, 4, 16, 8, "float8").bytes_per_token == 2 * (16 + 8)
