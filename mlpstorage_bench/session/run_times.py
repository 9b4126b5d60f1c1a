"""Times of a run: those of its session, or of its trials where its session goes on with others."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from mlpstorage_bench.results.kept_trials import LastTrial
from mlpstorage_bench.results.parts_record import FollowedRecord, ResumedRecord
from mlpstorage_bench.session.resumption import Resumption


@dataclass
class RunTimes:
    """When a run began and ended, how long it took, and the parts in which it was run.

    Those on rank 0 count: other ranks know of no parts.
    """

    started: datetime
    """Start of the run's first part."""
    resumption: Resumption | None
    """How this session continues the run, on rank 0; None for a new one."""
    _began_s: float = field(default_factory=time.monotonic, init=False)
    """Start of this part, on the monotonic clock."""
    _newest: LastTrial | None = field(default=None, init=False)
    """The end of the newest trial that has finished in any part."""
    _last: LastTrial | None = field(default=None, init=False)
    """The trial with which the run has ended before its session."""
    _ended: datetime | None = field(default=None, init=False)
    """The end of the session."""

    def __post_init__(self) -> None:
        if self.resumption is not None:
            self._newest = self.resumption.last

    @property
    def ended(self) -> datetime | None:
        """The run's end; None while it goes on."""
        return self._ended if self._last is None else self._last.ended

    @property
    def runtime_s(self) -> float:
        """Seconds that the run has taken so far, without the pauses between its parts."""
        if self._last is not None:
            return self._last.runtime_s
        before_s = 0.0 if self.resumption is None else self.resumption.runtime_before_s
        return before_s + time.monotonic() - self._began_s

    def end_trial(self) -> LastTrial:
        """Note that a trial has finished now, and return its end."""
        self._newest = LastTrial(datetime.now().astimezone(), self.runtime_s)
        return self._newest

    def end_with_trials(self) -> None:
        """End the run with its newest trial, if any has finished.

        What began after it, as this part may have, is none of the run's.
        """
        self._last = self._newest
        if self._last is not None and self.resumption is not None:
            self.resumption = self.resumption.until(self._last)

    def end_with_session(self) -> None:
        """End the run now, unless it has ended with its trials."""
        self._ended = datetime.now().astimezone()

    def parts(self, status: str, runtime_s: float) -> ResumedRecord | None:
        """Return the run's parts, of which the last one has this status; None for one part.

        They took `runtime_s` together.
        """
        if self.resumption is None:
            return None
        of_part_s = runtime_s - self.resumption.runtime_before_s
        return self.resumption.record(status, self.ended, of_part_s)

    def followed_at(self, start: datetime, timestamp: str, status: str) -> FollowedRecord:
        """Return the run, which has ended, as the one that a run with this start has to follow.

        `timestamp` names its directory.
        """
        runtime_s = self.runtime_s
        parts = self.parts(status, runtime_s)
        paused_s = 0.0 if parts is None else parts.paused_s
        since_s = (start - self.started).total_seconds()
        return FollowedRecord(
            timestamp=timestamp,
            runtime_s=runtime_s,
            paused_s=paused_s,
            idle_s=since_s - runtime_s - paused_s,
        )
