"""Sessions with two benchmark types: kv_cache, simulated, and the example's copy_files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.examples.copy_files_installed import install_copy_files
from tests.session.tiny import TINY

BOTH = (
    *TINY,
    *("--mlps-set=storage=null", "--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
)
KV_TEST = "def test_kv(kvcache): kvcache.run(1)\n"
COPY_TEST = "def test_copy(copy_files): copy_files.run()\n"
TYPES = ("kv_cache", "copy_files")


def two_types(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tests: str = KV_TEST + COPY_TEST
) -> pytest.Pytester:
    """Install the example beside a file of tests, in pytester's directory."""
    install_copy_files(pytester.path / "site", monkeypatch)
    pytester.makepyfile(test_both=tests)
    return pytester


def runs_in(project: pytest.Pytester, results: str = "results") -> dict[str, Mapping[str, Any]]:
    """Return the metadata of all runs, by type and model."""
    paths = sorted((project.path / results).rglob("*_metadata.json"))
    read = [json.loads(path.read_text()) for path in paths]
    return {f"{one['benchmark_type']} {one['model']}": one for one in read}


def statuses_in(project: pytest.Pytester) -> dict[str, tuple[str, int]]:
    """Return status and exit status of each run, by type."""
    return {
        name.split()[0]: (run["mlpstorage"]["status"], run["mlpstorage"]["exit_status"])
        for name, run in runs_in(project).items()
    }
