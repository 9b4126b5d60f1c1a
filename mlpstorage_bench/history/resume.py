"""Resumption of an interrupted run: its own command, which continues in its directory.

Here is checked what the metadata tells; the session that starts compares the rest before it writes
(`session.resumption`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.past_run import DIED, RUNNING, PastRun
from mlpstorage_bench.history.rerun import Rerun, other_writer, rerun_of
from mlpstorage_bench.launch.command import is_launcher
from mlpstorage_bench.results.kept_trials import KeptTrials
from mlpstorage_bench.results.run_metadata import RunMetadata

RESUME_OPTION = "--mlps-resume"
RESUME_VARIABLE = "MLPS_RESUME_OF"
"""Environment variable of a session that continues a run: the run's metadata file."""
COMPLETED_STATUSES = frozenset({0, 1})
"""Exit statuses of sessions whose tests all ran: they passed, or some failed."""


def resume_of(
    metadata: RunMetadata,
    past: PastRun,
    file: os.stat_result,
    environ: Mapping[str, str],
    variables: Collection[str],
) -> Rerun:
    """Return the command that continues a run; InvalidInputError if it cannot be continued.

    `file` is the status of the metadata file that was read.
    """
    run_id = past.run_id
    problem = _problem(metadata, past, file)
    if problem:
        raise InvalidInputError(
            RESUME_OPTION, run_id, "an interrupted run of this package and user", hint=problem
        )
    rerun = rerun_of(run_id, metadata, environ, variables, RESUME_OPTION)
    here = os.uname().nodename
    if is_launcher(rerun.command[0]) and past.hosts[:1] != (here,):
        raise InvalidInputError(
            RESUME_OPTION,
            run_id,
            f"a run whose rank 0 was on this host ({here}), as its command is your own launcher's",
            hint=f"Resume it on {past.hosts[0] if past.hosts else 'its host'}",
        )
    return replace(rerun, environment={**rerun.environment, RESUME_VARIABLE: past.file})


def _problem(metadata: RunMetadata, past: PastRun, file: os.stat_result) -> str:
    """Return the reason why a run cannot be continued, as a sentence; '' if none is known."""
    if metadata.own.run_id is None:
        return "The reference has made it"
    writer = other_writer(file)
    if writer is not None:
        return f"It is no run of your own: {writer.relation}"
    if past.status == RUNNING:
        host = past.hosts[0] if past.hosts else "an unknown host"
        return (
            f"It is running, or has died where that cannot be seen from here: process "
            f"{past.process_id or 'unknown'} on {host}"
        )
    if past.status != DIED and metadata.own.exit_status in COMPLETED_STATUSES:
        return f"It has ended, with the status {past.status}: there is nothing to continue"
    if KeptTrials(Path(past.file).parent).read_identity(RESUME_OPTION) is None:
        return "Its directory has no record of finished trials, as runs of earlier versions"
    return ""
