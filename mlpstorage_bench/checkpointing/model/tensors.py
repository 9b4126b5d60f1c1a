"""Tensors of a model in the order of its layers, and the stage of the pipeline that holds each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlpstorage_bench.checkpointing.model.shapes import Shape


@dataclass(frozen=True)
class Tensor:
    """A tensor of a model."""

    name: str
    elements: int
    unit: int
    """Its place in the pipeline: 0 is the embedding, then come the layers, then the output."""


def tensors_of(shape: Shape, scale: float = 1.0) -> Iterator[Tensor]:
    """Yield the tensors of a model; `scale` makes each smaller, of at least one element."""
    for name, elements, unit in _full_tensors(shape):
        yield Tensor(name, max(1, round(elements * scale)), unit)


def stage_of(unit: int, layers: int, stages: int) -> int:
    """Return the stage of the pipeline that holds a place; stages hold consecutive places.

    Each has as many layers, and the first and the last one the embedding and the output besides.
    Where layers cannot be divided so, embedding and output count as layers, and stages differ by at
    most one.
    """
    if layers % stages == 0:
        layer = min(max(unit - 1, 0), layers - 1)
        return layer * stages // layers
    return ((unit + 1) * stages - 1) // (layers + 2)


def _full_tensors(shape: Shape) -> Iterator[tuple[str, int, int]]:
    hidden, ffn, kv_width = shape.hidden, shape.ffn, shape.kv_width
    yield "model.embed_tokens.weight", shape.vocabulary * hidden, 0
    for layer in range(shape.layers):
        for name, elements in (
            ("self_attn.q_proj", hidden * hidden),
            ("self_attn.k_proj", hidden * kv_width),
            ("self_attn.v_proj", hidden * kv_width),
            ("self_attn.o_proj", hidden * hidden),
            ("mlp.gate_proj", hidden * ffn),
            ("mlp.up_proj", hidden * ffn),
            ("mlp.down_proj", ffn * hidden),
            ("input_layernorm", hidden),
            ("post_attention_layernorm", hidden),
        ):
            yield f"model.layers.{layer}.{name}.weight", elements, layer + 1
    yield "model.norm.weight", hidden, shape.layers + 1
    yield "lm_head.weight", shape.vocabulary * hidden, shape.layers + 1
