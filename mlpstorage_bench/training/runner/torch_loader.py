"""PyTorch's DataLoader over a dataset: its workers are processes, which read and check samples."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import xxhash

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.raw_files import RawReader
from mlpstorage_bench.training.formats.chosen import format_of

EXTRA = "mlpstorage-bench[training-torch]"


def data_loader() -> Any:
    """Return the class DataLoader; InvalidInputError if PyTorch is not installed."""
    try:
        return importlib.import_module("torch.utils.data").DataLoader
    except ImportError as error:
        raise InvalidInputError(
            "reader",
            "torch",
            "model, or an installation of PyTorch",
            hint=f"There is no module torch. Install {EXTRA}",
        ) from error


class ReadSample(NamedTuple):
    """A group of samples that a worker has read, or could not read."""

    moved_bytes: int
    started_ns: int
    """Moments of the clock that all processes of a host share."""
    ended_ns: int
    wrong: str = ""
    """Description of content that is not what was made; '' if it is right."""
    error: str = ""
    """Error of the system; '' without one."""


@dataclass(frozen=True)
class SampleDataset:
    """A map of groups to their reads, as PyTorch calls datasets of this kind."""

    reader: RawReader
    is_checked: bool

    def __len__(self) -> int:
        return self.reader.place.dataset.groups

    def __getitem__(self, group: int) -> ReadSample:
        """Read a group in a worker process, through the page cache."""
        file, number = self.reader.place.dataset.place(group)
        path = self.reader.place.path(file)
        started_ns = time.perf_counter_ns()
        try:
            moved_bytes, wrong = self._read(file, number)
        except OSError as error:
            text = f"{path}: {error.strerror or error}"
            return ReadSample(0, started_ns, time.perf_counter_ns(), error=text)
        except ValueError as error:
            return ReadSample(0, started_ns, time.perf_counter_ns(), wrong=f"{path}: {error}")
        return ReadSample(moved_bytes, started_ns, time.perf_counter_ns(), wrong)

    def _read(self, file: int, number: int) -> tuple[int, str]:
        """Return the bytes that were read, and what was wrong with them."""
        reader = self.reader
        chosen = format_of(reader.place)
        path = reader.place.path(file)
        if chosen is not None:
            read = chosen.read(file, number)
            is_right = read.digest == reader.digest_of_group(file, number)
            wrong = (
                "" if is_right or not self.is_checked else f"{path}: other content than was made"
            )
            return read.moved_bytes, wrong
        moved, wrong = 0, ""
        with path.open("rb", buffering=0) as stream:
            for piece, entry in zip(
                reader.place.dataset.read_pieces(file, number),
                reader.entries(file, number),
                strict=True,
            ):
                stream.seek(piece.offset)
                content = _read_all(stream, piece.size)
                moved += len(content)
                if self.is_checked and not _is_right(content, entry.digests, reader):
                    wrong = wrong or f"{path}: other content than was made at {piece.offset}"
        return moved, wrong


def _read_all(stream: Any, size: int) -> bytes:
    parts: list[bytes] = []
    left = size
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _is_right(content: bytes, digests: Sequence[int], reader: RawReader) -> bool:
    chunk_bytes = reader.places.chunking.chunk_bytes
    found = [
        xxhash.xxh3_64_intdigest(memoryview(content)[at : at + chunk_bytes])
        for at in range(0, len(content), chunk_bytes)
    ]
    return found == list(digests)


@dataclass
class EpochOrder:
    """The sampler: yields the groups of the epoch that is set, in their order."""

    groups: Sequence[int] = field(default_factory=tuple)

    def __iter__(self) -> Iterator[int]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)


class TorchLoader:
    """A DataLoader whose workers live from the first epoch to the last."""

    def __init__(self, workload: TrainingWorkload, reader: RawReader) -> None:
        self._order = EpochOrder()
        workers = workload.workers
        of_workers = {
            "prefetch_factor": workload.ahead,
            "persistent_workers": True,
            "multiprocessing_context": "fork",
        }
        self._loader = data_loader()(
            SampleDataset(reader, workload.verify_rate > 0),
            batch_size=workload.groups_per_batch,
            sampler=self._order,
            num_workers=workers,
            drop_last=True,
            collate_fn=list,
            **(of_workers if workers else {}),
        )

    def batches(self, groups: Sequence[int]) -> Iterator[list[ReadSample]]:
        """Begin an epoch, and return its batches as they come."""
        self._order.groups = groups
        batches: Iterator[list[ReadSample]] = iter(self._loader)
        return batches
