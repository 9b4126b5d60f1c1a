"""Time to plan a large workload, and from the start of a case to its first byte on storage.

    pytest benchmarks/harness/test_plan_and_start.py --mlps-cache-dir=DIR --benchmark-json=FILE
    python -m benchmarks.harness.table FILE

A session plans once: it hashes the requests of its rank, and finds whether their entries fit. For
that, some requests are enough where entries exceed the capacity; `--mlps-datasize` examines all.

The first byte is that of the last rank, in the trial's window. It comes after the record of the
case, the calibration, and the start of the lanes. The calibration takes two windows of
`calibration` seconds with their warm-ups, for each number of IO threads that is tried: 0.72 s for
one with the default of 0.3 s. Its cost is the difference between two cases.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.stamped import Start, session
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.sizing import size_of_rank
from mlpstorage_bench.units import GIB

USERS, DURATION_S = 2000, 300.0
FREE_BYTES = 1000 * GIB
ROUNDS = 5
PLAN = ("hash_s", "fit_s", "streams_s")
"""Steps of the plan that a session takes before its first case."""
MOST_TO_PLAN_S = 1.0
MOST_TO_FIRST_BYTE_S = 2.0


def test_planning(benchmark: Any) -> None:
    asked = Workload(model="llama3.1-8b", num_users=USERS, duration=DURATION_S)
    part = RankWorkload.for_rank(asked, 42, 0, 1)
    steps: dict[str, Callable[[], object]] = {
        "hash_s": lambda: part.request_source().sha256(),
        "fit_s": lambda: size_of_rank(part, FREE_BYTES, until_full=True),
        "streams_s": lambda: part.request_source().streams(),
        "datasize_s": lambda: size_of_rank(part, FREE_BYTES),
    }
    taken: dict[str, list[float]] = {name: [] for name in (*steps, *map(_cpu_of, steps))}

    def plan() -> None:
        for name, step in steps.items():
            began, cpu_began = time.perf_counter(), time.process_time()
            step()
            taken[name].append(time.perf_counter() - began)
            taken[_cpu_of(name)].append(time.process_time() - cpu_began)

    benchmark.pedantic(plan, rounds=ROUNDS, iterations=1)
    seconds = {name: statistics.median(of_step) for name, of_step in taken.items()}
    plan_s = sum(seconds[name] for name in PLAN)
    cpu_s = sum(seconds[_cpu_of(name)] for name in PLAN)
    benchmark.extra_info.update(
        users=USERS, duration_s=DURATION_S, plan_s=plan_s, plan_cpu_s=cpu_s, **seconds
    )
    assert plan_s < MOST_TO_PLAN_S
    assert seconds["datasize_s"] < MOST_TO_PLAN_S


def _cpu_of(step: str) -> str:
    return f"cpu_of_{step}"


@pytest.mark.parametrize("calibration_s", [0.3, 0.0], ids=["calibrated", "uncalibrated"])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("users", [20, USERS])
def test_start(
    request: pytest.FixtureRequest,
    study_dir: Path,
    tmp_path: Path,
    benchmark: Any,
    users: int,
    ranks: int,
    calibration_s: float,
) -> None:
    changes = {
        "num_users": users,
        "duration": DURATION_S,
        "stop_after_gb": 0.05,  # the case is planned for its duration, and ends early
        "warmup": 0,
        "write_limit_gb": "null",
        "calibration": calibration_s,
    }
    taken: list[Start] = []

    def start() -> None:
        taken.append(session(tmp_path, study_dir / "cache", ranks, changes))

    rounds = 1 if request.config.option.study_quick else ROUNDS
    benchmark.pedantic(start, rounds=rounds, iterations=1)
    columns = zip(*taken, strict=True)
    medians = Start(*(statistics.median(column) for column in columns))
    benchmark.extra_info.update(
        users=users,
        ranks=ranks,
        calibration_s=calibration_s,
        slowest_s=max(one.first_byte_s for one in taken),
        **medians._asdict(),
    )
    assert medians.first_byte_s < MOST_TO_FIRST_BYTE_S
