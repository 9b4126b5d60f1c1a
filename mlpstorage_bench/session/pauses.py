"""Lines that are shown while a test runs: pauses, left out of the time limit, and warnings."""

from __future__ import annotations

from datetime import datetime, timedelta

from mlpstorage_bench.session import progress, terminal
from mlpstorage_bench.session.pytest_internals.capture import uncaptured
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.units import duration


def announce(session: MlpsSession, when: str, seconds: float) -> None:
    """Give this rank's test the time of a pause that begins now, and show the pause on rank 0."""
    session.extend_time_limit(seconds)
    ends = datetime.now().astimezone() + timedelta(seconds=seconds)
    say(
        session,
        f"pause of {duration(seconds)} {when}, as the profile has it, until {ends:%H:%M:%S}",
    )


def say(session: MlpsSession, line: str) -> None:
    """Show a line on rank 0's terminal while a test runs."""
    if not session.is_root:
        return
    progress.hide(session)
    with uncaptured(session.config):
        terminal.say(session.config, line)
