"""Bytes of key/value data per token, from a model's geometry."""

from __future__ import annotations

from dataclasses import dataclass

DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8": 1}


@dataclass(frozen=True)
class Model:
    """A transformer's geometry, as far as its key/value cache depends on it."""

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    dtype: str = "float16"

    @property
    def bytes_per_token(self) -> int:
        """Key and value vectors of every layer: 2 x layers x kv_heads x head_dim x bytes."""
        return 2 * self.layers * self.kv_heads * self.head_dim * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class LatentAttentionModel:
    """A model with multi-head latent attention, which caches one compressed vector per layer."""

    layers: int
    hidden_size: int
    heads: int
    kv_lora_rank: int
    qk_rope_head_dim: int
    dtype: str = "float16"

    @property
    def bytes_per_token(self) -> int:
        """Layers x (kv_lora_rank + qk_rope_head_dim) x bytes (DeepSeek-V2, arXiv:2405.04434)."""
        return self.layers * (self.kv_lora_rank + self.qk_rope_head_dim) * DTYPE_BYTES[self.dtype]


MODELS: dict[str, Model | LatentAttentionModel] = {
    "tiny-1b": Model(12, 1024, 8, 4, 128),
    "mistral-7b": Model(32, 4096, 32, 8, 128),
    "llama2-7b": Model(32, 4096, 32, 32, 128),
    "llama3.1-8b": Model(32, 4096, 32, 8, 128),
    "llama3.1-70b-instruct": Model(80, 8192, 64, 8, 128),
    "deepseek-v3": LatentAttentionModel(61, 7168, 128, 512, 64),
    "qwen3-32b": Model(64, 5120, 64, 8, 128),
    "gpt-oss-120b": Model(36, 2880, 64, 8, 64),
    "gpt-oss-20b": Model(24, 2880, 64, 8, 64),
}
"""The reference's models by its names for them."""
