"""A launcher of one MPI and a library of another are told apart, and told of."""

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
def test_what_belongs_together_passes(launcher: LauncherEnvironment, library: str) -> None:
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
def test_what_does_not_is_refused_by_both_names(
    launcher: LauncherEnvironment, library: str, both: str
) -> None:
    with pytest.raises(LaunchError, match=both):
        check_library(launcher, library)


def test_ranks_that_mpi_does_not_see_are_refused_with_the_launchers_own_remedy() -> None:
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
def test_a_library_has_a_short_name(library: str, title: str) -> None:
    assert library_title(library) == title
