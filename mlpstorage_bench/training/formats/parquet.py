"""Format parquet: row groups of samples in columns of fixed width, by PyArrow.

Each group of samples that are read together is a row group, uncompressed. Of its columns every
`read_every`-th is read.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.training.dataset.place import DatasetPlace
from mlpstorage_bench.training.formats.library_format import (
    ReadGroup,
    content_of,
    digest_of,
    library,
    undecodable,
)


@dataclass(frozen=True)
class ParquetFormat:
    """Samples as rows of parquet files."""

    place: DatasetPlace
    payload: Payload

    @cached_property
    def _arrow(self) -> Any:
        return library("parquet", "pyarrow")

    @cached_property
    def _parquet(self) -> Any:
        return library("parquet", "pyarrow.parquet")

    @cached_property
    def _widths(self) -> list[int]:
        """Bytes of a sample in each column."""
        dataset = self.place.dataset
        if dataset.model.column_bytes:
            return [max(1, round(size * dataset.scale)) for size in dataset.model.column_bytes]
        columns, record = dataset.model.columns, dataset.record_bytes
        edges = [number * record // columns for number in range(columns + 1)]
        return [max(1, end - begin) for begin, end in itertools.pairwise(edges)]

    @cached_property
    def _names(self) -> list[str]:
        return [f"feature_{number:03}" for number in range(len(self._widths))]

    @cached_property
    def _read_names(self) -> list[str]:
        return self._names[:: self.place.dataset.model.read_every]

    def write(self, path: str, file: int) -> list[int]:
        """Write a file, and return the digest of each row group's columns that are read."""
        arrow, digests = self._arrow, []
        types = [arrow.binary(width) for width in self._widths]
        schema = arrow.schema(list(zip(self._names, types, strict=True)))
        rows = self.place.dataset.model.samples_per_group
        with open(path, "xb") as stream:  # noqa: PTH123 - as in the other formats
            writer = self._parquet.ParquetWriter(
                stream, schema, compression="none", use_dictionary=False, write_statistics=False
            )
            for number in range(self.place.dataset.groups_per_file):
                table = self._table(file, number, rows, schema)
                writer.write_table(table, row_group_size=rows)
                digests.append(self._digest(table.select(self._read_names)))
            writer.close()
            stream.flush()
            os.fsync(stream.fileno())
        return digests

    def _table(self, file: int, number: int, rows: int, schema: Any) -> Any:
        arrow, columns, at = self._arrow, [], 0
        content = content_of(self.payload, f"{file}/{number}", rows * sum(self._widths))
        for width in self._widths:
            part = arrow.py_buffer(content[at : at + rows * width].tobytes())
            columns.append(
                arrow.FixedSizeBinaryArray.from_buffers(arrow.binary(width), rows, [None, part])
            )
            at += rows * width
        return arrow.table(columns, schema=schema)

    @staticmethod
    def _digest(table: Any) -> int:
        """Return the digest of a table's columns, one after the other."""
        parts = []
        for column in table.itercolumns():
            for chunk in column.chunks:
                width = chunk.type.byte_width
                data = memoryview(chunk.buffers()[1])
                begin = chunk.offset * width
                parts.append(digest_of(data[begin : begin + len(chunk) * width]))
        return digest_of(b"".join(part.to_bytes(8, "little") for part in parts))

    def read(self, file: int, number: int) -> ReadGroup:
        """Read the columns of a row group that a training reads."""
        try:
            with self._parquet.ParquetFile(self.place.path(file)) as opened:
                table = opened.read_row_group(number, columns=self._read_names, use_threads=False)
                group = opened.metadata.row_group(number)
        except (self._arrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the system, and not of the decoder
            raise undecodable(error) from error
        wanted = range(0, group.num_columns, self.place.dataset.model.read_every)
        moved = sum(group.column(column).total_compressed_size for column in wanted)
        return ReadGroup(moved, self._digest(table.combine_chunks()))
