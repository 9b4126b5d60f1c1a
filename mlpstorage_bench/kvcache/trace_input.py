"""Traces that are read: the format is recognised by the file's beginning, not by its name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from pydantic_core import from_json

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.escaping import shortened
from mlpstorage_bench.inputs.csv_files import csv_header, csv_rows
from mlpstorage_bench.inputs.files import open_bytes, open_lines, read_bytes
from mlpstorage_bench.inputs.json_files import JsonStream, json_lines, no_json, open_json
from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.traces import operations
from mlpstorage_bench.kvcache.workload.traces.client_rates import (
    COLUMNS,
    DATASET_SUFFIX,
    TRACE_SUFFIX,
    drawn,
    interval,
    lengths,
)
from mlpstorage_bench.kvcache.workload.traces.conversations import KEY, Turns, turns_of
from mlpstorage_bench.kvcache.workload.traces.fields import FieldError, Row, count
from mlpstorage_bench.kvcache.workload.traces.hashed_blocks import (
    MOONCAKE,
    MOST_TOKENS_PER_BLOCK,
    QWEN_BAILIAN,
    coding_session,
)
from mlpstorage_bench.kvcache.workload.traces.lengths import (
    AZURE,
    AZURE_COLUMNS,
    BURST_GPT,
    BURST_GPT_COLUMNS,
)
from mlpstorage_bench.kvcache.workload.traces.operations import OPERATIONS
from mlpstorage_bench.kvcache.workload.traces.replay import Replay, TimedFormat, arrivals
from mlpstorage_bench.paths import InputFile

SOURCE = "trace_in"
MOST_BYTES = 1 << 40
"""Largest trace."""
ACCEPTED = (
    "a trace of operations, BurstGPT, Azure, Mooncake, Qwen-Bailian, kv-cache-tester, ServeGen or "
    "ShareGPT"
)
_BEGINNING = 1 << 16
"""Bytes that show the format."""
_MOST_BESIDE_A_LIST = 1 << 20
"""Characters of a JSON file before and after its long list."""
_BRACKET = re.compile(r"\[")
_REQUESTS = re.compile(r'(?<!\\)"requests"\s*:\s*\[')
_CONVERSATIONS = re.compile(rf'(?<!\\)"{KEY}"\s*:')
_CSV_FORMATS = (
    (operations.COLUMNS, OPERATIONS),
    (BURST_GPT_COLUMNS, BURST_GPT),
    (AZURE_COLUMNS, AZURE),
)
"""Columns that a format has, in any order and among others → format."""

_RATES = re.compile(r"[0-9.]+,[0-9.e+-]+,[0-9.e+-]+,[A-Za-z]*,[0-9.e+-]+,[0-9.e+-]+\s*")
"""A line of a client's rates, which have no header."""
_MOST_BYTES_OF_LENGTHS = 64 << 20

Layout = Literal["csv", "lines of requests", "session", "rates", "lines of conversations", "list"]


@dataclass(frozen=True)
class Trace:
    """A trace of a known format."""

    file: InputFile
    layout: Layout
    timed: TimedFormat | None = None
    """Format of a trace with times, unless it is a session, whose beginning completes it."""

    @property
    def has_times(self) -> bool:
        """Whether requests have times; conversations have none."""
        return self.layout not in ("lines of conversations", "list")

    def arrivals(self, replay: Replay) -> Iterator[Arrival]:
        """Yield the requests of a trace with times; InvalidFileError where it cannot be read."""
        if self.layout == "session":
            yield from _session(self.file, replay)
            return
        if self.layout == "rates":
            yield from _client(self.file, replay)
            return
        assert self.timed is not None
        with self._rows() as (rows, refuse):
            try:
                yield from arrivals(self.timed, rows, replay)
            except FieldError as error:
                refuse(error.problem, error.field)

    def operations(self) -> Iterator[operations.Operation]:
        """Yield the operations of a trace of operations, also those that moved entries."""
        with self._rows() as (rows, refuse):
            try:
                yield from map(operations.operation, rows)
            except FieldError as error:
                refuse(error.problem, error.field)

    def conversations(self) -> list[Turns]:
        """Return the conversations of a trace without times that have a question."""
        found = _listed(self.file) if self.layout == "list" else self._conversations_of_lines()
        return [turns for turns in found if turns]

    def _conversations_of_lines(self) -> Iterator[Turns]:
        with self._rows() as (rows, refuse):
            try:
                yield from map(turns_of, rows)
            except FieldError as error:
                refuse(error.problem, error.field)

    @contextmanager
    def _rows(self) -> Iterator[tuple[Iterator[Row], Callable[[str, str], NoReturn]]]:
        """Open a trace of rows; return them, and what refuses the row that was read last."""
        with open_lines(self.file, MOST_BYTES) as lines:
            if self.layout == "csv":
                yield csv_rows(lines, csv_header(next(lines))), lines.refuse
            else:
                yield json_lines(lines), lines.refuse


