"""Sessions of the sides: each a pytest process, or an mpirun, on this host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.launching import launcher
from benchmarks.interference.losses import LOAD, Sides
from benchmarks.interference.results import SideResult, read_result

SIDES = Path(__file__).parent / "sides.py"
LOOPBACK = {"OMPI_MCA_oob_tcp_if_include": "lo", "OMPI_MCA_btl_tcp_if_include": "lo"}
"""Interfaces over which ranks of one host talk, for Open MPI."""
POLL_S = 0.05
SHOWN_LINES = 30


class SessionError(Exception):
    """A side's session failed; the text has the end of its output."""


@dataclass(frozen=True)
class Side:
    """A side of the study."""

    type_name: str
    ranks: int
    options: tuple[str, ...]
    """Its load, as options of a session."""
    cache_dir: Path

    def command(self, results_dir: Path, further: Sequence[str] = ()) -> list[str]:
        """Return the words that start its session."""
        return [
            *launcher(self.ranks),
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            f"{SIDES}::test_{self.type_name}",
            f"--mlps-cache-dir={self.cache_dir}",
            f"--mlps-results-dir={results_dir}",
            "--mlps-progress=off",
            *self.options,
            *further,
        ]


@dataclass(frozen=True)
class _Session:
    side: Side
    folder: Path
    process: subprocess.Popen[bytes]

    def result(self) -> SideResult:
        """Wait for the end and return the result; SessionError if the session failed."""
        if self.process.wait():
            raise self.error()
        return read_result(self.folder)

    def error(self) -> SessionError:
        lines = (self.folder / "output").read_text(encoding="utf-8", errors="replace").splitlines()
        shown = "\n".join(lines[-SHOWN_LINES:])
        status = self.process.returncode
        return SessionError(f"{self.side.type_name}: the session ended with {status}:\n{shown}")

    def stop(self) -> None:
        """End the session if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def run_alone(load: Side, beside: Side, folder: Path) -> Sides:
    """Run each side alone."""
    return Sides(_alone(load, folder / load.type_name), _alone(beside, folder / beside.type_name))


def _alone(side: Side, folder: Path) -> SideResult:
    session = _start(side, folder, [f"--side-opens={folder / 'open'}"])
    try:
        return session.result()
    finally:
        session.stop()


def run_together(load: Side, beside: Side, folder: Path) -> Sides:
    """Run both sides; the one beside the load begins when the load's window is open."""
    opens = folder / "open"
    sessions = [_start(load, folder / LOAD, [f"--side-opens={opens}"])]
    try:
        sessions.append(
            _start(beside, folder / beside.type_name, [f"--side-awaits={opens}"]),
        )
        while any(one.process.poll() is None for one in sessions):
            failed = next((one for one in sessions if one.process.returncode), None)
            if failed is not None:
                raise failed.error()
            time.sleep(POLL_S)
        return Sides(*(one.result() for one in sessions))
    finally:
        for one in sessions:
            one.stop()


def _start(side: Side, folder: Path, further: Sequence[str]) -> _Session:
    folder.mkdir(parents=True)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - an argument vector of ours
            side.command(folder / "results", further),
            cwd=folder,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return _Session(side, folder, process)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of sides: ranks of one host use no other interface."""
    return {**LOOPBACK, **given}
