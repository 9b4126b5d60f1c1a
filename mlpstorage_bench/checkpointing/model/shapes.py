"""Shapes of the models that checkpointing knows, and how their training is divided over ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.errors import InvalidInputError, nearest

ZeroStage = Literal[1, 3]
"""Stage of ZeRO: 1 divides the optimiser's state over data-parallel ranks, 3 the model as well."""


@dataclass(frozen=True)
class Parallelism:
    """How one instance of a model is divided, and how the state of its training is."""

    tensor: int
    pipeline: int
    zero_stage: ZeroStage

    @property
    def divides_model(self) -> bool:
        """Whether the model, too, is divided over data-parallel instances."""
        return self.zero_stage == 3  # noqa: PLR2004 - the stage's own number

    @property
    def model_ranks(self) -> int:
        """Ranks that hold one instance of the model."""
        return self.tensor * self.pipeline

    def instances(self, ranks: int) -> int:
        """Return the data-parallel instances of so many ranks; InvalidInputError without one."""
        if ranks < 1 or ranks % self.model_ranks:
            raise InvalidInputError(
                "number of ranks",
                ranks,
                f"multiples of {self.model_ranks}: tensor parallelism {self.tensor} x pipeline "
                f"parallelism {self.pipeline}",
                hint="subset writes the shares of the first ranks only",
            )
        return ranks // self.model_ranks


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder of the Llama 3 family, whose embedding and output are not shared."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int

    @property
    def kv_width(self) -> int:
        """Width of a layer's keys, and of its values."""
        return self.hidden * self.kv_heads // self.heads


@dataclass(frozen=True)
class Model:
    """A model as MLPerf Storage checkpoints it."""

    name: str
    """Name in the path of results."""
    reference_name: str
    """Name in the reference's parameters."""
    shape: Shape
    parallelism: Parallelism
    ranks: int
    """Ranks of the CLOSED division."""
    datasize_model_gib: int
    """The reference's size of the model, rounded, for its datasize and capacity."""
    datasize_optimiser_gib: int
    """The same of the optimiser's state."""


_VOCABULARY = 128_256

MODELS = {
    model.name: model
    for model in (
        Model(
            name="llama3-8b",
            reference_name="llama_8b",
            shape=Shape(32, 4096, 14_336, 32, 8, _VOCABULARY),
            parallelism=Parallelism(1, 1, 3),
            ranks=8,
            datasize_model_gib=15,
            datasize_optimiser_gib=90,
        ),
        Model(
            name="llama3-70b",
            reference_name="llama_70b",
            shape=Shape(80, 8192, 28_672, 128, 8, _VOCABULARY),
            parallelism=Parallelism(8, 1, 3),
            ranks=64,
            datasize_model_gib=130,
            datasize_optimiser_gib=781,
        ),
        Model(
            name="llama3-405b",
            reference_name="llama_405b",
            shape=Shape(126, 16_384, 53_248, 128, 8, _VOCABULARY),
            parallelism=Parallelism(8, 32, 1),
            ranks=512,
            datasize_model_gib=755,
            datasize_optimiser_gib=4533,
        ),
        Model(
            name="llama3-1t",
            reference_name="llama_1t",
            shape=Shape(128, 25_872, 98_304, 192, 32, _VOCABULARY),
            parallelism=Parallelism(8, 64, 1),
            ranks=1024,
            datasize_model_gib=2571,
            datasize_optimiser_gib=15_426,
        ),
    )
}
"""Models by name. The 1t's rounded sizes are those of 7/6 of its parameters."""


def model_named(name: str) -> Model:
    """Return a model; InvalidInputError if there is none of the name."""
    if name not in MODELS:
        raise InvalidInputError("model", name, ", ".join(MODELS), hint=nearest(name, MODELS))
    return MODELS[name]
