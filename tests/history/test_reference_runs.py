"""Runs of the reference in a results tree: identity, figures, missing ranks, hostile content."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.reading import WHOLE_RUN, read_metadata, read_run
from mlpstorage_bench.report.history_table import definition_lines, history_lines
from tests.past_runs import leave_run
from tests.validation.published import PUBLISHED, is_absent
from tests.validation.trees import KV_TIME, RANKS, SYSTEM, Submission, submission_of_every_type

pytestmark = pytest.mark.slow  # each test writes a whole tree of results


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    made = submission_of_every_type(tmp_path / "tree")
    for path in made.top.rglob("*_metadata.json"):  # what the rules do not ask for
        also: dict[str, Any] = {
            "run_datetime": path.parent.name,
            "num_processes": None,
            "parameters": {},
        }
        path.write_text(json.dumps(also | json.loads(path.read_text())))
    return made


@pytest.fixture
def reference(tmp_path: Path) -> Submission:
    made = Submission(tmp_path / "tree")
    made.write()
    return made


def runs_of(top: Path) -> list[PastRun]:
    with History(top) as history:
        assert history.problems == []
        return history.runs()


def metadata_of(submission: Submission) -> Path:
    return submission.kv_leaf / f"kv_cache_{KV_TIME}_metadata.json"


def change_metadata(submission: Submission, **changes: Any) -> None:
    submission.kv_metadata.update(changes)
    submission.write_kv_metadata()


def change_summary(submission: Submission, **changes: Any) -> None:
    submission.kv_summary.update(changes)
    (submission.kv_leaf / "summary.json").write_text(json.dumps(submission.kv_summary))


def test_run_has_the_figures_of_its_summary(reference: Submission) -> None:
    (run,) = runs_of(reference.top)
    options = reference.kv_summary["options"]
    assert [case.name for case in run.cases] == ["1", "2", "3"]
    assert run.cases[0].listed == {
        "read_gib_s": options["1"]["aggregated_read_bandwidth_gbps"],
        "write_gib_s": options["1"]["aggregated_write_bandwidth_gbps"],
        "tokens_per_s": options["1"]["aggregated_avg_throughput_tokens_per_sec"],
        "request_io_p95_ms": options["1"]["aggregated_p95_latency_ms"],
    }
    assert run.status == "passed"


def test_run_is_identified_by_its_place_not_by_its_files(reference: Submission) -> None:
    change_metadata(
        reference,
        run_datetime="20200101_000000",
        model="another",
        benchmark_type="training",
        result_dir="/data/open/another/results/other",
        invocation_start_time="2019-01-01T00:00:00",
    )
    (run,) = runs_of(reference.top)
    assert (run.run_id, run.mode, run.systemname) == (KV_TIME, "closed", SYSTEM)
    assert (run.benchmark_type, run.model, run.command) == ("kv_cache", "llama3.1-8b", "run")
    assert run.started.strftime("%Y%m%d_%H%M%S") == KV_TIME


def test_ranks_and_hosts_are_those_of_the_summary_where_metadata_has_none(
    reference: Submission,
) -> None:
    change_metadata(reference, num_processes=None, system_info={"num_hosts": 1, "hosts": []})
    change_summary(reference, host_count=2)
    (run,) = runs_of(reference.top)
    assert (run.num_processes, run.num_hosts, run.ranks) == (RANKS, 2, str(RANKS))
    notes = read_metadata(metadata_of(reference)).own.notes
    assert "1 of 2 hosts are described" in notes


def test_missing_rank_is_shown_as_found_of_expected(reference: Submission) -> None:
    option = reference.kv_summary["options"]["1"]
    option |= {
        "partial_failure": True,
        "missing_files": [f"/data/{KV_TIME}/option_1/trial_2/rank_1"],
    }
    change_summary(reference, partial_failure=True)
    (run,) = runs_of(reference.top)
    assert (run.ranks, run.status) == ("1/2", "failed")
    assert f"1/2 x {RANKS}" in "\n".join(history_lines([run], []))
    notes = read_metadata(metadata_of(reference)).own.notes
    assert "case 1: 5 of 6 results of ranks were found; sums are of those" in notes


@pytest.mark.parametrize(("exit_status", "status"), [(0, "passed"), (1, "failed")])
def test_exit_status_decides(reference: Submission, exit_status: int, status: str) -> None:
    change_metadata(reference, exit_status=exit_status)
    (run,) = runs_of(reference.top)
    assert run.status == status


def test_run_without_a_summary_is_listed_with_an_unknown_status(reference: Submission) -> None:
    (reference.kv_leaf / "summary.json").unlink()
    (run,) = runs_of(reference.top)
    assert (run.status, run.cases) == ("-", ())


def test_run_without_metadata_is_listed_by_its_summary(reference: Submission) -> None:
    metadata_of(reference).unlink()
    (run,) = runs_of(reference.top)
    assert (run.run_id, run.ranks, run.systemname) == (KV_TIME, str(RANKS), SYSTEM)
    assert len(run.cases) == 3


def test_summary_that_changes_later_is_read_again(reference: Submission) -> None:
    for path in (metadata_of(reference), reference.kv_leaf / "summary.json", reference.kv_leaf):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (before,) = runs_of(reference.top)
    option = reference.kv_summary["options"]["1"]
    option["aggregated_read_bandwidth_gbps"] = 7.0
    change_summary(reference)
    os.utime(reference.kv_leaf / "summary.json", (1_700_000_100, 1_700_000_100))
    (after,) = runs_of(reference.top)
    assert before.cases[0].listed["read_gib_s"] != 7.0
    assert after.cases[0].listed["read_gib_s"] == 7.0


def test_runs_of_other_types_have_figures_of_the_whole_run(submission: Submission) -> None:
    runs = runs_of(submission.top)
    types = {"kv_cache", "training", "checkpointing", "vector_database"}
    assert {run.benchmark_type for run in runs} == types
    by_type = {run.benchmark_type: run for run in runs if run.command == "run"}
    found = {kind: read_run(run.path).measured for kind, run in by_type.items()}
    for kind, metric in (
        ("training", "train_au_mean_percentage"),
        ("checkpointing", "checkpoint_size_GB"),
        ("vector_database", "throughput_qps"),
    ):
        assert (WHOLE_RUN, metric) in {(one.case, one.metric) for one in found[kind]}


def test_trials_are_sums_over_the_files_of_ranks(reference: Submission) -> None:
    series = read_series("test", metadata_of(reference))
    trials = series.cases["2"].trials
    sums = [
        sum(
            reference.kv_ranks[2, trial, rank]["summary"]["cache_stats"][
                "tier_storage_read_bandwidth_gbps"
            ]
            for rank in range(RANKS)
        )
        for trial in range(3)
    ]
    assert [trial.metrics["read_gib_s"] for trial in trials] == pytest.approx(sums)
    assert [trial.metrics["read_host_p95_ms"] for trial in trials] == [500.0, 501.0, 502.0]


def test_summary_stands_for_one_trial_where_files_of_ranks_are_missing(
    reference: Submission,
) -> None:
    rank = next((reference.kv_leaf / "option_1/trial_0/rank_0").iterdir())
    rank.unlink()
    series = read_series("test", metadata_of(reference))
    assert [len(case.trials) for case in series.cases.values()] == [1, 3, 3]
    assert any(note.startswith("case 1: files of ranks are missing") for note in series.notes)


def test_runs_of_both_programs_are_listed_with_their_definitions(
    reference: Submission,
) -> None:
    leave_run(reference.top, 1)
    ours, theirs = sorted(runs_of(reference.top), key=lambda run: run.is_of_reference)
    assert definition_lines([ours]) == []
    assert definition_lines([ours, theirs])[0].startswith("1 run of the reference: bytes")


def test_runs_of_the_reference_are_comparable_by_system_and_size(reference: Submission) -> None:
    (run,) = runs_of(reference.top)
    assert run.is_comparable(replace(run, run_id="20260901_000000"), "1")
    assert not run.is_comparable(replace(run, systemname="other"), "1")
    assert not run.is_comparable(replace(run, num_processes=99), "1")
    assert not run.is_comparable(replace(run, is_of_reference=False), "1")


@pytest.mark.parametrize(
    "summary",
    [
        "[]",
        '{"options": [1, 2]}',
        '{"options": {"1": null, "../x": {"aggregated_read_bandwidth_gbps": 1}}}',
        '{"options": {"1": {"aggregated_read_bandwidth_gbps": 1e300, "rank_count": 1e18}}}',
        '{"options": {"1": {"missing_files": [1, null, {}], "rank_count": -1}}}',
        '{"total_ranks": 1e30, "host_count": "many", "trial_failures": {"1": [null, 3]}}',
        '{"schema_version": NaN}',
        "this file was pruned",
        "[" * 100_000,
    ],
)
def test_hostile_summary_leaves_the_run_listed(reference: Submission, summary: str) -> None:
    (reference.kv_leaf / "summary.json").write_text(summary)
    (run,) = runs_of(reference.top)
    assert run.run_id == KV_TIME
    read_series("test", metadata_of(reference))


@pytest.mark.skipif(is_absent(), reason="the published runs are not on this machine")
def test_published_runs_are_listed_with_their_figures() -> None:
    found = {}
    for path in PUBLISHED.rglob("*_metadata.json"):
        run = read_run(path).run
        found[f"{run.benchmark_type}/{run.run_id}"] = run
    assert len(found) == 11
    few = found["kv_cache/20260709_215001"]
    assert (few.ranks, few.num_hosts, few.status) == ("24/48", 8, "failed")
    alone = found["kv_cache/20260721_002332"]
    assert (alone.num_processes, alone.mode) == (1, "closed")
    assert alone.cases[0].listed["read_gib_s"] == pytest.approx(13.540079259455316)
    launcher = found["kv_cache/20260724_130034"]
    assert launcher.num_hosts == 15
    assert found["checkpointing/20260722_020743"].num_hosts == 8
    assert found["vector_database/20260724_090536"].num_processes == 4


@pytest.mark.skipif(is_absent(), reason="the published runs are not on this machine")
def test_published_trials_are_those_of_the_rank_files() -> None:
    path = next(PUBLISHED.rglob("kv_cache_20260721_002332_metadata.json"))
    trials = read_series("test", path).cases["1"].trials
    assert [trial.metrics["read_gib_s"] for trial in trials] == pytest.approx(
        [13.6135300153449, 13.5545038683943, 13.4522038946268]
    )
