"""Trials that earlier parts of a run have finished, restored from what the run has kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from pydantic import TypeAdapter, ValidationError

from mlpstorage_bench.benchmark_type.records import SequenceStep
from mlpstorage_bench.results.kept_trials import KeptTrial
from mlpstorage_bench.trial.outcome import CaseWork, Result, Samples, TrialOutcome

_STEP = TypeAdapter(SequenceStep)


@dataclass(frozen=True)
class FinishedTrial(Generic[Result, Samples]):
    """A trial that an earlier part of the run has finished."""

    outcome: TrialOutcome[Result, Samples]
    steps: tuple[SequenceStep, ...]
    """Its steps on rank 0, without the pause after it."""
    pause_after: SequenceStep | None
    """The pause after it; None if that did not complete."""


def restored(
    work: CaseWork[Result, Samples], kept: Sequence[KeptTrial]
) -> Iterator[FinishedTrial[Result, Samples]]:
    """Yield finished trials, until one cannot be read."""
    for one in kept:
        try:
            stored = work.restored(one.state)
        except ValueError:
            return
        outcome = TrialOutcome(stored.result, stored.samples, one.ranks, stored.series)
        yield FinishedTrial(outcome, tuple(_steps_in(one)), _pause_after(one))


def _pause_after(kept: KeptTrial) -> SequenceStep | None:
    """Return the completed pause after a trial; None if it is to be waited again."""
    try:
        return _STEP.validate_python(kept.pause_after)
    except ValidationError:
        return None


def _steps_in(kept: KeptTrial) -> Iterator[SequenceStep]:
    """Yield the steps that rank 0 has recorded with a trial, without the pause of the one before.

    That is kept by itself, as soon as it has completed.
    """
    own = kept.ranks[0].get("mlpstorage") if kept.ranks else None
    steps = own.get("sequence") if isinstance(own, Mapping) else None
    for step in steps or ():
        if step["step"] != "pause_after_trial":
            yield SequenceStep(**step)
