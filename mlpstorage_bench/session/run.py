"""A benchmark run: its record, its files, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mlpstorage_bench.benchmark_type.interface import BenchmarkType, Standing
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord, Json
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.resume import COMPLETED_STATUSES, RESUME_OPTION
from mlpstorage_bench.metric.declaration import Better
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.results.benchmark_document import BenchmarkDocument
from mlpstorage_bench.results.convert import checkpoint_run, write_run
from mlpstorage_bench.results.final_status import record_final_status
from mlpstorage_bench.results.gate_record import GateRecord
from mlpstorage_bench.results.kept_trials import KeptTrial, KeptTrials
from mlpstorage_bench.results.metadata import build_metadata
from mlpstorage_bench.results.metadata_parts import IntegrityCheck
from mlpstorage_bench.results.parts_record import FollowedRecord
from mlpstorage_bench.results.record import RunFacts, RunRecord, Status
from mlpstorage_bench.results.run_directory import finish_run_directory
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.results.tree import RunLocation, remove_files
from mlpstorage_bench.results.verification import (
    Verification,
    integrity_checks,
    unproven,
    verification_of,
)
from mlpstorage_bench.session.case_log import CaseLog
from mlpstorage_bench.session.junit import figures_as_properties
from mlpstorage_bench.session.recorded_values import RecordedValues
from mlpstorage_bench.session.resumption import Resumption
from mlpstorage_bench.session.run_times import RunTimes

_STATUS_OF: dict[int, Status] = {0: "passed", 2: "interrupted"}
"""A session's status by pytest's exit status; all others are failures."""


@dataclass
class Run:
    """A session's results so far, and their location.

    Every rank has one; only rank 0 writes.
    """

    location: RunLocation
    facts: RunFacts
    seed: int
    """The plan's seed, which is part of a case's fingerprint."""
    benchmark_type: BenchmarkType
    make_document: Callable[[Sequence[object]], BenchmarkDocument]
    """Returns pytest-benchmark's JSON for the statistics of this package's tests."""
    times: RunTimes
    """When it began and ended, and its parts."""
    is_root: bool
    is_resumed: bool = False
    """Whether this session continues the run; the same on every rank."""
    follows: FollowedRecord | None = None
    """The run of this session that this one has to follow, by the rules."""
    status: Status = "running"
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether the tests passed, regardless of the gate; None before the end."""
    _notes: list[str] = field(default_factory=list)
    gate: GateRecord | None = None
    """The gate's result, for the metadata."""
    plugin_facts: dict[str, Json] = field(default_factory=dict)
    """Facts that users' hooks returned, by plugin, for the metadata."""
    system_info_at_end: Json | None = None
    """The hosts at the run's end; None before it."""
    log: CaseLog = field(init=False)
    """Cases and tests so far."""
    _recorded: RecordedValues = field(init=False)
    _cases_written: int = 0
    _kept: KeptTrials = field(init=False)
    """Finished trials in the run's directory."""

    def __post_init__(self) -> None:
        self._kept = KeptTrials(self.directory)
        self._recorded = RecordedValues(self.benchmark_type.metrics)
        self.log = CaseLog(
            self.benchmark_type,
            self.seed,
            self.facts.num_processes,
            self.facts.pauses or NO_PAUSES,
            self._kept if self.is_root else None,
        )

    def claim(self, identity: Json) -> None:
        """Have the directory appear with its first files, and begin to keep finished trials.

        `identity` is what a continuation of the run is compared with. InvalidInputError on rank 0
        if the run is continued, and this session differs from it.
        """
        if self.is_root and self.resumption is not None:
            self.resumption.check_place(self.location)
            self.resumption.check_identity(identity)
        elif self.is_root:
            KeptTrials(self.location.written_in).write_identity(identity)
            self.write()
            finish_run_directory(self.location)
        self.location = replace(self.location, temporary=None)
        if self.is_root:
            self._kept.claim(RESUME_OPTION, self.run_id)
            if self.resumption is not None:
                remove_files([self.location.summary_path])  # that of an earlier part

    @property
    def resumption(self) -> Resumption | None:
        """How this session continues the run, on rank 0; None for a new one."""
        return self.times.resumption

    @property
    def started(self) -> datetime:
        """Start of the run: of its first part, where it was resumed."""
        return self.times.started

    @property
    def run_id(self) -> str:
        """The unique name of the run."""
        return self.facts.run_id

    @property
    def directory(self) -> Path:
        """The run's results directory, on rank 0's host."""
        return self.location.directory

    @property
    def metadata(self) -> dict[str, Any]:
        """The run's metadata as known so far; its files are added at the end."""
        record = self.make_record()
        of_type = self.benchmark_type.metadata_fields(record.parameters, self.log.cases)
        commit_info = self.make_document(self.log.statistics).commit_info
        metrics = self.benchmark_type.metrics
        return build_metadata(
            record,
            self.directory,
            [],
            of_type,
            self.log.cases,
            commit_info,
            metrics,
            verification_of(record, self._standing),
        )

    @property
    def verification(self) -> Verification:
        """Whether the run counts as one of its division, as known so far."""
        return verification_of(self.make_record(), self._standing)

    @property
    def checks(self) -> tuple[IntegrityCheck, ...]:
        """Checks of the run's hosts, on rank 0."""
        return integrity_checks(self.make_record())

    @property
    def unproven(self) -> tuple[str, ...]:
        """Properties of the run that could not be measured, in words."""
        return tuple(unproven(self.make_record(), self._standing))

    @property
    def _standing(self) -> Standing:
        facts = self.facts
        return self.benchmark_type.standing(self.log.cases, facts.parameters, facts.num_processes)

    def record(
        self, name: str, value: object, *, unit: str = "", better: Better | None = None
    ) -> None:
        """Add rank 0's value to the run's metadata, as `mlpstorage.metrics.recorded`.

        The value must be valid in JSON, and the name a word like `effective_gib_s`. The history
        shows the unit (`GiB/s`; '' for a number of things), and whether `higher` or `lower` values
        are better.
        """
        self._recorded.add(name, value, unit, better)

    def figures_of(self, test: str) -> list[tuple[str, object]]:
        """Return the figures of a test's cases, as properties of the test in junit files."""
        cases = [case for case in self.log.cases if case.test == test]
        return figures_as_properties(cases, self.benchmark_type.metrics)

    def finished_trials(self, case: CaseRecord) -> Sequence[KeptTrial]:
        """Return the trials of a case that earlier parts of this run have finished, on rank 0."""
        if self.resumption is None:
            return ()
        return tuple(self._kept.finished(RESUME_OPTION, case, self.facts.num_processes))

    def keep_trial(self, case: CaseRecord, state: Json) -> None:
        """Write the last trial of a case, so that a continuation need not run it again.

        `state` is what the benchmark type needs then. Only rank 0 writes.
        """
        if self.is_root:
            ended = self.times.end_trial()
            trial = case.trials[-1]
            with suppress(MlpsError):  # the end of the run reports it
                self._kept.keep(self.location, self.benchmark_type, case, trial, state, ended)

    def keep_pause(self, case: CaseRecord, trial: int, step: Json) -> None:
        """Write that the pause after a trial has completed, so that it is not repeated.

        Only rank 0 writes.
        """
        if self.is_root:
            with suppress(MlpsError):  # then a continuation waits again
                self._kept.keep_pause(case.case, trial, step)

    @property
    def notes(self) -> list[str]:
        """Notes for the reader of the results: about the run, then about each case."""
        of_parts = [] if self.resumption is None else self.resumption.notes
        of_cases = [note for case in self.log.cases for note in case.notes]
        return [*of_parts, *self._notes, *of_cases]

    def add_notes(self, notes: Sequence[str]) -> None:
        """Add notes about the run for the reader of the results."""
        self._notes += notes

    def add_system_facts(self, facts: Json) -> None:
        """Add our own facts about the hosts to their description."""
        system_info = {**(self.facts.system_info or {}), "mlpstorage": facts}
        self.facts = self.facts.model_copy(update={"system_info": system_info})

    def checkpoint(self) -> None:
        """Write the results so far, if there are cases that are not written yet.

        They stay if the run is killed: all its files can be made from these two.
        """
        if self.is_root and self.log.cases_opened > self._cases_written:
            document, record = self._document()
            checkpoint_run(document, record, self.location, self.benchmark_type)
            self._cases_written = self.log.cases_opened

    def end_with_trials(self) -> None:
        """End the run with its last trial, and write its results: its session goes on with others.

        Only rank 0 writes.
        """
        if not self.is_root:
            return
        self.times.end_with_trials()
        with suppress(MlpsError):  # the end of the session reports it
            self.write()

    def record_final_status(self, exit_status: int) -> None:
        """Write the status to the metadata at once: there may be no time for all results.

        Open MPI's launcher gives its ranks a third of a second after a stop signal.
        """
        if self.is_root:
            status = _STATUS_OF.get(exit_status, "failed")
            record_final_status(self.location.metadata_path, status, exit_status)

    def finish(self, exit_status: int, *, tests_passed: bool = False) -> RunMetadata | None:
        """Set the session's final status, write its results, and return its metadata on rank 0.

        `tests_passed` marks a failure that only the gate has caused.
        """
        self.status = _STATUS_OF.get(exit_status, "failed")
        self.exit_status = exit_status
        self.tests_passed = tests_passed or self.status == "passed"
        self.times.end_with_session()
        try:
            return self.write()
        finally:
            self._kept.release()

    @property
    def interrupted_cases(self) -> frozenset[str]:
        """Cases without metrics of a run that was stopped, whose tests have not failed."""
        failed = {one.test for one in self.log.outcomes if one.outcome == "failed"}
        is_interrupted = self.status == "interrupted"
        return frozenset(
            one.case
            for one in self.log.cases
            if is_interrupted and one.metrics is None and one.test not in failed
        )

    @property
    def can_resume(self) -> bool:
        """Whether the run was stopped, and its directory has what another session needs."""
        is_stopped = self.is_root and self.status == "interrupted"
        return is_stopped and self._kept.read_identity(RESUME_OPTION) is not None

    def abandon(self) -> None:
        """Give up a run that never began: another session may use its directory."""
        self._kept.release()

    def forget_trials(self) -> None:
        """Remove the finished trials of a run that has ended, as no session continues it.

        Only rank 0 does. They are needed until all runs of the session have ended.
        """
        if self.is_root and self.exit_status in COMPLETED_STATUSES:
            with suppress(OSError):  # they are hidden, and used for no run that has ended
                self._kept.remove()

    def end_without_results(self, exit_status: int) -> None:
        """Set the final status in the metadata alone, after `finish` has failed to write results.

        Where metadata is complete, something else has failed, and it is left to be written again.
        """
        self.status = _STATUS_OF.get(exit_status, "failed")
        reason = "its results could not be written"
        path = self.location.metadata_path
        if self.is_root and record_final_status(path, self.status, exit_status, reason):
            self.exit_status = exit_status

    def make_record(self, timed: Sequence[str] = ()) -> RunRecord:
        """Return the record so far; `timed` names the tests that pytest-benchmark lists."""
        ended, runtime_s = self.times.ended, self.times.runtime_s
        return RunRecord(
            **dict(self.facts),
            status=self.status,
            exit_status=self.exit_status,
            tests_passed=self.tests_passed,
            process_id=os.getpid(),
            process_start=start_of(os.getpid()),
            timestamp=self.location.timestamp,
            run_datetime=self.started.isoformat(),
            end_datetime=ended.isoformat() if ended else None,
            runtime_s=runtime_s,
            resumed=self.times.parts(self.status, runtime_s),
            follows=self.follows,
            notes=self.notes,
            tests=self.log.outcomes,
            recorded=self._recorded.values,
            recorded_descriptions=self._recorded.descriptions,
            plugins=self.plugin_facts,
            gate=self.gate,
            system_info_at_end=self.system_info_at_end,
            untimed_cases=self.log.untimed_cases(timed),
        )

    def followed_at(self, start: datetime) -> FollowedRecord:
        """Return this run, which has ended, as the one that a run with this start has to follow."""
        return self.times.followed_at(start, self.location.timestamp, self.status)

    def write(self) -> RunMetadata | None:
        """Write the run's files with the results so far; return its metadata on rank 0.

        While it is running, these are the files from which all others can be made.
        """
        if not self.is_root:
            return None
        document, record = self._document()
        write_files = checkpoint_run if self.status == "running" else write_run
        return write_files(document, record, self.location, self.benchmark_type)

    def _document(self) -> tuple[BenchmarkDocument, RunRecord]:
        """Return pytest-benchmark's JSON that includes our record, and the record."""
        document = self.make_document(self.log.statistics)
        record = self.make_record([benchmark.fullname for benchmark in document.benchmarks])
        return document.with_record(record.model_dump(mode="json")), record
