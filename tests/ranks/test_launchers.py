from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.mpi.hosts import Host, lay_out
from mlpstorage_bench.mpi.launch import plan_launch
from mlpstorage_bench.mpi.launchers import (
    Hydra,
    LaunchFlags,
    OpenMpi,
    exported_names,
    find_binary,
    identify,
)

LAYOUT = lay_out((Host("h1", 4), Host("h2")), num_processes=4)


def fake_launcher(folder: Path, name: str, version: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return str(path)


def test_open_mpi_gets_the_references_flags() -> None:
    flags = LaunchFlags(oversubscribe=True, allow_run_as_root=True, extra=("--mca", "btl", "tcp"))
    assert OpenMpi().prefix("mpirun", LAYOUT, flags, ["PATH"]) == [
        *("mpirun", "-n", "4", "-host", "h1:4,h2:2", "--bind-to", "none", "--map-by", "node"),
        *("--oversubscribe", "--allow-run-as-root", "-x", "PATH", "--mca", "btl", "tcp"),
    ]


def test_open_mpi_gets_no_flag_that_was_not_asked_for() -> None:
    assert OpenMpi().prefix("mpirun", LAYOUT, LaunchFlags(), []) == [
        *("mpirun", "-n", "4", "-host", "h1:4,h2:2", "--bind-to", "none", "--map-by", "node"),
    ]


def test_hydra_gets_none_of_the_flags_it_would_refuse() -> None:
    flags = LaunchFlags(oversubscribe=True, allow_run_as_root=True, extra=("-l",))
    assert Hydra().prefix("mpiexec", LAYOUT, flags, ["PATH"]) == [
        *("mpiexec", "-n", "4", "-ppn", "2", "-hosts", "h1:4,h2:2", "-l"),
    ]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("mpirun (Open MPI) 5.0.11", "openmpi"),
        ("mpirun (Open MPI) 4.1.4", "openmpi"),
        ("HYDRA build details:", "hydra"),
    ],
)
def test_a_launcher_is_known_by_what_it_prints_not_by_its_name(
    tmp_path: Path, version: str, name: str
) -> None:
    assert identify(fake_launcher(tmp_path, "anything", version)).name == name


def test_an_unknown_launcher_is_refused_with_what_it_said(tmp_path: Path) -> None:
    binary = fake_launcher(tmp_path, "mpirun", "SuperLauncher 3")
    with pytest.raises(LaunchError, match="its --version says: SuperLauncher 3"):
        identify(binary)


def test_the_installed_mpirun_is_found_and_known() -> None:
    assert identify(find_binary(None)).name == "openmpi"


def test_a_binary_that_is_not_there_is_refused() -> None:
    with pytest.raises(LaunchError, match="--mlps-mpi-bin: no executable 'nowhere/mpirun'"):
        find_binary("nowhere/mpirun")


def test_only_known_variables_are_forwarded() -> None:
    environ = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "MLPS_X": "1", "HOME": "/root"}
    assert exported_names(environ) == ["PATH", "MLPS_X"]


@pytest.mark.parametrize("argument", ["--bind-to", "--map-by", "--rank-by", ":"])
def test_arguments_that_mpirun_would_change_are_refused(argument: str) -> None:
    with pytest.raises(LaunchError, match="does not reach the ranks unchanged"):
        plan_launch(LAYOUT, LaunchFlags(), None, ["benchmarks", argument])
