"""Traces of every format, with real ones: what is read, and what is refused with line and field."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.trace_input import detect
from mlpstorage_bench.kvcache.workload.accesses import Rules
from mlpstorage_bench.kvcache.workload.blocks import Block, Read, ReadOrWrite, Write
from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.traces.replay import Replay

RECORDED = Path(__file__).parents[3] / "shared" / "traces"
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
BURST_GPT_WITH_SESSIONS = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens
5.0,1722ac82,3,ChatGPT,472,18
45.0,,4,GPT-4,1087,0
"""
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
"""
AZURE_WITH_IMAGES = """TIMESTAMP,NumImages,ContextTokens,GeneratedTokens
2024-10-15 00:00:00.000000,0,2162,5
2024-10-15 00:00:00.030000+00:00,1,2163,5
"""


def lines_of(*objects: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in objects)


def mooncake(timestamp: object = 0, tokens: object = 1024, **changed: object) -> dict[str, Any]:
    base = {"timestamp": timestamp, "input_length": tokens, "output_length": 9, "hash_ids": [0, 1]}
    return {**base, **changed}


def bailian(timestamp: float, hash_ids: list[int], chat: int = 0) -> dict[str, Any]:
    tokens = {"input_length": 40, "output_length": 32}
    chats = {"chat_id": chat, "parent_chat_id": -1, "turn": 1}
    return {**chats, "timestamp": timestamp, **tokens, "hash_ids": hash_ids}


def session(*requests: dict[str, Any], **changed: object) -> str:
    facts = {"id": "x", "block_size": 64, "requests": list(requests), "totals": {"n": 1}, **changed}
    return json.dumps(facts)


def turn(t: float, tokens: int, hash_ids: list[int], kind: str = "n") -> dict[str, Any]:
    return {"t": t, "type": kind, "in": tokens, "out": 5, "hash_ids": hash_ids}


MOONCAKE = lines_of(mooncake(), mooncake(1500, 1100, hash_ids=[0, 2, 3], output_length=5))
BAILIAN = lines_of(bailian(0.0, [0, 1, 2]), bailian(0.5, [0, 1], 1))
SESSION = session(turn(0.0, 130, [1, 2]), turn(14.0, 200, [1, 2, 3], "s"))
TALK = [
    {"from": "gpt", "value": "an answer to nothing"},
    {"from": "system", "value": "x" * 8},
    {"from": "human", "value": "x" * 40},
    {"from": "gpt", "value": "x" * 400},
    {"from": "human", "value": "hm \ud83d"},
]
CONVERSATIONS: list[dict[str, Any]] = [
    {"id": "1", "conversations": TALK},
    {"id": "2", "conversations": []},
]
TIMED = [
    *(OPERATIONS, BURST_GPT, BURST_GPT_WITH_SESSIONS, AZURE, AZURE_WITH_IMAGES),
    *(MOONCAKE, BAILIAN, SESSION),
]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "trace"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def replay(path: Path, speed: float = 1.0, phase: str = "mixed") -> list[Arrival]:
    rules = Rules(phase=phase, decode_reads="once")  # type: ignore[arg-type]  # a literal
    return list(detect(path).arrivals(Replay(rules, 42, speed)))


def test_operations_are_replayed_without_moves(tmp_path: Path) -> None:
    first, second, third = replay(written(tmp_path, OPERATIONS))
    assert [a.due_s for a in (first, second, third)] == [0.0, 0.5, 1.0]
    block = Block("a", 0, "conversation", 8192)
    assert first.request.accesses == (Write(block),)
    assert second.request.accesses == (Read(block._replace(purpose="answer")),)
    assert first.request.user == second.request.user != third.request.user, "by key, in order"


def test_speed_divides_due_times(tmp_path: Path) -> None:
    assert [a.due_s for a in replay(written(tmp_path, BURST_GPT), speed=4.0)] == [0.0, 10.0]


@pytest.mark.parametrize(
    ("text", "tokens", "due_s"),
    [
        (BURST_GPT, [(472, 18), (1087, 230)], 40.0),
        (BURST_GPT_WITH_SESSIONS, [(472, 18), (1087, 0)], 40.0),
        (AZURE, [(4808, 10), (3180, 8)], 0.052),
        (AZURE_WITH_IMAGES, [(2162, 5), (2163, 5)], 0.03),
    ],
)
def test_requests_have_their_tokens_and_times(
    tmp_path: Path, text: str, tokens: list[tuple[int, int]], due_s: float
) -> None:
    found = replay(written(tmp_path, text))
    assert [(a.request.context_tokens, a.request.generated_tokens) for a in found] == tokens
    assert found[1].due_s == pytest.approx(due_s, abs=1e-6)


def test_times_without_offset_are_utc_wherever_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
        f"2024-03-31 {hour},1,1\n" for hour in ("01:59:59.5", "03:00:00", "03:00:00.5")
    )
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert [a.due_s for a in replay(written(tmp_path, text))] == [0, 3600.5, 3601]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "due_s", "tokens", "keys"),
    [
        (MOONCAKE, 1.5, 512, ["block0", "block2", "block3"]),
        (BAILIAN, 0.5, 16, ["block0", "block1"]),
        (SESSION, 14.0, 64, ["block1", "block2", "block3"]),
    ],
)
def test_prompts_of_equal_names_share_blocks(
    tmp_path: Path, text: str, due_s: float, tokens: int, keys: list[str]
) -> None:
    one, other = replay(written(tmp_path, text))
    assert (one.due_s, other.due_s) == (0.0, due_s)
    first, *reads = other.request.accesses
    assert isinstance(first, ReadOrWrite)
    assert [(b.key, b.tokens) for b in first.blocks] == [(key, tokens) for key in keys]
    assert [r.block.key for r in reads if isinstance(r, Read)] == keys


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CONVERSATIONS),
        json.dumps(CONVERSATIONS, indent=2),
        lines_of(*CONVERSATIONS),
        "\ufeff" + json.dumps(CONVERSATIONS),
    ],
)
def test_conversations_have_turns(tmp_path: Path, text: str) -> None:
    trace = detect(written(tmp_path, text))
    assert not trace.has_times
    assert trace.conversations() == [[(12, 100), (1, 0)]]


@pytest.mark.parametrize("text", TIMED)
def test_trace_is_the_same_with_a_mark_other_line_ends_and_compressed(
    tmp_path: Path, text: str
) -> None:
    plain = replay(written(tmp_path, text))
    for content in (
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        gzip.compress(text.encode()),
        zstandard.compress(b"\xef\xbb\xbf" + text.encode()),
    ):
        assert replay(written(tmp_path, content)) == plain


@pytest.mark.parametrize("text", [*TIMED, json.dumps(CONVERSATIONS)])
def test_truncated_compressed_trace_is_never_replayed_in_part(tmp_path: Path, text: str) -> None:
    data = zstandard.compress(text.encode())
    for cut in range(5, len(data), 7):
        with pytest.raises(InvalidInputError, match=r"trace_in: got .*(truncated|damaged)"):
            _ = list(read_all(written(tmp_path, data[:cut])))


def read_all(path: Path) -> list[Any]:
    trace = detect(path)
    return list(trace.arrivals(Replay(Rules(), 1)) if trace.has_times else trace.conversations())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense,columns\n1,2\n", "trace'; accepted: a trace of operations, BurstGPT"),
        ("", "Its first line is ''"),
        ("version https://git-lfs.github.com/spec/v1\noid", "pointer of Git LFS"),
        ('{"a": 1}\n', "line 1'.*Its keys are a"),
        ("[1, 2]", "Element 0 of the list is no object"),
        (OPERATIONS + "12,Delete,4096,storage,b,Prefill\n", "line 6, Operation'.*Read, Write"),
        (OPERATIONS + "12,Read,none,storage,b,Prefill\n", "line 6, Object_Size_Bytes'.*'none'"),
        (OPERATIONS + "12,Read,1e30,storage,b,Prefill\n", "line 6, Object_Size_Bytes'.*1 to"),
        (OPERATIONS + "12,Read,1,storage,,Prefill\n", "line 6, Key'.*empty"),
        (OPERATIONS + "10.9,Read,1,storage,a,Prefill\n", "line 6, Timestamp'.*0.1 s before"),
        (BURST_GPT + "46,GPT-4,-3,230,1317,API log\n", "line 4, Request tokens'.*from 0"),
        (BURST_GPT + "46,GPT-4,3.5,230,1317,API log\n", "line 4, Request tokens'.*whole number"),
        (BURST_GPT + "46,GPT-4\n", "line 4'.*2 columns, but the header has 6"),
        (BURST_GPT + '46,"GPT-4,1,2,3,4\n', "line 4'.*It is no CSV"),
        (BURST_GPT + f'46,"{"x" * 200_000}",1,2,3,4\n', "line 4'.*field larger than"),
        (BURST_GPT.replace("5,Chat", "nan,Chat"), "line 2, Timestamp'.*'nan'"),
        (BURST_GPT.replace("5,Chat", "-1,Chat"), "line 2, Timestamp'.*from 0"),
        (AZURE + "yesterday,1,1\n", "line 4, TIMESTAMP'.*'yesterday'"),
        (AZURE + "2023-11-16 18:17:03,1,1\n", "line 4, TIMESTAMP'.*before that of an earlier"),
        ('{"timestamp": 0, "input_length": 9}\n', "line 1, output_length'.*It is missing"),
        ('{"timestamp": 0,\n', "line 1'.*It is no JSON"),
        (MOONCAKE + "[1]\n", "line 3'.*no JSON object"),
        (lines_of(mooncake(float("nan"))), "line 1, timestamp'.*finite"),
        (lines_of(mooncake(float("inf"))), "line 1, timestamp'.*finite"),
        (lines_of(mooncake(-1)), "line 1, timestamp'.*from 0"),
        (lines_of(mooncake(10**400)), "line 1, timestamp'"),
        (lines_of(mooncake(1), mooncake(0)), "line 2, timestamp'.*sort the lines"),
        (lines_of(mooncake(timestamp=True)), "line 1, timestamp'.*is True"),
        (lines_of(mooncake(0, None)), "line 1, input_length'.*is None"),
        (lines_of(mooncake(hash_ids=[0, "1"])), "line 1, hash_ids'.*has '1'"),
        (lines_of(mooncake(hash_ids=5)), "line 1, hash_ids'.*a list"),
        (lines_of(mooncake(hash_ids=[10**30, 1])), "line 1, hash_ids'.*below 2.64"),
        (lines_of(mooncake(0, 509, hash_ids=[*range(32)])), "has 32 for 509 tokens.*512 tokens"),
        (lines_of({**bailian(0, [0] * 2), "input_length": 900}), "has 16 tokens"),
        (session(turn(0.0, 130, [1])), r"requests\[0\].hash_ids'.*2 or 3.*64 tokens"),
        (session(turn(0.0, 1, []), turn(1, 1, [], "subagent")), r"\[1\].type'.*no sub-agents"),
        (session(turn(0.0, 1, [])).replace("]}", "]"), "It is no JSON"),
        (session(turn(0.0, 1, []), block_size=0), "block_size'.*from 1"),
        ('{"requests": [], "block_size": 64}', "block_size'.*missing.*before the requests"),
        (session(turn(0.0, 1, []))[:-9], "It is no JSON"),
        ('[{"id": 1}]', "conversation 0, conversations'"),
        ('[{"conversations": [{"from": "x", "value": "y"}]}]', "from'.*is 'x'; accepted: "),
        ('[{"conversations": [{"from": "gpt", "value": 5}]}]', "value'.*is 5; accepted: text"),
        (json.dumps(CONVERSATIONS) + "x", "Text follows the list"),
    ],
)
def test_trace_that_cannot_be_used_is_refused_with_line_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"trace_in: got .*{message}"):
        read_all(written(tmp_path, text))


RATES = "0,0,0,,0,0\n600,0.5,1,Gamma,2.0,1.0\n1200,1.0,1,Weibull,0.5,1.0\n"
LENGTHS = {
    "0": {"input_tokens": "{}", "output_tokens": "{}"},
    "1200": {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{3: 1.0}"},
}


def client(folder: Path, rates: str = RATES, dataset: object = None) -> Path:
    (folder / "c-dataset.json").write_text(json.dumps(LENGTHS if dataset is None else dataset))
    path = folder / "c-trace.csv"
    path.write_text(rates)
    return path


def test_requests_are_drawn_from_a_client_s_rates_and_lengths(tmp_path: Path) -> None:
    found = replay(client(tmp_path))
    assert found == replay(client(tmp_path)), "equal seeds draw equal requests"
    assert all(a.due_s <= b.due_s for a, b in itertools.pairwise(found))
    early = [a for a in found if a.due_s < 600]
    assert 200 < len(early) < 400, "half a request per second"
    assert 300 < len(found) - len(early) < 1200, "one per second"
    assert {a.request.context_tokens for a in found} == {10, 20}
    assert {a.request.generated_tokens for a in found} == {3}


@pytest.mark.parametrize(
    ("rates", "dataset", "message"),
    [
        ("0,1,1,Gamma,2,1\n0,1,1,Gamma,2,1\n", LENGTHS, "line 2, time'.*not after"),
        ("0,1,1,Pareto,2,1\n", LENGTHS, "line 1, distribution'.*'Pareto'"),
        ("0,1e9,1,Gamma,2,1\n", LENGTHS, "line 1, rate'.*10000"),
        ("0,1,1,Gamma,1e-9,1\n", LENGTHS, "line 1, shape'"),
        (RATES + "1800,1\n", LENGTHS, "line 4'.*2 columns"),
        (RATES, [], "c-dataset.json, dataset'.*no object"),
        (RATES, {"0": {"input_tokens": "{}", "output_tokens": "{}"}}, "No interval has lengths"),
        (RATES, {"0": {"input_tokens": "x", "output_tokens": "{}"}}, "input_tokens'.*no list"),
        (RATES, {"0": {"input_tokens": "{1: -1}", "output_tokens": "{}"}}, "from 0 on"),
        (RATES, {"x": {"input_tokens": "{1: 1}", "output_tokens": "{}"}}, "time'.*'x'"),
    ],
)
def test_client_that_cannot_be_used_is_refused(
    tmp_path: Path, rates: str, dataset: object, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"trace_in: got .*{message}"):
        replay(client(tmp_path, rates, dataset))


def test_rates_without_lengths_are_refused_with_the_name_of_the_missing_file(
    tmp_path: Path,
) -> None:
    path = client(tmp_path)
    (tmp_path / "c-dataset.json").unlink()
    with pytest.raises(InvalidInputError, match=r"c-dataset.json'.*belong to c-trace.csv. No such"):
        replay(path)
    with pytest.raises(InvalidInputError, match=r"name it NAME-trace.csv, beside NAME-dataset"):
        replay(path.rename(tmp_path / "x.csv"))


def test_pipe_and_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(InvalidInputError, match="no regular file"):
            detect(path)


needs_recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded traces are not here"
)


@pytest.mark.slow
@needs_recorded
@pytest.mark.parametrize(
    ("name", "requests", "context", "answer"),
    [
        ("azure_llm_2023_code.csv", 8819, 4808, 10),
        ("mooncake_conversation.jsonl", 12031, 6758, 500),
    ],
)
def test_real_traces_are_read_completely(
    name: str, requests: int, context: int, answer: int
) -> None:
    found = replay(RECORDED / name)
    first = found[0].request
    assert (len(found), first.context_tokens, first.generated_tokens) == (requests, context, answer)
    assert all(a.due_s <= b.due_s for a, b in itertools.pairwise(found))


@pytest.mark.slow
@needs_recorded
def test_real_coding_sessions_are_read_completely() -> None:
    sessions = sorted(RECORDED.glob("*/trace_*.json"))
    assert len(sessions) >= 8
    for path in sessions:
        recorded = json.loads(path.read_text())["requests"]
        found = replay(path, phase="prefill")
        assert [a.request.context_tokens for a in found] == [one["in"] for one in recorded]
        assert [a.due_s for a in found] == [one["t"] for one in recorded]


@pytest.mark.slow
@needs_recorded
def test_real_clients_are_read_completely() -> None:
    clients = sorted(RECORDED.glob("*/*-trace.csv"))
    assert len(clients) >= 6
    for path in clients:
        if not Path(str(path).replace("-trace.csv", "-dataset.json")).exists():
            with pytest.raises(InvalidInputError, match=r"-dataset.json'.*No such file"):
                next(detect(path).arrivals(Replay(Rules(), 42)))
            continue
        expected = sum(600 * float(line.split(",")[1]) for line in path.read_text().splitlines())
        arrivals = detect(path).arrivals(Replay(Rules(), 42))
        found = sum(1 for _ in itertools.islice(arrivals, 2000))
        assert found > min(2000, expected) / 4
