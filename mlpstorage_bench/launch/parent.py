"""Parent process of launched ranks: start them, watch them, and clean up after them.

`monitor.py` watches the ranks, `stderr_filter.py` forwards their standard error, and
`exit_reason.py` derives the session's exit status from their status lines.
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
from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.launch.exit_reason import LaunchExit, exit_of
from mlpstorage_bench.launch.monitor import LaunchMonitor, Limits
from mlpstorage_bench.launch.status_channel import (
    DIRECTORY_VARIABLE,
    HOST_VARIABLE,
    StatusReader,
    this_host,
)
from mlpstorage_bench.launch.stderr_filter import forward_stderr
from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.signals import StopSignals


def run(plan: LaunchPlan, limits: Limits) -> LaunchExit:
    """Run the ranks until they end, and leave no process of theirs on this host.

    The ranks inherit standard output and error. Ctrl-C, SIGTERM and SIGHUP are forwarded once, as
    SIGUSR1, which Open MPI and MPICH forward to every rank; SIGTERM and SIGKILL follow if the ranks
    do not end within the grace, or after another Ctrl-C. If this process is killed, a reaper ends
    the ranks. Rank 0 reports the exit status; a session without that report has failed, whatever
    status the launcher returns.
    """
    launch_id = f"mlps-{secrets.token_hex(12)}"
    mark = f"{LAUNCH_ID_VARIABLE}={launch_id}"
    with (
        StopSignals() as requests,
        tempfile.TemporaryDirectory(prefix="mlps-launch-") as directory,
    ):
        status_reader = StatusReader(Path(directory), launch_id)
        environment = {
            **os.environ,
            COMMAND_VARIABLE: json.dumps(plan.command),
            DIRECTORY_VARIABLE: directory,
            HOST_VARIABLE: this_host(),
            LAUNCH_ID_VARIABLE: launch_id,
            LAUNCHER_VARIABLE: plan.launcher,
        }
        sys.stdout.flush()
        child = subprocess.Popen(  # noqa: S603 - our own argument vector
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
            reaper.kill_marked(mark)
        reaper.stop(reaper_process)
        return exit_of(plan, status_reader, status, monitor)
