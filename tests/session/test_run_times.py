"""A run ends with its trials or with its session, whether or not its trials can be kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.results.benchmark_document import BenchmarkDocument
from mlpstorage_bench.results.consecutive_runs import late_start
from mlpstorage_bench.results.kept_trials import DIRECTORY
from mlpstorage_bench.results.record import RunFacts
from mlpstorage_bench.results.tree import RunLocation
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.run_times import RunTimes
from tests.results.short_results import ShortResults

CASE = CaseRecord("kv_cache", "mine", 1, {}, test="test_it.py::test_a")
FACTS = RunFacts(
    run_id="r",
    benchmark_type="kv_cache",
    model="m",
    command="run",
    mode="closed",
    orgname="local",
    systemname="system",
    num_processes=1,
    npernode=1,
    hosts=["h1"],
    exec_type="local",
    launcher=None,
    executed_command="pytest",
    working_directory="/",
    args={},
    parameters={},
    override_parameters={},
    system_info=None,
    system_fingerprint=None,
    request_stream_sha256=["00"],
)
NAMES = ("closed", "local", "system", "kv_cache", "m", "run", "20261101_120000")


def a_run(results: Path) -> Run:
    run = Run(
        RunLocation(results, *NAMES),
        FACTS,
        42,
        ShortResults(),
        lambda _: BenchmarkDocument({}, (), None),
        RunTimes(datetime.now().astimezone(), None),
        is_root=True,
    )
    run.directory.mkdir(parents=True)
    return run


@pytest.mark.parametrize("in_the_way", ["", "a file"])
def test_run_that_ends_with_its_trial_ends_there(tmp_path: Path, in_the_way: str) -> None:
    run = a_run(tmp_path)
    if in_the_way:
        (run.directory / DIRECTORY).write_text(in_the_way)
    began = datetime.now().astimezone()
    trial = TrialRecord(1, {}, [{"rank": 0, "trial": 1}])
    run.keep_trial(replace(CASE, trials=(trial,)), {})
    over = datetime.now().astimezone()
    run.end_with_trials()
    record = run.make_record()
    assert record.end_datetime is not None
    assert began <= datetime.fromisoformat(record.end_datetime) <= over
    follows = run.followed_at(run.times.started + timedelta(hours=1))
    assert follows.runtime_s == record.runtime_s
    assert follows.idle_s == pytest.approx(3600 - record.runtime_s)
    assert late_start(follows.timestamp, follows.runtime_s, follows.paused_s, follows.idle_s)


def test_run_without_trials_ends_with_its_session(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.end_with_trials()
    assert run.make_record().end_datetime is None
    run.finish(0)
    ended = run.make_record().end_datetime
    assert ended is not None
    assert datetime.fromisoformat(ended) <= datetime.now(UTC)
