"""Checks of launcher, library and ranks, with launchers that are scripts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpstorage_bench.doctor import launching
from mlpstorage_bench.doctor.finding import Finding
from mlpstorage_bench.doctor.launching import Ranks, check_launching
from mlpstorage_bench.launch.hosts import Host
from mlpstorage_bench.launch.launchers.launcher import LaunchFlags
from tests.conftest import mpirun

pytestmark = pytest.mark.starts_process

OPEN_MPI = "Open MPI v5.0.11, package: Open MPI"
MPICH = "MPICH Version:      4.3.1"

MakeLauncher = Callable[[str], str]


@pytest.fixture
def make_launcher(tmp_path: Path) -> MakeLauncher:
    """Make a launcher of Open MPI 5.0.11 that starts no ranks, but runs this shell command."""

    def make(command: str) -> str:
        path = tmp_path / "mpirun"
        version = '[ "$1" = --version ] && echo "mpirun (Open MPI) 5.0.11" && exit'
        path.write_text(f"#!/bin/sh\n{version}\n{command}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture(autouse=True)
def _user_and_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process an unprivileged user's, with Open MPI's library."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(launching, "_library", lambda: OPEN_MPI)


def found(
    mpi_bin: str | None, *hosts: str, are_wanted: bool = True, root: bool = False
) -> dict[str, Finding]:
    names = [Host(name) for name in hosts]
    ranks = Ranks(names, LaunchFlags(allow_run_as_root=root), mpi_bin, are_wanted=are_wanted)
    return {one.subject: one for one in check_launching(ranks)}


def test_ranks_that_find_each_other_are_ok(make_launcher: MakeLauncher) -> None:
    checked = found(make_launcher("echo mlps-doctor 2 here"))
    assert [one.status for one in checked.values()] == ["ok", "ok", "ok"]
    assert checked["ranks"].seen == "2 ranks on localhost start and find each other"
    assert checked["launcher"].seen.startswith("Open MPI 5.0.11 (")


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("echo mlps-doctor 1 here; echo mlps-doctor 1 here", "each sees 1: launcher and library"),
        (
            "echo ---; echo ' no slots. '; exit 3",
            "did not start: status 3 of Open MPI 5.0.11; it *",
        ),
        ("exit 7", "did not start: status 7 of Open MPI 5.0.11"),
        ("exit 0", "did not start: status 0 of Open MPI 5.0.11"),
    ],
)
def test_ranks_that_do_not_start_are_a_problem(
    make_launcher: MakeLauncher, command: str, seen: str
) -> None:
    checked = found(make_launcher(command))
    assert checked["ranks"].status == "problem"
    assert seen.rstrip("*") in checked["ranks"].seen


def test_launcher_that_hangs_is_ended(
    make_launcher: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "LIMIT_S", 0.3)
    checked = found(make_launcher("exec sleep 60"))
    assert "did not find each other within 0.3 s" in checked["ranks"].seen


def test_host_that_cannot_be_reached_has_advice_on_ssh(make_launcher: MakeLauncher) -> None:
    checked = found(make_launcher("exit 255"), "localhost", "node9")
    assert checked["ranks"].status == "problem"
    assert "(ssh node9 true)" in checked["ranks"].advice


def test_root_has_advice_on_the_option(
    make_launcher: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refused = make_launcher("echo 'has detected an attempt to run as root'; exit 1")
    assert "add --mlps-allow-run-as-root" in found(refused)["ranks"].advice
    assert found(refused, root=True)["ranks"].advice == ""


def test_rank_of_a_launcher_starts_no_other_ranks(
    make_launcher: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    ranks = found(make_launcher("exit 9"))["ranks"]
    assert (ranks.status, ranks.seen.partition(":")[0]) == ("note", "not started")


def test_other_library_than_the_launchers_is_a_problem(
    make_launcher: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "_library", lambda: MPICH)
    checked = found(make_launcher("exit 1"))
    assert checked.keys() == {"launcher", "MPI library"}
    assert checked["MPI library"].status == "problem"
    assert "mpi4py loads MPICH 4.3.1, and the launcher is Open MPI 5.0.11" in (
        checked["MPI library"].seen
    )


def test_missing_launcher_is_a_note_where_no_ranks_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert found("nowhere-to-be-found", are_wanted=False)["launcher"].status == "problem"
    monkeypatch.setattr(launching, "_NAMES", ())
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_more: None)
    assert found(None, are_wanted=False)["launcher"].status == "note"
    assert found(None)["launcher"].status == "problem"


@pytest.mark.launches_mpi
@pytest.mark.slow
def test_installed_mpi_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (binary, *_) = mpirun(2)
    checked = found(binary, root=True)
    assert [one.status for one in checked.values()] == ["ok", "ok", "ok"]


@pytest.mark.slow
def test_library_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("MPI4PY_LIBMPI", "/nowhere/libmpi.so")
    library = launching._library()
    assert isinstance(library, Finding)
    assert "/nowhere/libmpi.so" in library.seen


def test_other_launchers_are_those_of_other_installations(
    make_launcher: MakeLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Path(make_launcher("exit 1"))
    (chosen.parent / "mpiexec").write_bytes(chosen.read_bytes())
    (chosen.parent / "mpiexec").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launching._others(str(chosen), "Open MPI 5.0.11") == ""
    other = f"; also found: Open MPI 5.0.11 ({chosen.parent / 'mpiexec'})"
    assert launching._others(str(chosen), "MPICH 4.3.1") == other
