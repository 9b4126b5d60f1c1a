"""A benchmark run: the part of a session that produces results."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from mlpstorage_bench.benchmark_type import (
    NO_PAUSES,
    BenchmarkType,
    CaseRecord,
    Json,
    OpenCase,
    Standing,
)
from mlpstorage_bench.errors import InvalidInputError, MlpsError
from mlpstorage_bench.history.resume import COMPLETED_STATUSES, RESUME_OPTION
from mlpstorage_bench.metric.declaration import Better, Description, default_title
from mlpstorage_bench.paths import fingerprint, slugify
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.results.benchmark_document import BenchmarkDocument
from mlpstorage_bench.results.convert import checkpoint_run, write_run
from mlpstorage_bench.results.final_status import record_final_status
from mlpstorage_bench.results.kept_trials import KeptTrial, KeptTrials, LastTrial
from mlpstorage_bench.results.metadata import build_metadata
from mlpstorage_bench.results.metadata_parts import IntegrityCheck
from mlpstorage_bench.results.record import (
    CaseOutcome,
    GateRecord,
    Outcome,
    RunFacts,
    RunRecord,
    Status,
)
from mlpstorage_bench.results.run_metadata import RunMetadata, metadata_of
from mlpstorage_bench.results.tree import RunLocation, remove_files
from mlpstorage_bench.results.verification import (
    Verification,
    integrity_checks,
    unproven,
    verification_of,
)
from mlpstorage_bench.session.resumption import Resumption
from mlpstorage_bench.units import unit_named

_SEVERITY: tuple[Outcome, ...] = ("passed", "skipped", "failed")
_STATUS_OF: dict[int, Status] = {0: "passed", 2: "interrupted"}
"""A session's status by pytest's exit status; all others are failures."""


@dataclass
class Run:
    """A session's results so far, and their location.

    Every rank has one; only rank 0 writes.
    """

    location: RunLocation
    started: datetime
    facts: RunFacts
    seed: int
    """The plan's seed, which is part of a case's fingerprint."""
    benchmark_type: BenchmarkType
    make_document: Callable[[Sequence[object]], BenchmarkDocument]
    """Returns pytest-benchmark's JSON for the statistics of this package's tests."""
    is_root: bool
    resumption: Resumption | None = None
    """The run that this session continues, on rank 0."""
    is_resumed: bool = False
    """Whether this session continues a run; the same on every rank."""
    status: Status = "running"
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether the tests passed, regardless of the gate; None before the end."""
    _notes: list[str] = field(default_factory=list)
    _started_s: float = field(default_factory=time.monotonic)
    _ended: datetime | None = None
    _tests: dict[str, CaseOutcome] = field(default_factory=dict)
    _recorded: dict[str, object] = field(default_factory=dict)
    _recorded_descriptions: dict[str, dict[str, object]] = field(default_factory=dict)
    _cases: list[OpenCase] = field(default_factory=list)
    """Cases, in the order of their start."""
    gate: GateRecord | None = None
    """The gate's result, for the metadata."""
    system_info_at_end: Json | None = None
    """The hosts at the run's end; None before it."""
    _statistics: dict[str, object] = field(default_factory=dict)
    """pytest-benchmark's statistics by test."""
    _cases_opened: int = 0
    _cases_written: int = 0
    _kept: KeptTrials = field(init=False)
    """Finished trials in the run's directory."""

    def __post_init__(self) -> None:
        self._kept = KeptTrials(self.directory)

    def claim(self, identity: Json) -> None:
        """Begin to keep finished trials, and write what their continuation is compared with.

        InvalidInputError on rank 0 if the run is continued, and this session differs from it.
        """
        if not self.is_root:
            return
        if self.resumption is not None:
            self.resumption.check_place(self.location)
            self.resumption.check_identity(identity)
        self._kept.claim(RESUME_OPTION, self.run_id)
        if self.resumption is None:
            self._kept.write_identity(identity)
        else:
            remove_files([self.location.summary_path])  # that of an earlier part

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
        of_type = self.benchmark_type.metadata_fields(record.parameters, self.cases)
        commit_info = self.make_document([*self._statistics.values()]).commit_info
        metrics = self.benchmark_type.metrics
        return build_metadata(
            record,
            self.directory,
            [],
            of_type,
            self.cases,
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
        return self.benchmark_type.standing(self.cases, facts.parameters, facts.num_processes)

    def record(
        self, name: str, value: object, *, unit: str = "", better: Better | None = None
    ) -> None:
        """Add rank 0's value to the run's metadata, as `mlpstorage.metrics.recorded`.

        The value must be valid in JSON, and the name a word like `effective_gib_s`. The history
        shows the unit (`GiB/s`; '' for a number of things), and whether `higher` or `lower` values
        are better.
        """
        if slugify(name) != name:
            raise InvalidInputError("mlps_run.record", name, "letters, digits, '.', '_' and '-'")
        declared = {metric.name: metric for metric in self.benchmark_type.metrics}.get(name)
        if declared is not None and unit not in ("", declared.unit.name):
            raise InvalidInputError(
                f"mlps_run.record {name}: unit", unit, f"{declared.unit.name}, as of the metric"
            )
        if better not in (None, *get_args(Better)):
            raise InvalidInputError(
                f"mlps_run.record {name}: better", better, ", ".join(get_args(Better))
            )
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"mlps_run.record {name}", value, "a value that JSON can hold", hint=str(error)
            ) from error
        self._recorded[name] = value
        if declared is None:
            described = Description(name, default_title(name), unit_named(unit), better)
            self._recorded_descriptions[name] = described.to_json()

    @property
    def cases(self) -> list[CaseRecord]:
        """The records of all cases so far, in the order of their start."""
        return [case.record for case in self._cases]

    def open_case(self, case: CaseRecord, test: str) -> OpenCase:
        """Add a case, with a unique name, its order and its fingerprint.

        It replaces an earlier case of the test: a plugin runs the test again.
        """
        self._forget_case(test)
        taken = {other.case for other in self.cases}
        name = case.case
        if name in taken:
            name = slugify(f"{name}-{test.rpartition('::')[2]}")
        number = 2
        while name in taken:
            name = slugify(f"{name}-{number}")
            number += 1
        option = case.option if name == case.case else None  # one case has an option's files
        case = replace(case, case=name, option=option, order=self._cases_opened, test=test)
        self._cases_opened += 1
        if self.is_root:
            ranks = self.facts.num_processes
            pauses = self.facts.pauses or NO_PAUSES
            parts = self.benchmark_type.workload_parts(case.parameters, self.seed, ranks, pauses)
            case = replace(
                case,
                workload_fingerprint_parts=parts,
                workload_fingerprint=fingerprint(parts),
            )
        opened = OpenCase(case)
        self._cases.append(opened)
        return opened

    def _forget_case(self, test: str) -> None:
        if self.is_root:
            with suppress(MlpsError):  # the end of the run reports what cannot be written
                for case in self.cases:
                    if case.test == test:
                        self._kept.discard(RESUME_OPTION, case.case)
        self._cases = [case for case in self._cases if case.record.test != test]
        self._statistics.pop(test, None)

    def is_superseded(self, order: object) -> bool:
        """Whether the case with this `order` is that of an earlier attempt of its test."""
        return order not in {current.order for current in self.cases}

    def begin_attempt(self, test: str) -> None:
        """Forget the attempt of a test that a plugin repeats: its last attempt counts."""
        before = self._tests.pop(test)
        self._forget_case(test)
        problem = before.message.partition("\n")[0]
        self.add_notes(
            [
                f"{test} ran again, and its last attempt counts; the one before {before.outcome}"
                + (f": {problem}" if problem else "")
            ]
        )

    def add_statistics(self, test: str, statistics: object) -> None:
        """Add pytest-benchmark's statistics of a finished test of this package."""
        self._statistics[test] = statistics

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
            now = LastTrial(datetime.now().astimezone().isoformat(), self._runtime_s)
            trial = case.trials[-1]
            with suppress(MlpsError):  # the end of the run reports it
                self._kept.keep(self.location, self.benchmark_type, case, trial, state, now)

    def note_outcome(self, test: str, outcome: Outcome, duration_s: float, message: str) -> None:
        """Add the outcome of one phase of a test; the worst phase decides."""
        before = self._tests.get(test, CaseOutcome(test=test, outcome="passed", duration_s=0.0))
        duration_s += before.duration_s
        if _SEVERITY.index(outcome) > _SEVERITY.index(before.outcome):
            after = CaseOutcome(test=test, outcome=outcome, duration_s=duration_s, message=message)
        else:
            after = before.model_copy(update={"duration_s": duration_s})
        self._tests[test] = after

    @property
    def notes(self) -> list[str]:
        """Notes for the reader of the results: about the run, then about each case."""
        return [*self._notes, *(note for case in self.cases for note in case.notes)]

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
        if self.is_root and self._cases_opened > self._cases_written:
            document, record = self._document()
            checkpoint_run(document, record, self.location, self.benchmark_type)
            self._cases_written = self._cases_opened

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
        self._ended = datetime.now().astimezone()
        try:
            metadata = self.write()
        finally:
            self._kept.release()
        if self.is_root and exit_status in COMPLETED_STATUSES:
            with suppress(OSError):  # they are hidden, and used for no run that has ended
                self._kept.remove()
        return metadata

    @property
    def _runtime_s(self) -> float:
        before_s = 0.0 if self.resumption is None else self.resumption.runtime_before_s
        return before_s + time.monotonic() - self._started_s

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
        runtime_s = self._runtime_s
        resumed = None
        if self.resumption is not None:
            of_part_s = runtime_s - self.resumption.runtime_before_s
            resumed = self.resumption.record(self.status, self._ended, of_part_s)
        return RunRecord(
            **dict(self.facts),
            status=self.status,
            exit_status=self.exit_status,
            tests_passed=self.tests_passed,
            process_id=os.getpid(),
            process_start=start_of(os.getpid()),
            timestamp=self.location.timestamp,
            run_datetime=self.started.isoformat(),
            end_datetime=self._ended.isoformat() if self._ended else None,
            runtime_s=runtime_s,
            resumed=resumed,
            notes=self.notes,
            tests=list(self._tests.values()),
            recorded=self._recorded,
            recorded_descriptions=self._recorded_descriptions,
            gate=self.gate,
            system_info_at_end=self.system_info_at_end,
            untimed_cases=[case for case in self.cases if case.test not in set(timed)],
        )

    def write(self) -> RunMetadata | None:
        """Write the run's files with the results so far; return its metadata on rank 0.

        While it is running, these are the files from which all others can be made.
        """
        if not self.is_root:
            return None
        document, record = self._document()
        write_files = checkpoint_run if self.status == "running" else write_run
        return metadata_of(write_files(document, record, self.location, self.benchmark_type))

    def _document(self) -> tuple[BenchmarkDocument, RunRecord]:
        """Return pytest-benchmark's JSON that includes our record, and the record."""
        document = self.make_document([*self._statistics.values()])
        record = self.make_record([benchmark.fullname for benchmark in document.benchmarks])
        return document.with_record(record.model_dump(mode="json")), record
