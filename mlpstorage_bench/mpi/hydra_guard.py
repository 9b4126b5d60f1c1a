"""Guard process that makes MPICH's launcher fail when a rank exits during a session.

Hydra treats a closed connection as the end of the job: when a rank exits with status 0 during a
test, Hydra kills the others and returns 0. The guard keeps the rank's connection open and sends
the abort request of PMI-1 (as MPI_Abort does) when the rank has exited. It is used where no parent
of ours watches the ranks.

The guard stays in the rank's process group, which Hydra kills when it ends a job: guards of ranks
that are killed by an abort are killed, too, and print nothing. A rank aborts the job through its
guard, because MPI_Abort itself would end some ranks before Hydra kills them. The guard is a
program of its own, with the standard library alone.
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
"""Environment variable with the descriptor of a rank's connection to Hydra."""
_guards: "list[subprocess.Popen[bytes]]" = []
"""The guard of this process, if there is one."""
_STOP = "stop"
_HYDRA_S = 3.0
"""Time for Hydra to end the job itself, and to forward output, in seconds."""
_POLL_S = 0.01


def start(line: str, status: int, environ: Mapping[str, str], error_output: int) -> None:
    """Start a guard that prints a line and aborts all ranks if this process is killed.

    Without a connection to Hydra, do nothing.
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
    os.register_at_fork(
        after_in_child=process.stdin.close
    )  # else a forked child keeps the pipe open
    _guards.append(process)
    atexit.register(stop)


def stop() -> None:
    """Stop the guard, if there is one: this process ends normally."""
    from mlpstorage_bench.process import helper  # noqa: PLC0415 - the program itself has no package

    while _guards:
        helper.end(_guards.pop(), _STOP.encode())


def abort(status: int) -> None:
    """Abort all ranks, including this one, through the guard; return if that has no effect."""
    from mlpstorage_bench.process import helper  # noqa: PLC0415 - the program itself has no package

    if _guards:
        helper.end(_guards.pop(), str(status).encode())
        time.sleep(_HYDRA_S)


def main() -> None:
    """Wait for the rank's exit, and abort the job unless stopped before."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # sent to the process group for the rank
    line, status = sys.argv[1:]
    request = os.read(0, 64).decode()
    if request == _STOP:
        return
    if not request:
        time.sleep(_HYDRA_S)
        os.write(2, f"{line}\n".encode())
    _wait_until_read(2)
    os.write(1, f"cmd=abort exitcode={request or status}\n".encode())


def _wait_until_read(output: int) -> None:
    """Wait until a pipe is empty: an abort discards what Hydra has not read."""
    if not stat.S_ISFIFO(os.fstat(output).st_mode):
        return
    deadline = time.monotonic() + _HYDRA_S
    unread = struct.pack("i", 1)
    while struct.unpack("i", unread)[0] and time.monotonic() < deadline:
        unread = fcntl.ioctl(output, termios.FIONREAD, unread)
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main()
