"""Parsing of metadata files of this project and of the reference, and refusal of others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.reading import Measured, read_run
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.results.run_metadata import metadata_of
from tests.past_runs import OURS, REFERENCES, leave, leave_run


def runs_in(results: Path) -> list[PastRun]:
    with History(results) as history:
        return history.runs()


def test_our_runs_and_reference_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    leave(tmp_path / "b", "kv_cache_20261123_100000", OURS)
    leave(tmp_path / "a" / "deep", "training_20250111_160323", REFERENCES)
    first, second = runs_in(tmp_path)
    assert (first.run_id, first.benchmark_type) == ("20250111_160323", "training")
    assert (first.status, first.mode, first.num_hosts, first.cases) == ("-", "closed", 1, ())
    assert (second.run_id, second.status, second.num_hosts) == ("20261123_100000-abcd", "passed", 2)
    (case,) = second.cases
    assert case.listed == {"read_gib_s": 1.5, "write_gib_s": 0.5}


def test_numbers_are_read_by_trial_by_case_and_by_run(
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


def test_values_that_are_not_numbers_are_left_out(tmp_path: Path) -> None:
    values = {"a_s": 1, "b_s": None, "c": True, "d": "text", "e": [1.0], "f_s": float("nan")}
    file = read_run(leave(tmp_path, "x", {**OURS, "metrics": {"1": values}}))
    assert file.measured == (Measured("1", 0, "a_s", 1.0),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "It is no JSON"),
        ("{", "It is no JSON"),
        ("[" * 100_000, "It is no JSON"),
        ("\x00\xff", "It is no JSON"),
        ([], "it is not an object"),
        ({}, "it has no 'benchmark_type'"),
        ({**OURS, "num_processes": "many"}, "num_processes: got 'many'; accepted: a valid integer"),
        ({**OURS, "run_datetime": "yesterday"}, "does not match format"),
        ({**OURS, "mlpstorage": [1]}, "no run's metadata"),
        ({**OURS, "hosts": 5}, "no run's metadata"),
        ({**OURS, "mlpstorage": {"cases": {"1": {"trials": 3}}}}, "no run's metadata"),
        ({**OURS, "model": "half a \ud800"}, "It is no JSON"),
    ],
)
def test_broken_or_foreign_file_is_named_and_other_files_are_listed(
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


def test_directory_named_like_a_metadata_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "x_metadata.json").mkdir()
    assert runs_in(tmp_path) == []


def test_missing_directory_has_no_runs_and_is_not_created(tmp_path: Path) -> None:
    assert runs_in(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []


def test_run_whose_process_is_gone_has_died(tmp_path: Path) -> None:
    here = os.uname().nodename
    gone = {**OURS["mlpstorage"], "process_id": 2**22 + 1}
    alive = {**OURS["mlpstorage"], "process_id": os.getpid()}
    running = {**OURS, "status": "running", "hosts": [here]}
    leave(tmp_path, "gone", {**running, "mlpstorage": gone})
    leave(tmp_path, "alive", {**running, "mlpstorage": alive})
    leave(tmp_path, "elsewhere", {**running, "mlpstorage": gone, "hosts": ["far-away"]})
    leave(tmp_path, "strange", {**running, "mlpstorage": {**gone, "process_id": 2**80}})
    assert sorted(run.status for run in runs_in(tmp_path)) == ["died", *["running"] * 3]


def test_run_whose_process_number_was_given_to_another_has_died(tmp_path: Path) -> None:
    start = start_of(os.getpid())
    assert start is not None
    boot, namespace, ticks = start.split(" ")
    running = {**OURS, "status": "running", "hosts": [os.uname().nodename]}
    for name, value in {
        "same": start,
        "other": f"{boot} {namespace} {int(ticks) + 1}",
        "strange": "what",
        "number": 5,
    }.items():
        own = {**OURS["mlpstorage"], "process_id": os.getpid(), "process_start": value}
        leave(tmp_path, name, {**running, "mlpstorage": own})
    status = {run.path.name.split("_")[0]: run.status for run in runs_in(tmp_path)}
    assert status == {"same": "running", "other": "died", "strange": "running", "number": "running"}


def test_run_whose_process_is_a_zombie_has_died(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie until the end of `with`
        own = {**OURS["mlpstorage"], "process_id": ended.pid}
        content = {**OURS, "status": "running", "hosts": [os.uname().nodename], "mlpstorage": own}
        leave(tmp_path, "ended", content)
        assert [run.status for run in runs_in(tmp_path)] == ["died"]


def test_units_of_metrics_are_those_that_the_run_records(tmp_path: Path) -> None:
    own = {"schema_version": 2, "metrics": {"speed": {"unit": "m/s", "has_spread": True}}}
    content = {**OURS, "metrics": {"1": {"speed": 3.0, "speed_min": 2.0, "other_ms": 1.0}}}
    leave(tmp_path, "x", {**content, "mlpstorage": {**OURS["mlpstorage"], **own}})
    with History(tmp_path) as history:
        assert history.metrics() == {"speed": "m/s", "speed_min": "m/s", "other_ms": ""}


def test_units_of_the_references_metrics_are_known_by_name() -> None:
    described = descriptions_of(metadata_of(REFERENCES))
    assert described["train_au_mean_percentage"].unit.name == "%"
    assert described["train_io_mean_MB_per_second"].unit.name == "MiB/s"


@pytest.mark.parametrize("metrics", [5, {"a": 5}, {"a": {}}, {"a": {"unit": "s", "shown": "x"}}])
def test_run_with_broken_descriptions_is_named(tmp_path: Path, metrics: object) -> None:
    own = {**OURS["mlpstorage"], "schema_version": 2, "metrics": metrics}
    leave(tmp_path, "x", {**OURS, "mlpstorage": own})
    with History(tmp_path) as history:
        assert history.runs() == []
        assert "no run's metadata" in history.problems[0]


@pytest.mark.parametrize(
    ("verification", "is_baseline"),
    [("OPEN", True), ("CLOSED", True), (None, True), ("INVALID", False)],
)
def test_run_that_its_own_checks_call_invalid_is_no_baseline(
    tmp_path: Path,
    verification: str | None,
    is_baseline: bool,  # noqa: FBT001 - a case of the test
) -> None:
    leave_run(tmp_path, 1, verification=verification)
    for _ in range(2):  # from the file, then from the index
        (run,) = runs_in(tmp_path)
        assert run.is_complete
        assert run.is_baseline == is_baseline
