"""Closed runs of seconds: what is recorded of them, and what the rules find in it.

Only code of these tests can shorten a closed run: the plugin replaces scale and pauses. The figures
of such a run cannot stand beside others, and it is INVALID for that reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.session.closed import results_on_another_filesystem

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

PLUGIN = """
from mlpstorage_bench.checkpointing import benchmark

_load = benchmark.load_profile

def load_shortened(*given, **options):
    profile = _load(*given, **options)
    changes = {"scale": 1e-5, "time_between_checkpoints": 0.05, "io_chunk_kib": 16}
    return profile.model_copy(update=changes)

benchmark.load_profile = load_shortened
"""
TEST = "def test_it(checkpointing, checkpointing_kind): checkpointing.run(checkpointing_kind)"
CLOSED = ("-p", "shortened", "--mlps-mode=closed", "--mlps-cache-dir=cache")


@pytest.fixture
def results() -> Iterator[Path]:
    """A results directory on another filesystem than pytester's directory."""
    yield from results_on_another_filesystem()


def run(pytester: pytest.Pytester, results: Path, *settings: str) -> list[dict[str, Any]]:
    """Run a closed session; return the metadata of all runs so far, in order."""
    (pytester.path / "shortened.py").write_text(PLUGIN)
    pytester.makepyfile(TEST)
    options = [f"--mlps-set={setting}" for setting in ("accelerator=b200", *settings)]
    pytester.syspathinsert()
    done = pytester.runpytest_subprocess(*CLOSED, *options, f"--mlps-results-dir={results}")
    assert done.ret == 0, done.stdout.str()
    return [json.loads(path.read_text()) for path in sorted(results.rglob("*_metadata.json"))]


def verdicts(results: Path) -> dict[str, Verdict]:
    """Return the verdict of each rule of checkpointing on the only run."""
    return {
        found.rule: found.verdict
        for found in validate(read_tree(results))
        if found.rule.startswith("4.")
    }


@pytest.mark.long
def test_a_shortened_run_is_invalid_for_its_differences_alone(
    pytester: pytest.Pytester, results: Path
) -> None:
    (metadata,) = run(pytester, results)
    assert metadata["verification"] == "INVALID"
    reasons = metadata["mlpstorage"]["not_valid_because"]
    differences = "time_between_checkpoints, scale, ranks (1, not 8)"
    about_cases = [one for one in reasons if one.startswith(("write:", "read:"))]
    assert about_cases == [
        f"{kind}: differs from MLPerf's checkpointing: {differences}" for kind in ("write", "read")
    ]
    steps = [one["step"] for one in metadata["mlpstorage"]["sequence"]["steps"]]
    pair = ["pause_before_trial", "trial"]
    dropped = ["pause_before_trial", "caches_dropped", "trial"]
    assert steps == [*pair * 10, *dropped, *pair * 9]


@pytest.mark.long
def test_rules_judge_a_run_by_its_files(pytester: pytest.Pytester, results: Path) -> None:
    run(pytester, results)
    found = verdicts(results)
    for rule in ("4.3.2", "4.3.3", "4.3.4", "4.4.1", "4.4.2"):
        assert found[rule] == Verdict.OK, rule
    assert found["4.6.3"] == Verdict.VIOLATED, "the run is shortened, and its metadata say so"
    assert found["4.6.1"] == found["4.6.2"] == Verdict.VIOLATED, "one rank on one host"
    assert found["4.3.1"] == Verdict.OK, "caches were dropped"
    assert found["4.3.5"] == Verdict.NOT_APPLICABLE


@pytest.mark.long
def test_two_phases_are_two_runs_within_the_time_of_the_rules(
    pytester: pytest.Pytester, results: Path
) -> None:
    run(pytester, results, "phase=write")
    written, read = run(pytester, results, "phase=read")
    counts = ("num_checkpoints_write", "num_checkpoints_read")
    assert [[one["args"][name] for name in counts] for one in (written, read)] == [
        [10, 0],
        [0, 10],
    ]
    assert verdicts(results)["4.7.1"] == Verdict.OK
    assert read["mlpstorage"]["metrics"]["read"]["corrupt_reads"] == 0
