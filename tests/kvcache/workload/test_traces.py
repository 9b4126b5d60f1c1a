"""Trace parsers for five formats, with real traces."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.workload.accesses import Rules
from mlpstorage_bench.kvcache.workload.blocks import Block, Read, ReadOrWrite, Write
from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.traces import (
    Replay,
    arrivals,
    conversations,
    detect,
)

RECORDED = Path(__file__).parents[4] / "shared" / "traces"
OPERATIONS = """Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase
10.0,Write,8192,storage,a,Prefill
10.5,Read,8192,storage,a,Decode
10.6,Read,8192,cpu,a,Evict
11.0,Write,4096,storage,b,Prefill
"""
BURST_GPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,GPT-4,1087,230,1317,API log
"""


def replay(text: str, speed: float = 1.0, phase: str = "mixed") -> list[Arrival]:
    lines = text.splitlines(keepends=True)
    rules = Rules(phase=phase, decode_reads="once")  # type: ignore[arg-type]  # a literal
    return list(arrivals("FILE", detect("FILE", lines), lines, Replay(rules, 42, speed)))


def test_operations_are_replayed_without_moves() -> None:
    first, second, third = replay(OPERATIONS)
    assert [a.due_s for a in (first, second, third)] == [0.0, 0.5, 1.0]
    block = Block("a", 0, "conversation", 8192)
    assert first.request.accesses == (Write(block),)
    assert second.request.accesses == (Read(block._replace(purpose="answer")),)
    assert first.request.user == second.request.user != third.request.user, "by key, in order"


def test_speed_divides_due_times() -> None:
    assert [a.due_s for a in replay(BURST_GPT, speed=4.0)] == [0.0, 10.0]


def test_burst_gpt_has_context_and_answer_tokens() -> None:
    tokens = [(a.request.context_tokens, a.request.generated_tokens) for a in replay(BURST_GPT)]
    assert tokens == [(472, 18), (1087, 230)]


def test_mooncake_requests_share_blocks() -> None:
    lines = [
        {"timestamp": 0, "input_length": 1024, "output_length": 9, "hash_ids": [0, 1]},
        {"timestamp": 1500, "input_length": 1100, "output_length": 5, "hash_ids": [0, 2, 3]},
    ]
    one, other = replay("\n".join(map(json.dumps, lines)))
    assert (one.due_s, other.due_s) == (0.0, 1.5)
    first, *reads = other.request.accesses
    assert isinstance(first, ReadOrWrite)
    assert [(b.key, b.tokens) for b in first.blocks] == [
        ("block0", 512),
        ("block2", 512),
        ("block3", 512),
    ]
    assert [r.block.key for r in reads if isinstance(r, Read)] == ["block0", "block2", "block3"]


def test_share_gpt_has_conversations() -> None:
    talk = [
        {"from": "gpt", "value": "an answer to nothing"},
        {"from": "human", "value": "x" * 40},
        {"from": "gpt", "value": "x" * 400},
        {"from": "human", "value": "hm"},
    ]
    text = json.dumps([{"id": "1", "conversations": talk}, {"id": "2", "conversations": []}])
    assert detect("FILE", text.splitlines()) == "ShareGPT"
    assert conversations("FILE", text) == [[(10, 100), (1, 0)]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense,columns\n1,2\n", "FILE'; accepted: a trace of operations, BurstGPT"),
        ("", "Its first line is ''"),
        (OPERATIONS + "12,Delete,4096,storage,b,Prefill\n", "line 6.*accepted: Read, Write"),
        (OPERATIONS + "12,Read,none,storage,b,Prefill\n", "line 6.*trace of operations"),
        (BURST_GPT + "46,GPT-4,-3,230,1317,API log\n", "line 4.*must not be negative"),
        (BURST_GPT + "46,GPT-4\n", "line 4.*trace of BurstGPT"),
        ('{"timestamp": 0, "input_length": 9}\n', "line 1.*Mooncake.*output_length"),
        ('{"timestamp": 0,\n', "line 1.*Mooncake"),
    ],
)
def test_unreadable_line_is_refused_with_its_number(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replay(text)


def test_share_gpt_file_with_other_structure_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="ShareGPT: a JSON list"):
        conversations("FILE", '[{"id": 1}]')


@pytest.mark.slow
@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded traces are not here")
@pytest.mark.parametrize(
    ("name", "trace_format", "context", "answer"),
    [
        ("azure_llm_2023_code.csv", "Azure", 4808, 10),
        ("mooncake_conversation.jsonl", "Mooncake", 6758, 500),
    ],
)
def test_real_traces_are_read_completely(
    name: str, trace_format: str, context: int, answer: int
) -> None:
    with (RECORDED / name).open(newline="") as lines:
        assert detect(name, lines) == trace_format
        lines.seek(0)
        found = list(arrivals(name, trace_format, lines, Replay(Rules(), 42)))
        lines.seek(0)
        rows = sum(1 for line in lines if line.strip())
    first = found[0].request
    assert (first.context_tokens, first.generated_tokens) == (context, answer)
    assert len(found) == rows - (trace_format == "Azure")
    assert all(a.due_s <= b.due_s for a, b in itertools.pairwise(found))
