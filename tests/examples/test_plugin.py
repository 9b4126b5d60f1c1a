"""The example plugin uses each hook; plugins that fail are named, and lose no run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import RunRanks
from tests.session.tiny import TINY, metadata_of

PLUGIN = Path(__file__).parents[2] / "examples" / "own_plugin.py"
ONE_TRIAL = (*TINY, "--mlps-trials=1", "--mlps-cache-dir=cache", "-pno:cacheprovider")
FAILING = """
import pytest

def pytest_mlps_metadata():
    raise RuntimeError("no array at this address")

def pytest_mlps_progress():
    with open("shown", "a") as file:
        file.write("x")
    pytest.fail("no terminal")

def pytest_mlps_result():
    open("reached", "w").close()
    {}["id"]
"""
OTHER = """
def pytest_mlps_metadata():
    return {"url": "https://user:secret@array.example/", "rack": 7, "api_token": "abc"}
"""


@pytest.mark.slow
def test_example_plugin_uses_each_hook(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARRAY_FIRMWARE", "4.2")
    (pytester.path / "own_plugin.py").write_text(PLUGIN.read_text())
    pytester.syspathinsert()
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest_subprocess(
        "-p", "own_plugin", *ONE_TRIAL, "--mlps-report=report.md"
    )
    assert result.ret == 0
    result.stdout.re_match_lines([r"case .* chunks/s.*"])

    metadata = metadata_of(pytester)
    own = metadata["mlpstorage"]
    assert own["metrics"]["1"]["chunks_per_s"] > 0
    assert own["metric_descriptions"]["chunks_per_s"]["title"] == "chunks/s"
    assert own["plugins"] == {
        "own_plugin": {"firmware": "4.2", "directory": Path(metadata["result_dir"]).name}
    }
    assert "| own_plugin | firmware | 4.2 |" in Path("report.md").read_text()
    assert Path("progress.csv").read_text().startswith("1,1,")
    lines = [json.loads(line) for line in Path("results.jsonl").read_text().splitlines()]
    assert lines == [{"run": own["run_id"], "model": "llama3.1-8b", "passed": True}]


@pytest.mark.long
@pytest.mark.slow
def test_hooks_that_fail_are_named_and_lose_no_run(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(FAILING)
    pytester.makepyfile(other=OTHER, test_kv="def test_run(kvcache): kvcache.run(1)")
    pytester.syspathinsert()
    result = pytester.runpytest_subprocess("-p", "other", *ONE_TRIAL)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "mlpstorage: note: pytest_mlps_metadata of conftest.py failed: RuntimeError: no array*",
            "ERROR: pytest_mlps_result of conftest.py failed: KeyError: 'id' (conf*, line 13)",
            "note: pytest_mlps_metadata of conftest.py failed: RuntimeError: no array at this *",
            "note: pytest_mlps_progress of conftest.py failed: Failed: no terminal (conf*, line 9)",
        ]
    )
    own = metadata_of(pytester)["mlpstorage"]
    assert (own["status"], own["metrics"]["1"]["read_gib_s"] > 0) == ("passed", True)
    assert own["plugins"] == {
        "other": {"url": "https://array.example/", "rack": 7, "api_token": "***"}
    }
    assert Path("shown").read_text() == "x"
    assert Path("reached").exists()


RANKS = """
import pytest

def pytest_mlps_metrics(config):
    call("metrics")
    return []

def pytest_mlps_metadata(config):
    call("metadata")

def pytest_mlps_result():
    call("result")

def call(hook):
    import os
    open(f"{hook}-{os.environ['OMPI_COMM_WORLD_RANK']}", "w").close()
"""


@pytest.mark.long
@pytest.mark.launches_mpi
def test_only_metrics_are_asked_of_other_ranks(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makeconftest(RANKS)
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    assert run_ranks(2, *ONE_TRIAL).ret == 0
    called = {path.name for path in pytester.path.glob("*-[0-9]")}
    assert called == {"metrics-0", "metrics-1", "metadata-0", "result-0"}
