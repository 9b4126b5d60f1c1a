"""A rank that is stopped while it writes: results, terminal and report name it and its host."""

from __future__ import annotations

import socket

import pytest

from tests.session.tiny import metadata_of

pytestmark = [pytest.mark.launches_mpi, pytest.mark.slow, pytest.mark.starts_process]

TEST = "def test_write(checkpointing): checkpointing.run('write')"
OPTIONS = (
    *("--mlps-set=scale=0.00001", "--mlps-set=io_chunk_kib=16", "--mlps-trials=1"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
    *("--mlps-num-processes=2", "--mlps-allow-run-as-root"),
)
STOPPED = """
import os, subprocess
from mlpstorage_bench.storage.entry_files import EntryFile

make_durable = EntryFile.make_durable

def stopped(file, *given):
    if os.environ.get("OMPI_COMM_WORLD_RANK") == "1":
        own = os.getpid()
        subprocess.run(["sh", "-c", f"kill -STOP {own}; sleep 2; kill -CONT {own}"], check=True)
    return make_durable(file, *given)

EntryFile.make_durable = stopped
"""
"""Stops the second rank for two seconds while the other one writes its file."""


@pytest.mark.long
def test_a_rank_that_is_stopped_while_it_writes_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    pytester.makeconftest(STOPPED)
    result = pytester.runpytest_subprocess(*OPTIONS)
    own = metadata_of(pytester)["mlpstorage"]
    assert own["status"] == "passed"
    metrics, here = own["metrics"]["write"], socket.gethostname()
    assert (metrics["slowest_rank"], metrics["slowest_host"]) == (1, here)
    (straggler,) = metrics["stragglers"]
    assert (straggler["host"], straggler["rank"], straggler["trial"]) == (here, 1, 1)
    assert metrics["straggler_loss"] > 0
    named = f"all ranks wait for rank 1 on {here}: the fastest one took"
    assert named in " ".join(result.stdout.str().split())
    run = ("--mlps-results-dir=results", f"--mlps-history={own['run_id']}")
    pytester.runpytest(*run, "--mlps-report=report.md")
    report = " ".join((pytester.path / "report.md").read_text().split())
    assert named in report
