"""Trace parsers: lines of a recorded workload to requests. The first line shows the format.

| format | content |
|---|---|
| operations | CSV, as written by trace_out: Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase |
| BurstGPT | CSV: Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type; seconds |
| Azure LLM inference | CSV: TIMESTAMP,ContextTokens,GeneratedTokens; date and time |
| Mooncake | JSON lines: timestamp (ms), input_length, output_length, hash_ids (of 512 tokens) |
| ShareGPT | a JSON list of conversations, without times; 4 characters are a token |
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.workload.accesses import Rules, decode
from mlpstorage_bench.kvcache.workload.blocks import Access, Block, Read, ReadOrWrite, Write
from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES

SOURCE = "trace_in"
OPERATION_COLUMNS = ("Timestamp", "Operation", "Object_Size_Bytes", "Tier", "Key", "Phase")
MOVED_PHASE = "Evict"
"""Phase of operations that moved an entry between tiers; a replay skips them."""
CHARACTERS_PER_TOKEN = 4
MOONCAKE_BLOCK_TOKENS = 512
_SPAWN_KEY = (0, 0, 3)
"""Spawn key of the generator for classes of service; keys of users never have three parts."""

Format = Literal["operations", "BurstGPT", "Azure", "Mooncake", "ShareGPT"]
_HEADERS: dict[tuple[str, ...], Format] = {
    OPERATION_COLUMNS: "operations",
    ("Timestamp", "Model", "Request tokens", "Response tokens"): "BurstGPT",
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"): "Azure",
}
"""First columns of each CSV format."""


@dataclass(frozen=True)
class Replay:
    """Parameters of a replay."""

    rules: Rules
    seed: int
    """Seed for drawing classes of service, which traces do not have."""
    speed: float = 1.0
    """Speed relative to the recording."""


def detect(name: str, lines: Iterable[str]) -> Format:
    """Return the format of a trace by its first line."""
    first = next(iter(lines), "").strip().lstrip("\ufeff")
    if first.startswith("["):
        return "ShareGPT"
    if first.startswith("{"):
        return "Mooncake"
    columns = tuple(next(csv.reader([first]), []))
    for header, trace_format in _HEADERS.items():
        if columns[: len(header)] == header:
            return trace_format
    raise InvalidInputError(
        SOURCE,
        name,
        "a trace of operations, BurstGPT, Azure, Mooncake or ShareGPT",
        hint=f"Its first line is {first[:100]!r}",
    )


def arrivals(
    name: str, trace_format: Format, lines: Iterable[str], replay: Replay
) -> Iterator[Arrival]:
    """Yield the requests of a trace with times in order; due times never decrease."""
    parse = _PARSERS[trace_format]
    start_s = None
    latest_s = 0.0
    rows = (
        (line, row)
        for line, row in _rows(name, trace_format, lines)
        if trace_format != "operations" or row.get("Phase") != MOVED_PHASE
    )
    context = _Context(replay)
    for index, (line, row) in enumerate(rows):
        try:
            recorded_s, request = parse(index, row, context)
        except (KeyError, ValueError, TypeError) as error:
            raise _unreadable(name, line, trace_format, error) from error
        start_s = recorded_s if start_s is None else start_s
        latest_s = max(latest_s, (recorded_s - start_s) / replay.speed)
        yield Arrival(latest_s, request)


def conversations(name: str, text: str) -> list[list[tuple[int, int]]]:
    """Return the conversations of a ShareGPT file: tokens of context and answer of each turn."""
    try:
        recorded = json.loads(text)
        found = [_turns(conversation["conversations"]) for conversation in recorded]
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(
            SOURCE, name, "ShareGPT: a JSON list of {id, conversations}", hint=repr(error)
        ) from error
    return [turns for turns in found if turns]


def _turns(messages: Iterable[dict[str, str]]) -> list[tuple[int, int]]:
    """Return one turn for each message of the human, with the answers after it."""
    turns: list[tuple[int, int]] = []
    for message in messages:
        tokens = max(1, len(message["value"]) // CHARACTERS_PER_TOKEN)
        if message["from"] in ("human", "user"):
            turns.append((tokens, 0))
        elif turns:
            context, answer = turns[-1]
            turns[-1] = (context, answer + tokens)
    return turns


def _rows(name: str, trace_format: Format, lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Yield number and content of each line."""
    if trace_format == "Mooncake":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise _unreadable(name, number, trace_format, error) from error
        return
    reader = csv.DictReader(lines)
    for row in reader:
        yield reader.line_num, row


