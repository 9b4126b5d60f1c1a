"""Session whose ranks write when a case began, was calibrated, and moved its first byte.

`session(folder, ...)` runs it. Its conftest wraps functions of the package, and stamps are those of
one clock of the host, so that those of all ranks are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.launching import launcher
from mlpstorage_bench.units import NS_PER_S

CONFTEST = """
import functools, json, os, time
from pathlib import Path
import pytest
from mlpstorage_bench.kvcache import fixture
from mlpstorage_bench.kvcache.runner import engine
from mlpstorage_bench.measure.recorder import EntryObserver

stamps = {}

def stamp(name):
    stamps.setdefault(name, time.monotonic_ns())

def wrap(owner, name, before=None, after=None):
    wrapped = getattr(owner, name)

    @functools.wraps(wrapped)
    def stamped(*arguments, **named):
        if before:
            stamp(before)
        result = wrapped(*arguments, **named)
        if after:
            stamp(after)
        return result

    setattr(owner, name, stamped)

wrap(fixture.KVCache, "run", before="began")
wrap(engine, "choose_threads", before="opened", after="calibrated")
wrap(engine, "run_trial", before="trial")
chunk = EntryObserver.chunk

def first_chunk(self, *arguments):
    chunk(self, *arguments)
    if "trial" in stamps:  # those of the calibration come before
        stamp("moved")
        EntryObserver.chunk = chunk

EntryObserver.chunk = first_chunk

@pytest.fixture
def stamped(mpi_comm):
    yield
    Path(f"stamps-{mpi_comm.rank}").write_text(json.dumps(stamps))
"""
TEST = "def test_run(kvcache, stamped): kvcache.run(1)"


class Start(NamedTuple):
    """Seconds from the start of a case, on the first rank, until the last rank had come so far."""

    session_s: float
    """Seconds from the launcher's start to the case's."""
    opened_s: float
    """The record of the case is written, and its requests are known to fit."""
    calibrated_s: float
    first_byte_s: float


def session(folder: Path, cache_dir: Path, ranks: int, changes: Mapping[str, object]) -> Start:
    """Run a case of one trial in ranks of this host; `changes` are those of its workload."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "test_it.py").write_text(TEST, encoding="utf-8")
    options = ["--mlps-results-dir=results", f"--mlps-cache-dir={cache_dir}", "--mlps-trials=1"]
    options += [f"--mlps-set={key}={value}" for key, value in changes.items()]
    command = [*launcher(ranks), sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    began_ns = time.monotonic_ns()
    done = subprocess.run(  # noqa: S603 - a fixed command
        [*command, *options], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == os.EX_OK, done.stdout + done.stderr
    stamps = [
        json.loads((folder / f"stamps-{rank}").read_text(encoding="utf-8")) for rank in range(ranks)
    ]
    case_ns = min(one["began"] for one in stamps)
    until = (max(one[name] for one in stamps) for name in ("opened", "calibrated", "moved"))
    return Start((case_ns - began_ns) / NS_PER_S, *((at - case_ns) / NS_PER_S for at in until))
