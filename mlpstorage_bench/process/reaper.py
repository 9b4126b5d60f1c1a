"""Helper process that cleans up after a rank, or after the parent, when it is killed.

It removes a rank's cache files (`removal.py`), prints the line that reports a rank's death, or ends
the ranks whose parent was killed. It reads from a pipe whose writing end only its owner has. The
owner stops it with one byte; a pipe that closes without that byte means that the owner was killed.
The reaper is a program of its own in a session of its own, with the standard library alone, so that
signals to the ranks' process groups do not reach it. One that is stopped (SIGSTOP) goes on when its
owner ends.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

_STOP = b"d"
_PR_SET_PDEATHSIG = 1
"""Operation of prctl(2): the signal that this process gets when the thread that started it ends."""
_GROUP_FIELD, _START_FIELD = 2, 19
"""Positions of `pgrp` and `starttime` among the fields of proc_pid_stat(5) after the command, of
which the first is the state."""
_INTERRUPT_S = 10.0
"""Time for ranks to finish their reports, in seconds."""
_TERMINATE_S = 10.0
"""Time for a launcher to end its ranks, including those on other hosts."""
_CLEANUP_S = 10.0
"""Time for reapers to finish their task, and for the kernel to end killed processes."""
LONGEST_END_S = _INTERRUPT_S + _TERMINATE_S + _CLEANUP_S
"""Longest time in which the task `end` ends all ranks of this host, in seconds."""
_POLL_S = 0.05
LAUNCHER_OUTPUTS = ("launcher-stdout", "launcher-stderr")
"""Names of the pipes in the launch directory from which the parent reads the launcher's output."""
_PROGRAMS = {"remove": str(Path(__file__).with_name("removal.py"))}
"""Programs of tasks that are not this one's."""


def start(
    task: Literal["remove", "print", "end"],
    *subject: str,
    error_output: int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start a reaper with one of three tasks.

    `remove` DIRECTORY NAMES: see `removal.remove_left`. `print` LINE: to `error_output`. `end`
    GROUP START MARK DIRECTORY: end the process group of the launcher that was started then
    (`start_ticks`) and all processes with the mark, and remove the launch directory. What the
    launcher writes to `LAUNCHER_OUTPUTS` meanwhile is discarded. The reaper keeps the `inherited`
    descriptors open until it ends.
    """
    program = [_PROGRAMS[task]] if task in _PROGRAMS else [__file__, task]
    reaper = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", *program, *subject],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=error_output,
        env=environment,
        pass_fds=inherited,
        start_new_session=True,
        cwd="/",
    )
    assert reaper.stdin is not None
    os.register_at_fork(
        after_in_child=reaper.stdin.close
    )  # else a forked child keeps the pipe open
    return reaper


def stop(reaper: "subprocess.Popen[bytes]") -> None:
    """Stop a reaper without doing its task: its owner ends normally."""
    from mlpstorage_bench.process import helper  # noqa: PLC0415 - the program itself has no package

    helper.end(reaper, _STOP)


def let_go(reaper: "subprocess.Popen[bytes]") -> None:
    """Have a reaper do its task now, as if its owner had been killed; it is not waited for."""
    assert reaper.stdin is not None
    reaper.stdin.close()
    reaper.returncode = 0  # else Python warns that it outlives its owner, as it should


def kill_marked(mark: str) -> list[int]:
    """Kill all processes of this host whose environment has the mark (NAME=VALUE).

    Reapers among them finish their task: they are waited for, and go on if that takes longer.
    Those that are stopped never would; return them.
    """
    deadline = time.monotonic() + _CLEANUP_S
    while left := _marked(mark):
        reapers = [process_id for process_id, command in left.items() if _is_reaper(command)]
        for process_id in left.keys() - set(reapers):
            _kill(process_id)
        if time.monotonic() >= deadline:
            stopped = [process_id for process_id in reapers if _is_stopped(process_id)]
            for process_id in stopped:
                _kill(process_id)
            return stopped
        time.sleep(_POLL_S)
    return []


def start_ticks(process_id: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it is gone or hidden."""
    fields = _stat_fields(process_id)
    return int(fields[_START_FIELD]) if fields else None


def _is_stopped(process_id: int) -> bool:
    return _stat_fields(process_id)[:1] in (["T"], ["t"])


def _stat_fields(process_id: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) after the command; none if it is gone or hidden."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _marked(mark: str) -> dict[int, list[str]]:
    """Return process id → command line of processes with the mark; zombies have no environment."""
    found: dict[int, list[str]] = {}
    for process_id in _processes():
        process = Path(f"/proc/{process_id}")
        try:
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes()
                found[process_id] = os.fsdecode(command).split("\0")
        except OSError:
            continue  # it ended meanwhile, or belongs to another user
    return found


def _processes() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())


def _is_reaper(command: Sequence[str]) -> bool:
    return not {__file__, *_PROGRAMS.values()}.isdisjoint(command[1:4])


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended meanwhile


def _end_group(group: int, started: int) -> None:
    """End a launcher and its ranks, also those on other hosts.

    SIGUSR1 goes to the launcher alone, which forwards it: the ranks then finish as after Ctrl-C.
    SIGTERM and SIGKILL follow, to the whole group, if that takes too long. A process that was
    started at another time has taken the number of a group that has ended.
    """
    for number, patience_s in (
        (signal.SIGUSR1, _INTERRUPT_S),
        (signal.SIGTERM, _TERMINATE_S),
        (signal.SIGKILL, 0.0),
    ):
        deadline = time.monotonic() + patience_s
        send = os.kill if number == signal.SIGUSR1 else os.killpg
        if start_ticks(group) not in (started, None):
            return
        with suppress(ProcessLookupError):  # the launcher ended, and others of its group may not
            send(group, number)
        while _runs(group):
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
        else:
            return


def _runs(group: int) -> bool:
    """Return whether a process group has a process that has not ended.

    One that ended stays in its group until its parent has waited for it; the first process of a
    container, which inherits the launcher, may never do that.
    """
    if not _has_ended(_stat_fields(group)):
        return True
    return any(
        fields[_GROUP_FIELD : _GROUP_FIELD + 1] == [str(group)] and not _has_ended(fields)
        for fields in map(_stat_fields, _processes())
    )


def _has_ended(fields: list[str]) -> bool:
    return fields[:1] in ([], ["Z"], ["X"])


def _end(group: str, started: str, mark: str, directory: str) -> None:
    """Do the task `end` unless the owner stops this process.

    The launcher's pipes are held open from the start: a launcher of whose output nobody is the
    reader ends at the next line, and its ranks end before they can report.
    """
    outputs = []
    for name in LAUNCHER_OUTPUTS:
        with suppress(FileNotFoundError):  # another helper process has removed the directory
            outputs.append(os.open(Path(directory, name), os.O_RDONLY | os.O_NONBLOCK))
    if os.read(0, 1) == _STOP:
        return
    for output in outputs:
        threading.Thread(target=_discard, args=(output,), daemon=True).start()
    _end_group(int(group), int(started))
    kill_marked(mark)
    shutil.rmtree(Path(directory), ignore_errors=True)


def _discard(output: int) -> None:
    """Read a pipe until its writers have ended: a launcher whose pipe is full does nothing else."""
    os.set_blocking(output, True)
    while os.read(output, 65536):
        pass


def main() -> None:
    """Wait for the owner's end, and do the task unless stopped."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
    task, *subject = sys.argv[1:]
    if task == "end":
        _end(*subject)
    elif os.read(0, 1) != _STOP:
        os.write(2, f"{subject[0]}\n".encode())


if __name__ == "__main__":
    main()
