"""Trace files, written as operations happen; compressed if the name ends in .zst.

The columns are those of the reference: Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase.
Timestamps are seconds since the start of the trial.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import IO, Any, Self

from mlpstorage_bench.errors import InvalidFileError, InvalidInputError, ResultsError
from mlpstorage_bench.inputs.compression import LARGEST_RATIO
from mlpstorage_bench.inputs.files import open_bytes
from mlpstorage_bench.kvcache.workload.traces.operations import COLUMNS, MOVED_PHASE
from mlpstorage_bench.measure.clock import Clock
from mlpstorage_bench.measure.operation_statistics import Kind
from mlpstorage_bench.paths import InputFile, OutputFile, open_output
from mlpstorage_bench.units import NS_PER_S

COMPRESSED = ".zst"
OUTPUT = "trace_out"
_HEADER = ",".join(COLUMNS).encode() + b"\n"
_OWN_ROW = re.compile(rb"\d+\.\d{9},(Read|Write),")
"""First characters of a line of an own trace: only its timestamps have nine decimals."""
_LONGEST_BEGINNING = 100


def _zstandard(path: Path) -> Any:
    """Return the module `zstandard`, which belongs to the extra `traces`."""
    try:
        import zstandard  # noqa: PLC0415 - optional dependency
    except ImportError as error:
        raise InvalidInputError(
            OUTPUT,
            str(path),
            "a name without .zst, as zstandard is not installed",
            hint="pip install 'mlpstorage-bench[traces]'",
        ) from error
    return zstandard


class TraceWriter:
    """Writes the operations of one rank in one trial. Context manager."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._started_ns = clock.now_ns()
        self._file: IO[bytes] = open_output(trace_output(path))
        stream: Any = self._file
        if path.suffix == COMPRESSED:
            stream = _zstandard(path).ZstdCompressor(write_checksum=True).stream_writer(self._file)
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self._text.close()
            self._file.close()
        except OSError as error:
            raise ResultsError(str(self._path), str(error)) from error

    def write(self, operation: Kind, size: int, tier: str, key: str, phase: str) -> None:
        """Write one operation that starts now."""
        elapsed_s = (self._clock.now_ns() - self._started_ns) / NS_PER_S
        row = (f"{elapsed_s:.9f}", operation.capitalize(), size, tier, key, phase)
        try:
            self._rows.writerow(row)
        except OSError as error:
            raise ResultsError(str(self._path), str(error)) from error


class LaneJournal:
    """Journal of one lane, which sets the phase of the current request."""

    def __init__(self, writer: TraceWriter) -> None:
        self._writer = writer
        self.phase = "Prefill"

    def note(self, kind: Kind, size: int, tier: str, key: str, *, is_move: bool) -> None:
        """Write an operation."""
        self._writer.write(kind, size, tier, key, MOVED_PHASE if is_move else self.phase)


def trace_output(path: Path) -> OutputFile:
    """Return a trace as a file that is written; one of an earlier run is overwritten."""
    return OutputFile(OUTPUT, path, _is_own_trace)


def _is_own_trace(path: Path) -> bool:
    """Return whether a file is a trace that a run of this package has written."""
    try:
        with open_bytes(InputFile(OUTPUT, path), path.stat().st_size * LARGEST_RATIO) as stream:
            header, row = stream.readline(len(_HEADER)), stream.readline(_LONGEST_BEGINNING)
    except (InvalidFileError, OSError):
        return False
    return header == _HEADER and (not row or _OWN_ROW.match(row) is not None)


def trace_path(path: Path, parts: dict[str, str]) -> Path:
    """Insert parts into a file name: FILE.csv.zst becomes FILE.workload_1.rank_0.csv.zst.

    `parts` has only those dimensions with more than one value.
    """
    first, *suffixes = path.name.split(".")
    inserted = [f"{name}_{value}" for name, value in parts.items()]
    return path.with_name(".".join([first, *inserted, *suffixes]))
