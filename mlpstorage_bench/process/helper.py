"""The end of a helper process: the wait for it has a limit, as it may be stopped (SIGSTOP)."""

from __future__ import annotations

import subprocess

from mlpstorage_bench.process.stderr import say

END_S = 10.0
"""Time for a helper process to end after its last message, in seconds."""
_KILL_S = 5.0
"""Time for the kernel to end a killed process, in seconds."""


def end(process: subprocess.Popen[bytes], message: bytes) -> None:
    """Send a helper process its last message, and wait for its end; kill it after END_S."""
    try:
        process.communicate(message, timeout=END_S)
    except subprocess.TimeoutExpired:
        kill(process, f"helper process {process.pid}", f"did not end within {END_S:g} s")


def kill(process: subprocess.Popen[bytes], name: str, why: str) -> None:
    """Kill a process, and report that; one that the kernel cannot end is left behind."""
    process.kill()
    try:
        process.wait(_KILL_S)
    except subprocess.TimeoutExpired:
        say(f"mlpstorage: {name} {why}, and does not end although it was killed (SIGKILL)")
    else:
        say(f"mlpstorage: {name} {why}, and was killed")
    if process.stdin is not None:
        process.stdin.close()
