"""Session over two hosts whose processes a test can signal or kill."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from tests.cluster.namespace_cluster import HOSTS, NamespaceCluster, command_of
from tests.cluster.sessions_on_hosts import ENDLESS, PYTEST, environment, launching, places
from tests.cluster.waiting import wait_until, wait_until_none
from tests.failures.scenario import LIMIT_S
from tests.mpis import Mpi

TEST = "def test_long(kvcache): kvcache.run(1)\n"
LONG = (*ENDLESS, "--mlps-set=write_limit_gb=10", "--mlps-set=storage_capacity_gb=0.05")
_OF_LAUNCH = ("tmp/mlps-launch-*",)
"""Patterns of the files that the start of ranks makes, in a host's own filesystem."""


class Session:
    """Session with one rank on h1 and one on h2, started from h1 or another host."""

    def __init__(
        self,
        cluster: NamespaceCluster,
        mpi: Mpi,
        folder: Path,
        *options: str,
        host: str = "h1",
        variables: Mapping[str, str] | None = None,
        is_by_hand: bool = False,
    ) -> None:
        self.cluster = cluster
        # srun kills the reaper that removes a rank's directory: only its files are checked
        in_cache = "*.kv" if mpi.family == "srun" else "rank_*"
        self._made = (*_OF_LAUNCH, f"cache/**/{in_cache}")
        start = launching(mpi, "h1,h2", cluster.agent)
        if is_by_hand:
            start = [*mpi.on_hosts("h1:1,h2:1", 2, cluster.agent), *PYTEST]
        self._output = folder / "output.txt"
        # a file, not a pipe, which a process left on another host would keep open
        with self._output.open("a") as output:
            self.process = cluster.start(
                host,
                [*start, *places(cluster), *options],
                environment=environment(mpi, **(variables or {})),
                directory=folder,
                output=output,
            )

    @classmethod
    def measuring(
        cls, cluster: NamespaceCluster, mpi: Mpi, folder: Path, *options: str, host: str = "h1"
    ) -> Session:
        """Start a session whose only test would take minutes."""
        (folder / "test_it.py").write_text(TEST)
        return cls(cluster, mpi, folder, *LONG, *options, host=host)

    def wait_for_files(self) -> None:
        """Wait until both ranks are measuring."""
        wait_until(self._is_measuring)

    def _is_measuring(self) -> bool:
        assert self.process.poll() is None, self._output.read_text()
        return all(self.cache_files(host) for host in ("h1", "h2"))

    def cache_files(self, host: str) -> list[Path]:
        """Return the entries' files on a host: those that the run's opening writes are hidden."""
        place = self.cluster.seen_by(host, self.cluster.private / "cache")
        return [path for path in place.rglob("*.kv") if not path.name.startswith(".")]

    def parent(self) -> psutil.Process:
        """Return the pytest process that started the ranks."""
        (parent,) = (
            process
            for process in self.cluster.processes("h1")
            if command_of(process)[:3] == [sys.executable, "-m", "pytest"]
            and "--hosts" in command_of(process)
        )
        return parent

    def ranks_on(self, *hosts: str) -> list[psutil.Process]:
        """Return the processes of the ranks on hosts: Python, started by a launcher."""
        return [
            process
            for process in self.cluster.processes(*hosts)
            if command_of(process)[:2] == [sys.executable, "-c"]
        ]

    def kill_daemon(self, host: str) -> None:
        """Kill the launcher's daemon on another host: the parent process of the rank."""
        (rank,) = self.ranks_on(host)
        daemon = rank.parent()
        assert daemon is not None
        daemon.kill()

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the output."""
        try:
            status = self.process.wait(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not at its end after {LIMIT_S} s\n{self._output.read_text()}")
        return status, self._output.read_text(errors="replace")

    def check_that_no_rank_is_left(self) -> None:
        """Wait until no host has processes or files of ranks."""
        wait_until_none(lambda: [*_shown(self.ranks_on()), *self._files(self._made)])

    def check_that_nothing_is_left(self, *, cache_may_stay: bool = False) -> None:
        """Wait until no host has a process, or a file other than results.

        `cache_may_stay`: what removes cache files was killed, as Slurm does with a rank.
        """
        patterns = _OF_LAUNCH if cache_may_stay else self._made
        wait_until_none(lambda: [*_shown(self.cluster.processes()), *self._files(patterns)])

    def _files(self, patterns: Sequence[str]) -> list[str]:
        """Return the files that ranks and their parent have to remove, by pattern."""
        return [
            f"{host}: {path}"
            for host in HOSTS
            for pattern in patterns
            for path in self.cluster.seen_by(host, self.cluster.private).glob(pattern)
        ]


def _shown(processes: Iterable[psutil.Process]) -> list[str]:
    """Return the number and the command of each process."""
    return [f"process {process.pid}: {shlex.join(command_of(process))}" for process in processes]
