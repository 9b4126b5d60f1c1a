"""Traces of requests with their lengths alone: BurstGPT and Azure's. Nothing is shared.

| format | content |
|---|---|
| BurstGPT | CSV: Timestamp (seconds), Model, Request tokens, Response tokens; other columns, such as Session ID, are not used. A request that failed has no response tokens, and is replayed |
| Azure | CSV: TIMESTAMP (date and time, in UTC unless it has an offset), ContextTokens, GeneratedTokens; other columns are not used. Tokens of images are among ContextTokens |
"""  # noqa: E501 - rows of a table

from __future__ import annotations

from datetime import UTC, datetime

from mlpstorage_bench.kvcache.workload.requests import Request
from mlpstorage_bench.kvcache.workload.traces.fields import FieldError, Row, count, seconds, text
from mlpstorage_bench.kvcache.workload.traces.replay import Context, TimedFormat

BURST_GPT_COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens")
AZURE_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def _burst_gpt(index: int, row: Row, context: Context) -> tuple[float, Request]:
    tokens = count(row, "Request tokens"), count(row, "Response tokens")
    return seconds(row, "Timestamp"), context.request(index, *tokens)


def _azure(index: int, row: Row, context: Context) -> tuple[float, Request]:
    given = text(row, "TIMESTAMP").strip()
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        raise FieldError(
            "TIMESTAMP",
            f"It is {given[:50]!r}; accepted: a date and time like 2023-11-16 18:17:03.9",
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    tokens = count(row, "ContextTokens"), count(row, "GeneratedTokens")
    return moment.timestamp(), context.request(index, *tokens)


BURST_GPT = TimedFormat("BurstGPT", "Timestamp", _burst_gpt)
AZURE = TimedFormat("Azure", "TIMESTAMP", _azure)
