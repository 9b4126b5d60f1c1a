"""Start of MPI: library and launcher are checked before the ranks communicate."""

from __future__ import annotations

import warnings
from typing import Any

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.compatibility import check_library, check_size, launcher_title
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.mpi.mpi_comm import MpiComm


def connect(launcher: LauncherEnvironment) -> MpiComm:
    """Initialise MPI and return the communicator of all ranks that the launcher started.

    Raises LaunchError where launcher and library do not belong together.
    """
    with warnings.catch_warnings():
        # mpi4py warns of a launcher of another MPI; the checks below say what to do.
        warnings.simplefilter("ignore", RuntimeWarning)
        mpi = _load(launcher)
        library = mpi.Get_library_version()
        check_library(launcher, library)
        if not mpi.Is_initialized():
            mpi.Init_thread()
    check_size(launcher, library, mpi.COMM_WORLD.Get_size())
    return MpiComm(mpi.COMM_WORLD)


def _load(launcher: LauncherEnvironment) -> Any:
    """Load the MPI library without initialising MPI; mpi4py finalises it."""
    try:
        import mpi4py  # noqa: PLC0415 - MPI is imported only where it is in use

        mpi4py.rc(initialize=False, finalize=True)
        from mpi4py import MPI  # noqa: PLC0415 - as above
    except (ImportError, RuntimeError) as error:
        cause = ": ".join(str(error).splitlines())
        raise LaunchError(
            f"This process is one of {launcher.size} ranks started by {launcher_title(launcher)}, "
            f"but MPI cannot be used: {cause}. Install the MPI library of that launcher where "
            "mpi4py finds it, or set the variable MPI4PY_LIBMPI to its path"
        ) from error
    return MPI
