"""Bytes of key/value data per token, from a model's geometry."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Dtype = Literal["float32", "float16", "bfloat16", "float8"]
DTYPE_BYTES: dict[Dtype, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "float8": 1}

Count = Annotated[int, Field(ge=1, le=1 << 20)]


class _Geometry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    layers: Count
    """Number of layers."""
    hidden_size: Count
    """Width of a layer; with `layers`, it says whether a model is large."""
    dtype: Dtype = "float16"
    """Type of the cached vectors, unless a workload sets `kv_dtype`."""


class Model(_Geometry):
    """Geometry of a transformer, as far as it determines the size of the key/value cache."""

    kv_heads: Count
    """Number of key/value heads of a layer."""
    head_dim: Count
    """Length of a head's vector."""

    def bytes_per_token(self, dtype: Dtype | None = None, tensor_parallel: int = 1) -> int:
        """Return 2 x layers x kv_heads x head_dim x bytes: key and value vectors of every layer.

        With tensor parallelism T a rank stores its shard of the heads: 1/T.
        """
        whole = 2 * self.layers * self.kv_heads * self.head_dim * DTYPE_BYTES[dtype or self.dtype]
        if whole % tensor_parallel:
            raise ValueError(
                f"tensor_parallel {tensor_parallel} does not divide {whole} bytes per token"
            )
        return whole // tensor_parallel


class LatentAttentionModel(_Geometry):
    """Geometry of a model with multi-head latent attention: one compressed vector per layer."""

    kv_lora_rank: Count
    """Length of the compressed vector of keys and values."""
    qk_rope_head_dim: Count
    """Length of the part of the key that carries the position."""

    def bytes_per_token(self, dtype: Dtype | None = None, tensor_parallel: int = 1) -> int:
        """Return layers x (kv_lora_rank + qk_rope_head_dim) x bytes.

        All heads share the vector: every shard of a tensor parallel group stores it completely
        (DeepSeek-V2, arXiv:2405.04434).
        """
        del tensor_parallel
        vector = self.kv_lora_rank + self.qk_rope_head_dim
        return self.layers * vector * DTYPE_BYTES[dtype or self.dtype]


Geometry = Model | LatentAttentionModel


def _model(layers: int, hidden_size: int, kv_heads: int, head_dim: int) -> Model:
    return Model(layers=layers, hidden_size=hidden_size, kv_heads=kv_heads, head_dim=head_dim)


MODELS: dict[str, Geometry] = {
    "tiny-1b": _model(12, 1024, 4, 128),
    "mistral-7b": _model(32, 4096, 8, 128),
    "llama2-7b": _model(32, 4096, 32, 128),
    "llama3.1-8b": _model(32, 4096, 8, 128),
    "llama3.1-70b-instruct": _model(80, 8192, 8, 128),
    "deepseek-v3": LatentAttentionModel(
        layers=61, hidden_size=7168, kv_lora_rank=512, qk_rope_head_dim=64
    ),
    "qwen3-32b": _model(64, 5120, 8, 128),
    "gpt-oss-120b": _model(36, 2880, 8, 64),
    "gpt-oss-20b": _model(24, 2880, 8, 64),
}
"""The reference's models by name."""
