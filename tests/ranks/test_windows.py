"""Windows of real ranks: they open and close together, and who holds the others back is named."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.launches_mpi

SMALL = [
    *("--mlps-set=duration=0.5", "--mlps-set=entry_scale=0.002", "--mlps-set=calibration=0"),
    *("--mlps-set=num_users=4", "--mlps-set=think_time_scale=0", "--mlps-trials=1"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
]


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_edges_of_all_ranks_windows_are_compared(
    pytester: pytest.Pytester, run_ranks: Any, ranks: int
) -> None:
    pytester.makepyfile(
        """
        def test_run(kvcache, mpi_comm):
            result = kvcache.run(1)
            (trial,) = result.trials
            assert 0 <= trial.window_open_spread_ms < 1000
            assert 0 <= trial.window_close_spread_ms < 1000
            assert 0 <= trial.clock_uncertainty_ms < 1000
            assert (trial.clock_uncertainty_ms > 0) == (mpi_comm.size > 1)
            assert result.metrics()["window_open_spread_ms"] == trial.window_open_spread_ms
        """
    )
    run_ranks(ranks, *SMALL).assert_outcomes(passed=1)


def test_a_slow_rank_is_a_straggler_in_the_results_and_in_the_notes(
    pytester: pytest.Pytester, run_ranks: Any
) -> None:
    pytester.makepyfile(
        """
        import functools
        import time

        from mlpstorage_bench.kvcache import engine
        from mlpstorage_bench.storage.null import NullStore
        from tests.faulty import Slow

        def test_run(kvcache, mpi_comm, monkeypatch):
            pause_s = 0.05 if mpi_comm.rank == 2 else 0.002
            slow = functools.partial(
                engine.run_trial, make_store=lambda *_: Slow(NullStore(), pause_s)
            )
            monkeypatch.setattr(engine, "run_trial", slow)
            result = kvcache.run(1)
            (straggler,) = result.trials[0].stragglers
            assert straggler["rank"] == 2
            assert 0 <= straggler["share"] < 0.7
            assert straggler["host"]
            assert any("rank 2 on" in note and "is slow" in note for note in result.notes())
        """
    )
    run_ranks(3, *SMALL).assert_outcomes(passed=1)
