"""The fixtures that benchmarks and tests use.

The workload is imported by the first test that asks for it: with NumPy it takes longer than all the
rest, and most sessions of most projects have no such test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from mlpstorage_bench.cluster.information import ClusterInformation
from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import KEY, SCENARIO, MlpsSession

if TYPE_CHECKING:
    from mlpstorage_bench.kvcache.fixture import KVCache
    from mlpstorage_bench.kvcache.plan import KVCachePlan
    from mlpstorage_bench.kvcache.runner.engine import Engine

HAS_PASSED = pytest.StashKey[bool]()
"""Whether a test has come to its end."""
SLO = "mlps_slo"
MARKERS = (
    (
        f"{SLO}(class, p95_ms=…): fail the test when requests of this class (interactive, "
        "responsive, batch) took longer; limits p50_ms, p95_ms, p99_ms, p999_ms, p9999_ms"
    ),
    (
        f"{SCENARIO}: a workload beside the profile's options; skipped with profiles whose results "
        "are to be compared"
    ),
)
"""What a test can be marked with, for `pytest --markers`."""


@pytest.fixture(scope="session")
def mpi_comm(request: pytest.FixtureRequest) -> Comm:
    """The ranks of this session: rank, size, barrier, bcast, gather, allgather, allreduce, abort.

    The same interface with one process and with many. Operations are collective: every rank of the
    session calls them alike. Where one does not, because it failed or left, the others get a
    PeerError instead of waiting. `mpi_comm.mpi4py` is a communicator of mpi4py over the same ranks
    (None without MPI); it gives no such protection.
    """
    return _session(request).comm


@pytest.fixture(scope="session")
def cluster_info(request: pytest.FixtureRequest) -> ClusterInformation:
    """The hosts of this session: one record per host, gathered over the ranks, and what differs."""
    return _session(request).cluster


@pytest.fixture(scope="session")
def mlps_run(request: pytest.FixtureRequest) -> Run:
    """The run of this session: `directory`, `metadata` so far, and `record(name, value)`."""
    run = _session(request).run
    assert run is not None, "a session with this fixture has a run"
    return run


@pytest.fixture
def kvcache(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[KVCache]:
    """The KV-cache workload: `kvcache.run(option, **parameters)` runs it on every rank.

    Options are those of the profile (`kvcache.options`); a test that takes `kvcache_option` runs
    once for each. Returns a KVCacheResult: bandwidths in GiB/s, latencies in ms, sizes in bytes.
    """
    session = _session(request)
    run = session.run
    assert run is not None, "a session with this fixture has a run"
    try:
        yield _make_kvcache(request, benchmark, session, run)
    finally:
        if not request.node.stash.get(HAS_PASSED, False):
            benchmark.skipped = True  # else pytest-benchmark warns of what the test did not come to
    if benchmark.stats is not None:
        run.add_statistics(benchmark.stats)


def _make_kvcache(
    request: pytest.FixtureRequest, benchmark: Any, session: MlpsSession, run: Run
) -> KVCache:
    from mlpstorage_bench.kvcache.config.slo import objective_of_marker  # noqa: PLC0415 - see above
    from mlpstorage_bench.kvcache.fixture import KVCache  # noqa: PLC0415 - see above

    plan = cast("KVCachePlan", session.plan)
    is_scenario = request.node.get_closest_marker(SCENARIO) is not None
    rounds = session.rounds(plan.trials(is_scenario=is_scenario))
    return KVCache(
        plan=plan,
        engine=cast("Engine", session.engine),
        benchmark=benchmark,
        advance_clock=session.clock.advance,
        open_case=lambda case: run.open_case(case, request.node.nodeid),
        objectives=[
            objective_of_marker(marker.args, marker.kwargs)
            for marker in request.node.iter_markers(SLO)
        ],
        rounds=rounds,
        offer_more=lambda case, run_more: session.offer_more(case, rounds, run_more),
    )


def _session(request: pytest.FixtureRequest) -> MlpsSession:
    return request.config.stash[KEY]
