"""Pauses of a profile in a session: shown on the terminal, and left out of the time limit."""

from __future__ import annotations

from datetime import datetime, timedelta

from mlpstorage_bench.session import progress, terminal
from mlpstorage_bench.session.pytest_internals.capture import uncaptured
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.units import duration


def announce(session: MlpsSession, when: str, seconds: float) -> None:
    """Give this rank's test the time of a pause that begins now, and show the pause on rank 0."""
    session.extend_time_limit(seconds)
    if not session.is_root:
        return
    progress.hide(session)
    ends = datetime.now().astimezone() + timedelta(seconds=seconds)
    with uncaptured(session.config):
        terminal.say(
            session.config,
            f"pause of {duration(seconds)} {when}, as the profile has it, until {ends:%H:%M:%S}",
        )
