"""Files that a rank writes for a checkpoint, in the forms of programs that train models."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.checkpointing.model.shapes import Model
from mlpstorage_bench.checkpointing.model.shares import Piece, RankPlace, pieces_of_rank
from mlpstorage_bench.checkpointing.model.tensors import tensors_of

Writer = Literal["rank", "dcp", "megatron", "safetensors"]

GB = 10**9
INDEX_BYTES_PER_PIECE = 256
"""Assumed size of an entry of PyTorch's metadata file: a name, a place in the tensor, a file, an
offset and a length."""
_HEADER_LENGTH_BYTES = 8


@dataclass(frozen=True)
class CheckpointFile:
    """A file of a checkpoint: parts that are written one after the other."""

    name: str
    """Its path in the directory of the checkpoint."""
    pieces: tuple[Piece, ...] = ()
    header_bytes: int = 0
    """Bytes before the pieces that belong to no tensor."""

    @property
    def tensor_bytes(self) -> int:
        """Bytes of tensors in it."""
        return sum(piece.bytes for piece in self.pieces)

    @property
    def parts(self) -> tuple[int, ...]:
        """Sizes of its parts in order: the header, if it has one, and each piece."""
        header = (self.header_bytes,) if self.header_bytes else ()
        return (*header, *(piece.bytes for piece in self.pieces))


@dataclass(frozen=True)
class FileForm:
    """A form of checkpoints, with the limits that its program has."""

    writer: Writer = "rank"
    files_per_rank: int = 1
    """Files among which `dcp` divides the pieces of a rank."""
    shard_gb: float = 5.0
    """Largest file of `safetensors`, in GB."""

    def files(
        self, model: Model, rank: int, ranks: int, scale: float = 1.0
    ) -> tuple[CheckpointFile, ...]:
        """Return the files of a rank; the pieces of its share are each in one of them."""
        pieces = tuple(pieces_of_rank(model, rank, ranks, scale))
        if self.writer == "rank":
            return (CheckpointFile(f"rank-{rank}.pt", pieces),)
        if self.writer == "megatron":
            return tuple(_megatron(RankPlace.of(model, rank), pieces))
        if self.writer == "safetensors":
            return tuple(_safetensors(rank, pieces, round(self.shard_gb * GB)))
        index = _dcp_index(model, ranks, scale) if rank == 0 else ()
        return (*_dcp(rank, pieces, self.files_per_rank), *index)


def _dcp(rank: int, pieces: Sequence[Piece], files: int) -> Iterator[CheckpointFile]:
    """Yield PyTorch's files of a rank: the largest piece that is left goes to the smallest file."""
    contents: list[list[Piece]] = [[] for _ in range(files)]
    smallest = [(0, number) for number in range(files)]
    for piece in sorted(pieces, key=lambda one: -one.bytes):
        size, number = heapq.heappop(smallest)
        contents[number].append(piece)
        heapq.heappush(smallest, (size + piece.bytes, number))
    for number, content in enumerate(contents):
        if content:
            yield CheckpointFile(f"__{rank}_{number}.distcp", tuple(content))


def _dcp_index(model: Model, ranks: int, scale: float) -> Iterator[CheckpointFile]:
    """Yield PyTorch's metadata file, which has an entry for each piece of each rank."""
    parallelism = model.parallelism
    instances = parallelism.instances(ranks)
    holders = parallelism.tensor * instances
    in_model = holders if parallelism.divides_model else parallelism.tensor
    tensors = list(tensors_of(model.shape, scale))
    pieces = sum(min(one.elements, in_model) + 3 * min(one.elements, holders) for one in tensors)
    yield CheckpointFile(".metadata", header_bytes=pieces * INDEX_BYTES_PER_PIECE)


def _megatron(place: RankPlace, pieces: Iterable[Piece]) -> Iterator[CheckpointFile]:
    """Yield Megatron's files: the model of a model-parallel rank, and a part of its optimiser."""
    directory = f"mp_rank_{place.tensor:02d}_{place.stage:03d}"
    names = {
        "model": f"{directory}/model_rng-{place.instance:05d}.pt",
        "optimiser": f"{directory}/distrib_optim-{place.instance:05d}.pt",
    }
    for part, content in itertools.groupby(pieces, key=lambda piece: piece.part):
        yield CheckpointFile(names[part], tuple(content))


def _safetensors(rank: int, pieces: Iterable[Piece], most_bytes: int) -> Iterator[CheckpointFile]:
    """Yield shards of at most `most_bytes` of tensors, unless one piece alone has more."""
    for part, content in itertools.groupby(pieces, key=lambda piece: piece.part):
        shards = [*_shards(content, most_bytes)]
        for number, shard in enumerate(shards, 1):
            name = f"{part}-{rank:05d}-{number:05d}-of-{len(shards):05d}.safetensors"
            yield CheckpointFile(name, shard, _safetensors_header(shard))


def _shards(pieces: Iterable[Piece], most_bytes: int) -> Iterator[tuple[Piece, ...]]:
    shard: list[Piece] = []
    size = 0
    for piece in pieces:
        if shard and size + piece.bytes > most_bytes:
            yield tuple(shard)
            shard, size = [], 0
        shard.append(piece)
        size += piece.bytes
    if shard:
        yield tuple(shard)


def _safetensors_header(pieces: Sequence[Piece]) -> int:
    """Return the size of a shard's header: the length of a JSON object, and the object."""
    offset, described = 0, {}
    for piece in pieces:
        described[piece.tensor] = {
            "dtype": "F16" if piece.part == "model" else "F32",
            "shape": [piece.elements],
            "data_offsets": [offset, offset + piece.bytes],
        }
        offset += piece.bytes
    size = len(json.dumps(described, separators=(",", ":")))
    return _HEADER_LENGTH_BYTES + -(-size // _HEADER_LENGTH_BYTES) * _HEADER_LENGTH_BYTES
