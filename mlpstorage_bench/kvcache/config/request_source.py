"""Construction of a rank's request source from a workload: its users, or a trace."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.trace_files import open_trace
from mlpstorage_bench.kvcache.workload.request_source import (
    Arrival,
    Conversations,
    Recorded,
    RequestSource,
)
from mlpstorage_bench.kvcache.workload.traces import (
    Format,
    Replay,
    arrivals,
    conversations,
    detect,
)


def build_request_source(workload: Workload, seed: int, first_user: int = 0) -> RequestSource:
    """Return the request source of a rank, by its seed and its first user."""
    recorded: Recorded | None = None
    recorded_conversations: Conversations | None = None
    if workload.trace_in is not None:
        name = workload.trace_in
        with open_trace(Path(name)) as lines:
            trace_format = detect(name, lines)
        if trace_format == "ShareGPT":
            with open_trace(Path(name)) as lines:
                recorded_conversations = conversations(name, lines.read())
        else:
            replay = Replay(workload.rules, seed, workload.trace_speed)
            recorded = partial(_recorded, name, trace_format, replay)
    return RequestSource(
        num_users=workload.num_users,
        seed=seed,
        first_user=first_user,
        sharing=workload.sharing,
        context_limit=workload.context_limit if workload.keyed_by == "prefix" else None,
        rate=workload.rate_of_arrivals,
        limit=workload.requests,
        recorded=recorded,
        conversations=recorded_conversations,
    )


def _recorded(name: str, trace_format: Format, replay: Replay) -> Iterator[Arrival]:
    with open_trace(Path(name)) as lines:
        yield from arrivals(name, trace_format, lines, replay)
