"""Fixtures that start sessions, mount filesystems and limit memory; rules for all tests."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np  # noqa: F401 - pytester forgets what its sessions import, and NumPy loads only once
import pytest
import yaml  # noqa: F401 - the same; its parser in C keeps the classes of the first import
from hypothesis import HealthCheck, settings

import mlpstorage_bench
from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.launchers.installed import find_binary
from tests import budget
from tests.mounts import unmount

WITHOUT_TEST_TOOLS = " ".join(
    [
        "--assert=plain",
        *(f"-p no:{name}" for name in ("hypothesispytest", "randomly", "rerunfailures", "timeout")),
    ]
)
"""Value for PYTEST_ADDOPTS: plugins that a few tests turn on again, as they say. The import of
Hypothesis takes half a second of processor time; pytest's own import of the package, which
rewrites assertions, an eighth of a session's. test_oldest_pytest.py has sessions with both."""

gc.disable()  # what collection makes stays: going through it took a quarter of collection's time

RunRanks = Callable[..., pytest.RunResult]

# No example fails because the host was busy; in CI the same examples run each time, half as many.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    max_examples=50 if "CI" in os.environ else 100,
)
# make check (--hypothesis-profile=check) tries a quarter of the examples that make test tries.
settings.register_profile("check", settings.get_profile("project"), max_examples=25)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Enforce the rules of the tests' markers."""
    config.pluginmanager.register(budget.from_environment())


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Collect garbage from here on, but only among the objects of tests."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _signals_work() -> None:
    """Restore signals for the tests' processes: background jobs ignore SIGINT, nohup SIGHUP."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _alone() -> None:
    """Exclude this project's test plugins from the sessions that its tests start.

    Those are measured, if side by side (pytest-xdist), and start in three quarters of the time.
    Coverage is that of this process: its tracer in each started one would take minutes.
    """
    tools = ("PYTEST_XDIST_", "COVERAGE_PROCESS_")
    for name in [name for name in os.environ if name.startswith(tools)]:
        del os.environ[name]
    os.environ["PYTEST_ADDOPTS"] = WITHOUT_TEST_TOOLS


@pytest.fixture(autouse=True, scope="session")
def _loopback() -> None:
    """Restrict Open MPI to loopback, and remove this process's launcher variables and settings.

    Tests change variables through monkeypatch, which restores them.
    """
    for name in [name for name in os.environ if name.startswith(("MLPS_", "MLPERF_"))]:
        del os.environ[name]
    os.environ |= {"OMPI_MCA_oob_tcp_if_include": "lo", "OMPI_MCA_btl_tcp_if_include": "lo"}


@pytest.fixture(scope="session")
def whole_package() -> None:
    """Import all modules of the package, once for all sessions that run in this process.

    pytester forgets what a session imports: each would import the package anew, in a second of
    processor time, and what an older import has cached would have objects of other classes.
    """
    for module in pkgutil.walk_packages(mlpstorage_bench.__path__, "mlpstorage_bench."):
        importlib.import_module(module.name)


@pytest.fixture
def pytester(
    whole_package: None,  # noqa: ARG001 - before pytester notes what is imported
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> pytest.Pytester:
    """Restore the option that leaves out test plugins: pytest's own fixture removes it."""
    monkeypatch.setenv("PYTEST_ADDOPTS", WITHOUT_TEST_TOOLS)
    return pytester


def mpirun(ranks: int) -> list[str]:
    """Return a command that starts `ranks` ranks on this host; skip without MPI."""
    try:
        binary = find_binary(None)
    except LaunchError as error:
        pytest.skip(str(error))
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return [binary, "-n", str(ranks), "--oversubscribe", "--bind-to", "none", *as_root]


@pytest.fixture
def run_ranks(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunRanks:
    """Run pytest in ranks, in pytester's directory: run_ranks(3, "-k", "this", env={...})."""

    def run(ranks: int, *arguments: str, env: Mapping[str, str] | None = None) -> pytest.RunResult:
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-m", "pytest", "--color=no", *arguments]
        return pytester.run(*mpirun(ranks), *command, timeout=120)

    return run


Mount = Callable[[str, str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a filesystem for a test: mount("tmpfs", "size=32k"), mount("ext4", "loop IMAGE").

    Skips where only root may.
    """
    mounted: list[Path] = []

    def mount_one(fstype: str, options: str) -> Path:
        folder = tmp_path / fstype
        folder.mkdir()
        options, _, source = options.partition(" ")
        command = ["/bin/mount", "-t", fstype, "-o", options, source or "none", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"needs root and a mount: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield mount_one
    for folder in mounted:
        unmount(folder)


class MemoryGroup:
    """A control group of processes that have 256 MiB together, in either hierarchy."""

    def __init__(self) -> None:
        self._unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        root = Path("/sys/fs/cgroup") if self._unified else Path("/sys/fs/cgroup/memory")
        self.path = root / f"mlps-test-{secrets.token_hex(4)}"
        self.path.mkdir()

    def limit(self) -> None:
        """Set the limit; raises OSError if the group has none."""
        name = "memory.max" if self._unified else "memory.limit_in_bytes"
        with (self.path / name).open("r+") as file:
            file.write(str(2**28))

    def killed(self) -> int:
        """Return the number of its processes that the kernel has killed for lack of memory."""
        events = self.path / ("memory.events" if self._unified else "memory.oom_control")
        return int(dict(line.split() for line in events.read_text().splitlines())["oom_kill"])

    def remove(self) -> None:
        """Remove the group after its processes have ended."""
        deadline = time.monotonic() + 20
        while (self.path / "cgroup.procs").read_text():
            assert time.monotonic() < deadline, "a process stays in its control group"
            time.sleep(0.05)
        self.path.rmdir()


@pytest.fixture
def memory_group() -> Iterator[MemoryGroup]:
    """Make a control group; skip if that is impossible."""
    try:
        group = MemoryGroup()
    except OSError as error:
        pytest.skip(f"needs a control group of its own: {error}")
    try:
        try:
            group.limit()
        except OSError as error:
            pytest.skip(f"needs a control group with a limit of memory: {error}")
        yield group
    finally:
        group.remove()