class _Context:
    """State of one replay, shared by its lines."""

    def __init__(self, replay: Replay) -> None:
        self.rules = replay.rules
        self.users: dict[str, int] = {}
        """Key → user, in a trace of operations."""
        self._random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(replay.seed, spawn_key=_SPAWN_KEY))
        )
        shares = [qos.share for qos in QOS_CLASSES]
        self._bounds = list(itertools.accumulate(shares))[:-1]

    def draw_priority(self) -> int:
        """Draw the class of service of the next request."""
        return QOS_CLASSES[bisect(self._bounds, float(self._random.random()))].priority


def _operation(_: int, row: dict[str, str], context: _Context) -> tuple[float, Request]:
    """Return a request with one operation; operations on one key belong to one user."""
    key = row["Key"]
    size = int(row["Object_Size_Bytes"])
    if size < 1 or not key:
        raise ValueError("an operation needs a key and a size above 0")
    purpose: Literal["conversation", "answer"] = (
        "answer" if row["Phase"] == "Decode" else "conversation"
    )
    block = Block(key, 0, purpose, size)
    steps: tuple[Access, ...]
    if row["Operation"] == "Write":
        steps = (Write(block),)
    elif row["Operation"] == "Read":
        steps = (Read(block),)
    else:
        raise ValueError(f"Operation: got {row['Operation']!r}; accepted: Read, Write")
    user = context.users.setdefault(key, len(context.users))
    request = _request(user, (0, 0), context)
    in_order = QOS_CLASSES[-1].priority
    request = dataclasses.replace(request, priority=in_order, accesses=steps)
    return float(row["Timestamp"]), request


def _burst_gpt(index: int, row: dict[str, str], context: _Context) -> tuple[float, Request]:
    tokens = int(row["Request tokens"]), int(row["Response tokens"])
    return float(row["Timestamp"]), _request(index, tokens, context)


def _azure(index: int, row: dict[str, str], context: _Context) -> tuple[float, Request]:
    moment = datetime.fromisoformat(row["TIMESTAMP"]).timestamp()
    tokens = int(row["ContextTokens"]), int(row["GeneratedTokens"])
    return moment, _request(index, tokens, context)


def _mooncake(index: int, row: dict[str, Any], context: _Context) -> tuple[float, Request]:
    tokens = int(row["input_length"]), int(row["output_length"])
    ids = [int(number) for number in row["hash_ids"]]
    blocks = tuple(Block(f"block{number}", MOONCAKE_BLOCK_TOKENS, "conversation") for number in ids)
    request = _request(index, tokens, context)
    is_read = context.rules.phase == "mixed"
    reads = decode(blocks, request.decode_reads, context.rules) if is_read else ()
    steps = (ReadOrWrite(blocks, is_read), *reads)
    return float(row["timestamp"]) / 1000, dataclasses.replace(request, accesses=steps)


def _request(user: int, tokens: tuple[int, int], context: _Context) -> Request:
    if min(tokens) < 0:
        raise ValueError("numbers of tokens must not be negative")
    return Request(
        user=user,
        priority=context.draw_priority(),
        conversation=0,
        turn=0,
        context_tokens=tokens[0],
        generated_tokens=tokens[1],
        think_s=0.0,
    )


_Parser = Callable[[int, Any, _Context], tuple[float, Request]]
_PARSERS: dict[Format, _Parser] = {
    "operations": _operation,
    "BurstGPT": _burst_gpt,
    "Azure": _azure,
    "Mooncake": _mooncake,
}


def _unreadable(name: str, line: int, trace_format: Format, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        SOURCE, f"{name}, line {line}", f"a line of a trace of {trace_format}", hint=repr(error)
    )