def detect(path: Path, option: str = SOURCE) -> Trace:
    """Return a trace whose format its beginning shows; InvalidFileError for any other file."""
    file = InputFile(option, path, ACCEPTED)
    with open_bytes(file, MOST_BYTES) as stream:
        try:
            beginning = stream.read(_BEGINNING).decode("utf-8-sig", errors="replace")
        except OSError as error:
            raise InvalidFileError.of(file, error.strerror or str(error)) from error
    text = beginning.lstrip()
    if text.startswith("["):
        return Trace(file, "list")
    if text.startswith("{"):
        return _detect_json(file, text)
    header = csv_header(beginning.partition("\n")[0])
    for columns, timed in _CSV_FORMATS:
        if set(columns) <= set(header):
            return Trace(file, "csv", timed)
    first = beginning.partition("\n")[0].rstrip()
    if _RATES.fullmatch(first):
        return Trace(file, "rates")
    hint = f"Its first line is {shortened(repr(first), 100)}"
    if first.startswith("version https://git-lfs"):
        hint = "It is a pointer of Git LFS, not the file itself: run git lfs pull"
    raise InvalidFileError.of(file, hint)


def _detect_json(file: InputFile, beginning: str) -> Trace:
    if _CONVERSATIONS.search(beginning):
        return Trace(file, "lines of conversations")
    if _REQUESTS.search(beginning):
        return Trace(file, "session")
    with open_lines(file, MOST_BYTES) as lines:
        keys = next(json_lines(lines), {}).keys()
        if {"chat_id", "parent_chat_id"} & keys:
            return Trace(file, "lines of requests", QWEN_BAILIAN)
        if {"timestamp", "input_length"} & keys:
            return Trace(file, "lines of requests", MOONCAKE)
        raise InvalidFileError.of(
            file, f"Its keys are {shortened(', '.join(keys), 100)}", line=lines.number
        )


def _session(file: InputFile, replay: Replay) -> Iterator[Arrival]:
    """Yield the requests of a coding session."""
    with open_json(file, MOST_BYTES) as stream:
        beginning = stream.until(_REQUESTS, _MOST_BESIDE_A_LIST)
        if beginning is None:
            stream.refuse(f"No requests begin in its first {_MOST_BESIDE_A_LIST} characters")
        facts = _object(stream, f"{beginning}]}}")
        try:
            block_tokens = count(facts, "block_size", MOST_TOKENS_PER_BLOCK, least=1)
        except FieldError as error:
            stream.refuse(f"{error.problem}; it has to come before the requests", error.field)
        rows = _Numbered(stream)
        try:
            yield from arrivals(coding_session(block_tokens), rows, replay)
        except FieldError as error:
            stream.refuse(error.problem, f"requests[{rows.number}].{error.field}")
        _object(stream, f'{{"requests": []{stream.rest(_MOST_BESIDE_A_LIST)}')


def _client(file: InputFile, replay: Replay) -> Iterator[Arrival]:
    """Yield requests drawn from a client's rates and the lengths in the file beside them."""
    name = file.path.name
    if not name.endswith(TRACE_SUFFIX):
        raise InvalidFileError.of(
            file,
            f"It has a client's rates: name it NAME{TRACE_SUFFIX}, beside NAME{DATASET_SUFFIX}",
        )
    beside = file.path.with_name(name.removesuffix(TRACE_SUFFIX) + DATASET_SUFFIX)
    dataset = InputFile(file.option, beside, f"the lengths of requests that belong to {name}")
    try:
        drawn_from = lengths(from_json(read_bytes(dataset, _MOST_BYTES_OF_LENGTHS)))
    except FieldError as error:
        raise InvalidFileError.of(dataset, error.problem, field=error.field) from error
    except ValueError as error:
        raise InvalidFileError.of(dataset, f"It is no JSON: {error}") from error
    with open_lines(file, MOST_BYTES) as lines:
        try:
            yield from drawn(map(interval, csv_rows(lines, COLUMNS)), drawn_from, replay)
        except FieldError as error:
            lines.refuse(error.problem, error.field)


def _listed(file: InputFile) -> Iterator[Turns]:
    """Yield the conversations of a JSON list."""
    with open_json(file, MOST_BYTES) as stream:
        stream.until(_BRACKET, _BEGINNING)
        rows = _Numbered(stream)
        try:
            yield from map(turns_of, rows)
        except FieldError as error:
            stream.refuse(error.problem, f"conversation {rows.number}, {error.field}")
        if stream.rest(_MOST_BESIDE_A_LIST).strip():
            stream.refuse("Text follows the list")


class _Numbered:
    """Elements of a stream's list, and the number of the last one from 0. Iterator."""

    def __init__(self, stream: JsonStream) -> None:
        self._elements = stream.elements()
        self._stream = stream
        self.number = -1

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        element = next(self._elements)
        self.number += 1
        if not isinstance(element, dict):
            self._stream.refuse(f"Element {self.number} of the list is no object")
        return element


def _object(stream: JsonStream, text: str) -> Row:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        stream.refuse(no_json(error))
    if not isinstance(found, dict):
        stream.refuse("It is no JSON object")
    return found
