"""Trials of cases: their pauses, and the steps that the record of each case has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.benchmark_type.records import (
    CaseRecord,
    Json,
    OpenCase,
    Pauses,
    SequenceStep,
)
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.results.kept_trials import KeptTrial
from mlpstorage_bench.trial.case_trials import CaseTrials, Pausing
from mlpstorage_bench.trial.engine import TrialEngine
from mlpstorage_bench.trial.outcome import CaseWork, StoredTrial, TrialOutcome
from tests.trials import SoloRanks

pytestmark = pytest.mark.slow


class Pooled:
    """A trial that measured nothing."""

    round_s = 1.0
    failure: MlpsError | None = None
    conditions = TrialConditions(1.0, "storage")

    def wrong_data(self, trial: str) -> str:
        del trial
        return ""

    def metrics(self) -> dict[str, object]:
        return {}

    def failure_note(self, case: str) -> str:
        return case


class Engine(TrialEngine):
    """Runs trials that last no time, during which the pause after them may begin."""

    def __init__(self) -> None:
        super().__init__(SoloRanks(), RankSite("here", Path("/no/directory")))
        self.begins_pauses = False

    def _modes(self) -> NoReturn:
        raise AssertionError("no trial has files")

    def run_trial(self, number: int) -> TrialOutcome[Any, Any]:
        with self._log.record("trial", number) as step:
            step.pause_began_ns = RealClock().now_ns() if self.begins_pauses else None
        return TrialOutcome(Pooled(), None, None)


class Work:
    """Trials of a case on an engine."""

    noun, warmup_s, window_s = "workload", 0.0, 0.0

    def __init__(self, engine: Engine) -> None:
        self.run = engine.run_trial

    def restored(self, content: Json) -> StoredTrial[Any, Any]:
        del content
        return StoredTrial(Pooled(), None, None)


class Kept:
    """A run that keeps nothing, and has these finished trials of its case."""

    def __init__(self, finished: Sequence[KeptTrial] = ()) -> None:
        self._finished = finished
        self.is_resumed = bool(finished)

    def finished_trials(self, case: CaseRecord) -> Sequence[KeptTrial]:
        del case
        return self._finished

    def keep_trial(self, case: CaseRecord, state: Json) -> None:
        pass

    def keep_pause(self, case: CaseRecord, trial: int, step: Json) -> None:
        pass

    def end_with_trials(self) -> None:
        pass


class Case:
    """A case on an engine, and the announcements of its pauses."""

    def __init__(self, engine: Engine, run: Kept | None = None, before_trial_s: float = 0) -> None:
        self.announced: list[tuple[str, float]] = []
        self.trials: CaseTrials[Any, Any] = CaseTrials(
            engine,
            cast("CaseWork[Any, Any]", Work(engine)),
            OpenCase(CaseRecord("kv_cache", "1", 2, {})),
            Pausing(Pauses(before_trial_s), lambda *pause: self.announced.append(pause)),
            run or Kept(),
        )
        self.run_one = self.trials.run_one

    @property
    def recorded(self) -> list[tuple[str, int | None]]:
        return [(one.step, one.trial) for one in self.steps]

    @property
    def steps(self) -> tuple[SequenceStep, ...]:
        return self.trials.case.record.steps


def test_a_case_that_goes_on_after_another_one_has_its_own_steps() -> None:
    engine = Engine()
    first, second = Case(engine), Case(engine)
    for case in (first, second, second, first, second):
        case.run_one()
    assert first.recorded == [("trial", 1), ("trial", 2)]
    assert second.recorded == [("trial", 1), ("trial", 2), ("trial", 3)]


def test_a_pause_that_began_in_the_trial_before_is_announced_as_the_rest_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    case = Case(engine, before_trial_s=0.05)
    case.run_one()
    monkeypatch.setattr(engine, "left_of_pause", lambda _seconds: 0.03)
    case.run_one()
    assert case.announced == [
        ("before trial 1 of workload 1", 0.05),
        ("before trial 2 of workload 1, the rest of 0.05 s that began in the trial before", 0.03),
    ]
    assert case.steps[2].seconds >= 0.03
    assert case.steps[2].overlapped_s == pytest.approx(0.02)


def test_a_pause_of_which_nothing_is_left_is_recorded_and_not_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    case = Case(engine, before_trial_s=0.01)
    case.run_one()
    monkeypatch.setattr(engine, "left_of_pause", lambda _seconds: 0.0)
    case.run_one()
    assert len(case.announced) == 1
    assert (case.steps[2].step, case.steps[2].overlapped_s) == ("pause_before_trial", 0.01)


def test_the_pause_after_a_trial_that_was_restored_is_full() -> None:
    engine = Engine()
    engine.begins_pauses = True
    steps = [asdict(SequenceStep("pause_before_trial", 1, 0.0, 0.01))]
    steps.append(asdict(SequenceStep("trial", 1, 0.01, 1.0)))
    kept = KeptTrial(({"mlpstorage": {"sequence": steps}},), {})
    case = Case(engine, Kept([kept]), before_trial_s=0.01)
    case.run_one()
    assert case.announced == []
    case.run_one()
    assert case.announced == [("before trial 2 of workload 1", 0.01)]
    assert case.recorded == [
        *(("pause_before_trial", 1), ("trial", 1)),
        *(("pause_before_trial", 2), ("trial", 2)),
    ]
    assert case.steps[2].overlapped_s == 0
