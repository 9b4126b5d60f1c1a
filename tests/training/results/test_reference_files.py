"""Files in the reference's form: summary, epochs of a rank, parameters."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.training.benchmark import TRAINING
from mlpstorage_bench.training.results.case_figures import case_figures
from mlpstorage_bench.training.results.pooling import pool_trial
from mlpstorage_bench.training.results.rank_result import rank_result
from mlpstorage_bench.training.results.recorded_case import standing
from mlpstorage_bench.training.results.recorded_rank import recorded_rank
from mlpstorage_bench.training.results.reference_epochs import per_epoch_stats
from mlpstorage_bench.training.results.reference_parameters import reference_parameters
from mlpstorage_bench.training.results.reference_summary import summarise
from mlpstorage_bench.training.runner.trial import run_training
from mlpstorage_bench.units import GIB, MIB
from tests.trainings import context, generated, training
from tests.trials import SoloRanks
from tests.validation.published import PUBLISHED, is_absent

pytestmark = pytest.mark.slow

needs_published_runs = pytest.mark.skipif(is_absent(), reason="the published runs are not here")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> CaseRecord:
    directory = tmp_path_factory.mktemp("training")
    workload = training(num_files_train=8)
    here = context(directory, workload)
    generated(workload, here)
    rank = run_training(workload, here, SoloRanks())
    content = json.loads(json.dumps(rank_result(workload, 1, rank)))
    metrics = pool_trial(1, [rank]).metrics()
    trial = TrialRecord(1, metrics, [content])
    return CaseRecord("training", "train", 1, workload.model_dump(), (trial,), metrics=metrics)


def summary(case: CaseRecord) -> dict[str, Any]:
    made = summarise([case], directory=Path("/r/20260101_000000"), host_count=1, total_ranks=1)
    return dict(made)


def published() -> list[dict[str, Any]]:
    found = sorted(PUBLISHED.glob("closed/*/results/*/training/*/run/*/summary.json"))
    return [json.loads(path.read_text()) for path in found]


@needs_published_runs
def test_the_summary_has_the_keys_of_published_ones_in_their_order(case: CaseRecord) -> None:
    of_hosts = {
        *("host_cpu_count", "host_processor_name", "potential_caching", "host_cpuinfo"),
        *("host_meminfo", "host_memory_GB"),
    }
    for one in published():
        assert [key for key in summary(case) if key != "mlpstorage"] == [
            key for key in one if key not in of_hosts
        ]
        assert list(summary(case)["metric"]) == list(one["metric"])


def test_the_relations_inside_a_summary_hold_for_ours(case: CaseRecord) -> None:
    made = summary(case)
    metric = made["metric"]
    rates, utilizations = (
        metric["train_throughput_samples_per_second"],
        metric["train_au_percentage"],
    )
    record_bytes = training().dataset(8, 1).record_bytes
    assert metric["train_au_mean_percentage"] == pytest.approx(statistics.fmean(utilizations))
    assert metric["train_au_stdev_percentage"] == pytest.approx(statistics.pstdev(utilizations))
    assert metric["train_io_mean_MB_per_second"] == pytest.approx(
        statistics.fmean(rates) * record_bytes / MIB
    )
    assert metric["train_io_stdev_MB_per_second"] == pytest.approx(
        statistics.pstdev(rates) * record_bytes / MIB
    )
    assert metric["train_au_meet_expectation"] == (
        "success" if metric["train_au_mean_percentage"] >= 90 else "fail"
    )
    assert made["data_size_per_host_GB"] == pytest.approx(8 * record_bytes / GIB)
    assert (made["epochs"], made["num_files_train"], made["num_accelerators"]) == (2, 8, 1)


def test_the_summary_agrees_with_the_metrics(case: CaseRecord) -> None:
    metric, trial = summary(case)["metric"], case.trials[0].metrics
    assert metric["train_au_percentage"] == pytest.approx(trial["au_by_epoch"])
    assert metric["train_throughput_mean_samples_per_second"] == pytest.approx(
        trial["samples_per_s"]
    )
    assert metric["train_io_mean_MB_per_second"] == pytest.approx(trial["train_mib_s"])


@needs_published_runs
def test_epochs_of_a_rank_have_the_form_of_published_ones(case: CaseRecord) -> None:
    (path,) = PUBLISHED.glob("closed/*/results/*/training/*/run/*/0_per_epoch_stats.json")
    theirs = json.loads(path.read_text())
    ours: dict[str, Any] = dict(per_epoch_stats(recorded_rank("rank", case.trials[0].ranks[0])))
    assert list(ours) == ["1", "2"]
    assert list(ours["1"]) == list(theirs["1"])
    assert list(ours["1"]["block1"]) == list(theirs["1"]["block1"])
    for one in (ours["1"], theirs["1"]):
        assert isinstance(one["duration"], str)
        assert float(one["block1"]["duration"]) >= 0


def test_arguments_have_how_files_were_read(case: CaseRecord) -> None:
    for mode in ("direct", "buffered"):
        resolved = replace(case, parameters={**case.parameters, "io_mode": mode})
        fields = TRAINING.metadata_fields({}, [resolved])
        assert fields.arguments == {"o_direct": mode == "direct"}
    assert TRAINING.metadata_fields({}, []).arguments == {}


@needs_published_runs
def test_parameters_have_the_structure_of_published_ones() -> None:
    paths = PUBLISHED.glob("closed/*/results/*/training/*/run/*/training_*_metadata.json")
    for path in sorted(paths):
        theirs = json.loads(path.read_text())["parameters"]
        workload = training(
            model=theirs["model"]["name"],
            scale=1.0,
            batch_size=None,
            computation_time=None,
            epochs=None,
            steps=None,
        )
        files = int(theirs["dataset"]["num_files_train"])
        ours: dict[str, Any] = dict(reference_parameters(workload, files, "/data"))
        assert ours["model"] == theirs["model"]
        assert ours["train"] == theirs["train"]
        assert ours["metric"] == theirs["metric"]
        assert ours["dataset"]["format"] == theirs["dataset"]["format"]
        for name in ("record_length_bytes", "record_length_bytes_stdev"):
            assert ours["dataset"].get(name) == theirs["dataset"].get(name)
        assert ours["reader"]["batch_size"] == theirs["reader"]["batch_size"]


def test_a_scaled_training_has_objections_and_says_them(case: CaseRecord) -> None:
    found = standing([case], {"warm_up_trials": 0}, total_ranks=1)
    text = "; ".join(found.objections)
    assert "differs from the sanctioned training" in text
    assert "scale" in text
    assert "warm_up_trials" in text
    assert not summary(case)["mlpstorage"]["cases"]["train"]["valid"]


def test_missing_ranks_are_counted(case: CaseRecord) -> None:
    assert "1 results of ranks are missing" in standing([case], {}, total_ranks=2).objections


def test_figures_are_those_of_the_rank(case: CaseRecord) -> None:
    figures = case_figures(case)
    assert {one.name for one in figures.distributions} == {"read, samples", "read, chunks"}
    assert figures.samples["read_p95_ms"] == 16
    assert next(one.title for one in figures.shares) == "Time of the accelerators"
    assert len(figures.ranks) == 1


def test_something_else_is_no_result_of_a_rank() -> None:
    with pytest.raises(InvalidInputError, match="result of a rank"):
        recorded_rank("rank 0", {"mlpstorage": {"rank": -1}})
