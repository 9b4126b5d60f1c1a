"""Each scenario of docs/failures.md with real ranks: status, time, output, results, clean-up."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.history.archive import History
from tests.conftest import MemoryGroup, Mount
from tests.failures.odd_moments import ODD_MOMENTS
from tests.failures.page import PAGE, page_with_tables
from tests.failures.running import (
    check_end,
    check_results,
    check_time,
    options_of,
    scenario_matrix,
    send_from_outside,
    write_files,
)
from tests.failures.scenario import LIMIT_S, NO_RUN, Scenario
from tests.failures.scenarios import SCENARIOS
from tests.mpis import MPIS, Mpi

MARK = "MLPS_TEST_MARK"


def processes_marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the ranks' working directory; kill all their processes afterwards."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for process in processes_marked(mark):
        process.kill()


@pytest.fixture
def needed(request: pytest.FixtureRequest, scenario: Scenario) -> Path | None:
    """Give the resource of the machine that a scenario needs."""
    if scenario.needs == "small disk":
        mount: Mount = request.getfixturevalue("mount")
        return mount("tmpfs", "size=64m")
    if scenario.needs == "memory group":
        group: MemoryGroup = request.getfixturevalue("memory_group")
        return group.path
    return None


def start(scenario: Scenario, mpi: Mpi) -> subprocess.Popen[str]:
    launcher, switches = mpi.by_hand(2), list[str]()
    if scenario.under == "pytest":
        launcher, switches = [], ["--mlps-num-processes=2", *mpi.switches]
    return subprocess.Popen(
        [
            *(*launcher, sys.executable, "-m", "pytest", *options_of(scenario), *switches),
            *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def act_from_outside(scenario: Scenario, parent: subprocess.Popen[str], folder: Path) -> float:
    wait_until(lambda: len(list(folder.glob("ready-*"))) == 2, "the ranks did not begin")
    if scenario.under == "pytest":
        return send_from_outside(scenario.outside, psutil.Process(parent.pid))
    acted_s = time.monotonic()
    parent.send_signal(signal.Signals[scenario.outside.partition(" to ")[0]])
    return acted_s


def status_in_history(metadata: Path) -> str:
    """Return the status that `--mlps-history` shows, the only one for a killed session."""
    with History(Path("results")) as history:
        (run,) = history.runs()
    assert run.path.name == metadata.name
    return run.status


@pytest.mark.launches_mpi
@pytest.mark.parametrize(
    ("scenario", "mpi_name", "rank"),
    [
        *scenario_matrix(
            pytest.mark.failure_matrix,
            lambda one, mpi, rank: (mpi, rank) in one.always,
            [*SCENARIOS, *ODD_MOMENTS],
        )
    ],
)
def test_failure_scenario_keeps_its_contract(
    scenario: Scenario,
    mpi_name: str,
    rank: int,
    folder: Path,
    needed: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    mpi = MPIS[mpi_name]()
    for name, value in mpi.environment.items():
        monkeypatch.setenv(name, value)
    write_files(folder, scenario, rank, needed)
    parent = start(scenario, mpi)
    acted_s = None
    if scenario.outside:
        acted_s = act_from_outside(scenario, parent, folder)
    output, _ = parent.communicate(timeout=LIMIT_S)
    check_time(scenario, folder, acted_s, output)
    check_end(scenario, rank, lambda _: os.uname().nodename, parent.returncode, output)
    caches = [folder / "cache", *([needed] if needed else [])]
    wait_until(lambda: not [path for cache in caches for path in cache.glob("rank_*")], output)
    wait_until(lambda: processes_marked(os.environ[MARK]) == [], output)
    launches = {path.read_text() for path in folder.glob("ready-*")} - {""}
    assert not [launch for launch in launches if Path(launch).exists()]
    if scenario.needs == "memory group":
        assert request.getfixturevalue("memory_group").killed() == 1, output
    written = [*(folder / "results").rglob("*_metadata.json")]
    assert len(written) == (scenario.run_status is not NO_RUN), output
    for path in written:
        metadata = json.loads(path.read_text())
        if not scenario.has_parent:
            metadata["mlpstorage"]["status"] = status_in_history(path)
        check_results(metadata, scenario, output)


def test_failures_page_equals_the_tested_tables() -> None:
    page = PAGE.read_text()
    assert page == page_with_tables(page), "run python -m tests.failures.page --update"
