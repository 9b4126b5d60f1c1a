"""Workflows in docs/ci.md: required keys, and commands that run."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from mlpstorage_bench.session.file_arguments import file_of_run
from tests.docs.ci_page import commands, gate_arguments, github_steps, uploads, workflows
from tests.variants import first_of

PROJECT = Path(__file__).parents[2]
SMALL = [
    *("--mlps-set=storage=null", "--mlps-set=duration=1", "--mlps-trials=3"),
    "--mlps-set=think_time_scale=0.5",
    *("-k", "workload and 1", "-p", "no:cacheprovider"),
]


def test_workflows_have_the_keys_that_their_ci_requires() -> None:
    github, gitlab, *_ = workflows()
    assert {"name", "jobs"} <= github.keys()
    assert "schedule" in github[True], "YAML 1.1 parses the key `on` as true"
    assert {"runs-on", "steps"} <= github["jobs"]["benchmark"].keys()
    for step in github_steps():
        assert ("uses" in step) != ("run" in step)
    assert {"script", "artifacts", "tags"} <= gitlab["storage"].keys()
    assert all(isinstance(line, str) for line in gitlab["storage"]["script"])


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_uploads_have_the_reports_of_one_type_and_of_several(ci: str) -> None:
    option = "--mlps-gate-report="
    (report,) = [one for one in gate_arguments(ci, "cache") if one.startswith(option)]
    path = Path(report.removeprefix(option))
    for name in (path, file_of_run(path, "checkpointing", "llama3-8b")):
        assert any(fnmatchcase(str(name), pattern) for pattern in uploads(ci))


def test_comments_use_the_action_and_the_job_of_this_project() -> None:
    *_, (step,), template = workflows()
    action = yaml.safe_load((PROJECT / step["uses"] / "action.yml").read_text())
    assert step["with"].keys() <= action["inputs"].keys()
    job = template["storage-of-a-change"]
    (included,) = template["include"]
    shared = yaml.safe_load((PROJECT / "examples/ci" / included["local"]).read_text())
    assert shared[job["extends"]]["variables"]["STORAGE_REPORT"] == "report.md"
    assert "--mlps-report=report.md" in job["script"][-1]


@pytest.mark.parametrize("ci", first_of("github", "gitlab"))
def test_commands_pass_and_write_their_artifacts(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    pytester.mkdir("benchmarks").joinpath("test_kvcache.py").write_text(
        "def test_workload(kvcache, kvcache_workload): kvcache.run(kvcache_workload)\n"
    )
    monkeypatch.setenv("MLPERF_RESULTS_DIR", str(pytester.path / "results"))
    _, history = commands()[ci]
    result = pytester.runpytest_subprocess(*gate_arguments(ci, "cache"), *SMALL)
    assert result.ret == 0
    assert (pytester.path / "verdicts.json").is_file()
    assert (pytester.path / "junit.xml").is_file()
    listed = pytester.runpytest_subprocess(*shlex.split(history)[3:])
    assert listed.ret == 0
    assert "passed" in listed.stdout.str()
