"""Errors for a launcher of one MPI with the library of another."""

from __future__ import annotations

import pytest

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.compatibility import check_library, check_size, library_title
from mlpstorage_bench.launch.environment import LauncherEnvironment

OPEN_MPI_5 = "Open MPI v5.0.11, package: Open MPI x Distribution, ident: 5.0.11, repo rev: v5"
OPEN_MPI_4 = "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4"
MPICH = "MPICH Version:\t5.0.2\nMPICH Release date:\tThu\nMPICH ABI:\t17:0:5\n\0"
CRAY = "MPI VERSION    : CRAY MPICH version 8.1.28.29 (ANL base 3.4a2)\nMPI BUILD INFO : x"
INTEL = "Intel(R) MPI Library 2021.13 for Linux* OS\n"


def of(family: str, version: str | None = None) -> LauncherEnvironment:
    return LauncherEnvironment(family, 0, 2, version=version)


@pytest.mark.parametrize(
    ("launcher", "library"),
    [
        (of("openmpi", "5"), OPEN_MPI_5),
        (of("openmpi", "4"), OPEN_MPI_4),
        (of("openmpi"), OPEN_MPI_4),
        (of("hydra"), MPICH),
        (of("hydra"), INTEL),
        (of("srun"), OPEN_MPI_5),
        (of("srun"), MPICH),
        (of("pals"), CRAY),
    ],
)
def test_matching_launcher_and_library_are_accepted(
    launcher: LauncherEnvironment, library: str
) -> None:
    check_library(launcher, library)
    check_size(launcher, library, 2)


@pytest.mark.parametrize(
    ("launcher", "library", "both"),
    [
        (of("hydra"), OPEN_MPI_5, r"started by Hydra, but mpi4py loads Open MPI 5\.0\.11"),
        (of("openmpi", "5"), MPICH, r"started by Open MPI 5, but mpi4py loads MPICH 5\.0\.2"),
        (of("openmpi", "4"), OPEN_MPI_5, r"started by Open MPI 4, .* Open MPI 5\.0\.11"),
        (of("openmpi", "5"), OPEN_MPI_4, r"started by Open MPI 5, .* Open MPI 4\.1\.4"),
    ],
)
def test_mismatched_library_error_names_launcher_and_library(
    launcher: LauncherEnvironment, library: str, both: str
) -> None:
    with pytest.raises(LaunchError, match=both):
        check_library(launcher, library)


def test_wrong_rank_count_error_has_the_launchers_remedy() -> None:
    with pytest.raises(LaunchError, match=r"srun started 2 ranks, .*MPICH 5\.0\.2 sees 1.*--mpi="):
        check_size(of("srun"), MPICH, 1)


@pytest.mark.parametrize(
    ("library", "title"),
    [
        (OPEN_MPI_5, "Open MPI 5.0.11"),
        (MPICH, "MPICH 5.0.2"),
        (CRAY, "CRAY MPICH 8.1.28.29"),
        (INTEL, "Intel(R) MPI Library 2021.13 for Linux* OS"),
    ],
)
def test_library_title_is_name_and_version(library: str, title: str) -> None:
    assert library_title(library) == title
