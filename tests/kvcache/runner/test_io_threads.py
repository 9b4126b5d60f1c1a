"""Number of IO threads and kind of queue of a trial."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner import calibration
from mlpstorage_bench.kvcache.runner.calibration import choose_threads
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.process.limits import processor_share
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.kernel_queue import QueueChoice, QueueRefusedError
from mlpstorage_bench.storage.queues import open_queue
from tests.trials import SoloRanks, context, workload
from tests.variants import first_of


@pytest.mark.parametrize(
    ("own", "of_host", "quota", "share"),
    [
        ([0, 1], [[0, 1]], None, 2),  # alone
        ([0, 1], [[0, 1], [0, 1]], None, 1),  # two ranks that are bound to nothing
        ([0], [[0], [1]], None, 1),  # each has its own
        ([0, 1], [[0, 1], [1]], None, 1.5),
        (range(8), [range(8), range(8)], 3.0, 1.5),  # the quota is narrower
    ],
)
def test_rank_has_its_share_of_processors(
    own: list[int], of_host: list[list[int]], quota: float | None, share: float
) -> None:
    assert processor_share(own, of_host, quota) == share


CEILINGS = {
    "more is better": {1: (100, 1.0), 2: (110, 1.5), 4: (120, 2.5)},
    "bandwidth alone rises": {1: (100, 1.0), 2: (90, 1.5)},
    "little rises": {1: (100, 1.0), 2: (110, 1.1)},
    "two are best": {1: (100, 1.0), 2: (110, 1.5), 4: (120, 1.6)},
}


@pytest.mark.parametrize(
    ("case", "processors", "lanes", "asked", "chosen"),
    [
        ("more is better", 1.9, 16, "auto", 1),
        ("more is better", 2.0, 16, "auto", 2),
        ("more is better", 64, 16, "auto", 4),
        ("more is better", 64, 3, "auto", 2),
        ("more is better", 64, 16, 1, 1),
        ("more is better", 1, 16, 2, 2),
        ("bandwidth alone rises", 64, 16, "auto", 1),
        ("little rises", 64, 16, "auto", 1),
        ("two are best", 64, 16, "auto", 2),
    ],
)
def test_threads_are_as_many_as_raise_the_ceiling(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    processors: float,
    lanes: int,
    asked: int | str,
    chosen: int,
) -> None:
    def operations(_: Workload, given: TrialContext, __: TrialRanks) -> float:
        return CEILINGS[case][given.io_threads][0]

    def bandwidth(_: Workload, given: TrialContext, __: TrialRanks) -> float:
        return CEILINGS[case][given.io_threads][1]

    monkeypatch.setattr(calibration, "operations_per_s", operations)
    monkeypatch.setattr(calibration, "bandwidth_gib_s", bandwidth)
    tried = workload(io_threads=asked, max_concurrent_allocs=lanes, num_users=16)
    found = choose_threads(tried, context(tmp_path), SoloRanks(), processors)
    assert found.io_threads == chosen
    assert found.ceiling == Ceiling(*CEILINGS[case][chosen])


@pytest.mark.parametrize("unknown", [1, 2])
def test_rank_without_a_ceiling_calibrates_as_often_as_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: int
) -> None:
    tried: list[int] = []

    def bandwidth(_: Workload, given: TrialContext, __: TrialRanks) -> float | None:
        tried.append(given.io_threads)
        return None if given.io_threads == unknown else 9.0

    monkeypatch.setattr(calibration, "bandwidth_gib_s", bandwidth)
    monkeypatch.setattr(calibration, "operations_per_s", lambda *_: 100.0)
    found = choose_threads(workload(num_users=16), context(tmp_path), SoloRanks(), 64)
    assert (tried, found.io_threads) == ([1, 2], 1)


@pytest.mark.parametrize(
    ("with_one", "with_two", "tried", "chosen"),
    [
        ([1.0], [1.1], [1, 2], 1),  # one measurement shows that nothing is gained
        ([0.5, 1.0], [1.1], [1, 2, 1], 1),  # the first was too low
        ([1.0, 1.0], [1.3, 1.1], [1, 2, 1, 2], 1),  # the second was too high
        ([1.0, 1.2], [1.3], [1, 2, 1], 1),  # it gains against one of them alone
        ([1.0, 1.1], [1.4, 1.6], [1, 2, 1, 2], 2),
        ([1.0, None], [1.4], [1, 2, 1], 1),
        ([1.0, 1.0], [1.4, None], [1, 2, 1, 2], 1),
    ],
)
def test_more_threads_have_to_gain_against_each_of_repeated_measurements(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    with_one: list[float | None],
    with_two: list[float | None],
    tried: list[int],
    chosen: int,
) -> None:
    measured: list[int] = []
    left = {1: iter(with_one), 2: iter(with_two)}

    def bandwidth(_: Workload, given: TrialContext, __: TrialRanks) -> float | None:
        measured.append(given.io_threads)
        return next(left[given.io_threads])

    monkeypatch.setattr(calibration, "bandwidth_gib_s", bandwidth)
    monkeypatch.setattr(calibration, "operations_per_s", lambda *_: 100.0)
    found = choose_threads(workload(num_users=16), context(tmp_path), SoloRanks(), 2)
    assert (measured, found.io_threads) == (tried, chosen)
    highest = max(rate for rate in (with_one, with_two)[chosen - 1] if rate is not None)
    assert found.ceiling == Ceiling(100.0, highest)


@pytest.mark.parametrize(("with_two", "chosen"), [(96.0, 2), (94.0, 1)])
def test_more_threads_may_lower_the_chunks_per_second_by_noise_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_two: float, chosen: int
) -> None:
    def operations(_: Workload, given: TrialContext, __: TrialRanks) -> float:
        return with_two if given.io_threads == 2 else 100.0

    def bandwidth(_: Workload, given: TrialContext, __: TrialRanks) -> float:
        return float(given.io_threads)

    monkeypatch.setattr(calibration, "operations_per_s", operations)
    monkeypatch.setattr(calibration, "bandwidth_gib_s", bandwidth)
    found = choose_threads(workload(num_users=16), context(tmp_path), SoloRanks(), 2)
    assert found.io_threads == chosen


def test_threads_that_move_no_more_data_are_not_calibrated_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    def operations(_: Workload, given: TrialContext, __: TrialRanks) -> float:
        counted.append(given.io_threads)
        return 100.0

    monkeypatch.setattr(calibration, "operations_per_s", operations)
    monkeypatch.setattr(calibration, "bandwidth_gib_s", lambda *_: 1.0)
    choose_threads(workload(num_users=16), context(tmp_path), SoloRanks(), 64)
    assert counted == [1]


def test_threads_are_not_chosen_without_a_calibration(tmp_path: Path) -> None:
    found = choose_threads(workload(calibration=0.0), context(tmp_path), SoloRanks(), 64)
    assert found == (None, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", first_of("auto", "io_uring", "linux_aio"))
@pytest.mark.parametrize("threads", [1, 3])
def test_trial_says_its_threads_and_its_queue(
    tmp_path: Path, threads: int, kind: QueueChoice
) -> None:
    if not probe_direct_io(tmp_path).is_available:
        pytest.skip("this filesystem has no direct I/O")
    try:
        opened = open_queue(kind, 1)
        opened.queue.close()
    except QueueRefusedError as error:
        pytest.skip(str(error))
    asked = workload(
        max_concurrent_allocs=5,
        num_users=5,
        io_queue=kind,
        chunks_in_flight=2,
        requests=100,
        duration=60,
    )
    here = dataclasses.replace(context(tmp_path), io_threads=threads)
    trial = run_trial(asked, here, SoloRanks())
    assert trial.failure is None
    assert (trial.io_threads, trial.movers, trial.io_queue) == (threads, threads, opened.kind)
    assert trial.io_queue_refusal == opened.refusal
    read = trial.operation("storage", "read")
    assert read.chunks > 0
    assert abs(read.verified_chunks - read.chunks) <= 5 * 2  # those at the window's edges
