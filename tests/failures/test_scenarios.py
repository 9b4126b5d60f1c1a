"""Each scenario of docs/failures.md, with real ranks: it ends, says where, and leaves nothing."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import Mount
from tests.failures.scenarios import (
    BEFORE,
    FULL_DISK,
    GRACE_S,
    PAGE,
    PREAMBLE,
    SCENARIOS,
    STARTUP_S,
    TIMEOUT_S,
    Scenario,
    page_with_table,
)
from tests.mpis import MPIS, Mpi

TEST_MPIS = ("open mpi 5", "mpich")
MARK = "MLPS_TEST_MARK"
PATIENCE_S = 60
"""Beside the bound itself: starting ranks takes seconds where cores are shared."""
TINY = [
    *("--mlps-trials=1", "--mlps-set=duration=0.2", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=calibration=0", "--mlps-set=think_time_scale=0.05", "--mlps-set=warmup=0"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
]


def every_run() -> Iterator[object]:
    for scenario in SCENARIOS:
        for name in TEST_MPIS:
            for rank in (0, 1) if scenario.has_rank else (0,):
                marks = [] if (name, rank) in scenario.always else [pytest.mark.failure_matrix]
                ident = f"{scenario.name}-{name}" + (f"-rank {rank}" if scenario.has_rank else "")
                yield pytest.param(scenario, name, rank, marks=marks, id=ident.replace(" ", "_"))


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
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the ranks run; whatever happens, no process of theirs stays."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for process in processes_marked(mark):
        process.kill()


def write_files(folder: Path, scenario: Scenario, rank: int) -> None:
    preamble = PREAMBLE.format(rank=rank)
    before = BEFORE if scenario.run_status else ""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(preamble + before + textwrap.dedent(scenario.test))
    if scenario.conftest:
        (folder / "conftest.py").write_text(preamble + textwrap.dedent(scenario.conftest))
    if scenario.early:
        (folder / "early.py").write_text(preamble + scenario.early)


def start(scenario: Scenario, mpi: Mpi, *last: str) -> subprocess.Popen[str]:
    more = ["-p", "early"] if scenario.early else []
    if scenario.bound == "timeout + grace":
        more.append(f"--mlps-timeout={TIMEOUT_S}")
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *more),
            *(f"--mlps-grace={GRACE_S}", *TINY),
            *("-o", f"mlps_startup_limit={STARTUP_S}", "--mlps-num-processes=2", *mpi.switches),
            *last,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def act_from_outside(scenario: Scenario, parent: subprocess.Popen[str], folder: Path) -> None:
    wait_until(lambda: len(list(folder.glob("ready-*"))) == 2, "the ranks did not begin")
    name, _, target = scenario.outside.partition(" to ")
    number = signal.Signals[name]
    if target == "pytest":
        parent.send_signal(number)
    else:
        (launcher,) = psutil.Process(parent.pid).children()
        launcher.send_signal(number)


@pytest.mark.launches_mpi
@pytest.mark.parametrize(("scenario", "mpi_name", "rank"), [*every_run()])
def test_a_run_in_which_something_goes_wrong_ends_and_says_so(
    scenario: Scenario, mpi_name: str, rank: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mpi = MPIS[mpi_name]()
    for name, value in mpi.environment.items():
        monkeypatch.setenv(name, value)
    write_files(folder, scenario, rank)
    parent = start(scenario, mpi)
    if scenario.outside:
        act_from_outside(scenario, parent, folder)
    output, _ = parent.communicate(timeout=PATIENCE_S + GRACE_S + TIMEOUT_S + STARTUP_S)
    if scenario.status:
        assert parent.returncode in scenario.status, output
    else:
        assert parent.returncode not in (0, 5), output
    for pattern in scenario.shown:
        pattern = pattern.replace("RANK", str(rank)).replace("HOST", os.uname().nodename)  # noqa: PLW2901
        if scenario.name in ("collection", "conftest"):
            pattern = pattern.replace("rank 1", r"rank \d")  # noqa: PLW2901 - named against rank 0
        assert re.search(pattern, output), f"{pattern}\n{output}"
    assert not any((folder / "cache").glob("rank_*")), output
    assert processes_marked(os.environ[MARK]) == []
    if scenario.run_status:
        check_results(folder, scenario, output)


def check_results(folder: Path, scenario: Scenario, output: str) -> None:
    """What had been measured before is in the results, with how it all ended."""
    (path,) = (folder / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    assert metadata["status"] in scenario.run_status, output
    assert [case["test"] for case in metadata["mlpstorage"]["cases"].values()] == [
        "test_it.py::test_before"
    ]
    if metadata["status"] in ("died", "failed"):
        assert any("did not come to its end" in note for note in metadata["mlpstorage"]["notes"])


@pytest.mark.launches_mpi
@pytest.mark.parametrize(
    ("mpi_name", "rank"),
    [
        pytest.param("open mpi 5", 1),
        pytest.param("open mpi 5", 0, marks=pytest.mark.failure_matrix),
        pytest.param("mpich", 0, marks=pytest.mark.failure_matrix),
        pytest.param("mpich", 1, marks=pytest.mark.failure_matrix),
    ],
)
def test_a_disk_that_runs_full_on_one_rank_fails_the_run_and_names_rank_and_host(
    mpi_name: str, rank: int, folder: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rank's own cache directory fills up after the run has begun: another writes there."""
    disk = mount("tmpfs", "size=64m")
    mpi = MPIS[mpi_name]()
    for name, value in mpi.environment.items():
        monkeypatch.setenv(name, value)
    write_files(folder, FULL_DISK, rank)
    conftest = f"""
    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(config):
        if ACTS:
            config.option.mlps_cache_dir = {str(disk)!r}
    """
    (folder / "conftest.py").write_text(PREAMBLE.format(rank=rank) + textwrap.dedent(conftest))
    (folder / "test_it.py").write_text(
        PREAMBLE.format(rank=rank) + textwrap.dedent(FULL_DISK.test.replace("DISK", str(disk)))
    )
    parent = start(FULL_DISK, mpi, "--mlps-set=duration=20")
    output, _ = parent.communicate(timeout=PATIENCE_S)
    assert parent.returncode == 1, output
    place = f"rank {rank} on {os.uname().nodename}"
    assert re.search(rf"{place}.*No space left on device", output), output
    (path,) = (folder / "results").rglob("*_metadata.json")
    assert json.loads(path.read_text())["status"] == "failed"
    assert not any(disk.glob("rank_*"))
    assert processes_marked(os.environ[MARK]) == []


def test_the_page_on_failures_says_what_these_tests_check() -> None:
    page = PAGE.read_text()
    assert page == page_with_table(page), "run python -m tests.failures.scenarios --update"
