"""The run of one benchmark type and model in a session, with its plan, engine and gate."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mlpstorage_bench.benchmark_type.interface import Engine
from mlpstorage_bench.benchmark_type.plan import Plan
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
    notes: tuple[str, ...] = ()
    """Notes on plan, engine and hosts, which all runs of the type have."""
    schedule: str = ""
    """Sentence on how long the run takes; '' if it has no pauses."""
    session_status: int | None = None
    """Exit status that the ranks agreed on before results were written; None before that."""
    own_status: int | None = None
    """The run's own then: another run may have failed the session."""

    @property
    def has_passed_tests(self) -> bool:
        """Whether none of the run's own tests has failed."""
        return not any(test.outcome == "failed" for test in self.run.log.outcomes)

    @property
    def failure_status(self) -> int:
        """Exit status that the run's own tests and its gate ask for; 0 if they passed."""
        if not self.has_passed_tests:
            return int(pytest.ExitCode.TESTS_FAILED)
        return 0 if self.gate is None else self.gate.outcome.status

    def status_in(self, session_status: int) -> int:
        """Return the run's exit status where its session's is this one."""
        if self.own_status is not None and session_status == self.session_status:
            return self.own_status
        return session_status

    @property
    def name(self) -> str:
        """The benchmark type, for people."""
        return self.kind.name
