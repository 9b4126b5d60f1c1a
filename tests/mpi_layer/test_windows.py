"""Measurement windows of real ranks: common edges, and stragglers by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.session.tiny import metadata_of
from tests.variants import first_of

pytestmark = pytest.mark.launches_mpi

SMALL = [
    *("--mlps-set=duration=0.5", "--mlps-set=entry_scale=0.002", "--mlps-set=calibration=0"),
    *("--mlps-set=num_users=4", "--mlps-set=think_time_scale=0", "--mlps-trials=1"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
]


@pytest.mark.parametrize("ranks", first_of(3, 1))
def test_window_edges_are_compared_over_ranks(
    pytester: pytest.Pytester, run_ranks: Any, ranks: int
) -> None:
    pytester.makepyfile(
        """
        def test_run(kvcache, mpi_comm):
            result = kvcache.run(1)
            (trial,) = result.trials
            assert 0 <= trial.window_open_spread_ms < 1000
            assert 0 <= trial.window_close_spread_ms < 1000
            assert trial.clock_uncertainty_ms == 0  # one host has one clock
            assert result.metrics()["window_open_spread_ms"] == trial.window_open_spread_ms
        """
    )
    end = ("--mlps-set=duration=60", "--mlps-set=warmup=0", "--mlps-set=requests=20")
    run_ranks(ranks, *SMALL, *end).assert_outcomes(passed=1)


@pytest.mark.long
def test_slow_rank_is_a_straggler_in_results_and_notes(
    pytester: pytest.Pytester, run_ranks: Any
) -> None:
    pytester.makepyfile(
        """
        import functools
        import time

        from mlpstorage_bench.kvcache.runner import engine
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
            assert straggler.rank == 2
            assert 0 <= straggler.share < 0.7
            assert straggler.host
            assert any("rank 2 on" in note and "is slow" in note for note in result.notes())
        """
    )
    run_ranks(3, *SMALL).assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.parametrize("failing", first_of(1, 0))
def test_trials_before_a_rank_failed_are_kept(
    pytester: pytest.Pytester, run_ranks: Any, failing: int
) -> None:
    pytester.makepyfile(
        f"""
        import errno
        import functools

        from mlpstorage_bench.kvcache.runner import engine
        from mlpstorage_bench.kvcache.runner.context import files_in_layout
        from tests.faulty import Faulty

        def test_run(kvcache, mpi_comm, monkeypatch):
            def store(workload, site):
                at = 300 if site.rank == {failing} else 10**9
                return Faulty(files_in_layout(workload, site), errno.EIO, at)

            faulty = functools.partial(engine.run_trial, make_store=store)
            monkeypatch.setattr(engine, "run_trial", faulty)
            kvcache.run(1)
        """
    )
    result = run_ranks(2, *SMALL, "--mlps-set=warmup=0", "--mlps-set=duration=60")
    result.assert_outcomes(failed=1)
    assert result.duration < 60
    result.stdout.re_match_lines([rf".*StorageError: rank {failing} on \S+: .*\(EIO\).*"])
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "failed"
    failed = metadata["mlpstorage"]["cases"]["1"]["failed_trial"]
    assert failed["failure"].startswith(f"rank {failing} on ")
    assert (failed["metrics"]["ranks"], failed["metrics"]["write_bytes"] > 0) == (2, True)
