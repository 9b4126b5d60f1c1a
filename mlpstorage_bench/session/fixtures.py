"""Fixtures for benchmarks and tests.

Classes of the returned objects are imported when the first test requests them: the import of NumPy
and pydantic is slow, and most sessions of other projects need neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from mlpstorage_bench.session.activation import SCENARIO, launcher_of, opens_no_run
from mlpstorage_bench.session.pytest_internals.benchmark_fixture import (
    TimedTest,
    expect_no_measurement,
)
from mlpstorage_bench.session.pytest_internals.other_plugins import is_worker
from mlpstorage_bench.session.rank_output import NO_RUN_IN_WORKERS, NO_WORKERS
from mlpstorage_bench.session.stash import HAS_PASSED, SESSION

if TYPE_CHECKING:
    from mlpstorage_bench.benchmark_type.records import CaseRecord, OpenCase
    from mlpstorage_bench.checkpointing.fixture import Checkpointing
    from mlpstorage_bench.cluster.information import ClusterInformation
    from mlpstorage_bench.kvcache.fixture import KVCache
    from mlpstorage_bench.mpi.comm import Comm
    from mlpstorage_bench.session.run import Run
    from mlpstorage_bench.session.session import MlpsSession
    from mlpstorage_bench.session.type_run import TypeRun
    from mlpstorage_bench.training.fixture import Training
    from mlpstorage_bench.trial.services import TestServices


@pytest.fixture(scope="session")
def mpi_comm(request: pytest.FixtureRequest) -> Comm:
    """The ranks of this session: rank, size, barrier, bcast, gather, allgather, allreduce, abort.

    One process and many have the same interface. Operations are collective: every rank of the
    session has to call them in the same order. If a rank fails or ends, the others get a PeerError
    instead of waiting. `mpi_comm.mpi4py` is mpi4py's communicator over the same ranks (None without
    MPI), without this protection.
    """
    return _session(request).comm


@pytest.fixture(scope="session")
def cluster_info(request: pytest.FixtureRequest) -> ClusterInformation:
    """The hosts of this session: one record per host, gathered from the ranks, and differences."""
    return _session(request).cluster


@pytest.fixture(scope="session")
def mlps_run(request: pytest.FixtureRequest) -> Run:
    """The run of this session: `directory`, `metadata` so far, and `record(name, value)`.

    Where a session has several, it is that of the test's benchmark type, and `mlps_runs` has all.
    """
    from mlpstorage_bench.session.current_run import current_run  # noqa: PLC0415 - see above

    session = _session(request)
    return current_run(session, _runs_of(session, "mlps_run"))


@pytest.fixture
def mlps_runs(request: pytest.FixtureRequest) -> list[Run]:
    """The runs of this session so far, one for each benchmark type and model."""
    return _runs_of(_session(request), "mlps_runs")


@pytest.fixture
def kvcache(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[KVCache]:
    """The KV-cache benchmark: `kvcache.run(workload, **parameters)` runs a workload on all ranks.

    Workloads are those of the profile (`kvcache.workloads`); a test that takes `kvcache_workload`
    runs once for each. Returns a KVCacheResult: bandwidths in GiB/s, latencies in ms, sizes in
    bytes.
    """
    for made in fixture_of(request, benchmark, "kv_cache"):
        yield cast("KVCache", made)


@pytest.fixture
def training(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Training]:
    """The training benchmark: `training.run(workload, **parameters)` runs one on all ranks.

    Trainings are those of the profile (`training.workloads`); a test that takes
    `training_workload` runs once for each. Returns a TrainingResult: utilization in percent,
    bandwidths in GiB/s, latencies in ms.
    """
    for made in fixture_of(request, benchmark, "training"):
        yield cast("Training", made)


@pytest.fixture
def checkpointing(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Checkpointing]:
    """The checkpointing benchmark: `checkpointing.run("write")` or `"read"` on all ranks.

    A test that takes `checkpointing_kind` runs once for each. Returns a CheckpointingResult:
    bandwidths in GiB/s, times of checkpoints in seconds, latencies in ms.
    """
    for made in fixture_of(request, benchmark, "checkpointing"):
        yield cast("Checkpointing", made)


def fixture_of(request: pytest.FixtureRequest, benchmark: Any, name: str) -> Iterator[object]:
    """Yield the object of a benchmark type's fixture for a test, which has to name the fixture.

    `benchmark` is pytest-benchmark's fixture.
    """
    timed = TimedTest(benchmark, request.fixturename or name)
    opened: list[TypeRun] = []
    try:
        session = _session(request)
        _runs_of(session, request.fixturename or name)
        part = next(part for part in session.parts if part.name == name)
        try:
            yield part.kind.fixture(_services(request, timed, session, part, opened))
        finally:
            _hide_progress(session)
    finally:
        timed.close()
        if not request.node.stash.get(HAS_PASSED, False):
            expect_no_measurement(benchmark)
    if timed.stats is not None:
        for one in opened:
            one.run.log.add_statistics(request.node.nodeid, timed.stats)


def _hide_progress(session: MlpsSession) -> None:
    """Remove the region of the progress from the terminal."""
    from mlpstorage_bench.session import progress  # noqa: PLC0415 - see above

    progress.hide(session)


def _services(
    request: pytest.FixtureRequest,
    timed: TimedTest,
    session: MlpsSession,
    part: TypeRun,
    opened: list[TypeRun],
) -> TestServices:
    """Return a session's services for a test; `opened` receives the run of its case."""
    from mlpstorage_bench.session import pauses, progress  # noqa: PLC0415 - see above
    from mlpstorage_bench.session.judging import (  # noqa: PLC0415 - see above
        most_trials,
        offer_more,
        planned_rounds,
    )
    from mlpstorage_bench.session.run_opening import part_for  # noqa: PLC0415 - see above
    from mlpstorage_bench.trial.services import (  # noqa: PLC0415 - see above
        TestServices,
        TrialSettings,
    )

    is_scenario = request.node.get_closest_marker(SCENARIO) is not None
    trials = part.kind.planned_trials(part.plan, is_scenario=is_scenario)
    rounds = planned_rounds(session, trials, is_timed=timed.is_enabled)
    assert part.engine is not None, "tests begin after their engines"

    def open_case(
        case: CaseRecord, model: str | None = None, *, in_run_of_its_own: bool = False
    ) -> tuple[OpenCase, Run]:
        of_model = part
        if model is not None or in_run_of_its_own:
            chosen = part.model if model is None else model
            of_model = part_for(session, part.name, chosen, without_cases=in_run_of_its_own)
        opened[:] = [of_model]
        return of_model.run.log.open_case(case, request.node.nodeid), of_model.run

    return TestServices(
        plan=part.plan,
        engine=part.engine,
        benchmark=timed,
        advance_clock=session.clock.advance,
        open_case=open_case,
        trials=TrialSettings(
            rounds,
            most_trials(session, trials),
            lambda when, seconds: pauses.announce(session, when, seconds),
            lambda line: pauses.say(session, line),
            progress.viewer_of(session, request.node, is_timed=timed.is_enabled),
            is_watched=progress.is_watched(session),
        ),
        offer_more=lambda *of_case: offer_more(session, opened[0], *of_case),
        markers=tuple(request.node.iter_markers()),
    )


