"""A benchmark type of another project runs with public names alone, and its import is light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RunRanks
from tests.examples.copy_files_installed import PROJECT, install_copy_files

TEST = """
def test_copy(copy_files, copy_files_case):
    result = copy_files.run(copy_files_case)
    assert result.number("read_gib_s") > 0
"""
OPTIONS = (
    *("--mlps-trials=2", "--mlps-cache-dir=cache", "--mlps-results-dir=results"),
    *("-p", "no:cacheprovider"),
)
IMPORTING = """
import os, sys

opened = []

def watch(event, arguments):
    if event == "open" and not isinstance(arguments[0], int):
        opened.append(os.fsdecode(arguments[0]))

import pytest, pytest_benchmark.plugin
sys.addaudithook(watch)
import copy_files, copy_files.plugin
print([path for path in opened if not path.endswith((".py", ".pyc", ".so"))])
heavy = ("numpy", "pydantic", "sqlite3", "mpi4py", "psutil", "rich", "yaml")
print([module for module in heavy if module in sys.modules])
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory of tests beside which the example is installed."""
    install_copy_files(pytester.path / "site", monkeypatch)
    pytester.makepyfile(test_copy=TEST)
    return pytester


def test_example_imports_only_public_names() -> None:
    public = {"mlpstorage_bench", "mlpstorage_bench.own_types"}
    for path in sorted((PROJECT / "copy_files").glob("*.py")):
        tree = ast.parse(path.read_text())
        used = {
            node.module or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlpstorage")
        }
        assert used <= public, path.name
        assert not any(
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")
            for node in ast.walk(tree)
        ), path.name


@pytest.mark.starts_process
def test_import_of_entry_and_fixture_loads_nothing_heavy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_copy_files(tmp_path, monkeypatch)
    command = [sys.executable, "-B", "-c", IMPORTING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_run_has_audited_figures_of_each_trial(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*OPTIONS, "--mlps-report=report.md")
    assert result.ret == 0
    result.stdout.re_match_lines([r"copy +2 .* ok 1\.\d+ .*"])
    (path,) = (project.path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    assert (metadata["benchmark_type"], metadata["model"]) == ("copy_files", "plain")
    moved = []
    for rank in sorted(path.parent.glob("*_copy_trial*_rank0.json")):
        own = json.loads(rank.read_text())["mlpstorage"]
        assert own["closed_by"] == "complete"
        moved.append([one["moved_bytes"] for one in own["histograms"]["operations"]])
    assert moved == [[8 << 20, 8 << 20]] * 2, "each of two lanes wrote four files and read them"
    metrics = metadata["mlpstorage"]["metrics"]["copy"]
    assert metrics["limited_by"] in {"storage", "harness", "load"}
    assert metrics["ceiling_ratio"] > 0
    assert metrics["ceiling_gib_s"] > 0
    report = (project.path / "report.md").read_text()
    assert "| read GiB/s |" in report
    assert "direct or buffered: not recorded" not in report
    assert "Parameters that are not at their defaults" not in report
    assert not (project.path / "cache").exists()


INTERRUPTING = """
import os, signal
from pathlib import Path

from mlpstorage_bench.trial.lane_engine import LaneTrials

run, ONCE, RAN = LaneTrials.run, Path("interrupt_once"), Path("ran")

def interrupting(trials, number):
    with RAN.open("a") as file:
        file.write(f"{number}\\n")
    if number == 2 and ONCE.exists():
        ONCE.unlink()
        os.kill(os.getpid(), signal.SIGINT)
    return run(trials, number)

LaneTrials.run = interrupting
"""


@pytest.mark.long
def test_resumed_run_keeps_its_finished_trials(project: pytest.Pytester) -> None:
    project.makeconftest(INTERRUPTING)
    (project.path / "interrupt_once").touch()
    stopped = project.runpytest_subprocess(*OPTIONS)
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    (path,) = (project.path / "results").rglob("*_metadata.json")
    before = json.loads(path.read_text())["mlpstorage"]
    own = ("--mlps-results-dir=results", f"--mlps-resume={before['run_id']}")
    assert project.runpytest_subprocess(*own).ret == 0
    after = json.loads(path.read_text())["mlpstorage"]
    assert after["status"] == "passed"
    assert (project.path / "ran").read_text().split() == ["1", "2", "2"]
    (kept,) = before["cases"]["copy"]["trials"]
    trials = after["cases"]["copy"]["trials"]
    assert [trial["trial"] for trial in trials] == [1, 2]
    assert trials[0] == kept
    assert after["metrics"]["copy"]["trials"] == 2
    pooled = after["metrics"]["copy"]["read_p95_ms"]
    of_trials = [trial["metrics"]["read_p95_ms"] for trial in trials]
    assert min(of_trials) <= pooled <= max(of_trials), "samples of both trials"


@pytest.mark.long
@pytest.mark.launches_mpi
def test_ranks_share_one_window(project: pytest.Pytester, run_ranks: RunRanks) -> None:
    assert run_ranks(2, *OPTIONS).ret == 0
    (path,) = (project.path / "results").rglob("*_metadata.json")
    metrics = json.loads(path.read_text())["mlpstorage"]["metrics"]["copy"]
    assert metrics["ranks"] == 2
    assert len([*path.parent.glob("*_copy_trial*_rank?.json")]) == 4
