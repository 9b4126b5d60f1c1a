"""A process that tells MPICH's launcher of a rank that is gone, where no parent of ours watches.

Hydra takes a closed connection for the end of the job: when a rank ends with status 0 in the middle
of a test it kills the others, and returns 0. So the guard keeps the rank's connection open, and
asks for an abort over it in the rank's place, by the line of PMI-1 that means MPI_Abort.

It stays in the rank's process group, which is what Hydra kills when it ends a job. So where ranks
are killed because one aborts all, their guards are, too, and have nothing to tell. A rank that
aborts all does it by its guard, as MPI_Abort itself would end some ranks before Hydra kills them.
Runs as a program of its own, with the standard library alone.
"""

import atexit
import fcntl
import os
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping

CONNECTION_VARIABLE = "PMI_FD"
"""Tells a rank the descriptor of its connection to Hydra."""
_processes: "list[subprocess.Popen[bytes]]" = []
"""Of this process."""
_STOP = "stop"
_PATIENCE_S = 3.0
"""For Hydra to end a job of its own accord, and to pass on what is said."""
_LOOK_S = 0.01


def start(line: str, status: int, environ: Mapping[str, str], error_output: int) -> None:
    """Have a line said, and all ranks aborted, should this process end without leaving Python.

    Does nothing where there is no connection to Hydra.
    """
    connection = environ.get(CONNECTION_VARIABLE)
    if connection is None:
        return
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", __file__, line, str(status)],
        stdin=subprocess.PIPE,
        stdout=int(connection),
        stderr=error_output,
        cwd="/",
    )
    assert process.stdin is not None
    os.register_at_fork(after_in_child=process.stdin.close)  # or a child keeps the pipe open
    _processes.append(process)
    atexit.register(stop)


def stop() -> None:
    """Send the guard home, if there is one: this process comes to its end by itself."""
    while _processes:
        _processes.pop().communicate(_STOP.encode())


def abort(status: int) -> None:
    """Have all ranks aborted with a status, this one too; return where that does not come about."""
    if _processes:
        _processes.pop().communicate(str(status).encode())
        time.sleep(_PATIENCE_S)


def main() -> None:
    """Wait for the rank's end, and tell of it unless dismissed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # meant for the rank
    line, status = sys.argv[1:]
    word = os.read(0, 64).decode()
    if word == _STOP:
        return
    if not word:
        time.sleep(_PATIENCE_S)
        os.write(2, f"{line}\n".encode())
    _wait_until_read(2)
    os.write(1, f"cmd=abort exitcode={word or status}\n".encode())


def _wait_until_read(output: int) -> None:
    """Wait until a pipe is empty: Hydra drops what it has not read before an abort."""
    if not stat.S_ISFIFO(os.fstat(output).st_mode):
        return
    deadline = time.monotonic() + _PATIENCE_S
    unread = struct.pack("i", 1)
    while struct.unpack("i", unread)[0] and time.monotonic() < deadline:
        unread = fcntl.ioctl(output, termios.FIONREAD, unread)
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    main()
