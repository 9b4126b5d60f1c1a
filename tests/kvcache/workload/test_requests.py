from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.workload.accesses import Rules, accesses
from mlpstorage_bench.kvcache.workload.blocks import Block, Read
from mlpstorage_bench.kvcache.workload.request_source import RequestSource
from mlpstorage_bench.kvcache.workload.requests import Request, user_streams

INPUTS = Path(__file__).parents[4] / "shared" / "inputs"
SEEDS = st.integers(0, 2**63 - 1)
USERS = st.integers(1, 12)


def first_requests(num_users: int, seed: int, count: int = 40) -> list[list[Request]]:
    streams = user_streams(num_users, seed)
    return [list(itertools.islice(stream.requests, count)) for stream in streams]


def request(context_tokens: int = 1000, generated_tokens: int = 50, turn: int = 0) -> Request:
    return Request(7, 1, 3, turn, context_tokens, generated_tokens, 0.5)


@pytest.mark.slow
@given(USERS, SEEDS)
def test_same_seed_gives_same_requests(num_users: int, seed: int) -> None:
    assert first_requests(num_users, seed) == first_requests(num_users, seed)
    starts = [stream.start_s for stream in user_streams(num_users, seed)]
    assert starts == [stream.start_s for stream in user_streams(num_users, seed)]


@pytest.mark.slow
@given(SEEDS)
def test_other_seed_gives_other_requests(seed: int) -> None:
    assert first_requests(3, seed) != first_requests(3, seed + 1)


@pytest.mark.slow
@given(USERS, USERS, SEEDS)
def test_user_requests_do_not_depend_on_number_of_users(some: int, more: int, seed: int) -> None:
    few, many = first_requests(some, seed), first_requests(some + more, seed)
    assert few == many[:some]


@pytest.mark.slow
@given(SEEDS)
def test_user_requests_do_not_depend_on_order_between_users(seed: int) -> None:
    in_turn = zip(*(s.requests for s in user_streams(3, seed)), strict=True)
    interleaved = list(itertools.islice(in_turn, 40))
    assert [list(column) for column in zip(*interleaved, strict=True)] == first_requests(3, seed)


@pytest.mark.slow
@given(SEEDS)
def test_turns_and_conversations_are_consecutive(seed: int) -> None:
    for requests in first_requests(3, seed, 400):
        assert (requests[0].conversation, requests[0].turn) == (0, 0)
        for earlier, later in itertools.pairwise(requests):
            expected = (
                (earlier.conversation, earlier.turn + 1)
                if later.conversation == earlier.conversation
                else (earlier.conversation + 1, 0)
            )
            assert (later.conversation, later.turn) == expected


@pytest.mark.slow
def test_conversation_has_at_most_50_turns() -> None:
    rarely_ended = [
        requests
        for requests in first_requests(60, seed=42, count=4000)
        if max(request.turn for request in requests) >= 40
    ]
    assert rarely_ended  # 0.8^40 of all conversations have 40 turns
    assert max(request.turn for requests in rarely_ended for request in requests) <= 49


@pytest.mark.slow
def test_conversation_ends_after_a_turn_with_probability_02() -> None:
    requests = [r for user in first_requests(50, seed=42, count=400) for r in user]
    assert sum(r.turn == 0 for r in requests) / len(requests) == pytest.approx(0.2, abs=0.01)


@pytest.mark.slow
@given(USERS, SEEDS)
def test_request_tokens_are_within_a_quarter_and_the_whole_of_the_user_draw(
    num_users: int, seed: int
) -> None:
    for stream in user_streams(num_users, seed):
        user = stream.user
        assert 0 <= stream.start_s <= user.think_s
        for request in itertools.islice(stream.requests, 40):
            assert (request.user, request.priority) == (user.index, user.qos.priority)
            assert user.context_tokens // 4 <= request.context_tokens <= user.context_tokens
            assert user.generated_tokens // 4 <= request.generated_tokens <= user.generated_tokens
            assert 0.8 * user.think_s <= request.think_s <= 1.2 * user.think_s


