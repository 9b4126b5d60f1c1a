"""Traces of requests whose prompts are names of blocks: equal names have equal content.

Two of them have fields of the same names and other units. The number of blocks of a prompt must
agree with its length, so that none of them is taken for the other.

| format | content |
|---|---|
| Mooncake | JSON lines: timestamp (milliseconds), input_length, output_length, hash_ids of 512 tokens |
| Qwen-Bailian | JSON lines: chat_id, parent_chat_id, timestamp (seconds), input_length, output_length, hash_ids of 16 tokens |
| kv-cache-tester | a JSON object: block_size, and requests with t (seconds), in, out, hash_ids of block_size tokens; a session of one agent |
"""  # noqa: E501 - rows of a table

from __future__ import annotations

from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.traces.fields import FieldError, Row, count, ids, seconds
from mlpstorage_bench.kvcache.workload.traces.replay import Context, TimedFormat
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES

MOONCAKE_BLOCK_TOKENS = 512
QWEN_BAILIAN_BLOCK_TOKENS = 16
MOST_TOKENS_PER_BLOCK = 1 << 16


def coding_session(block_tokens: int) -> TimedFormat:
    """Return the format of a session of kv-cache-tester with blocks of this many tokens."""

    def parse(_: int, row: Row, context: Context) -> tuple[float, Request]:
        if row.get("type") not in ("n", "s"):
            raise FieldError(
                "type", f"It is {str(row.get('type'))[:50]!r}; accepted: n and s, no sub-agents"
            )
        tokens = count(row, "in"), count(row, "out")
        names = _names(row, tokens[0], block_tokens)
        request = context.request_of_blocks(0, tokens, names, block_tokens)
        in_order = QOS_CLASSES[-1].priority
        return seconds(row, "t"), request._replace(priority=in_order)

    return TimedFormat("kv-cache-tester", "t", parse)


def _of_lines(name: str, block_tokens: int, units_per_s: float) -> TimedFormat:
    def parse(index: int, row: Row, context: Context) -> tuple[float, Request]:
        tokens = count(row, "input_length"), count(row, "output_length")
        names = _names(row, tokens[0], block_tokens)
        request = context.request_of_blocks(index, tokens, names, block_tokens)
        return seconds(row, "timestamp", units_per_s), request

    return TimedFormat(name, "timestamp", parse)


def _names(row: Row, prompt_tokens: int, block_tokens: int) -> list[int]:
    """Return the names of a prompt's blocks, of which the last may be incomplete."""
    names = ids(row, "hash_ids")
    whole = prompt_tokens // block_tokens
    if not whole <= len(names) <= whole + 1:
        raise FieldError(
            "hash_ids",
            f"It has {len(names)} for {prompt_tokens} tokens; accepted: {whole} or {whole + 1}, as "
            f"a block of this format has {block_tokens} tokens",
        )
    return names


MOONCAKE = _of_lines("Mooncake", MOONCAKE_BLOCK_TOKENS, 1000)
QWEN_BAILIAN = _of_lines("Qwen-Bailian", QWEN_BAILIAN_BLOCK_TOKENS, 1)