def _session(request: pytest.FixtureRequest) -> MlpsSession:
    """Return the session; open it here if a test requests a fixture by `getfixturevalue`."""
    session = request.config.stash.get(SESSION, None)
    if session is not None:
        return session
    if launcher_of(request.config) is not None:
        if is_worker(request.config):
            pytest.fail(f"{request.fixturename}: {NO_WORKERS}", pytrace=False)
        pytest.fail(
            f"{request.fixturename}: the ranks have not joined, because no collected test names a "
            "fixture of this plugin. Name it in the test's arguments or in usefixtures, or set "
            "mlps_mpi = on in the ini-file",
            pytrace=False,
        )
    from mlpstorage_bench.session.hooks import open_session  # noqa: PLC0415 - see above

    return open_session(request.config, None)


def _runs_of(session: MlpsSession, fixture: str) -> list[Run]:
    if not session.runs:
        if is_worker(session.config):
            pytest.fail(f"{fixture}: {NO_RUN_IN_WORKERS}", pytrace=False)
        if opens_no_run(session.config):
            pytest.skip(f"{fixture}: there is no run where only fixtures are set up")
        pytest.fail(
            f"{fixture}: there is no run, because no collected test names this fixture. Name it in "
            "the test's arguments or in usefixtures: the run opens before the first test",
            pytrace=False,
        )
    return session.runs
