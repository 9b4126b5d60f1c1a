"""Result of a generation of data, for people and for the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.units import MIB, counted, duration, gib, size_text


@dataclass(frozen=True)
class Generated:
    """Result of a generation, over all ranks."""

    files: int = 0
    """Files that were made."""
    written_bytes: int = 0
    began_at: float = 0.0
    """When the first rank began to write (seconds since the epoch, its host's clock)."""
    seconds: float = 0.0
    """Time of the slowest rank, until its files were durable; 0 if everything existed."""

    def merge(self, other: Generated) -> Generated:
        """Return the sum; of times, the first and the longest."""
        begins = [one.began_at for one in (self, other) if one.files]
        return Generated(
            self.files + other.files,
            self.written_bytes + other.written_bytes,
            min(begins, default=0.0),
            max(self.seconds, other.seconds),
        )

    @property
    def bytes_per_s(self) -> float:
        """Bandwidth of all ranks."""
        return self.written_bytes / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        """Return what was made, as a part of a sentence."""
        were = "was" if self.files == 1 else "were"
        return (
            f"{counted(self.files, 'file')} with {gib(self.written_bytes)} GiB {were} made in "
            f"{duration(self.seconds)} ({size_text(self.bytes_per_s)}/s)"
        )

    def to_json(self) -> Json:
        """Return the facts of a generation, for the metadata."""
        began = datetime.fromtimestamp(self.began_at).astimezone()
        return {
            "start_datetime": began.isoformat(),
            "end_datetime": (began + timedelta(seconds=self.seconds)).isoformat(),
            "seconds": self.seconds,
            "files": self.files,
            "bytes": self.written_bytes,
            "mib_s": self.bytes_per_s / MIB,
        }
