"""Sessions on a network filesystem: its audit in the table, notes, results and report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import RunRanks
from tests.network_mounts import sshfs
from tests.session.tiny import TINY, metadata_of


@pytest.mark.long
@pytest.mark.launches_mpi
def test_audit_of_two_ranks_on_sshfs_is_bounded_everywhere(
    pytester: pytest.Pytester, run_ranks: RunRanks, tmp_path: Path
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    with sshfs(tmp_path) as folder:
        result = run_ranks(2, *TINY, f"--mlps-cache-dir={folder}/cache", "--mlps-report=report.md")
    result.assert_outcomes(passed=1)
    shown = " ".join(line.strip() for line in result.outlines)
    assert "bounded" in shown
    assert "bounded, not measurable: nothing confirms them" in shown
    assert "audit: bounded in 2 of 2 trials, the first: all network interfaces on" in shown
    metadata = metadata_of(pytester)
    metrics = metadata["mlpstorage"]["metrics"]["1"]
    assert (metrics["audit_verdict"], metrics["host_audit_verdict"]) == ("bounded", "bounded")
    assert "bounded" in (pytester.path / "report.md").read_text()
    counted = [
        json.loads(path.read_text())["mlpstorage"]["mount"]
        for path in (pytester.path / "results").rglob("kvcache_results_*.json")
    ]
    assert len(counted) == 4  # two ranks, two trials
    assert {(one["name"], one["scope"], one["strength"]) for one in counted} == {
        ("all network interfaces", "interfaces", "bound")
    }
