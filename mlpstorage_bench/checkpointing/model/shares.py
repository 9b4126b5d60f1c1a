"""The part of a training job's state that one rank writes: pieces of tensors.

The state is the model (2 bytes per parameter) and the optimiser's (12: a copy of the weights and
two moments). Tensor parallelism divides each tensor, pipeline parallelism the layers. ZeRO 3
divides model and optimiser over the data-parallel instances; ZeRO 1 divides the optimiser alone,
and the first instance writes the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.checkpointing.model.shapes import Model
from mlpstorage_bench.checkpointing.model.tensors import Tensor, stage_of, tensors_of

Part = Literal["model", "optimiser"]

_MODEL_BYTES = 2
_OPTIMISER_BYTES = 4
_OPTIMISER_STATES = ("master", "exp_avg", "exp_avg_sq")
BYTES_PER_PARAMETER = _MODEL_BYTES + _OPTIMISER_BYTES * len(_OPTIMISER_STATES)


@dataclass(frozen=True)
class Piece:
    """Consecutive elements of a tensor that one rank writes."""

    tensor: str
    """Name of the tensor; one of the optimiser's ends with the name of the state."""
    part: Part
    first: int
    """Number of its first element in the tensor."""
    elements: int
    bytes: int


@dataclass(frozen=True)
class RankPlace:
    """A rank's place in the division of a model."""

    tensor: int
    stage: int
    instance: int

    @classmethod
    def of(cls, model: Model, rank: int) -> RankPlace:
        """Return a rank's place: the first ranks hold the first instance of the model."""
        parallelism = model.parallelism
        instance, within = divmod(rank, parallelism.model_ranks)
        stage, tensor = divmod(within, parallelism.tensor)
        return cls(tensor, stage, instance)


def pieces_of_rank(model: Model, rank: int, ranks: int, scale: float = 1.0) -> Iterator[Piece]:
    """Yield the pieces that a rank of `ranks` writes: its model's, then its optimiser's."""
    parallelism, place = model.parallelism, RankPlace.of(model, rank)
    instances = parallelism.instances(ranks)
    own = [
        tensor
        for tensor in tensors_of(model.shape, scale)
        if stage_of(tensor.unit, model.shape.layers, parallelism.pipeline) == place.stage
    ]
    for tensor in own:
        begin, end = _part(0, tensor.elements, place.tensor, parallelism.tensor)
        if parallelism.divides_model:
            begin, end = _part(begin, end, place.instance, instances)
        elif place.instance:
            continue
        yield from _piece(tensor, tensor.name, "model", begin, end, _MODEL_BYTES)
    for tensor in own:
        begin, end = _part(0, tensor.elements, place.tensor, parallelism.tensor)
        begin, end = _part(begin, end, place.instance, instances)
        for state in _OPTIMISER_STATES:
            name = f"{tensor.name}.{state}"
            yield from _piece(tensor, name, "optimiser", begin, end, _OPTIMISER_BYTES)


def bytes_of_rank(model: Model, rank: int, ranks: int, scale: float = 1.0) -> int:
    """Return the bytes that a rank of `ranks` writes."""
    return sum(piece.bytes for piece in pieces_of_rank(model, rank, ranks, scale))


def checkpoint_bytes(model: Model, scale: float = 1.0) -> int:
    """Return the bytes of a whole checkpoint, whatever the number of ranks."""
    elements = sum(tensor.elements for tensor in tensors_of(model.shape, scale))
    return elements * BYTES_PER_PARAMETER


def _part(begin: int, end: int, number: int, parts: int) -> tuple[int, int]:
    """Return one of so many consecutive parts of a range, whose sizes differ by at most 1."""
    size = end - begin
    return begin + size * number // parts, begin + size * (number + 1) // parts


def _piece(
    tensor: Tensor, name: str, part: Part, begin: int, end: int, element_bytes: int
) -> Iterator[Piece]:
    assert 0 <= begin <= end <= tensor.elements
    if end > begin:  # a small tensor has fewer elements than there are ranks
        yield Piece(name, part, begin, end - begin, (end - begin) * element_bytes)