@pytest.mark.parametrize(
    ("context", "generated", "expected"),
    [
        (1000, 1, 2),
        (1000, 32, 2),
        (1000, 33, 3),
        (1000, 800, 26),
        (9_999, 32, 2),
        (10_000, 32, 0),
        (25_000, 500, 0),
    ],
)
def test_decoding_reads_once_plus_once_per_32_tokens_below_10000(
    context: int, generated: int, expected: int
) -> None:
    assert request(context, generated).decode_reads == expected


def test_turn_reads_entries_of_earlier_turns_in_order() -> None:
    third = request(turn=2)._replace(earlier=((100, 10), (200, 20)))
    reads = [a.block for a in accesses(third, Rules()) if isinstance(a, Read)]
    earlier = [block for block in reads if block.purpose == "conversation"]
    assert earlier == [
        Block(request(turn=0).key, 100, "conversation"),
        Block(request(turn=1).key, 200, "conversation"),
    ]
    assert reads[:2] == earlier


@pytest.mark.slow
@given(USERS, SEEDS)
def test_requests_of_a_rank_write_distinct_entries(num_users: int, seed: int) -> None:
    keys = [request.key for user in first_requests(num_users, seed) for request in user]
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_sanctioned_request_stream_is_unchanged() -> None:
    """A change of this hash makes all earlier results incomparable."""
    plan = KVCachePlan("kv_cache", "open", load_profile("mlperf"), (), {}, "/cache")
    assert plan.profile.seed == 42
    expected = "d8e045bc4defdcc39e5c48310f8cbfcea96462c81eceeb6c5ce4ba7f02589b03"
    assert plan.request_stream_sha256(rank=0, ranks=1) == expected


@pytest.mark.skipif(not INPUTS.is_dir(), reason="the recorded traces are not here")
@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        ("operations.csv", "d9f2b9aa096e1e8ecd372bdc2ea265481bfe1bc802c82aa24314b16a5e9b1c6e"),
        (
            "mooncake_conversation_head.jsonl",
            "e046ac8340ca80cf0b9fbbb1b54706364e94144ca360b89a878e7cfb0978c07f",
        ),
    ],
)
def test_recorded_request_stream_is_unchanged(trace: str, expected: str) -> None:
    """A change of this hash makes all earlier results of replayed traces incomparable."""
    workload = Workload(model="llama3.1-8b", num_users=4, duration=1, trace_in=str(INPUTS / trace))
    assert RankWorkload(workload, 42).request_source().sha256() == expected


def test_stream_hash_is_the_same_in_another_process() -> None:
    program = (
        "from mlpstorage_bench.kvcache.workload.request_source import RequestSource\n"
        "print(RequestSource(5, 42).sha256())"
    )
    command = [sys.executable, "-c", program]
    other = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == RequestSource(5, 42).sha256()


def test_ranks_have_different_streams() -> None:
    assert RequestSource(5, 42).sha256() != RequestSource(5, 43).sha256()


@pytest.mark.slow
@given(st.integers(1, 40), st.integers(1, 8), SEEDS)
def test_users_total_gives_same_users_on_any_number_of_ranks(
    total: int, ranks: int, seed: int
) -> None:
    workload = load_profile("mlperf").workloads["1"].model_copy(update={"users_total": total})
    if total < ranks:
        with pytest.raises(InvalidInputError, match="users_total: got"):
            RankWorkload.for_rank(workload, seed, 0, ranks)
        return
    parts = [RankWorkload.for_rank(workload, seed, rank, ranks) for rank in range(ranks)]
    counts = [part.workload.users for part in parts]
    assert sum(counts) == total
    assert max(counts) - min(counts) <= 1
    users = [stream.user for part in parts for stream in part.request_source().streams()]
    assert users == [stream.user for stream in user_streams(total, seed)]


def test_num_users_gives_each_rank_different_users() -> None:
    workload = load_profile("mlperf").workloads["1"]
    parts = [RankWorkload.for_rank(workload, 42, rank, 3) for rank in range(3)]
    assert [(part.workload.num_users, part.first_user, part.seed) for part in parts] == [
        (200, 0, 42),
        (200, 0, 43),
        (200, 0, 44),
    ]
