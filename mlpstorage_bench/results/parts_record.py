"""Record of the parts of a run that was resumed, and of the run that it had to follow."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PartRecord(BaseModel):
    """One part of a run that was interrupted and resumed."""

    model_config = ConfigDict(extra="allow", frozen=True)

    started: str
    """ISO 8601 with offset."""
    ended: str | None
    """The same; of a part that was killed, the end of its last finished trial. None while it
    runs."""
    runtime_s: float
    """Seconds until then."""
    status: str
    """As the run's: how the part ended, or `died`."""


class PauseRecord(BaseModel):
    """The time between two parts."""

    model_config = ConfigDict(extra="allow", frozen=True)

    began: str
    ended: str
    seconds: float


class ResumedRecord(BaseModel):
    """The parts of a run that was resumed, and the pauses between them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    parts: list[PartRecord]
    pauses: list[PauseRecord]

    @property
    def paused_s(self) -> float:
        """Seconds of all pauses."""
        return sum(pause.seconds for pause in self.pauses)


class FollowedRecord(BaseModel):
    """The run before another one, where the rules demand runs that follow each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timestamp: str
    """Its start as YYYYMMDD_HHMMSS, which names its directory."""
    runtime_s: float
    paused_s: float
    """Seconds in which it was interrupted; 0 for a run of one part."""
    idle_s: float
    """Seconds between its end and the start of the other one."""
