"""Audits on network filesystems, for real: sshfs and GlusterFS over loopback."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.kvcache.results.notes import notes_on
from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.kvcache.runner.trial import run_trial
from tests.network_mounts import gluster, sshfs
from tests.trials import SoloRanks, context, served, workload

pytestmark = pytest.mark.slow


def in_namespace(*arguments: str) -> dict[str, Any]:
    """Run `trial_in_namespace` in a network namespace of its own."""
    programs = [shutil.which(name) for name in ("unshare", "ip")]
    if None in programs:
        pytest.skip("needs util-linux and iproute2: apt-get install iproute2")
    if subprocess.run([str(programs[0]), "--net", "true"], check=False).returncode:
        pytest.skip("needs root, for a network namespace")
    module = "tests.kvcache.runner.trial_in_namespace"
    command = [str(programs[0]), "--net", sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("phase", ["decode", "mixed"])
def test_sshfs_is_bounded_by_the_interfaces(tmp_path: Path, phase: str) -> None:
    with sshfs(tmp_path) as folder:
        trial = pool_trial(1, [served(folder, requests=8, phase=phase)])
    assert (trial.audit_verdict, trial.host_audit_verdict) == ("bounded", "bounded")
    assert "all network interfaces on here moved at least as many bytes" in trial.audit_reason
    assert f"audit: bounded: {trial.audit_reason}" in notes_on([trial])


def test_reads_from_a_page_cache_above_sshfs_are_refuted(tmp_path: Path) -> None:
    found = in_namespace(str(tmp_path))
    assert found["audits"] == ["served from page cache", "served from page cache"]
    assert "of reads and 0.0% of writes did not pass all network interfaces" in found["reason"]
    assert found["page_cache_bytes"] > 0.5 * found["read_bytes"]


def test_mount_of_another_network_namespace_is_not_measurable(tmp_path: Path) -> None:
    with sshfs(tmp_path) as folder:
        found = in_namespace("--probe", str(folder))
    assert found == {
        "is_found": False,
        "reason": "all network interfaces did not count a file that was written and read",
    }


@pytest.mark.long
def test_gluster_is_bounded_by_its_connections(tmp_path: Path) -> None:
    with gluster(tmp_path) as folder:
        trial = pool_trial(1, [served(folder, requests=8, phase="mixed")])
        assert trial.audit_verdict == "bounded", trial.audit_reason
        assert f"the connections of {folder} to its bricks on here" in trial.audit_reason


@pytest.mark.parametrize("phase", ["decode", "mixed"])
def test_reads_from_the_cache_of_glusters_client_are_refuted(tmp_path: Path, phase: str) -> None:
    with gluster(tmp_path) as folder:
        here = dataclasses.replace(context(folder), io_mode="buffered")
        shape = workload(requests=8, duration=600.0, phase=phase)
        trial = pool_trial(1, [run_trial(shape, here, SoloRanks())])
    assert (trial.audit_verdict, trial.host_audit_verdict) == ("served from page cache",) * 2
    assert "of reads and 0.0% of writes did not pass the connections of" in trial.audit_reason
    assert trial.page_cache_bytes > 0.3 * trial.read_bytes
