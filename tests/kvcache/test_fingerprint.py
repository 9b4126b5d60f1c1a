"""Workload fingerprints: the parameters that two comparable results have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.paths import fingerprint

REQUESTS = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n1,GPT-4,{},20,920,x\n"
)


def parts(seed: int = 42, ranks: int = 2, **changes: Any) -> dict[str, Any]:
    workload = Workload.model_validate(
        {"model": "tiny-1b", "num_users": 4, "duration": 1, **changes}
    )
    return dict(KV_CACHE.workload_parts(workload.model_dump(), seed, ranks))


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Another title"},
        {"calibration": 0.0},
        {"slos": {"batch": {"p95_ms": 5.0}}},
        {"trace_out": "/elsewhere/trace.csv"},
        {"verify_rate": 1.0},
    ],
)
def test_parameters_that_do_not_change_the_load_keep_the_fingerprint(
    changes: dict[str, Any],
) -> None:
    assert fingerprint(parts(**changes)) == fingerprint(parts())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_users": 5},
        {"duration": 2},
        {"layout": "block"},
        {"durability": "fsync"},
        {"cpu_mem_gb": 1.0},
        {"seed": 43},
        {"ranks": 3},
    ],
)
def test_parameters_that_change_the_load_change_the_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(parts(**changes)) != fingerprint(parts())


def test_fingerprint_of_a_trace_depends_on_its_requests_not_its_path(
    tmp_path: Path,
) -> None:
    for name, tokens in (("a", 900), ("b", 900), ("c", 901)):
        (tmp_path / f"{name}.csv").write_text(REQUESTS.format(tokens))
    first, copied, other = (parts(trace_in=str(tmp_path / f"{n}.csv")) for n in "abc")
    assert first == copied
    assert fingerprint(first) != fingerprint(other)


def test_parameters_at_their_defaults_are_not_in_the_fingerprint() -> None:
    assert parts()["parameters"] == {"model": "tiny-1b", "num_users": 4, "duration": 1.0}
