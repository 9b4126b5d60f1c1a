"""Engines of small checkpoints on one rank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.checkpointing.runner.engine import Engine
from tests.checkpointing.runs import parameters
from tests.trials import SoloRanks


@contextmanager
def engine(folder: Path, ranks: SoloRanks | None = None, /, **changes: object) -> Iterator[Engine]:
    site = RankSite("here", folder / "cache", memory_bytes=1 << 30)
    with Engine(ranks or SoloRanks(), site, parameters(**changes), seed=7) as opened:
        yield opened
