"""Being the parent of launched ranks: what they are started with, and what may be left of them.

The parent watches its ranks (`monitor.py`), passes on what they say (`standard_error.py`), and
decides from their status lines how the session went (`ending.py`).
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from mlpstorage_bench.launch.command import COMMAND_VARIABLE, LAUNCHER_VARIABLE, LaunchPlan
from mlpstorage_bench.launch.exit_reason import LaunchExit, exit_of
from mlpstorage_bench.launch.monitor import LaunchMonitor, Limits
from mlpstorage_bench.launch.status_channel import (
    DIRECTORY_VARIABLE,
    HOST_VARIABLE,
    WORD_VARIABLE,
    StatusReader,
    this_host,
)
from mlpstorage_bench.launch.stderr_filter import forward_stderr
from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.signals import StopSignals


def run(plan: LaunchPlan, limits: Limits) -> LaunchExit:
    """Run the ranks to their end, and leave no process of theirs on this host.

    Their output is ours: they inherit standard output and error. Ctrl-C, SIGTERM and SIGHUP are
    passed on once, as SIGUSR1, which Open MPI and MPICH forward to every rank; SIGTERM and SIGKILL
    follow when the ranks do not end within their grace, or Ctrl-C comes again. Should this process
    be killed, a reaper ends the ranks. Rank 0's word counts for the exit status; without it the
    session has failed, whatever the launcher says.
    """
    word = f"mlps-{secrets.token_hex(12)}"
    mark = f"{WORD_VARIABLE}={word}"
    with (
        StopSignals() as requests,
        tempfile.TemporaryDirectory(prefix="mlps-launch-") as directory,
    ):
        status_reader = StatusReader(Path(directory), word)
        environment = {
            **os.environ,
            COMMAND_VARIABLE: json.dumps(plan.command),
            DIRECTORY_VARIABLE: directory,
            HOST_VARIABLE: this_host(),
            WORD_VARIABLE: word,
            LAUNCHER_VARIABLE: plan.launcher,
        }
        sys.stdout.flush()
        child = subprocess.Popen(  # noqa: S603 - an argument vector that we put together
            plan.argument_vector,
            stdin=subprocess.DEVNULL,
            stderr=None if plan.all_hosts_are_here else subprocess.PIPE,
            env=environment,
            process_group=0,
        )
        reaper_process = reaper.start("end", str(child.pid), mark, directory)
        with forward_stderr(child.stderr, status_reader):
            monitor = LaunchMonitor(
                child, status_reader, limits, requests, may_queue=plan.may_queue
            )
            status = monitor.wait()
            reaper.clear_away(mark)
        reaper.stop(reaper_process)
        return exit_of(plan, status_reader, status, monitor)
