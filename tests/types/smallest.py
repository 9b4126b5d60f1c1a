"""The smallest run of each benchmark type, and how its data is recognised and overflows.

A type that this table lacks fails every test of the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

PLACES = ("--mlps-cache-dir=cache", "--mlps-results-dir=results", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Smallest:
    """A test of a type, the settings that make it take a second, and facts about its files."""

    test: str
    """The test's text; its file has no other."""
    settings: tuple[str, ...]
    """Values for `--mlps-set`, without the type's name."""
    data: str
    """Glob of the files with data, below the cache directory."""
    too_large: tuple[str, ...]
    """Values with which the run takes more than `SMALL_SPACE`."""
    locked: str
    """A value that closed runs do not accept."""
    keeps_data: bool = False
    """Whether its data stays for other runs."""
    writes_in_trials: bool = True
    """Whether its trials write."""
    one_lane: tuple[str, ...] = ()
    """Values with which no write goes on beside a read."""

    def options(self, name: str) -> tuple[str, ...]:
        """Return the options of a run of two trials, in pytester's directory."""
        settings = (f"--mlps-set={name}.{setting}" for setting in self.settings)
        return (*settings, f"--mlps-profile={name}.quick", "--mlps-trials=2", *PLACES)


SMALL_SPACE = "size=4m"
"""Options of a tmpfs that no run of `too_large` fits."""

SMALLEST: Mapping[str, Smallest] = {
    "checkpointing": Smallest(
        "def test_run(checkpointing, checkpointing_kind): checkpointing.run(checkpointing_kind)",
        ("scale=0.00001", "io_chunk_kib=16"),
        data="checkpoint_rank_*/*/*",
        too_large=("scale=0.001",),
        locked="fsync=false",
    ),
    "kv_cache": Smallest(
        "def test_run(kvcache): kvcache.run(1)",
        (
            *("duration=60", "warmup=0", "requests=20", "entry_scale=0.001"),
            *("think_time_scale=0.05", "calibration=0.05", "chunks_in_flight=1"),
            *("io_threads=1", "io_chunk_kib=64"),
        ),
        data="rank_*/*.kv",
        too_large=("storage_capacity_gb=1",),
        locked="duration=1",
        one_lane=("lanes=1",),
    ),
    "training": Smallest(
        "def test_run(training, training_workload): training.run(training_workload)",
        (
            *("scale=0.001", "steps=3", "computation_time=0.01", "batch_size=2"),
            "io_chunk_kib=64",
        ),
        data="*/train/img_*",
        too_large=("scale=0.01",),
        locked="steps=3",
        keeps_data=True,
        writes_in_trials=False,
    ),
}


def smallest(name: str) -> Smallest:
    """Return a type's smallest run; the test fails if there is none."""
    if name not in SMALLEST:
        pytest.fail(f"tests/types/smallest.py has no run of {name}: add it, so that it is tested")
    return SMALLEST[name]
