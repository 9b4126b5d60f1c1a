"""Sessions of one process: trainings, data that is made before, closed runs, failures."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.session.closed import results_on_another_filesystem
from tests.training.shortened import CASES, CLOSED, LONG_S, TEST, metadata_in, shorten

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

SMALL = (
    *("--mlps-set=training.scale=0.001", "--mlps-set=training.steps=3"),
    *("--mlps-set=training.computation_time=0.01", "--mlps-set=training.batch_size=2"),
    *("--mlps-set=training.io_chunk_kib=64", "--mlps-trials=2"),
    *("--mlps-cache-dir=cache", "--mlps-results-dir=results"),
)
"""A session of two trials with two epochs of 3 steps of 10 ms."""

results = pytest.fixture(results_on_another_filesystem)


def test_a_run_leaves_the_files_of_the_reference_and_ours(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest(*SMALL)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*6 files with * GiB were made in * s (*/s)*"])
    (metadata,) = metadata_in(pytester.path / "results")
    leaf = pytester.path / "results" / "open/local/results"
    (leaf,) = leaf.glob("*/training/unet3d/run/*")
    summary = json.loads((leaf / "summary.json").read_text())
    assert (metadata["accelerator"], metadata["exit_status"]) == ("b200", 0)
    assert metadata["parameters"]["dataset"]["num_files_train"] == 6
    assert metadata["args"]["data_dir"] == str(pytester.path / "cache")
    assert Path(metadata["parameters"]["dataset"]["data_folder"]).is_dir()
    assert summary["num_files_train"] == 6
    assert len(summary["metric"]["train_au_percentage"]) == 2
    assert (leaf / "0_per_epoch_stats.json").is_file()
    assert len([*leaf.rglob("0_output.json")]) == 2
    assert not (pytester.path / "cache" / "rank_0").exists()


def test_data_is_made_once_and_by_the_command_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"{TEST}\ndef test_cache(kvcache): kvcache.run(1)",
    )
    made = pytester.runpytest(*SMALL, "--mlps-datagen")
    made.stdout.no_fnmatch_line("*- benchmark: *")
    made.assert_outcomes(passed=1, skipped=1)
    made.stdout.fnmatch_lines(["*6 files with * GiB were made in * s (*/s)*"])
    (metadata,) = metadata_in(pytester.path / "results")
    assert (metadata["command"], metadata["exit_status"]) == ("datagen", 0)
    assert metadata["parameters"]["workflow"] == {
        "generate_data": True,
        "train": False,
        "checkpoint": False,
    }
    facts = metadata["mlpstorage"]["cases"]["train"]["facts"]
    generation = facts["generation"]
    assert (facts["format"], facts["reader"], facts["files"]) == ("raw", "model", 6)
    files = [*Path(facts["directory"]).rglob("*.raw")]
    assert generation["files"] == len(files) == 6
    assert generation["bytes"] == sum(path.stat().st_size for path in files)
    rate = generation["bytes"] / generation["seconds"] / 2**20
    assert generation["mib_s"] == pytest.approx(rate)
    own = metadata["mlpstorage"]
    assert own["start_datetime"] <= generation["start_datetime"] <= generation["end_datetime"]
    again = pytester.runpytest(*SMALL, "-k", "training")
    again.assert_outcomes(passed=1)
    again.stdout.no_fnmatch_line("*were made in*")
    assert [one["command"] for one in metadata_in(pytester.path / "results")] == ["datagen", "run"]


def test_data_of_several_trainings_is_noted_once_where_it_is_made(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(f"{TEST}{TEST.replace('test_training', 'test_again')}")
    for _ in range(2):
        made = pytester.runpytest(*SMALL, "--mlps-datagen")
        made.assert_outcomes(passed=2)
        noted = [line for line in made.outlines if "made in " in line or "none was made" in line]
        located = [line for line in made.outlines if "the data is in" in line]
        assert (len(noted), len(located)) == (1, 1), noted


@pytest.mark.long
def test_two_types_leave_a_run_each_joined_by_the_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"{TEST}\ndef test_cache(kvcache): kvcache.run(1)",
    )
    tiny = ("kv_cache.duration=0.3", "kv_cache.calibration=0.05", "kv_cache.entry_scale=0.001")
    result = pytester.runpytest(*SMALL, *(f"--mlps-set={one}" for one in tiny))
    result.assert_outcomes(passed=2)
    found = [
        json.loads(path.read_text())
        for path in (pytester.path / "results").rglob("*_metadata.json")
    ]
    assert {one["benchmark_type"] for one in found} == {"training", "kv_cache"}
    assert len({one["mlpstorage"]["session_id"] for one in found}) == 1


def test_changed_data_fails_the_test_with_file_and_offset(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    pytester.runpytest(*SMALL, "--mlps-datagen").assert_outcomes(passed=1)
    path = min((pytester.path / "cache").rglob("img_2_*"))
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    result = pytester.runpytest(*SMALL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*CorruptReadsError: 2 reads of trial 1 found other data*"])
    result.stdout.fnmatch_lines([f"*{path.name}*"])


def test_a_missing_file_fails_the_test_and_datagen_makes_it_again(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TEST)
    pytester.runpytest(*SMALL, "--mlps-datagen").assert_outcomes(passed=1)
    path = min((pytester.path / "cache").rglob("img_2_*"))
    path.unlink()
    result = pytester.runpytest(*SMALL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*StorageError: *opening *{path.name} failed*"])
    (_, metadata) = metadata_in(pytester.path / "results")
    assert metadata["exit_status"] == 1
    again = pytester.runpytest(*SMALL, "--mlps-datagen")
    again.stdout.fnmatch_lines(["*1 file with * GiB was made in *"])
    assert path.is_file()


def test_a_warm_up_of_an_open_run_is_a_note(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest(*SMALL, "--mlps-profile=training.mlperf", "--mlps-set=epochs=1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*training train: a trial warmed up, with AU * %*"])


def test_a_closed_session_leaves_six_runs_the_first_to_warm_up(
    pytester: pytest.Pytester, results: Path
) -> None:
    shorten(pytester.path, LONG_S)
    pytester.makepyfile(TEST)
    files = (
        "--mlps-report=report.md",
        "--mlps-gate-report=gate.json",
        "--mlps-export=json:out.json",
        "--mlps-progress=lines:0.000001",
    )
    command = (sys.executable, "-m", "pytest", *CLOSED, f"--mlps-results-dir={results}", *files)
    result = pytester.run(*command, timeout=120)
    result.assert_outcomes(passed=1)
    cases = ("train-warm-up", *["train"] * 5)
    left = (f"about {math.ceil(trials * 6 * LONG_S)} s left in all" for trials in range(6, 0, -1))
    result.stdout.fnmatch_lines(
        [
            f"mlpstorage: case {case}, trial 1 of 1: planning, {text}"
            for case, text in zip(cases, left, strict=True)
        ]
    )
    for number in range(1, 7):
        result.stdout.fnmatch_lines([f"training, unet3d, run {number} of 6: gate passed*"])
    runs = metadata_in(results)
    assert [list(one["mlpstorage"]["cases"]) for one in runs] == CASES
    assert len({one["run_datetime"] for one in runs}) == 6
    assert len({one["mlpstorage"]["session_id"] for one in runs}) == 1
    checks = [one["system_info"]["mlpstorage"]["checks"] for one in runs]
    assert checks == [checks[0]] * 6
    own = [one["mlpstorage"] for one in runs]
    assert [one.get("follows", {}).get("timestamp") for one in own] == [
        None,
        *(one["run_datetime"] for one in runs[:-1]),
    ]
    for one, following in itertools.pairwise(own):
        assert one["end_datetime"] <= following["start_datetime"]
    assert all(any("differs from the sanctioned" in n for n in one["notes"]) for one in own)
    for number, one in enumerate(own, 1):
        of_run = f"training-unet3d-{number}"
        assert one["run_id"] in (pytester.path / f"report-{of_run}.md").read_text()
        judged = json.loads((pytester.path / f"gate-{of_run}.json").read_text())
        assert judged["run_id"] == one["run_id"]
        if judged["verdict"] == "collecting":
            assert judged["next_step"].startswith("mode closed fixes the number of trials")
        assert judged["verdict"] in ("collecting", "disturbed"), "other programs may go on"
        assert one["run_id"] in (pytester.path / f"out-{of_run}.json").read_text()
    assert not [*pytester.path.glob("*-training-unet3d-7.*")]
    for leaf in (results / "closed/local/results").glob("*/training/unet3d/run/*"):
        summary = json.loads((leaf / "summary.json").read_text())
        assert len(summary["metric"]["train_au_percentage"]) == 2
        assert (leaf / "0_per_epoch_stats.json").is_file()
    validated = pytester.runpytest("--mlps-validate", str(results))
    rules = [line.split()[1] for line in validated.stdout.lines if line.startswith("violated")]
    assert "2.1.17" not in rules
    assert "2.1.18" not in rules


@pytest.mark.long
def test_an_interrupted_run_goes_on_with_the_trials_that_are_missing(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TEST)
    pytester.makeconftest(
        """
        from pathlib import Path

        from mlpstorage_bench.training.runner.engine import TrainingEngine

        _run = TrainingEngine.run_trial

        def run_until_interrupted(engine, workload, trial):
            if trial == 2 and not Path("interrupted").exists():
                Path("interrupted").touch()
                raise KeyboardInterrupt
            with Path("trials").open("a") as file:
                print(trial, file=file)
            return _run(engine, workload, trial)

        TrainingEngine.run_trial = run_until_interrupted
        """
    )
    pytester.runpytest_subprocess(*SMALL)
    (before,) = metadata_in(pytester.path / "results")
    assert before["mlpstorage"]["status"] == "interrupted"
    result = pytester.runpytest_subprocess(
        *SMALL, f"--mlps-resume={before['mlpstorage']['run_id']}"
    )
    result.assert_outcomes(passed=1)
    assert (pytester.path / "trials").read_text().split() == ["1", "2"]
    (after,) = metadata_in(pytester.path / "results")
    assert len(after["mlpstorage"]["cases"]["train"]["trials"]) == 2
    assert after["mlpstorage"]["metrics"]["train"]["samples"] == 2 * 2 * 3 * 2


def test_sizes_say_which_rule_determines_them(pytester: pytest.Pytester) -> None:
    options = ("--mlps-profile=training.mlperf", "--mlps-set=client_host_memory_in_gb=1")
    result = pytester.runpytest(
        "--mlps-datasize", *options, "--mlps-cache-dir=cache", "--mlps-results-dir=results"
    )
    result.stdout.fnmatch_lines(
        [
            "training train: unet3d on 1 x b200",
            "*3500 files of 1 sample*500 steps an epoch",
            "*3500 samples for 500 steps; 36 for 5 x 1.00 GiB*",
        ]
    )
    (metadata,) = metadata_in(pytester.path / "results")
    assert metadata["command"] == "datasize"
    assert metadata["parameters"]["dataset"]["num_files_train"] == 3500
    assert metadata["args"]["max_accelerators"] == 1
    shutil.rmtree(pytester.path / "results")


@pytest.mark.launches_mpi
def test_a_simulated_accelerator_of_each_rank_reads_its_part(
    pytester: pytest.Pytester, run_ranks: Any
) -> None:
    pytester.makepyfile(TEST)
    result = run_ranks(2, *SMALL)
    result.assert_outcomes(passed=1)
    (metadata,) = metadata_in(pytester.path / "results")
    assert metadata["num_processes"] == 2
    metrics = metadata["mlpstorage"]["metrics"]["train"]
    assert metrics["samples"] == 2 * 2 * 2 * 3 * 2  # trials, epochs, ranks, steps, batch
    assert metrics["corrupt_reads"] == 0


@pytest.mark.long
def test_two_runs_are_compared_by_the_figures_of_their_type(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    for _ in range(2):
        pytester.runpytest(*SMALL).assert_outcomes(passed=1)
    runs = [one["mlpstorage"]["run_id"] for one in metadata_in(pytester.path / "results")]
    compared = pytester.runpytest_subprocess(
        "--mlps-results-dir=results", *(f"--mlps-compare={one}" for one in runs)
    )
    shown = " ".join(line.strip() for line in compared.outlines)
    assert compared.ret == 0, shown
    assert "workload: unet3d, b200, raw files, reader model, 2 epochs, 3 steps" in shown
    assert "reads checked: 100% of chunks" in shown
    compared.stdout.fnmatch_lines(["train  AU %  *", "*samples/s *", "*train MiB/s *"])
