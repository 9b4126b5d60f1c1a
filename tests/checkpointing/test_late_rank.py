"""Audit of ranks that end apart: the host's storage is read when none of them works."""

from __future__ import annotations

import pytest

from tests.conftest import Mount
from tests.mounts import make_ext4
from tests.session.tiny import metadata_of

pytestmark = [pytest.mark.launches_mpi, pytest.mark.slow, pytest.mark.starts_process]

LATE = """
import os, time
from mlpstorage_bench.trial.trial_window import TrialWindow

start = TrialWindow.start

def late(window, works):
    if os.environ.get("OMPI_COMM_WORLD_RANK") == "1":
        time.sleep(1)
    return start(window, works)

TrialWindow.start = late
"""
"""Begins the work of the second rank when the first one has done its own."""


def test_bytes_of_a_rank_that_ends_later_are_confirmed(
    pytester: pytest.Pytester, mount: Mount
) -> None:
    image = pytester.path / "image"
    make_ext4(image)
    cache = mount("ext4", f"loop {image}") / "cache"
    pytester.makepyfile("def test_write(checkpointing): checkpointing.run('write')")
    pytester.makeconftest(LATE)
    pytester.runpytest_subprocess(
        *("--mlps-set=scale=0.0002", f"--mlps-cache-dir={cache}", "--mlps-results-dir=results"),
        *("--mlps-trials=1", "--mlps-num-processes=2", "--mlps-allow-run-as-root"),
        *("-p", "no:cacheprovider"),
    ).assert_outcomes(passed=1)
    (metrics,) = metadata_of(pytester)["mlpstorage"]["metrics"].values()
    audits = [metrics[f"{of}audit_verdict"] for of in ("", "host_")]
    assert "served from page cache" not in audits
    assert metrics["page_cache_bytes"] == 0
