"""The run of one benchmark type and model in a session, with its plan, engine and gate."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.interface import Engine, Plan
from mlpstorage_bench.session.gate import SessionGate
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.trial.services import TestedType


@dataclass
class TypeRun:
    """One of the runs that a session has open."""

    kind: TestedType
    plan: Plan
    model: str
    """The model under whose name the run is filed."""
    run: Run
    engine: Engine | None = None
    """None until it has opened."""
    gate: SessionGate | None = None
    """The comparison with earlier runs; None if the gate is off."""
    schedule: str = ""
    """Sentence on how long the run takes; '' if it has no pauses."""

    @property
    def name(self) -> str:
        """The benchmark type, for people."""
        return self.kind.name
