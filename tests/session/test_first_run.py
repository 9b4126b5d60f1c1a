"""First runs of a user, from the command line to the history."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.session.tiny import WITHOUT_PAUSES

PROJECT = Path(__file__).parents[2]
TESTS = "benchmarks/test_kvcache.py"  # the other types leave runs of their own
PYTEST = [sys.executable, "-m", "pytest"]
AS_ROOT = ["--allow-run-as-root"] if os.geteuid() == 0 else []
SMALL = [
    *("--mlps-set=duration=30", "--mlps-set=requests=40", "--mlps-set=entry_scale=0.001"),
    "--mlps-set=warmup=0",  # otherwise a busy host answers all requests before the window opens
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=workloads.2.cpu_mem_gb=0.01"),
    *("--mlps-set=calibration=0.05", "--mlps-set=max_concurrent_allocs=4"),
]

pytestmark = [pytest.mark.launches_mpi, pytest.mark.long]  # test_wheel.py has a first run, too


def run(*command: str, cwd: Path = PROJECT) -> str:
    """Run a command in the project's directory, as a user does, and return its output."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Runs:
    """The three runs and their results directory."""

    def __init__(self, results: Path, cache: Path) -> None:
        self.results = results
        self.cache = cache
        where = [*SMALL, f"--mlps-results-dir={results}", f"--mlps-cache-dir={cache}"]
        mpirun = [str(Path(sys.executable).parent / "mpirun"), "-n", "4", "--oversubscribe"]
        self.under_mpirun = run(
            *(*mpirun, *AS_ROOT, *PYTEST, TESTS, "-k", "test_workload"),
            *("--mlps-hosts", "localhost", *where),
        )
        self.launched = run(
            *(*PYTEST, TESTS, "-k", "test_workload", "--hosts", "localhost:4"),
            *("--num-processes", "4", "--oversubscribe", *AS_ROOT, *where, "--mlps-trials=1"),
        )
        self.local = run(*(*PYTEST, TESTS, "--exec-type", "local", *where, "--mlps-trials=2"))
        self.metadata: list[dict[str, Any]] = [
            json.loads(path.read_text())
            for path in sorted(results.rglob("*_metadata.json"), key=lambda p: p.name)
        ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMPI_MCA_oob_tcp_if_include", "OMPI_MCA_btl_tcp_if_include"):
            patch.setenv(name, "lo")
        folder = tmp_path_factory.mktemp("first-run")
        return Runs(folder / "results", folder / "cache")


def test_three_ways_to_run_record_three_runs_with_ranks_and_hosts(runs: Runs) -> None:
    here = os.uname().nodename
    seen = [
        (m["num_processes"], m["exec_type"], m["hosts"], m["mlpstorage"]["status"])
        for m in runs.metadata
    ]
    assert seen == [
        (4, "mpi", [here], "passed"),
        (4, "mpi", [here], "passed"),
        (1, "local", [here], "passed"),
    ]


def test_each_run_has_traffic_and_host_records(runs: Runs) -> None:
    for metadata in runs.metadata:
        for case in (metadata["mlpstorage"]["metrics"][name] for name in ("1", "2", "3")):
            assert case["read_bytes"] > 0
            assert case["write_bytes"] > 0
            assert case["requests"] > 0
        (host,) = metadata["system_info"]["hosts"]
        assert host["ranks"] == list(range(metadata["num_processes"]))
        assert metadata["system_info"]["total_memory_bytes"] > 0


def test_local_run_has_every_scenario(runs: Runs) -> None:
    metrics = runs.metadata[2]["mlpstorage"]["metrics"]
    scenarios = [name for name in metrics if name not in ("1", "2", "3")]
    assert scenarios == [
        *("prefill-only", "decode-only", "shared-prefixes", "rag", "open-loop"),
        *("blocks-16", "blocks-256", "blocks-512"),
    ]
    for name in scenarios:
        assert metrics[name]["requests"] > 0
    assert (metrics["prefill-only"]["read_bytes"], metrics["decode-only"]["write_bytes"]) == (0, 0)
    assert metrics["shared-prefixes"]["lookups"][0]["system prompt"]["hits"] > 0
    assert metrics["rag"]["lookups"][0]["document"]["misses"] == 0
    assert metrics["open-loop"]["arrived"] > 0
    assert list(runs.metadata[0]["mlpstorage"]["metrics"]) == ["1", "2", "3"]


def test_metadata_has_every_field_of_the_reference(runs: Runs) -> None:
    fields = {
        *("benchmark_type", "model", "command", "run_datetime", "num_processes", "accelerator"),
        *("result_dir", "parameters", "override_parameters", "system_info", "runtime"),
        *("verification", "executed_command", "command_output_files", "args"),
        *("kvcache_model", "num_users", "duration", "gpu_mem_gb", "cpu_mem_gb", "cache_dir"),
        *("generation_mode", "performance_profile", "exec_type", "hosts"),
    }
    parameters = {
        *("model", "num_users", "duration", "gpu_mem_gb", "cpu_mem_gb", "cache_dir"),
        *("generation_mode", "performance_profile"),
    }
    for metadata in runs.metadata:
        assert fields - metadata.keys() == set()
        assert parameters - metadata["parameters"].keys() == set()
        assert metadata["benchmark_type"] == "kv_cache"
        assert metadata["command"] == "run"


def test_results_tree_equals_the_references(runs: Runs) -> None:
    metadata = runs.metadata[0]
    directory = Path(metadata["result_dir"])
    parts = directory.relative_to(runs.results).parts
    assert parts[:3] == ("open", "local", "results")
    assert parts[4:7] == ("kv_cache", "llama3.1-8b", "run")
    stamp = parts[7]
    assert (directory / f"kv_cache_{stamp}_metadata.json").is_file()
    ranks = sorted(p.relative_to(directory) for p in directory.glob("option_*/*/*/*"))
    assert [str(path.parent) for path in ranks] == [
        f"option_{option}/trial_{trial}/rank_{rank}"
        for option in (1, 2, 3)
        for trial in (0, 1, 2)
        for rank in range(4)
    ]
    for path in ranks:
        named = re.fullmatch(r"kvcache_results_(\d{8}_\d{6})\.json", path.name)
        assert named is not None
        assert named[1] >= stamp, "it is the trial's start on the rank"
    listed = metadata["mlpstorage"]["files"]
    files = sorted(str(p.relative_to(directory)) for p in directory.rglob("*.json"))
    assert sorted([*listed, f"kv_cache_{stamp}_metadata.json"]) == files
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["total_ranks"] == 4
    assert summary["partial_failure"] is False
    assert [option["trial_count"] for option in summary["options"].values()] == [3, 3, 3]


def test_request_stream_of_a_rank_is_equal_in_every_run(runs: Runs) -> None:
    first, second, local = (
        metadata["mlpstorage"]["request_stream_sha256"] for metadata in runs.metadata
    )
    assert first == second
    assert len(set(first)) == 4
    assert local == first[:1]


def test_command_is_printed_and_recorded(runs: Runs) -> None:
    commands = [metadata["executed_command"] for metadata in runs.metadata]
    assert "-n 4 --oversubscribe" in commands[0]
    assert "-n 4 -host localhost:4 --bind-to none --map-by node --oversubscribe" in commands[1]
    assert commands[2].startswith(f"pytest {TESTS} --exec-type local")
    for command, output in zip(
        commands, (runs.under_mpirun, runs.launched, runs.local), strict=True
    ):
        assert command in output


def test_output_comes_once_and_unchanged(runs: Runs) -> None:
    for output in (runs.under_mpirun, runs.launched, runs.local):
        assert output.count("test session starts") == 1
        assert len(re.findall(r"\d+ passed", output)) == 1
        start, _, end = output.partition(f"\n{TESTS}")
        assert start.count("not comparable to MLPerf") == 1
        assert end.count("not comparable to MLPerf") == 1
    assert "\x1b[" not in runs.launched


def test_pytest_benchmark_shows_requests_per_second(runs: Runs) -> None:
    directory = Path(runs.metadata[2]["result_dir"])
    document = json.loads(next(directory.glob("pytest_benchmark_*.json")).read_text())
    for benchmark in document["benchmarks"]:
        trials = benchmark["extra_info"]["mlpstorage"]["trials"]
        times = [t["metrics"]["window_s"] / t["metrics"]["requests"] for t in trials]
        assert benchmark["stats"]["rounds"] == (2 if "test_workload" in benchmark["name"] else 1)
        assert benchmark["stats"]["data"] == pytest.approx(times)
        assert benchmark["extra_info"]["read_gib_s"] + benchmark["extra_info"]["write_gib_s"] > 0


def test_no_cache_file_is_left(runs: Runs) -> None:
    assert not runs.cache.exists()


def test_history_lists_the_runs_newest_last(runs: Runs) -> None:
    output = run(*PYTEST, "--mlps-history", "--mlps-results-dir", str(runs.results))
    ids = [metadata["mlpstorage"]["run_id"] for metadata in runs.metadata]
    assert [word for word in output.split() if word in ids] == ids
    lines = [line for line in output.splitlines() if any(i in line for i in ids)]
    for line, ranks in zip(lines, ("4 x 1", "4 x 1", "1 x 1"), strict=True):
        for word in ("kv_cache", "llama3.1-8b", "run", "open", ranks, "passed"):
            assert word in line
    assert "test session starts" not in output


def test_run_can_be_converted_again_from_its_json(runs: Runs, tmp_path: Path) -> None:
    directory = Path(runs.metadata[0]["result_dir"])
    source = next(directory.glob("pytest_benchmark_*.json"))
    output = run(*PYTEST, f"--mlps-convert={source}", f"--mlps-results-dir={tmp_path}")
    metadata_path = Path(output.strip())
    converted = metadata_path.parent
    original = {p.relative_to(directory) for p in directory.rglob("*.json")}
    assert {p.relative_to(converted) for p in converted.rglob("*.json")} == original
    again = json.loads(metadata_path.read_text())
    changed = {name for name, value in runs.metadata[0].items() if again[name] != value}
    assert changed == {"result_dir"}


def test_sanctioned_options_run_on_real_files(tmp_path: Path) -> None:
    output = run(
        *(*PYTEST, "benchmarks/test_kvcache.py", "--mlps-profile", "mlperf"),
        *("--mlps-set", "duration=4", "--mlps-trials=1", *WITHOUT_PAUSES),
        *(f"--mlps-results-dir={tmp_path / 'results'}", f"--mlps-cache-dir={tmp_path / 'cache'}"),
    )
    assert "3 passed, 8 skipped" in output
    (path,) = (tmp_path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    options = metadata["mlpstorage"]["parameters"]["options"]
    assert [options[o]["num_users"] for o in ("1", "2", "3")] == [200, 100, 70]
    assert [options[o]["duration"] for o in ("1", "2", "3")] == [4, 4, 4]
    for name, case in metadata["mlpstorage"]["metrics"].items():
        # on a busy host, 4 s may be too short to fill a tier of memory first
        assert case["write_bytes"] > 0 or options[name]["cpu_mem_gb"] > 0
    assert not (tmp_path / "cache").exists()
