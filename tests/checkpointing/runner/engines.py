"""Engines of small checkpoints on one rank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.checkpointing.runner.engine import Engine
from tests.checkpointing.runs import parameters
from tests.trials import SoloRanks

RUN = "20260101_000000-abcd"
Opened = tuple[str, bool]
"""A run's id, and whether it goes on."""
NEW: Opened = (RUN, False)
RESUMED: Opened = (RUN, True)


@contextmanager
def engine(
    folder: Path, ranks: SoloRanks | None = None, run: Opened = NEW, /, **changes: object
) -> Iterator[Engine]:
    run_id, is_resumed = run
    all_ranks = ranks or SoloRanks()
    site = RankSite(
        "here",
        folder / "cache",
        all_ranks.size,
        memory_bytes=1 << 30,
        run_id=run_id,
        is_resumed=is_resumed,
    )
    with Engine(all_ranks, site, parameters(**changes), seed=7) as opened:
        yield opened
