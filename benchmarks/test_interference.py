"""Interference: what a load of the KV cache loses beside a training or checkpoints, and they.

    pytest benchmarks/test_interference.py --mlps-cache-dir=DIR

Each side is a session of its own, with its ranks, in a directory of its own below DIR. Both run
alone, then together, then alone again, so that a change of shared storage shows. docs/using.md
has the options, and says how to read the table.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.interference.loads import (
    LOADS,
    RANKS,
    SETTINGS_OPTION,
    check_launches_its_own,
    check_prefixes,
    options_of,
    ranks_of,
)
from benchmarks.interference.losses import LOAD, Sides, compare
from benchmarks.interference.sessions import Side, run_alone, run_together
from benchmarks.interference.table import LEGEND, conditions_line, table
from benchmarks.interference.windows import overlap_problem, overlap_share
from mlpstorage_bench import registry

BESIDE = [name for name in registry.names() if name in LOADS and name != LOAD]


def side(name: str, config: pytest.Config, study_dir: Path) -> Side:
    """Return the side of a benchmark type as the command line has it."""
    profiles, settings = (
        config.getoption(option) or [] for option in ("--mlps-profile", SETTINGS_OPTION)
    )
    check_prefixes("--mlps-profile", profiles)
    check_prefixes(SETTINGS_OPTION, settings)
    options = tuple(options_of(name, profiles, settings))
    return Side(name, ranks_of(name, config.stash[RANKS]), options, study_dir / name)


@pytest.mark.parametrize("beside", BESIDE)
def test_interference(
    beside: str,
    benchmark: Any,
    study_dir: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_launches_its_own(os.environ)
    sides = side(LOAD, request.config, study_dir), side(beside, request.config, study_dir)
    pairs = request.config.getoption("--interference-pairs")

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="", flush=True)

    say(f"results of the sessions: {tmp_path}")
    say(f"{LOAD} alone, then {beside} alone, before the first of {pairs} together")
    alone = [run_alone(*sides, tmp_path / "alone-0")]
    together: list[Sides] = []

    def pair() -> None:
        number = len(alone)
        say(f"{LOAD} and {beside} together, {number} of {pairs}")
        together.append(run_together(*sides, tmp_path / f"together-{number}"))
        say(f"{LOAD} alone, then {beside} alone, after {number} of {pairs}")
        alone.append(run_alone(*sides, tmp_path / f"alone-{number}"))

    benchmark.pedantic(pair, rounds=pairs, iterations=1)
    windows = [(one.load.windows, one.beside.windows) for one in together]
    for load, other in windows:
        problem = overlap_problem(load, beside, other)
        if problem is not None:
            pytest.fail(problem, pytrace=False)
    rows = compare(beside, alone, together)
    shares = [overlap_share(load, other) for load, other in windows]
    benchmark.extra_info.update(
        ranks={one.type_name: one.ranks for one in sides},
        overlap_shares=shares,
        figures=[asdict(row) | {"losses": row.losses, "drift": row.drift} for row in rows],
    )
    ranks = ", ".join(f"{one.type_name} with {one.ranks}" for one in sides)
    with capsys.disabled():
        print(f"\n\nranks: {ranks}; windows: {min(shares):.0%} in common\n")
        notes = [LEGEND] if any(row.is_within_drift for row in rows) else []
        print("\n".join(table(rows)), *notes, "", *conditions(beside, alone, together), sep="\n")


def conditions(beside: str, alone: list[Sides], together: list[Sides]) -> list[str]:
    """Return the conditions of each side in a line."""
    return [
        conditions_line(LOAD, [one.load for one in alone], [one.load for one in together]),
        conditions_line(beside, [one.beside for one in alone], [one.beside for one in together]),
    ]
