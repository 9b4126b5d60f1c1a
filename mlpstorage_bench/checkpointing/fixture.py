"""The `checkpointing` fixture's object: writes and reads checkpoints in a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.checkpointing.config.parameters import KINDS, Kind, Parameters
from mlpstorage_bench.checkpointing.plan import CheckpointPlan, pauses_of
from mlpstorage_bench.checkpointing.results.trial_result import CheckpointingResult
from mlpstorage_bench.checkpointing.runner.checkpoint_trials import (
    CheckpointRuns,
    CheckpointTrials,
)
from mlpstorage_bench.checkpointing.runner.engine import REWRITTEN, Engine
from mlpstorage_bench.checkpointing.runner.lost_checkpoints import (
    before_reads,
    before_writes,
    rewritten,
)
from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.schema import refused
from mlpstorage_bench.trial.case_trials import Pausing
from mlpstorage_bench.trial.rounds import Rounds, check_is_first
from mlpstorage_bench.trial.services import TestServices, TrialSettings

_SOURCE = "checkpointing.run"
OF_ALL_CASES = frozenset(
    {
        *("model", "phase", "scale", "subset", "writer", "files_per_rank", "shard_gb"),
        *("io_chunk_kib", "num_checkpoints_write", "num_checkpoints_read"),
    }
)
"""Parameters that all cases of a session share: files depend on them, and numbers of trials."""


class Checkpointing:
    """Writes and reads checkpoints on every rank."""

    def __init__(self, services: TestServices) -> None:
        self._services = services
        self._plan = cast("CheckpointPlan", services.plan)
        self._engine = cast("Engine", services.engine)

    @property
    def parameters(self) -> Parameters:
        """Parameters of the profile with the user's settings."""
        return self._plan.own

    def run(self, kind: str, *, case: str | None = None, **parameters: Any) -> CheckpointingResult:
        """Write or read checkpoints (`write` or `read`) as rounds of pytest-benchmark.

        `case` is the name under which results are kept, by default the kind. A round's time is
        that of a checkpoint. Every metric goes to `extra_info`. Reads read what the writes of the
        session have written.
        """
        if kind not in KINDS:
            raise InvalidInputError(_SOURCE, kind, " or ".join(KINDS), hint=nearest(kind, KINDS))
        changed, services = self._changed(parameters), self._services
        check_is_first(services.benchmark, _SOURCE, "checkpointing_kind")
        name = check_path_component("case", kind if case is None else case)
        planned = self._planned(kind)
        services = replace(services, trials=replace(services.trials, planned=planned))
        opened, run = services.open_case(
            CaseRecord(
                benchmark_type=self._plan.benchmark_type,
                case=name,
                planned_trials=planned,
                parameters=changed.model_dump(mode="json"),
            )
        )
        name = opened.record.case
        pausing = Pausing(pauses_of(changed), services.trials.announce_pause)
        runs = CheckpointRuns(self._engine, changed, kind, planned)
        trials = CheckpointTrials(self._engine, runs, opened, pausing, run)
        self._engine.show_to(services.trials.viewer, is_on=services.trials.is_watched)
        self._replace_lost(runs, trials, services.trials, is_resumed=run.is_resumed)

        def pool() -> CheckpointingResult:
            if self._engine.has_rewritten and REWRITTEN not in trials.notes:
                trials.notes.append(REWRITTEN)
            pooled = self._engine.pool_case(name, kind, trials.results, trials.samples)
            if kind == "write":
                return pooled
            self._engine.kept.end_reads()
            again = self._engine.kept.reads_again(trials.count)
            return replace(pooled, read_again=again)

        rounds = Rounds(services, trials)
        result = rounds.run(pool)
        if self._plan.mode != "closed":
            rounds.offer_more(pool)
        return result

    def _replace_lost(
        self,
        runs: CheckpointRuns,
        trials: CheckpointTrials,
        settings: TrialSettings,
        *,
        is_resumed: bool,
    ) -> None:
        """Say which checkpoints are not there that should be, and write them unmeasured."""
        parameters, kind = runs.parameters, runs.kind
        lost, problem = self._engine.kept.lost(kind, trials.finished, settings.planned)
        if not lost:
            return
        if kind == "read":
            settings.say(before_reads(lost, is_resumed=is_resumed))
        else:
            settings.say(before_writes(lost, problem))
            trials.notes.append(rewritten(lost, problem))
        self._engine.write_again(parameters, kind, lost)

    def _planned(self, kind: Kind) -> int:
        """Return the number of checkpoints, which options of the session may multiply."""
        of_session, of_plan = self._services.trials.planned, self._plan.trials
        own = self._plan.own.checkpoints(kind)
        return own * of_session // of_plan if of_session >= of_plan else of_session

    def _changed(self, changes: dict[str, Any]) -> Parameters:
        """Return the parameters with a test's changes; the user's settings take precedence."""
        if self._plan.mode == "closed" and changes:
            raise InvalidInputError(
                _SOURCE, ", ".join(changes), "no parameters in mode closed, which has MLPerf's"
            )
        known = Parameters.model_fields.keys() - OF_ALL_CASES
        accepted = f"one of {', '.join(sorted(known))}"
        if shared := sorted(changes.keys() & OF_ALL_CASES):
            settings = [f"{key}={changes[key]}" for key in shared]
            options = " ".join(f"--mlps-set checkpointing.{one}" for one in settings)
            raise InvalidInputError(
                _SOURCE,
                ", ".join(settings),
                accepted,
                hint="Writes and reads of a session have the same files and numbers of "
                f"checkpoints: set it for the whole session, with {options}",
            )
        if unknown := sorted(changes.keys() - known):
            raise InvalidInputError(
                _SOURCE, ", ".join(unknown), accepted, hint=nearest(unknown[0], known)
            )
        values = {**self._plan.own.model_dump(), **changes, **self._plan.set_by_user()}
        try:
            return Parameters.model_validate(values)
        except ValidationError as error:
            raise refused(_SOURCE, changes, error) from error
