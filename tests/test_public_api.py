"""The package's public names, and its import, which loads only light modules."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import mlpstorage_bench

USER_TESTS = '''
"""A user's test file, for the type checker."""

from mlpstorage_bench import (
    Checkpointing,
    CheckpointingResult,
    ClusterInformation,
    Comm,
    History,
    KVCache,
    KVCacheResult,
    Run,
    RunFilter,
    Training,
    TrainingResult,
    __version__,
)


def test_workload(kvcache: KVCache, mpi_comm: Comm, mlps_run: Run) -> None:
    result: KVCacheResult = kvcache.run("1", duration=0.5)
    ranks: list[int] = mpi_comm.allgather(mpi_comm.rank)
    mlps_run.record("ranks", len(ranks))
    assert result.read_gib_s > 0


def test_checkpoints(checkpointing: Checkpointing) -> None:
    result: CheckpointingResult = checkpointing.run("write", lanes=2)
    assert result.write_gib_s > 0 < result.checkpoint_s
    assert result.standstill_s >= 0


def test_training(training: Training) -> None:
    result: TrainingResult = training.run("train", steps=10)
    assert result.au_percentage > 0 < result.samples_per_s


def test_hosts(cluster_info: ClusterInformation, mpi_comm: Comm) -> None:
    assert cluster_info.num_hosts <= mpi_comm.size


def test_history(mlps_run: Run) -> None:
    with History(mlps_run.directory.parent) as history:
        history.runs(RunFilter(last=1))
    print(__version__.upper())
'''

IMPORTING = """
import os, sys, threading

opened = []

def watch(event, arguments):
    if event == "open":
        opened.append(os.fsdecode(arguments[0]) if not isinstance(arguments[0], int) else "")

import pytest, pytest_benchmark.plugin
descriptors = sorted(os.listdir("/proc/self/fd"))
sys.addaudithook(watch)
import {name}
print(sorted(os.listdir("/proc/self/fd")) == descriptors)
print(threading.active_count())
print([path for path in opened if not path.endswith((".py", ".pyc", ".so"))])
heavy = ("numpy", "pydantic", "sqlite3", "mpi4py", "psutil", "rich", "yaml")
print([module for module in heavy if module in sys.modules])
"""


@pytest.mark.parametrize("name", ["mlpstorage_bench", "mlpstorage_bench.plugin"])
def test_import_has_no_side_effect_and_loads_nothing_heavy(name: str) -> None:
    command = [sys.executable, "-B", "-c", IMPORTING.format(name=name)]  # -B: no .pyc is written
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "1", "[]", "[]"]


def test_public_names_are_pinned() -> None:
    assert mlpstorage_bench.__all__ == [
        "RANKS",
        "Checkpointing",
        "CheckpointingResult",
        "ClusterInformation",
        "Comm",
        "History",
        "KVCache",
        "KVCacheResult",
        "Measured",
        "Metric",
        "Progress",
        "Run",
        "RunFilter",
        "Shown",
        "Training",
        "TrainingResult",
        "TypeEntry",
        "__version__",
        "fixture_of",
        "metric_rules",
        "units",
    ]
    assert set(mlpstorage_bench.__all__) <= set(dir(mlpstorage_bench))


def test_public_names_are_importable() -> None:
    names = mlpstorage_bench.__all__
    code = f"from mlpstorage_bench import {', '.join(names)}\n" + "".join(
        f"print({name})\n" for name in names
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = {
        "RANKS": "metric.rules.RankRules object",
        "Shown": "<enum 'Shown'>",
        "__version__": version("mlpstorage-bench"),
        "fixture_of": "<function fixture_of",
        "metric_rules": "<module 'mlpstorage_bench.metric.rules'",
        "units": "<module 'mlpstorage_bench.units'",
    }
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        assert others.get(name, f".{name}'>") in line


def test_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        mlpstorage_bench.Nonsense  # type: ignore[attr-defined]  # noqa: B018 - that is the test


def test_users_tests_type_check_strictly_with_public_imports_alone(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(USER_TESTS)
    (tmp_path / "test_wrong.py").write_text(
        "from mlpstorage_bench import KVCache, Nonsense\n\n\n"
        "def test_it(kvcache: KVCache) -> None:\n    kvcache.runs()\n"
    )
    cache = Path(__file__).parents[1] / ".mypy_cache"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}"]
    fine, wrong = (
        subprocess.run(
            [*command, name], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False
        ).stdout
        for name in ("test_mine.py", "test_wrong.py")
    )
    assert fine == "Success: no issues found in 1 source file\n"
    assert 'has no attribute "Nonsense"' in wrong
    assert '"KVCache" has no attribute "runs"' in wrong
