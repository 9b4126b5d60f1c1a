"""What is read of a metadata file, ours or the reference's, and what is no run's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.reading import Measured, read_run
from mlpstorage_bench.history.units import unit_of
from tests.past_runs import OURS, REFERENCES, leave, leave_run


def runs_in(results: Path) -> list[PastRun]:
    with History(results) as history:
        return history.runs()


def test_runs_of_ours_and_of_the_reference_are_listed_oldest_first(tmp_path: Path) -> None:
    leave(tmp_path / "b", "kv_cache_20261123_100000", OURS)
    leave(tmp_path / "a" / "deep", "training_20250111_160323", REFERENCES)
    first, second = runs_in(tmp_path)
    assert (first.run_id, first.benchmark_type) == ("20250111_160323", "training")
    assert (first.status, first.mode, first.num_hosts, first.cases) == ("-", "closed", 1, ())
    assert (second.run_id, second.status, second.num_hosts) == ("20261123_100000-abcd", "passed", 2)
    (case,) = second.cases
    assert (case.read_gib_s, case.write_gib_s, case.read_p95_ms) == (1.5, 0.5, None)


def test_numbers_are_read_for_each_trial_for_all_of_them_and_for_the_whole_run(
    tmp_path: Path,
) -> None:
    ours = read_run(leave_run(tmp_path, 1, trials=(1.0, 3.0)))
    assert set(ours.measured) >= {
        Measured("1", 0, "read_gib_s", 2.0),
        Measured("1", 1, "read_gib_s", 1.0),
        Measured("1", 2, "read_gib_s", 3.0),
        Measured("1", 2, "window_s", 0.5),
    }
    reference = read_run(leave(tmp_path, "training_20250111_160323", REFERENCES))
    assert reference.measured == (Measured("run", 0, "train_au_mean_percentage", 97.5),)


def test_what_is_no_number_is_no_metric(tmp_path: Path) -> None:
    values = {"a_s": 1, "b_s": None, "c": True, "d": "text", "e": [1.0], "f_s": float("nan")}
    file = read_run(leave(tmp_path, "x", {**OURS, "metrics": {"1": values}}))
    assert file.measured == (Measured("1", 0, "a_s", 1.0),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("\x00\xff", "no JSON"),
        ([], "it is not an object"),
        ({}, "it has no 'benchmark_type'"),
        ({**OURS, "num_processes": "many"}, "invalid literal"),
        ({**OURS, "run_datetime": "yesterday"}, "does not match format"),
        ({**OURS, "mlpstorage": [1]}, "no run's metadata"),
        ({**OURS, "hosts": 5}, "no run's metadata"),
        ({**OURS, "mlpstorage": {"cases": {"1": {"trials": 3}}}}, "no run's metadata"),
        ({**OURS, "model": "half a \ud800"}, "no run's metadata"),
    ],
)
def test_a_broken_or_foreign_file_is_named_and_the_others_are_listed(
    tmp_path: Path, content: object, message: str
) -> None:
    broken = leave(tmp_path, "broken", content)
    leave(tmp_path, "good", OURS)
    for _ in ("read", "known from the index"):
        with History(tmp_path) as history:
            assert len(history.runs()) == 1
            (problem,) = history.problems
        assert problem.startswith(f"{broken}: ")
        assert message in problem


def test_a_directory_that_looks_like_a_metadata_file_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x_metadata.json").mkdir()
    assert runs_in(tmp_path) == []


def test_a_directory_that_is_not_there_has_no_runs_and_is_not_made(tmp_path: Path) -> None:
    assert runs_in(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_process_is_gone_died(tmp_path: Path) -> None:
    here = os.uname().nodename
    gone = {**OURS["mlpstorage"], "process_id": 2**22 + 1}
    alive = {**OURS["mlpstorage"], "process_id": os.getpid()}
    running = {**OURS, "status": "running", "hosts": [here]}
    leave(tmp_path, "gone", {**running, "mlpstorage": gone})
    leave(tmp_path, "alive", {**running, "mlpstorage": alive})
    leave(tmp_path, "elsewhere", {**running, "mlpstorage": gone, "hosts": ["far-away"]})
    leave(tmp_path, "strange", {**running, "mlpstorage": {**gone, "process_id": 2**80}})
    assert sorted(run.status for run in runs_in(tmp_path)) == ["died", *["running"] * 3]


def test_a_run_whose_process_has_ended_unnoticed_died(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie until the end of `with`
        own = {**OURS["mlpstorage"], "process_id": ended.pid}
        content = {**OURS, "status": "running", "hosts": [os.uname().nodename], "mlpstorage": own}
        leave(tmp_path, "ended", content)
        assert [run.status for run in runs_in(tmp_path)] == ["died"]


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("read_gib_s", "GiB/s"),
        ("read_gib_s_min", "GiB/s"),
        ("read_bytes", "bytes"),
        ("hit_rate_bytes", "ratio"),
        ("prefix_hit_rate_bytes", "ratio"),
        ("requests_per_s", "1/s"),
        ("generated_tokens_per_s", "tokens/s"),
        ("cpu_s_per_gib", "s/GiB"),
        ("read_p999_ms", "ms"),
        ("window_s", "s"),
        ("busy_share", "ratio"),
        ("ceiling_ratio", "ratio"),
        ("tier_storage_read_bandwidth_gbps", "GiB/s"),
        ("train_au_mean_percentage", "%"),
        ("requests", ""),
        ("cache_hits", ""),
    ],
)
def test_a_metrics_name_ends_in_its_unit(metric: str, unit: str) -> None:
    assert unit_of(metric) == unit
